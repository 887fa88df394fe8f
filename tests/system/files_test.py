"""Files that are delivered into datasets, on simulated nodes, as a user does it."""

import json
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from fleet_case import FleetTest  # noqa: E402
from sim_fleet import meaning  # noqa: E402


def content(dump):
    """The meaning of a simulated world without what only a second mount writes down: what it covers, and the root of what
    is mounted, which is among the files."""
    lines = []
    for line in meaning(dump).split("\n"):
        if line.startswith("zfs.dataset "):
            kind, name, value = line.split(" ", 2)
            dataset = json.loads(value)
            line = json.dumps([kind, name, {key: value for key, value in dataset.items() if key not in ("covered", "root")}])
        lines.append(line)
    return "\n".join(lines)


class FilesTest(FleetTest):
    def with_files(self, content):
        """The seed's configuration with a file in a dataset that is there already, and one more dataset, exported and
        shared, that comes with a file."""
        with open(self.with_one_share_more(), encoding="utf-8") as text:
            config = json.load(text)
        for dataset in config["zfs"]["datasets"]:
            if dataset["name"] == "shared-backups":
                dataset["files"] = [{"path": "conf/backup.conf", "content": content, "group": "heads", "mode": "0640"}]
            if dataset["name"] == "shared-media":
                dataset["files"] = [{"path": "README", "content": "films\n"}]
        path = self.fleet.path("files.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        return ("-f", path, "--secrets", self.secrets)

    FILE = "/fastData/shared-backups/conf/backup.conf"

    def file(self, node, path):
        with self.fleet.machine(node) as database:
            row = database.execute("SELECT content, mode FROM files WHERE path = ?", (path,)).fetchone()
        return row and (row[0].decode() if isinstance(row[0], bytes) else row[0], row[1])

    def test_a_delivered_file_is_one_step_and_a_failing_later_step_brings_the_former_one_back(self):
        self.setup_run()
        allowed = ("--allow", "content:fastData/shared-backups")
        wanted = self.with_files("keep = 7 weeks\n")
        refused = self.fleet.phoenix("setup", *wanted)
        self.assertIn("it keeps the new files", refused.stderr)
        self.assertIn("say so: " + " ".join(allowed), refused.stderr)
        self.assertIn("COMMITTED", self.phoenix("setup", *wanted, *allowed))
        for node in self.fleet.nodes:
            self.assertEqual(self.file(node, self.FILE), ("keep = 7 weeks\n", 0o640))
            self.assertEqual(self.file(node, "/fastData/shared-media/README"), ("films\n", 0o644))
        self.assertIn("Plan: 0 steps", self.phoenix("setup", *wanted, *allowed))
        # Another content is one step on each node, and shown by its digest only.
        changed = self.with_files("keep = 9 weeks\n")
        plan = json.loads(self.phoenix("--output", "json", "plan", *changed))
        self.assertEqual([(step["node"], step["step"]["id"]) for step in plan["steps"]],
                         [(node, "content:fastData/shared-backups") for node in self.fleet.nodes])
        self.assertEqual([diff["field"] for diff in plan["steps"][0]["step"]["diffs"]], ["conf/backup.conf content"])
        self.assertNotIn("9 weeks", json.dumps(plan))
        self.assertNotIn("9 weeks", self.phoenix("plan", *changed))
        before = self.fleet.dumps()
        self.fleet.fault("hv2", "zfs.deliver:fastData/shared-backups")
        self.assertIn("ROLLED_BACK", self.phoenix("setup", *changed, *allowed, expect=3))
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(meaning(dump), meaning(before[node]), node)
        self.assertIn("COMMITTED", self.phoenix("setup", *changed, *allowed))
        self.assertEqual(self.file("hv1", self.FILE), ("keep = 9 weeks\n", 0o640))
        # A step of another service that comes later fails.
        with open(changed[1], encoding="utf-8") as text:
            config = json.load(text)
        for dataset in config["zfs"]["datasets"]:
            if dataset["name"] == "shared-backups":
                dataset["files"][0]["content"] = "keep = 1 week\n"
        for share in config["samba"]["shares"]:
            if share["name"] == "media":
                share["read_only"] = True
        with open(changed[1], "w", encoding="utf-8") as out:
            json.dump(config, out)
        before = self.fleet.dumps()
        self.fleet.fault("hv2", "samba.set-share:media")
        self.assertIn("ROLLED_BACK", self.phoenix("setup", *changed, *allowed, expect=3))
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(meaning(dump), meaning(before[node]), node)
        self.assertEqual(self.file("hv1", self.FILE), ("keep = 9 weeks\n", 0o640))

    def test_a_dataset_that_comes_with_its_files_goes_with_them(self):
        self.setup_run()
        wanted = self.with_files("keep = 7 weeks\n")
        allowed = ("--allow", "content:fastData/shared-backups")
        self.plan()
        before = self.fleet.dumps()
        self.fleet.fault("hv2", "samba.set-share:media")
        self.assertIn("ROLLED_BACK", self.phoenix("setup", *wanted, *allowed, expect=3))
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(content(dump), content(before[node]), node)
        # And long after the commit.
        run = self.run_of(self.phoenix("setup", *wanted, *allowed))
        with self.fleet.machine("hv1") as database:
            database.execute("INSERT INTO files(path, directory, uid, gid, mode, content) VALUES(?, 0, 0, 0, 420, 'mine')",
                             ("/fastData/shared-media/film",))
        refused = self.fleet.phoenix("rollback", run)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertIn("it holds /fastData/shared-media/film", refused.stderr)
        with self.fleet.machine("hv1") as database:
            database.execute("DELETE FROM files WHERE path = '/fastData/shared-media/film'")
        # A rollback that fails delivers the files again.
        self.fleet.fault("hv2", "zfs.destroy:fastData/shared-media", count=9)
        self.assertIn("ROLLED_BACK", self.phoenix("rollback", run, "--allow", "step:%s/%s" % (run, allowed[1]), expect=3))
        for node in self.fleet.nodes:
            self.assertEqual(self.file(node, self.FILE), ("keep = 7 weeks\n", 0o640))
            self.assertEqual(self.file(node, "/fastData/shared-media/README"), ("films\n", 0o644))
        with self.fleet.machine("hv2") as database:
            database.execute("DELETE FROM faults")
            # Nor is anything held for a run that is committed.
            for name, value in database.execute("SELECT name, value FROM objects WHERE kind = 'zfs.snapshot'"):
                self.assertEqual(json.loads(value)["tags"], [], name)
        self.assertIn("COMMITTED", self.phoenix("rollback", run, "--allow", "step:%s/%s" % (run, allowed[1])))
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(content(dump), content(before[node]), node)


if __name__ == "__main__":
    unittest.main()
