"""What goes: by name, or all orphans of a kind; never by being left out. On simulated nodes."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from fleet_case import CONFIG, FleetTest  # noqa: E402
from sim_fleet import meaning  # noqa: E402

MEDIA = "/fastData/shared-media"


class RemovalTest(FleetTest):
    def setUp(self):
        super().setUp()
        self.setup_run()
        self.before = self.fleet.dumps()
        self.apply(self.with_one_share_more())

    def apply(self, config, *flags, expect=0):
        return self.phoenix("setup", "-f", config, "--secrets", self.secrets, *flags, expect=expect)

    def steps(self, config, *flags):
        plan = json.loads(self.phoenix("--output", "json", "plan", "-f", config, "--secrets", self.secrets, *flags))
        return sorted({step["step"]["id"] for step in plan.get("steps", [])}), [note["note"]["text"] for note in plan.get("notes", [])]

    def absent(self, **changes):
        """The configuration with one share more, all of it wanted gone but for `changes`."""
        with open(self.with_one_share_more(), encoding="utf-8") as text:
            config = json.load(text)
        config["zfs"]["datasets"][-1]["state"] = "absent"
        config["nfs"]["exports"][-1] = {"path": MEDIA, "state": "absent"}
        config["samba"]["shares"][-1] = {"name": "media", "state": "absent"}
        for kind, value in changes.items():
            section, name = kind.split("_")
            config[section][name][-1] = value
        path = self.fleet.path("absent.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        return path

    def test_what_is_left_out_stays_and_is_told(self):
        steps, notes = self.steps(CONFIG)
        self.assertEqual(steps, [])
        told = "\n".join(notes)
        for orphan in ("orphaned: /fastData/shared-media", "orphaned: the share [media]", "orphaned: dataset fastData/shared-media",
                       "orphaned: Phoenix created it"):
            self.assertIn(orphan, told)

    def test_orphans_of_the_kinds_named_go_and_nothing_else(self):
        steps, _ = self.steps(CONFIG, "--prune", "exports")
        self.assertEqual(steps, ["export:" + MEDIA])
        self.apply(CONFIG, "--prune", "exports,shares,storages,rules")
        steps, notes = self.steps(CONFIG, "--prune", "exports,shares,rules,storages")
        self.assertEqual(steps, [])
        # Datasets go by name only.
        self.assertEqual([note for note in notes if "orphaned" in note],
                         ["orphaned: dataset fastData/shared-media was declared and no longer is; it stays as it is"] * 2)
        for dump in self.fleet.dumps().values():
            self.assertNotIn("10.77.0.9", dump.replace("phoenix-", ""))
        refused = self.fleet.phoenix("plan", "-f", CONFIG, "--prune", "datasets")
        self.assertNotEqual(refused.returncode, 0)

    def test_a_run_that_prunes_and_fails_leaves_every_node_as_it_was(self):
        standing = {node: meaning(dump) for node, dump in self.fleet.dumps().items()}
        self.fleet.fault("hv2", "samba.set-share:media")
        self.fleet.fault("hv2", "samba.remove-share:media")
        self.fleet.fault("hv2", "proxmox.remove:fastData-shared-media")
        out = self.fleet.phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, "--prune", "exports,shares,rules,storages")
        self.assertEqual(out.returncode, 3, out.stdout + out.stderr)
        self.assertIn("ROLLED_BACK", out.stdout)
        self.assertEqual({node: meaning(dump) for node, dump in self.fleet.dumps().items()}, standing)

    def test_what_is_absent_by_name_goes_with_its_storage_and_consumers_go_first(self):
        steps, _ = self.steps(self.absent())
        self.assertEqual(steps, ["delete:fastData/shared-media", "export:" + MEDIA, "share:media", "storage:fastData-shared-media"])
        self.apply(self.absent())
        self.assertEqual(self.steps(self.absent())[0], [])
        self.assertEqual(self.steps(CONFIG)[0], [])

    def test_nothing_goes_from_below_what_stands(self):
        refused = self.fleet.phoenix("plan", "-f", self.absent(samba_shares={
            "name": "media", "path": MEDIA, "valid_users": ["heads"]}), "--secrets", self.secrets)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("this share stands on the dataset fastData/shared-media, which is absent at $.zfs.datasets[8]", refused.stderr)
        # Left out is not absent: the share still stands there.
        with open(self.absent(), encoding="utf-8") as text:
            config = json.load(text)
        del config["samba"]["shares"][-1]
        with open(self.fleet.path("left.json"), "w", encoding="utf-8") as out:
            json.dump(config, out)
        refused = self.fleet.phoenix("plan", "-f", self.fleet.path("left.json"), "--secrets", self.secrets)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("the share [media] stands on", refused.stderr)


if __name__ == "__main__":
    unittest.main()
