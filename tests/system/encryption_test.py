"""Encrypted datasets through the command line and real processes on a simulated node: made with a key from the secrets,
locked by a reboot, opened by the next setup."""

import json
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from sim_fleet import SimFleet  # noqa: E402

BUILD = os.environ.get("PHOENIX_BUILD", os.path.join(ROOT, "build", "asan"))
NODE = "hv1"
PASSPHRASE, RAW = "tr0ub4dor staple", "5ec2e7" * 10 + "cafe"


class EncryptionTest(unittest.TestCase):
    def setUp(self):
        self.fleet = SimFleet(BUILD, nodes=(NODE,))
        self.addCleanup(self.fleet.close)
        self.fleet.start()
        self.secrets = self.write("secrets.json", {"zfs": {"secure": PASSPHRASE, "vault": RAW}}, 0o600)
        self.config = self.configuration()

    def write(self, name, value, mode=0o644):
        path = self.fleet.path(name)
        with open(path, "w", encoding="utf-8") as out:
            json.dump(value, out)
        os.chmod(path, mode)
        return path

    def configuration(self, name="config.json", secure=None, vault=None):
        return self.write(name, {
            "zfs": {
                "pools": [{"name": "tank", "raid_level": "single", "disks": ["/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S2A"]}],
                "datasets": [
                    {"name": "tank/secure", "encryption": {"key": {"secret": "zfs/secure"}}, **(secure or {})},
                    {"name": "tank/secure/below", "proxmox_storage_type": "dir", "proxmox_content_type": "iso"},
                    {"name": "tank/vault", "encryption": {"key": {"secret": "zfs/vault"}, "format": "raw", "algorithm": "aes-128-gcm"},
                     **(vault or {})}]},
            "nfs": {"exports": [{"path": "/tank/secure", "clients": ["10.77.0.9"], "options": ["ro"]}]}})

    def phoenix(self, *args, expect=0):
        result = self.fleet.phoenix(*args)
        self.assertEqual(result.returncode, expect, "phoenix %s\n%s\n%s" % (" ".join(args), result.stdout, result.stderr))
        # Whatever is told to whomever, a key is never in it.
        for key in (PASSPHRASE, RAW):
            self.assertNotIn(key, result.stdout + result.stderr)
        return result.stdout if expect == 0 else result.stdout + result.stderr

    def plan(self):
        return json.loads(self.phoenix("--output", "json", "plan", "-f", self.config, "--secrets", self.secrets))

    def setup_run(self, expect=0):
        return self.phoenix("setup", "-f", self.config, "--secrets", self.secrets, expect=expect)

    @staticmethod
    def steps(plan):
        return sorted(one["step"]["action"] + " " + one["step"]["resource"] for one in plan.get("steps", []))

    def test_a_reboot_needs_the_keys_again_and_nothing_else(self):
        self.assertIn("COMMITTED", self.setup_run())
        self.assertEqual(self.steps(self.plan()), [])
        self.fleet.lock(NODE)
        self.assertNotIn('"mounted":"/tank/secure/below"', self.fleet.dump(NODE))
        self.assertEqual(self.steps(self.plan()), ["load key of tank/secure", "load key of tank/vault"])
        self.assertIn("COMMITTED", self.setup_run())
        self.assertIn('"mounted":"/tank/secure/below"', self.fleet.dump(NODE))
        self.assertEqual(self.steps(self.plan()), [])

    def test_trap9_an_export_that_comes_while_its_dataset_is_locked_is_guarded_by_that(self):
        """The directory that it is mounted at is there, and belongs to the dataset above until then."""
        with open(self.config, encoding="utf-8") as text:
            whole = json.load(text)
        exports = whole.pop("nfs")
        self.config = self.write("no-exports.json", whole)
        self.setup_run()
        self.fleet.lock(NODE)
        self.config = self.write("exports.json", {**whole, "nfs": exports})
        self.assertIn("COMMITTED", self.setup_run())
        self.assertEqual(self.steps(self.plan()), [])
        line, = [line for line in self.exports().splitlines() if line.startswith('"/tank/secure"')]
        self.assertRegex(line, r"[(,]mountpoint[,)]")

    def test_trap9_an_export_waits_for_its_dataset_though_the_directory_is_there(self):
        """Made by hand beforehand, on the root disk: the line is the same as without it, and nothing is left to do."""
        self.fleet.put_file(NODE, "/srv/app/x", "")
        self.fleet.remove_file(NODE, "/srv/app/x")
        with open(self.config, encoding="utf-8") as text:
            whole = json.load(text)
        whole["zfs"]["datasets"].append({"name": "tank/app", "mountpoint": "/srv/app"})
        whole["nfs"]["exports"].append({"path": "/srv/app", "clients": ["10.77.0.9"], "options": ["ro"]})
        self.config = self.write("app.json", whole)
        self.assertIn("COMMITTED", self.setup_run())
        self.assertEqual(self.steps(self.plan()), [])
        line, = [line for line in self.exports().splitlines() if line.startswith('"/srv/app"')]
        self.assertRegex(line, r"[(,]mountpoint[,)]")

    def exports(self):
        with self.fleet.machine(NODE) as database:
            (text,) = database.execute("SELECT content FROM files WHERE path = '/etc/exports.d/phoenix.exports'").fetchone()
        return text.decode() if isinstance(text, bytes) else text

    def test_a_key_that_does_not_fit_is_named_and_nothing_is_done(self):
        self.setup_run()
        self.fleet.lock(NODE)
        before = self.fleet.dump(NODE)
        self.write("secrets.json", {"zfs": {"secure": "another horse", "vault": "too short"}}, 0o600)
        for verb in ("plan", "setup"):
            told = self.phoenix(verb, "-f", self.config, "--secrets", self.secrets, expect=1)
            self.assertIn("the secret 'zfs/secure' is not the key of tank/secure", told)
            self.assertIn("zfs change-key tank/secure", told)
            self.assertIn("the secret 'zfs/vault' cannot be the key of tank/vault: a raw key has 32 bytes", told)
            self.assertNotIn("another horse", told)
            self.assertNotIn("too short", told)
        self.assertEqual(self.fleet.dump(NODE), before)

    def test_without_the_secrets_it_says_which_are_missing(self):
        missing = self.phoenix("plan", "-f", self.config, expect=1)
        self.assertIn("the secret 'zfs/secure' was not given", missing)
        self.setup_run()
        self.assertIn("not compared, its secret was not given", self.phoenix("plan", "-f", self.config))
        self.fleet.lock(NODE)
        self.assertIn("the key of tank/secure is not loaded", self.phoenix("plan", "-f", self.config, expect=1))

    def test_a_run_that_fails_locks_again_what_it_opened(self):
        self.setup_run()
        self.fleet.lock(NODE)
        before = self.fleet.dump(NODE)
        self.config = self.configuration("more.json", secure={"properties": "quota=1G"})
        self.fleet.fault(NODE, "zfs.set:tank/secure")
        self.assertIn("ROLLED_BACK", self.setup_run(expect=3))
        self.assertEqual(self.fleet.dump(NODE), before)

    def test_what_was_locked_is_compared_by_the_next_setup(self):
        self.setup_run()
        self.fleet.lock(NODE)
        self.config = self.configuration("owned.json", vault={"mode": "0750", "files": [{"path": "a", "content": "b"}]})
        self.assertIn("COMMITTED", self.setup_run())
        self.assertEqual(self.steps(self.plan()), ["deliver files tank/vault", "set owner and mode tank/vault"])

    def test_a_reboot_before_the_confirmation_loses_nothing(self):
        """Nobody can look into what the run made any more: it is kept, and the rest is undone without any key."""
        with open(self.config, encoding="utf-8") as text:
            pools = json.load(text)["zfs"]["pools"]
        self.phoenix("setup", "-f", self.write("pool.json", {"zfs": {"pools": pools}}))
        setup = self.fleet.start_phoenix("setup", "-f", self.config, "--secrets", self.secrets, "--confirm-within", "10m")
        self.addCleanup(setup.stdout.close)
        for line in setup.stdout:
            if "waits for confirmation" in line:
                break
        self.fleet.lock(NODE)
        self.fleet.kill(NODE, "zfs")
        self.fleet.start_daemon(NODE, "zfs")
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        self.phoenix("runs", "cancel", run)
        setup.communicate()
        self.assertEqual(setup.returncode, 3, self.fleet.phoenix("runs", "show", run).stdout)
        kept = json.loads(self.phoenix("--output", "json", "kept", "list", "--node", NODE))["nodes"][0]["kept"]
        self.assertEqual([one["original_name"] for one in kept], ["tank/secure", "tank/vault"])
        name = "tank/.phoenix/kept/%s/vault" % run
        self.assertIn("first: zfs load-key " + name, self.phoenix("kept", "restore", name, "--node", NODE, expect=1))

    def test_no_key_in_any_file(self):
        self.setup_run()
        self.fleet.lock(NODE)
        self.setup_run()
        found = 0
        for folder, _, files in os.walk(self.fleet.directory):
            for name in files:
                path = os.path.join(folder, name)
                if path == self.secrets or not os.path.isfile(path):
                    continue
                found += 1
                with open(path, "rb") as data:
                    text = data.read()
                for key in (PASSPHRASE.encode(), RAW.encode(), bytes.fromhex(RAW)):
                    self.assertNotIn(key, text, path)
        self.assertGreater(found, 8)


if __name__ == "__main__":
    unittest.main(verbosity=2)
