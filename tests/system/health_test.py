"""Disks that are worn out and pools that are in trouble: nothing is built on them but by name, and they are shown. On
simulated nodes."""

import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from fleet_case import CONFIG, FleetTest  # noqa: E402

DISK = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_S2A"
NAME = DISK.rsplit("/", 1)[1]


class HealthTest(FleetTest):
    def change(self, node, kind, name, **fields):
        """Something of the simulated machine becomes otherwise."""
        with self.fleet.machine(node) as database:
            [(value,)] = database.execute("SELECT value FROM objects WHERE kind = ? AND name = ?", [kind, name])
            value = {**json.loads(value), **fields}
            database.execute("UPDATE objects SET value = ? WHERE kind = ? AND name = ?", [json.dumps(value), kind, name])

    def smart(self, node, passed=True, **log):
        self.change(node, "disk", DISK, smart={
            "smart_status": {"passed": passed}, "temperature": {"current": 40},
            "nvme_smart_health_information_log": {"percentage_used": 3, "critical_warning": 0, **log}})

    def config(self, change=lambda config: None):
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        change(config)
        path = self.fleet.path("health.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        return path

    def try_to(self, verb, *words, change=lambda config: None):
        return self.fleet.phoenix(verb, "-f", self.config(change), "--secrets", self.secrets, *words)

    def refused(self, *words, change=lambda config: None):
        # Every service has made its part of the simulated machine once it has planned.
        self.try_to("plan")
        before = self.fleet.dumps()
        done = self.try_to("setup", *words, change=change)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(self.fleet.dumps(), before)
        return done.stdout + done.stderr

    def nodes(self, *words):
        return self.phoenix("nodes", *words)

    def test_a_worn_disk_is_taken_only_by_its_name_and_nodes_shows_it(self):
        self.smart("hv2", percentage_used=93)
        said = self.refused()
        self.assertIn("hv2", said)
        self.assertIn(f"disk {DISK} is unhealthy: wear 93 %, allowed below 90 %", said)
        self.assertIn(f"--allow-unhealthy {DISK}", said)
        # A word for another node, and for another disk, is none for this one.
        self.assertIn("wear 93 %", self.refused("--allow-unhealthy", "hv1:" + DISK))
        self.assertIn("wear 93 %", self.refused("--allow-unhealthy", DISK[:-3] + "S1A"))

        def later(config):
            config["zfs"]["settings"] = {"health": {"max_wear_percent": 94}}

        self.assertEqual(self.try_to("plan", change=later).returncode, 0)
        done = self.try_to("setup", "--allow-unhealthy", "hv2:" + DISK)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("COMMITTED", done.stdout)
        self.assertIn(f"disk {DISK} is used although it is unhealthy (--allow-unhealthy): wear 93 %", done.stdout)
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        self.assertIn("hv2:" + DISK, self.phoenix("runs", "show", run))
        # It is in its pool now: nothing is left to do, and nothing to allow.
        again = self.try_to("setup")
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertIn("0 steps", again.stdout)

        said = self.nodes()
        self.assertRegex(said, r"hv1 +quickOS +ONLINE, 0 % full, no scrub known\n")
        self.assertRegex(said, rf"hv2 +{NAME} +CRITICAL: unhealthy: wear 93 %, allowed below 90 %")
        self.assertNotRegex(said, rf"hv1 +{NAME}")
        self.assertRegex(self.nodes("--verbose"), rf"hv1 +{NAME} +wear 0 %, .*ok\n")
        described = json.loads(self.phoenix("--output", "json", "nodes"))["nodes"][1]["participants"][0]["description"]
        self.assertIn({"severity": "SEVERITY_CRITICAL", "object": NAME}, [
            {"severity": one["severity"], "object": one["object"]} for one in described["conditions"]])

    def test_a_failing_disk_is_refused_and_one_that_says_nothing_is_not(self):
        self.smart("hv1", passed=False, critical_warning=1)
        self.assertIn("critical warning: spare blocks are below their threshold", self.refused())
        self.change("hv1", "disk", DISK, exit=1, smart={"smartctl": {"messages": [
            {"string": f"{DISK}: Unable to detect device type", "severity": "error"}]}})
        plan = self.try_to("plan")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        self.assertIn(f"the health of disk {DISK} is not known: Unable to detect device type", plan.stdout)
        self.assertNotIn(NAME, self.nodes())
        self.assertRegex(self.nodes("-v"), rf"hv1 +{NAME} +health unknown: Unable to detect device type")

    def test_a_disk_that_hangs_makes_no_service_unreachable(self):
        self.change("hv1", "disk", DISK, smart_hangs_seconds=12)
        begin = time.monotonic()
        said = self.nodes()
        self.assertLess(time.monotonic() - begin, 12)
        self.assertRegex(said, r"hv1 +zfs +up")
        self.assertRegex(said, r"hv1 +zfs +warning: was not read within 7 s")
        self.assertRegex(self.nodes("--verbose"), rf"hv2 +{NAME} +wear 0 %")

    def pull(self, node, path):
        """The disk is gone from the node; answers how it was."""
        with self.fleet.machine(node) as database:
            [(value,)] = database.execute("SELECT value FROM objects WHERE kind = 'disk' AND name = ?", [path])
            database.execute("DELETE FROM objects WHERE kind = 'disk' AND name = ?", [path])
        return json.loads(value)

    def test_a_disk_that_is_gone_stops_nothing_and_is_replaced_by_another(self):
        self.setup_run()
        gone, fresh = DISK[:-3] + "S1B", DISK[:-3] + "S9B"
        disk = self.pull("hv1", gone)

        def more(config):
            config["zfs"]["datasets"].append({"name": "more", "pool": "quickOS"})

        done = self.try_to("setup", change=more)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("COMMITTED", done.stdout)
        self.assertIn(f"disk {gone} of pool quickOS is not present on this node any more, and UNAVAIL to ZFS", done.stdout)
        self.assertRegex(self.nodes(), r"hv1 +quickOS +CRITICAL: DEGRADED")

        # Only on the node that lost one: the other has its own.
        def replaced(config):
            more(config)
            config["zfs"]["pools"][0]["disks"][1] = fresh

        def on_hv1(config):
            more(config)
            pools = json.loads(json.dumps(config["zfs"]["pools"]))
            pools[0]["disks"][1] = fresh
            self.fleet_with({"hv1": {"zfs": {"pools": pools}}})

        said = self.refused(change=replaced)
        self.assertIn(f"disk {fresh} is not present on this node", said)
        with self.fleet.machine("hv1") as database:
            value = {**disk, "serial": "S9B", "device": "/dev/nvme9n1", "holds": [], "pool": ""}
            database.execute("INSERT INTO objects(kind, name, value) VALUES('disk', ?, ?)", [fresh, json.dumps(value)])
        allow = ("--allow", "vdev:quickOS/" + fresh.rsplit("/", 1)[1])
        done = self.try_to("setup", *allow, change=on_hv1)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("replace disk", done.stdout)
        self.assertRegex(self.nodes(), r"hv1 +quickOS +ONLINE")
        again = self.try_to("setup", change=on_hv1)
        self.assertIn("0 steps", again.stdout)
        self.assertNotIn("not present", again.stdout)

    def fleet_with(self, overrides):
        """The fleet's file with these overrides of its nodes."""
        with open(self.fleet.fleet_file, encoding="utf-8") as text:
            fleet = json.load(text)
        for node in fleet["nodes"]:
            node.pop("overrides", None)
            if node["name"] in overrides:
                node["overrides"] = overrides[node["name"]]
        with open(self.fleet.fleet_file, "w", encoding="utf-8") as out:
            json.dump(fleet, out)

    def test_a_degraded_pool_is_neither_grown_nor_emptied(self):
        self.setup_run()
        self.change("hv1", "zfs.pool", "fastData", health="DEGRADED")

        def add(config):
            config["zfs"]["datasets"].append({"name": "more", "pool": "fastData"})

        def remove(config):
            add(config)
            config["zfs"]["datasets"][-1]["state"] = "absent"

        done = self.try_to("setup", change=add)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("pool fastData is unhealthy: DEGRADED", done.stdout)
        said = self.refused(change=remove)
        self.assertIn("'put dataset into the trash' waits until it is mended", said)
        self.assertIn("--allow-unhealthy fastData", said)
        done = self.try_to("setup", "--allow-unhealthy", "hv1:fastData", change=remove)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("goes ahead although pool fastData is unhealthy (--allow-unhealthy): DEGRADED", done.stdout)
        self.change("hv1", "zfs.pool", "fastData", health="SUSPENDED")
        self.assertIn("nothing can be changed in it until its disks are back",
                      self.refused("--allow-unhealthy", "fastData", change=add))
        self.assertRegex(self.nodes(), r"hv1 +fastData +CRITICAL: SUSPENDED")


if __name__ == "__main__":
    unittest.main()
