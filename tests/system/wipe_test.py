"""What may be done to disks that hold something: nothing, what a person agrees to on the terminal, or what is named. On
simulated nodes."""

import json
import os
import pty
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from fleet_case import CONFIG, FleetTest  # noqa: E402

DISK = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S2A"
WORD = ("--allow", "pool:fastData")


class WipeTest(FleetTest):
    def setUp(self):
        super().setUp()
        with self.fleet.machine("hv2") as database:
            [(value,)] = database.execute("SELECT value FROM objects WHERE kind = 'disk' AND name = ?", [DISK])
            disk = json.loads(value)
            disk["holds"] = [{"where": disk["device"], "what": "ext4 (wipefs)", "pool": "", "pool_guid": 0, "zfs_partition": False}]
            database.execute("UPDATE objects SET value = ? WHERE kind = 'disk' AND name = ?", [json.dumps(disk), DISK])
        # Every service has made its part of the simulated machine once it has planned.
        self.try_to("plan")
        self.before = self.fleet.dumps()

    def config(self, permit):
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        config["zfs"]["settings"] = {"allow_destructive_operations": permit}
        path = self.fleet.path("wipe.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        return path

    def try_to(self, verb, *words, permit=True):
        return self.fleet.phoenix(verb, "-f", self.config(permit), "--secrets", self.secrets, *words)

    def refused(self, *words, permit=True, code=1):
        done = self.try_to("setup", *words, permit=permit)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(self.fleet.dumps(), self.before)
        return done.stdout + done.stderr

    def at_the_terminal(self, answer):
        """`phoenix setup --mode interactive` with a terminal, on which `answer` is typed."""
        ours, its = pty.openpty()
        line = self.fleet._command_line(
            ["setup", "-f", self.config(True), "--secrets", self.secrets, "--mode", "interactive"], True)
        process = subprocess.Popen(**line, stdin=its, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.close(its)
        os.write(ours, answer.encode() + b"\n")
        said = process.communicate(timeout=120)[0]
        os.close(ours)
        return process.returncode, said

    def test_safe_mode_names_what_it_found_and_wipes_nothing(self):
        said = self.refused()
        self.assertIn("hv2", said)
        self.assertIn("ext4", said)
        self.assertIn("safe mode wipes nothing", said)
        self.assertIn("--wipe belongs to --mode force-destructive", self.refused("--wipe", DISK))

    def test_only_disks_that_are_named_are_wiped_and_only_where_the_file_permits_it(self):
        force = ("--mode", "force-destructive")
        self.assertIn("name each with --wipe", self.refused(*force))
        self.assertIn("allow_destructive_operations", self.refused(*force, "--wipe", DISK, *WORD, permit=False))
        self.assertIn("not among the disks that may be wiped", self.refused(*force, "--wipe", "hv1:" + DISK, *WORD))
        # A wipe cannot be taken back: it needs the step's own word, too.
        self.assertIn("--allow pool:fastData", self.refused(*force, "--wipe", "hv2:" + DISK))
        done = self.try_to("setup", *force, "--wipe", "hv2:" + DISK, *WORD)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("COMMITTED", done.stdout)
        self.assertIn("wipe " + DISK, done.stdout)
        run = self.run_of(done.stdout) if "runs/" in done.stdout else ""
        if run:
            self.assertIn("hv2:" + DISK, self.phoenix("runs", "show", run))

    def test_trap6_interactive_asks_on_the_terminal_and_takes_nothing_but_yes(self):
        self.assertIn("there is none", self.refused("--mode", "interactive"))
        plan = self.try_to("plan", "--mode", "interactive")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        self.assertIn("wipe " + DISK, plan.stdout)
        self.assertEqual(self.fleet.dumps(), self.before)
        code, said = self.at_the_terminal("y")
        self.assertEqual(code, 1, said)
        self.assertIn("nothing was done", said)
        self.assertEqual(self.fleet.dumps(), self.before)
        code, said = self.at_the_terminal("yes")
        self.assertEqual(code, 0, said)
        self.assertIn(f"Disk hv2:{DISK} holds: ", said)
        self.assertIn("would be wiped to create pool fastData; remains after undo: disks empty", said)
        self.assertIn("COMMITTED", said)


if __name__ == "__main__":
    unittest.main()
