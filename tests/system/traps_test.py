"""What scripts in use get wrong over a whole run (docs/traps.md), on simulated nodes."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from fleet_case import FleetTest  # noqa: E402
from sim_fleet import meaning  # noqa: E402


class TrapsTest(FleetTest):
    def runs(self, state):
        """The ids of the runs that are in it."""
        return [run["name"].removeprefix("runs/") for run in json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"]
                if run["state"] == state]

    def test_trap23_one_run_at_a_time_that_outlives_a_crash_and_can_be_taken_back(self):
        self.setup_run()
        config = self.with_one_share_more()
        self.plan()
        before = self.fleet.dumps()
        setup = self.fleet.start_phoenix("setup", "-f", config, "--secrets", self.secrets, "--confirm-within", "30m")
        self.addCleanup(setup.stdout.close)
        while not self.runs("STATE_AWAITING_CONFIRM"):
            self.assertIsNone(setup.poll(), "it ended")
        run, = self.runs("STATE_AWAITING_CONFIRM")
        during = {node: meaning(dump) for node, dump in self.fleet.dumps().items()}

        # No lock: another run at the same time.
        with open(config, encoding="utf-8") as text:
            more = json.load(text)
        more["samba"]["shares"].append({"name": "other", "path": "/fastData/shared-backups", "valid_users": ["heads"]})
        with open(self.fleet.path("other.json"), "w", encoding="utf-8") as out:
            json.dump(more, out)
        other = self.fleet.phoenix("setup", "-f", self.fleet.path("other.json"), "--secrets", self.secrets)
        self.assertNotEqual(other.returncode, 0, other.stdout)
        self.assertIn("run %s holds the lock" % run, other.stdout + other.stderr)
        self.assertEqual({node: meaning(dump) for node, dump in self.fleet.dumps().items()}, during)

        # No state, no resume: what a crash leaves.
        self.fleet.kill("orchestrator")
        setup.communicate()
        self.fleet.start_orchestrator()
        self.assertEqual(self.runs("STATE_AWAITING_CONFIRM"), [run])

        # No rollback.
        self.phoenix("runs", "cancel", run)
        self.assertIn("ROLLED_BACK", self.phoenix("runs", "watch", run, expect=3))
        for node, after in self.fleet.dumps().items():
            self.assertEqual(meaning(after), meaning(before[node]), node)


if __name__ == "__main__":
    unittest.main(verbosity=2)
