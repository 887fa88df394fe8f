"""Storage entries of Proxmox VE on simulated nodes: their options, and what becomes of them when their dataset moves."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from fleet_case import CONFIG, FleetTest  # noqa: E402
from sim_fleet import meaning  # noqa: E402

MOVED = "quickOS-lxc-disks"


class StoragesTest(FleetTest):
    def config(self, change):
        """The seed's configuration as `change` has it, which takes {dataset's name: dataset} and the whole."""
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        change({dataset["name"]: dataset for dataset in config["zfs"]["datasets"]}, config)
        path = self.fleet.path("changed.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        return path

    def apply(self, config=CONFIG, expect=0):
        return self.phoenix("setup", "-f", config, "--secrets", self.secrets, expect=expect)

    def meanings(self):
        return {node: meaning(dump) for node, dump in self.fleet.dumps().items()}

    def entry(self, node, storage):
        line = next(line for line in meaning(self.fleet.dump(node)).split("\n") if line.startswith("storage ") and storage in line.split())
        return line.split()

    def test_options_of_the_file_reach_the_storages_and_stay_when_they_are_left_out(self):
        def options(datasets, _):
            datasets["vm-disks"]["proxmox_storage_options"] = {"sparse": True, "blocksize": "16k"}
            datasets["shared-backups"]["proxmox_storage_options"] = "prune-backups=keep-last=3,keep-weekly=2"

        self.apply()
        changed = self.config(options)
        told = self.phoenix("plan", "-f", changed, "--secrets", self.secrets)
        self.assertIn("Plan: 4 steps", told)
        self.assertRegex(told, r"change storage quickOS-vm-disks  \[CONFIG\]\n +blocksize +16k\n +sparse +1\n")
        self.assertIn("COMMITTED", self.apply(changed))
        for node in ("hv1", "hv2"):
            self.assertIn("16k", self.entry(node, "quickOS-vm-disks"))
            self.assertIn("keep-last=3,keep-weekly=2", self.entry(node, "fastData-shared-backups"))
        self.assertIn("Plan: 0 steps", self.apply(changed))
        self.assertIn("Plan: 0 steps", self.apply())

    def test_a_dataset_that_moves_takes_its_storage_along_and_back(self):
        self.apply()
        before = self.meanings()
        self.assertIn("/quickOS/lxc-disks", self.entry("hv1", MOVED))

        def move(datasets, config):
            datasets["lxc-disks"]["mountpoint"] = "/srv/lxc"
            config["samba"]["shares"].append({"name": "more", "path": "/fastData/shared-bulk-data", "valid_users": ["heads"]})

        moved = self.config(move)
        plan = json.loads(self.phoenix("--output", "json", "plan", "-f", moved, "--secrets", self.secrets))
        for node in ("hv1", "hv2"):
            ids = [step["step"]["id"] for step in plan["steps"] if step["node"] == node]
            self.assertLess(ids.index("properties:quickOS/lxc-disks"), ids.index("storage:" + MOVED))
        self.fleet.fault("hv2", "samba.set-share:more")
        self.assertIn("ROLLED_BACK", self.apply(moved, expect=3))
        self.assertEqual(self.meanings(), before)
        self.assertIn("COMMITTED", self.apply(moved))
        for node in ("hv1", "hv2"):
            self.assertIn("/srv/lxc", self.entry(node, MOVED))
            self.assertNotIn("/quickOS/lxc-disks", self.entry(node, MOVED))
        self.assertIn("Plan: 0 steps", self.apply(moved))


if __name__ == "__main__":
    unittest.main()
