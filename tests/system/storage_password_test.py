"""A cifs storage of the node's own share, with the password of a Samba user, on simulated nodes."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from fleet_case import CONFIG, FleetTest  # noqa: E402
from sim_fleet import write_secrets  # noqa: E402

STORAGE = "fastData-shared-media"


class StoragePasswordTest(FleetTest):
    def setUp(self):
        super().setUp()
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        # Each node mounts its own share.
        config["network"]["nfs_server"] = "127.0.0.1"
        config["zfs"]["datasets"].append({
            "name": "shared-media", "pool": "fastData", "properties": "recordsize=1M", "proxmox_storage_type": "cifs",
            "proxmox_content_type": "iso", "proxmox_storage_user": "heads"})
        config["samba"]["shares"].append({"name": "media", "path": "/fastData/shared-media", "valid_users": ["heads"]})
        self.config = self.fleet.path("cifs.json")
        with open(self.config, "w", encoding="utf-8") as out:
            json.dump(config, out)

    def planned(self, secrets=None):
        return json.loads(self.phoenix("--output", "json", "plan", "-f", self.config, "--secrets", secrets or self.secrets))

    def test_it_comes_after_share_and_user_and_is_left_as_it_is_from_then_on(self):
        plan = self.planned()
        self.assertNotIn("correct horse", json.dumps(plan))
        for node in ("hv1", "hv2"):
            ids = [step["step"]["id"] for step in plan["steps"] if step["node"] == node]
            storage = ids.index("storage:" + STORAGE)
            self.assertLess(ids.index("share:media"), storage)
            self.assertLess(ids.index("passdb:heads"), storage)
        step = next(step["step"] for step in plan["steps"] if step["step"]["id"] == "storage:" + STORAGE)
        self.assertIn("--username heads", step["commands"][0])
        self.assertIn({"field": "password", "before": "", "after": "(secret)"}, step["diffs"])
        self.phoenix("setup", "-f", self.config, "--secrets", self.secrets, "--allow", "storage:" + STORAGE)
        again = self.planned()
        self.assertEqual(again.get("steps", []), [])
        self.assertEqual([note for note in again.get("notes", []) if note["note"]["resource"] == "storage:" + STORAGE], [])

        # Another password of the user is set; the storage keeps its own, and the plan says so.
        other = self.planned(write_secrets(self.fleet.path("other.json"), "battery staple"))
        self.assertEqual({step["step"]["id"] for step in other["steps"]}, {"passdb:heads"})
        said = [note["note"]["text"] for note in other["notes"] if note["note"]["resource"] == "storage:" + STORAGE]
        self.assertIn("another password", said[0])


if __name__ == "__main__":
    unittest.main()
