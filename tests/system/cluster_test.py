"""Nodes of one cluster share /etc/pve: one entry for all of them, whoever comes first. On simulated nodes."""

import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from fleet_case import CONFIG, FleetTest  # noqa: E402
from sim_fleet import meaning, opened  # noqa: E402

BACKUPS = "fastData-shared-backups"


class ClusterTest(FleetTest):
    CLUSTER = "lab"

    def write(self, change=None, nodes=None, overrides=None):
        """The seed's configuration, changed, for these nodes; the words that take it."""
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        if change:
            change(config)
        path, fleet = self.fleet.path("config.json"), self.fleet.path("some.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        with open(fleet, "w", encoding="utf-8") as out:
            json.dump({"nodes": [{"name": node, "address": "unix:" + self.fleet.path(node, "run"),
                                  **({"overrides": overrides[node]} if overrides and node in overrides else {})}
                                 for node in nodes or self.fleet.nodes]}, out)
        return ("-f", path, "--secrets", self.secrets, "--fleet", fleet)

    def set_up(self, wanted, expect=0):
        return self.phoenix("setup", *wanted, expect=expect, fleet=False)

    def steps(self, wanted):
        plan = json.loads(self.phoenix("--output", "json", "plan", *wanted, fleet=False))
        return [(step["node"], step["step"]["id"]) for step in plan.get("steps", [])]

    def storages(self):
        """By id: type, and the words of each line below."""
        with opened(self.fleet.cluster_files) as database:
            row = database.execute("SELECT content FROM files WHERE path = '/etc/pve/storage.cfg'").fetchone()
        text = row[0] if row else ""
        text = text.decode() if isinstance(text, bytes) else text
        found = {}
        for kind, name, body in re.findall(r"^(\w+): (\S+)\n((?:\t.*\n)*)", text, re.MULTILINE):
            found[name] = {"type": kind, **{line.split(" ", 1)[0].strip(): sorted(line.split(" ", 1)[1].split(","))
                                            for line in body.splitlines() if " " in line}}
        return found

    def meanings(self):
        """The worlds without the checkpoints, which stay for a while."""
        return {node: [line for line in meaning(dump).split("\n") if not line.startswith("zfs.snapshot ")]
                for node, dump in self.fleet.dumps().items()}

    @staticmethod
    def backups(content):
        def change(config):
            config["zfs"]["datasets"] = [{**dataset, **({"proxmox_content_type": content} if dataset["name"] == "shared-backups" else {})}
                                         for dataset in config["zfs"]["datasets"]]
        return change

    def test_every_storage_is_one_entry_of_all_its_nodes(self):
        wanted = self.write()
        # A late step of the second node fails: nothing is left of what both made.
        self.fleet.fault("hv2", "samba.set-share:shared-prod-data")
        self.set_up(wanted, expect=3)
        self.assertEqual([name for name in self.storages() if name != "local"], [])
        self.set_up(wanted)
        storages = self.storages()
        self.assertEqual(len([name for name in storages if name != "local"]), 8)
        for name, entry in storages.items():
            if name != "local":
                self.assertEqual(entry["nodes"], ["hv1", "hv2"], name)
        self.assertEqual(self.steps(wanted), [])

    def test_what_all_nodes_change_the_first_one_changes_for_all(self):
        self.set_up(self.write())
        standing = self.meanings()
        wanted = self.write(self.backups("backup,iso"))
        step = "storage:" + BACKUPS
        self.assertEqual(sorted(self.steps(wanted)), [("hv1", step), ("hv2", step)])
        # One node cannot: the other one's change goes back, too.
        self.fleet.fault("hv2", "proxmox.set:" + BACKUPS)
        self.fleet.fault("hv1", "proxmox.set:" + BACKUPS)
        self.set_up(wanted, expect=3)
        self.assertEqual(self.meanings(), standing)
        run = self.run_of(self.set_up(wanted))
        self.assertEqual(self.storages()[BACKUPS]["content"], ["backup", "iso"])
        self.assertEqual(self.steps(wanted), [])
        self.phoenix("rollback", run, fleet=False)
        self.assertEqual(self.meanings(), standing)

    def test_a_node_that_joins_takes_the_entry_as_the_run_makes_it(self):
        self.set_up(self.write(nodes=["hv1"]))
        self.assertEqual(self.storages()[BACKUPS]["nodes"], ["hv1"])
        wanted = self.write(self.backups("backup,iso"))
        mine = [place for place in self.steps(wanted) if place[1] == "storage:" + BACKUPS]
        self.assertEqual(mine, [("hv1", "storage:" + BACKUPS), ("hv2", "storage:" + BACKUPS)])
        self.set_up(wanted)
        self.assertEqual(self.storages()[BACKUPS], {"type": "dir", "path": ["/fastData/shared-backups"], "is_mountpoint": ["1"],
                                                    "content": ["backup", "iso"], "nodes": ["hv1", "hv2"]})
        self.assertEqual(self.steps(wanted), [])

    def test_nodes_that_declare_one_entry_differently_are_refused(self):
        config = {}
        self.write(lambda seed: config.update(seed))
        self.backups("iso")(config)
        wanted = self.write(overrides={"hv2": {"zfs": {"datasets": config["zfs"]["datasets"]}}})
        before = self.fleet.dumps()
        done = self.fleet.phoenix("setup", *wanted, fleet=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn('the nodes of cluster lab have one storage:%s, which hv1 declares as "dir content=backup' % BACKUPS, done.stderr)
        self.assertIn('and hv2 as "dir content=iso', done.stderr)
        self.assertEqual(self.fleet.dumps(), before)
        # Neither when the entry is as one of them wants it.
        self.set_up(self.write(nodes=["hv1"]))
        wanted = self.write(overrides={"hv2": {"zfs": {"datasets": config["zfs"]["datasets"]}}})
        self.assertIn("which hv1 declares as", self.fleet.phoenix("setup", *wanted, fleet=False).stderr)

    def test_what_one_node_serves_is_exported_before_another_one_mounts_it(self):
        def change(config):
            config.setdefault("network", {})["nfs_server"] = "hv1"
            config["zfs"]["datasets"] = [{**dataset, **({"proxmox_storage_type": "nfs", "proxmox_content_type": "iso"}
                                                        if dataset["name"] == "shared-prod-data" else {})}
                                         for dataset in config["zfs"]["datasets"]]
        wanted = self.write(change)
        steps = self.steps(wanted)
        storage, = {step for _, step in steps if step.startswith("storage:") and "prod-data" in step and "sync" not in step}
        self.assertLess(steps.index(("hv1", "export:/quickOS/shared-prod-data")), steps.index(("hv2", storage)))
        self.set_up((*wanted, "--allow", storage))
        self.assertEqual(self.storages()[storage.removeprefix("storage:")]["nodes"], ["hv1", "hv2"])

    def test_the_last_node_that_leaves_takes_the_entry_along(self):
        self.set_up(self.write())
        standing = self.meanings()

        def leave(config):
            for dataset in config["zfs"]["datasets"]:
                if dataset["name"] == "shared-backups":
                    dataset["proxmox_storage_state"] = "absent"
        self.set_up(self.write(leave, nodes=["hv2"]))
        self.assertEqual(self.storages()[BACKUPS]["nodes"], ["hv1"])
        run = self.run_of(self.set_up(self.write(leave)))
        self.assertNotIn(BACKUPS, self.storages())
        self.phoenix("rollback", run, fleet=False)
        self.assertEqual(self.storages()[BACKUPS]["nodes"], ["hv1"])
        self.set_up(self.write())
        self.assertEqual(self.meanings(), standing)


if __name__ == "__main__":
    unittest.main(verbosity=2)
