"""What undo kept because somebody had written to it, through the command line and real processes on a simulated node."""

import json
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from sim_fleet import SimFleet, write_secrets  # noqa: E402

BUILD = os.environ.get("PHOENIX_BUILD", os.path.join(ROOT, "build", "asan"))
NODE = "hv1"
CONFIG = {
    "zfs": {
        "pools": [{"name": "fastData", "raid_level": "single", "disks": ["/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S2A"]}],
        "datasets": [{"name": "shared-media", "pool": "fastData", "properties": "recordsize=1M"}]}}


class KeptTest(unittest.TestCase):
    def setUp(self):
        self.fleet = SimFleet(BUILD, nodes=(NODE,))
        self.addCleanup(self.fleet.close)
        self.secrets = write_secrets(self.fleet.path("secrets.json"), "correct horse")
        self.fleet.start()
        # The pool stands before, so that only the datasets are the run's.
        datasets = CONFIG["zfs"]["datasets"]
        self.phoenix("setup", "-f", self.config([]), "--secrets", self.secrets)
        self.before = self.fleet.dump(NODE)
        self.wanted = self.config(datasets)

    def config(self, datasets):
        path = self.fleet.path("config-%d.json" % len(datasets))
        with open(path, "w", encoding="utf-8") as out:
            json.dump({"zfs": {"pools": CONFIG["zfs"]["pools"], "datasets": datasets}}, out)
        return path

    def phoenix(self, *args, expect=0):
        result = self.fleet.phoenix(*args)
        self.assertEqual(result.returncode, expect, "phoenix %s\n%s\n%s" % (" ".join(args), result.stdout, result.stderr))
        return result.stdout if expect == 0 else result.stdout + result.stderr

    def kept(self):
        node, = json.loads(self.phoenix("--output", "json", "kept", "list", "--node", NODE))["nodes"]
        return node["kept"]

    def write(self, path):
        with self.fleet.machine(NODE) as database:
            database.execute("INSERT INTO files(path, directory, uid, gid, mode, content) VALUES(?, 0, 0, 0, 420, 'mine')", (path,))

    def undo_after_somebody_wrote(self):
        """A run that made fastData/shared-media is cancelled after a client wrote a film into it; what was kept."""
        setup = self.fleet.start_phoenix("setup", "-f", self.wanted, "--secrets", self.secrets, "--confirm-within", "10m")
        self.addCleanup(setup.stdout.close)
        run = ""
        for line in setup.stdout:
            run = line.split()[-1] if "phoenix runs confirm" in line else run
            if "waits for confirmation" in line:
                break
        self.write("/fastData/shared-media/film")
        self.phoenix("runs", "cancel", run)
        setup.communicate()
        self.assertEqual(setup.returncode, 3)
        kept, = self.kept()
        self.assertEqual((kept["original_name"], kept["run"], kept["pool"], kept["kind"]),
                         ("fastData/shared-media", run, "fastData", "KIND_SET_ASIDE"))
        self.assertEqual(kept["native_name"], "fastData/.phoenix/kept/%s/shared-media" % run)
        return kept["native_name"]

    def test_what_was_kept_is_listed_and_restored(self):
        name = self.undo_after_somebody_wrote()
        self.assertIn(name, self.phoenix("kept", "list"))
        self.assertIn("phoenix kept restore " + name, self.phoenix("plan", "-f", self.wanted, "--secrets", self.secrets))
        # Somebody made another one of that name: refused, and it goes beside it.
        setup = ("setup", "-f", self.wanted, "--secrets", self.secrets)
        self.phoenix(*setup)
        before = self.fleet.dump(NODE)
        self.assertIn("fastData/shared-media is there", self.phoenix("kept", "restore", name, "--node", NODE, expect=1))
        self.assertEqual(self.fleet.dump(NODE), before)
        out = self.phoenix("kept", "restore", name, "--node", NODE, "--as", "fastData/found")
        self.assertEqual(out, "fastData/found is back, mounted at /fastData/found\n")
        dump = self.fleet.dump(NODE)
        self.assertIn("file /fastData/found/film ", dump)
        self.assertNotIn(".phoenix", dump)
        self.assertEqual(self.phoenix("kept", "list"), "Nothing is kept.\n")
        self.assertIn("is nothing that undo kept", self.phoenix("kept", "restore", name, "--node", NODE, expect=1))

    def test_restored_to_its_name_it_is_adopted_by_the_next_setup(self):
        name = self.undo_after_somebody_wrote()
        out = self.phoenix("kept", "restore", name, "--node", NODE)
        self.assertEqual(out, "fastData/shared-media is back, mounted at /fastData/shared-media\n")
        self.assertEqual(self.kept(), [])
        self.assertIn("Plan: 0 steps", self.phoenix("setup", "-f", self.wanted, "--secrets", self.secrets))
        self.assertIn("file /fastData/shared-media/film ", self.fleet.dump(NODE))

    def test_what_was_kept_is_destroyed_only_by_its_name(self):
        name = self.undo_after_somebody_wrote()
        kept = self.fleet.dump(NODE)
        self.assertIn("--allow discard:" + name, self.phoenix("kept", "discard", name, "--node", NODE, expect=1))
        # While a service of the node cannot say what it needs, nothing goes.
        self.fleet.stop(NODE, "proxmox")
        self.assertIn("proxmox", self.phoenix("kept", "discard", name, "--node", NODE, "--allow", "discard:" + name, expect=1))
        self.fleet.start_daemon(NODE, "proxmox")
        self.assertEqual(self.fleet.dump(NODE), kept)
        out = self.phoenix("kept", "discard", name, "--node", NODE, "--allow", "discard:" + name)
        self.assertEqual(out, name + " is destroyed\n")
        self.assertEqual(self.fleet.dump(NODE), self.before)
        self.assertEqual(self.kept(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
