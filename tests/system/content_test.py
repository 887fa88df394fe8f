"""A storage that makes its folders in a dataset that is there: what the run holds of it, though ZFS has nothing to do."""

import json
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from sim_fleet import SimFleet, meaning, write_secrets  # noqa: E402

BUILD = os.environ.get("PHOENIX_BUILD", os.path.join(ROOT, "build", "asan"))
CONFIG = os.path.join(ROOT, "deploy", "examples", "phoenix_hypervisor_config.json")
DATASET = "fastData/media"


class ContentTest(unittest.TestCase):
    def setUp(self):
        self.fleet = SimFleet(BUILD)
        self.addCleanup(self.fleet.close)
        self.secrets = write_secrets(self.fleet.path("secrets.json"), "correct horse")
        self.fleet.start()
        self.setup_run(self.config("first"))
        self.before = self.fleet.dumps()

    def phoenix(self, *args, expect=0):
        result = self.fleet.phoenix(*args)
        self.assertEqual(result.returncode, expect, "phoenix %s\n%s\n%s" % (" ".join(args), result.stdout, result.stderr))
        return result.stdout

    def config(self, name, **dataset):
        """The seed's configuration with one dataset more."""
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        config["zfs"]["datasets"].append(dict({"name": "media", "pool": "fastData", "properties": "recordsize=1M"}, **dataset))
        path = self.fleet.path(name + ".json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        return path

    def with_storage(self, content="backup,iso"):
        return self.config("storage", proxmox_storage_type="dir", proxmox_content_type=content)

    def setup_run(self, config, *flags, expect=0):
        return self.phoenix("setup", "-f", config, "--secrets", self.secrets, *flags, expect=expect)

    def snapshots(self, node):
        """The node's snapshots of runs, by dataset: the run, and the tags that hold it."""
        with self.fleet.machine(node) as database:
            rows = database.execute("SELECT name, value FROM objects WHERE kind = 'zfs.snapshot'").fetchall()
        found = {}
        for name, value in rows:
            dataset, _, run = name.partition("@phoenix-run-")
            found.setdefault(dataset, []).append((run, json.loads(value)["tags"]))
        return found

    def folders(self, node):
        return [line for line in self.fleet.dump(node).split("\n") if line.startswith("file /fastData/media/")]

    def begin(self, config, armed):
        """A run that waits for its confirmation, with so many participants in it."""
        self.setup = self.fleet.start_phoenix("setup", "-f", config, "--secrets", self.secrets, "--confirm-within", "10m")
        self.addCleanup(self.setup.stdout.close)
        for line in self.setup.stdout:
            armed -= "waits for confirmation" in line
            if armed == 0:
                return json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        self.fail("the run never waited for its confirmation")

    def test_the_plan_says_what_is_snapshot_and_mutates_nothing(self):
        wanted = ("plan", "-f", self.with_storage(), "--secrets", self.secrets)
        plan = json.loads(self.phoenix("--output", "json", *wanted))
        self.assertEqual([step["participant"] for step in plan["steps"]], ["proxmox", "proxmox"])
        self.assertEqual(plan["steps"][0]["step"]["disturbs"], ["content:/fastData/media"])
        self.assertEqual(plan["checkpoints"], [{"node": node, "participant": "zfs", "name": DATASET} for node in self.fleet.nodes])
        out = self.phoenix(*wanted)
        for node in self.fleet.nodes:
            self.assertIn("%s / zfs: snapshot before the first step: %s\n" % (node, DATASET), out)
        # Folders in an exported dataset cut nobody off.
        self.assertNotIn("will wait", out)
        self.assertNotIn("briefly unusable", out)
        self.assertEqual(self.fleet.dumps(), self.before)

    def test_it_is_held_during_the_run_and_kept_after_the_commit(self):
        config = self.with_storage()
        run = self.begin(config, armed=4)
        for node in self.fleet.nodes:
            self.assertTrue(self.folders(node), node)
            self.assertEqual(self.snapshots(node), {DATASET: [(run, ["phoenix:" + run])]}, node)
        # Neither the run nor the node forgets who takes part without a step.
        self.fleet.kill("orchestrator")
        self.fleet.kill("hv1", "zfs")
        self.setup.communicate()
        self.fleet.start_daemon("hv1", "zfs")
        self.fleet.start_orchestrator()
        self.assertEqual(self.snapshots("hv1"), {DATASET: [(run, ["phoenix:" + run])]})
        self.assertIn("confirmed", self.phoenix("runs", "confirm", run))
        self.assertIn("COMMITTED", self.phoenix("runs", "watch", run))
        for node in self.fleet.nodes:
            self.assertEqual(self.snapshots(node), {DATASET: [(run, [])]}, node)
        after = self.fleet.dumps()
        self.assertIn("Plan: 0 steps", self.setup_run(config))
        self.assertEqual(self.fleet.dumps(), after)
        # Other contents are one folder more, and one snapshot more.
        self.assertIn("COMMITTED", self.setup_run(self.with_storage("backup,iso,snippets")))
        self.assertEqual(len(self.snapshots("hv1")[DATASET]), 2)

    def test_it_goes_with_a_run_that_is_undone_and_the_folders_go_by_their_inverse(self):
        run = self.begin(self.with_storage(), armed=4)
        self.assertEqual(self.snapshots("hv2"), {DATASET: [(run, ["phoenix:" + run])]})
        self.phoenix("runs", "cancel", run)
        self.setup.communicate()
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(self.snapshots(node), {}, node)
            self.assertEqual(meaning(dump), meaning(self.before[node]), node)

    def test_it_goes_with_a_run_that_fails_on_another_node(self):
        self.fleet.fault("hv2", "proxmox.add", count=9)
        self.assertIn("ROLLED_BACK", self.setup_run(self.with_storage(), expect=3))
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(self.snapshots(node), {}, node)
            self.assertEqual(meaning(dump), meaning(self.before[node]), node)

    def test_a_snapshot_that_cannot_be_taken_refuses_the_run_before_any_step(self):
        self.fleet.fault("hv2", "zfs.checkpoint")
        out = self.setup_run(self.with_storage(), expect=3)
        self.assertIn("the snapshot of pool fastData before the run", out)
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(dump, self.before[node], node)

    def test_a_rollback_long_after_holds_it_too_and_stands_in_nobodys_way(self):
        run = self.setup_run(self.with_storage()).rsplit("runs/", 1)[1].split(":")[0]
        plan = json.loads(self.phoenix("--output", "json", "rollback", run, "--plan-only"))
        self.assertEqual([checkpoint["name"] for checkpoint in plan["checkpoints"]], [DATASET, DATASET])
        self.assertIn("COMMITTED", self.phoenix("rollback", run))
        for node in self.fleet.nodes:
            self.assertEqual(self.folders(node), [], node)
            self.assertEqual([tags for _, tags in self.snapshots(node)[DATASET]], [[], []], node)

    def test_in_a_dataset_that_the_run_makes_there_is_nothing_to_hold(self):
        config = self.with_storage()
        with open(config, encoding="utf-8") as text:
            wanted = json.load(text)
        wanted["zfs"]["datasets"][-1]["name"] = "films"
        with open(config, "w", encoding="utf-8") as out:
            json.dump(wanted, out)
        run = self.setup_run(config).rsplit("runs/", 1)[1].split(":")[0]
        self.assertEqual(self.snapshots("hv1"), {})
        # So that nothing is in the way of taking it back either.
        self.assertIn("COMMITTED", self.phoenix("rollback", run))
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(meaning(dump), meaning(self.before[node]), node)


if __name__ == "__main__":
    unittest.main(verbosity=2)
