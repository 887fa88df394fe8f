"""Shares as a user declares them: a path that is exported and shared, previous versions, NetBIOS. On simulated nodes."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from fleet_case import CONFIG, FleetTest  # noqa: E402
from sim_fleet import meaning  # noqa: E402

DATASET = "quickOS/shared-prod-data"
PATH = "/" + DATASET


class SharesTest(FleetTest):
    def seed(self, change):
        """The seed's configuration, in which PATH is exported and shared, changed."""
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        change(config)
        path = self.fleet.path("changed.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        return ("-f", path, "--secrets", self.secrets)

    def steps(self, wanted):
        plan = json.loads(self.phoenix("--output", "json", "plan", *wanted))
        return sorted({(step["participant"], step["step"]["id"]) for step in plan.get("steps", [])})

    def root(self, node):
        with self.fleet.machine(node) as database:
            return database.execute("SELECT uid, gid, mode FROM files WHERE path = ?", (PATH,)).fetchone()

    def own_dataset(self, config, **members):
        found, = [one for one in config["zfs"]["datasets"] if (one["pool"], one["name"]) == tuple(DATASET.split("/"))]
        found.update(members)

    def test_trap19_the_root_of_a_path_that_is_exported_and_shared_belongs_to_its_dataset(self):
        self.setup_run()
        before = {node: self.root(node) for node in self.fleet.nodes}
        for uid, gid, mode in before.values():
            self.assertEqual((uid, mode), (0, 0o2770))
            self.assertNotEqual(gid, 0, "the share's first user")
        # The export and the share change: nobody touches the directory, and nobody wants to afterwards.
        def change(config):
            config["nfs"]["exports"][0]["options"] = ["rw", "sync", "root_squash"]
            config["samba"]["shares"][0].update(read_only=True, options="create mask=0600", acl="posix")
        wanted = self.seed(change)
        self.assertEqual(self.steps(wanted), [("nfs", "export:" + PATH), ("samba", "share:shared-prod-data")])
        self.assertIn("COMMITTED", self.phoenix("setup", *wanted))
        self.assertEqual({node: self.root(node) for node in self.fleet.nodes}, before)
        self.assertEqual(self.steps(wanted), [])

        # Another owner is one step of the dataset, whoever serves it.
        wanted = self.seed(lambda config: (change(config), self.own_dataset(config, owner="root", group="root", mode="0755")))
        self.assertEqual(self.steps(wanted), [("zfs", "root:" + DATASET)])
        self.assertIn("COMMITTED", self.phoenix("setup", *wanted))
        self.assertEqual({self.root(node) for node in self.fleet.nodes}, {(0, 0, 0o755)})
        for _ in range(2):
            self.assertIn("Plan: 0 steps", self.phoenix("setup", *wanted))
        self.assertEqual({self.root(node) for node in self.fleet.nodes}, {(0, 0, 0o755)})

        # What somebody changes by hand is put right by the dataset alone.
        with self.fleet.machine("hv1") as database:
            database.execute("UPDATE files SET mode = ? WHERE path = ?", (0o777, PATH))
        self.assertEqual(self.steps(wanted), [("zfs", "root:" + DATASET)])

    def test_previous_versions_bring_their_modules_and_are_undone_with_the_run(self):
        self.setup_run()
        def change(config):
            self.own_dataset(config, properties="acltype=posix,xattr=sa")
            config["samba"]["shares"][0].update(previous_versions=True, acl="windows", options="vfs objects=recycle")
            config["samba"].update(netbios=True, signing="mandatory")
        wanted = self.seed(change)
        allowed = ("--allow", "package:samba-vfs-modules")
        steps = self.steps(wanted)
        for step in ("package:samba-vfs-modules", "share:shared-prod-data", "unit:nmbd.service", "globals"):
            self.assertIn(("samba", step), steps)
        self.assertIn(("zfs", "properties:" + DATASET), steps)
        before = self.fleet.dumps()
        self.fleet.fault("hv2", "samba.set-share:shared-prod-data")
        self.assertIn("ROLLED_BACK", self.phoenix("setup", *wanted, *allowed, expect=3))
        for node, after in self.fleet.dumps().items():
            changed = set(meaning(before[node]).split("\n")) ^ set(meaning(after).split("\n"))
            self.assertEqual([line for line in changed if "samba-vfs-modules" not in line], [], node)
        self.assertIn("COMMITTED", self.phoenix("setup", *wanted, *allowed))
        self.assertEqual(self.steps(wanted), [])
        for node in self.fleet.nodes:
            dump = self.fleet.dump(node)
            self.assertIn("vfs objects = acl_xattr recycle shadow_copy2", dump)
            self.assertIn("shadow:format = GMT-%Y.%m.%d-%H.%M.%S", dump)
            self.assertIn("server signing = mandatory", dump)


if __name__ == "__main__":
    unittest.main(verbosity=2)
