"""Volumes and mount points of containers, on simulated nodes, as a user declares them."""

import json
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
from fleet_case import BUILD, CONFIG, FleetTest  # noqa: E402
from sim_fleet import meaning  # noqa: E402

CONTAINER = "arch: amd64\nhostname: web\nmemory: 512\nunprivileged: 1\n"
STORAGE = "quickOS-lxc-disks"
HOMES = {950: "hv1", 951: "hv2"}


def volume(name="data", size=8, path="/data", **more):
    return {"name": name, "pool": STORAGE, "size_gb": size, "mount_point": path, **more}


class LxcTest(FleetTest):
    def setUp(self):
        super().setUp()
        for container, node in HOMES.items():
            self.fleet.write_container(node, container, CONTAINER)

    def lxc(self, containers):
        path = self.fleet.path("lxc.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump({"lxc_configs": {str(container): declared for container, declared in containers.items()}}, out)
        return ("--lxc", path)

    def wanted(self, size=8, **more):
        """Of the two containers that exist and one that does not."""
        return self.lxc({950: {"memory_mb": 512, "zfs_volumes": [volume(size=size)],
                               "mount_points": [{"host_path": "/quickOS/shared-prod-data", "container_path": "/shared"}], **more},
                         951: {"volumes": [volume(size=size), volume("more", 4, "/more", backup=True)]},
                         960: {"zfs_volumes": [volume()]}})

    def apply(self, *flags, config=CONFIG, expect=0):
        return self.phoenix("setup", "-f", config, "--secrets", self.secrets, *flags, expect=expect)

    def steps(self, *flags):
        return {(step["node"], step["step"]["id"]): step["step"] for step in self.plan(*flags).get("steps", [])}

    def lines(self, container):
        return re.findall(r"^((?:mp|unused)\d+: .*)$", self.fleet.container(HOMES[container], container), re.MULTILINE)

    def test_from_the_bare_node_to_mounted_volumes_and_nothing_to_do_ever_after(self):
        plan = self.plan(*self.wanted())
        mounts = [step for step in plan["steps"] if step["step"]["id"].startswith("container:")]
        self.assertEqual([(step["node"], step["step"]["id"]) for step in mounts], [("hv1", "container:950"), ("hv2", "container:951")])
        self.assertEqual([(diff["field"], diff["after"]) for diff in mounts[1]["step"]["diffs"]],
                         [("mp0", STORAGE + ":8,mp=/data"), ("mp1", STORAGE + ":4,mp=/more,backup=1")])
        # Containers are made by others: one that nobody has is told once, not by each node, and not for those that one has.
        told = [note["note"] for note in plan["notes"] if note["note"]["resource"].startswith("container:")]
        self.assertEqual([note["resource"] for note in told], ["container:960"])
        self.assertIn("is on no node", told[0]["text"])
        self.assertIn("COMMITTED", self.apply(*self.wanted()))
        self.assertEqual(self.lines(950), ["mp0: %s:subvol-950-disk-0,mp=/data,size=8G" % STORAGE, "mp1: /quickOS/shared-prod-data,mp=/shared"])
        self.assertEqual(self.lines(951), ["mp0: %s:subvol-951-disk-0,mp=/data,size=8G" % STORAGE,
                                           "mp1: %s:subvol-951-disk-1,mp=/more,backup=1,size=4G" % STORAGE])
        standing = self.fleet.dumps()
        for _ in range(3):
            self.assertIn("Plan: 0 steps", self.apply(*self.wanted()))
        self.assertEqual(self.fleet.dumps(), standing)
        # Left out is not removed.
        self.assertIn("Plan: 0 steps", self.apply())
        # The container that was missing comes, and gets its volume with the next run.
        self.fleet.write_container("hv2", 960, CONTAINER)
        self.assertEqual(set(self.steps(*self.wanted())), {("hv2", "container:960")})

    def test_a_volume_grows_and_is_not_made_smaller(self):
        self.apply(*self.wanted())
        self.assertEqual(set(self.steps(*self.wanted(20))), {("hv1", "container:950:mp0"), ("hv2", "container:951:mp0")})
        self.assertIn("COMMITTED", self.apply(*self.wanted(20)))
        self.assertIn(",size=20G", self.lines(950)[0])
        self.assertIn("Plan: 0 steps", self.apply(*self.wanted(20)))
        standing = self.fleet.dumps()
        refused = self.fleet.phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, *self.wanted(8))
        self.assertEqual(refused.returncode, 1)
        for place, container in (("$.lxc_configs[\"950\"].zfs_volumes[0]", 950), ("$.lxc_configs[\"951\"].volumes[0]", 951)):
            self.assertIn(place, refused.stderr)
            self.assertIn("of container %d has 20 GiB and cannot shrink to 8 GiB" % container, refused.stderr)
        self.assertEqual(self.fleet.dumps(), standing)

    def test_a_failing_last_step_leaves_the_containers_as_they_were(self):
        self.apply(*self.wanted())
        before = {node: meaning(dump) for node, dump in self.fleet.dumps().items()}
        larger = self.wanted(20, volumes=[volume("logs", 2, "/logs")])
        for node, operation, effect in (("hv2", "samba.set-share:media", "fail"), ("hv2", "pct.resize:951", "half"),
                                        ("hv1", "pct.set:950", "orphans")):
            self.fleet.fault(node, operation, effect)
            self.assertIn("ROLLED_BACK", self.apply(*larger, config=self.with_one_share_more(), expect=3))
            for name, dump in self.fleet.dumps().items():
                self.assertEqual(meaning(dump), before[name], "%s after %s" % (name, operation))
        self.assertIn("COMMITTED", self.apply(*larger))

    def test_what_is_mounted_into_a_running_container_needs_a_word(self):
        self.apply()
        self.fleet.put_file("hv1", "/proc/1/net/unix", "0: 2 0 1 1 1 7 @/var/lib/lxc/950/command\n")
        refused = self.fleet.phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, *self.wanted())
        self.assertEqual(refused.returncode, 1)
        self.assertIn("container 950 runs, so that its mount points go with its next stop", refused.stderr)
        allowed = re.search(r"say so: (--allow \S+)$", refused.stderr, re.MULTILINE).group(1).split()
        self.assertIn("COMMITTED", self.apply(*self.wanted(), *allowed))
        self.assertIn("Plan: 0 steps", self.apply(*self.wanted()))

    def run_container(self, node, container):
        self.fleet.put_file(node, "/proc/1/net/unix", "0: 2 0 1 1 1 7 @/var/lib/lxc/%d/command\n" % container)

    def allowed(self, *flags, config=CONFIG):
        """The words that the refusal asks for."""
        refused = self.fleet.phoenix("setup", "-f", config, "--secrets", self.secrets, *flags)
        self.assertEqual(refused.returncode, 1, refused.stdout + refused.stderr)
        return re.search(r"say so: (--allow .+)$", refused.stderr, re.MULTILINE).group(1).split(), refused.stderr

    def test_a_growth_that_a_running_container_filled_ends_as_the_plan_said(self):
        self.apply(*self.wanted())
        self.run_container("hv1", 950)
        words, told = self.allowed(*self.wanted(20))
        self.assertIn("where volume %s:subvol-950-disk-0 holds more than 8 GiB by then, it keeps 20 GiB" % STORAGE, told)
        setup = self.fleet.start_phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, *self.wanted(20), *words, "--confirm-within", "10m")
        while "AWAITING_CONFIRM" not in self.phoenix("runs", "list"):
            pass
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        with self.fleet.machine("hv1") as machine:
            machine.execute("UPDATE objects SET value = json_set(value, '$.written_more', ?) WHERE name = 'quickOS/lxc-disks/subvol-950-disk-0'",
                            (9 << 30,))
        self.fleet.phoenix("runs", "cancel", run)
        setup.communicate()
        # Undone, not quarantined: and the run says what is left, and the way back.
        self.assertEqual(setup.returncode, 3)
        shown = self.phoenix("runs", "show", run)
        self.assertIn("ROLLED_BACK", shown)
        self.assertIn("keeps 20 GiB; once it holds less: `zfs set refquota=8589933568 quickOS/lxc-disks/subvol-950-disk-0`, "
                      "then `pct resize 950 mp0 8G`", shown)
        self.assertIn(",size=20G", self.lines(950)[0])
        self.assertIn(",size=8G", self.lines(951)[0])

    def test_a_mount_point_that_fails_in_a_running_container_leaves_none_without_its_line(self):
        self.apply()
        self.run_container("hv2", 951)
        words, _ = self.allowed(*self.wanted())
        self.fleet.fault("hv2", "pct.hotplug:951:mp1", "fail")
        self.assertIn("ROLLED_BACK", self.apply(*self.wanted(), *words, expect=3))
        self.assertEqual(self.lines(950), [])
        self.assertEqual(self.lines(951), ["mp0: %s:subvol-951-disk-0,mp=/data,size=8G" % STORAGE])
        self.assertRegex(self.fleet.container("hv2", 951), r"\[pve:pending\]\ndelete: mp0")

    def persistent(self, node="hv1", **more):
        return self.lxc({950: {"node": node, "unprivileged": True, **more,
                               "zfs_volumes": [volume("kept", 8, "/kept", persistent=True)]}})

    def test_a_persistent_volume_is_a_dataset_that_outlives_its_container(self):
        name = "quickOS/lxc-disks/persistent-950-kept"
        self.apply()
        before = {node: meaning(dump) for node, dump in self.fleet.dumps().items()}
        self.fleet.fault("hv1", "pct.set:950", "fail")
        self.assertIn("ROLLED_BACK", self.apply(*self.persistent(), expect=3))
        self.assertEqual({node: meaning(dump) for node, dump in self.fleet.dumps().items()}, before)
        self.assertIn("COMMITTED", self.apply(*self.persistent()))
        self.assertEqual(self.lines(950), ["mp0: /%s,mp=/kept" % name])
        self.assertIn("Plan: 0 steps", self.apply(*self.persistent()))
        self.assertIn(name, self.fleet.dumps()["hv1"])
        self.assertNotIn(name, self.fleet.dumps()["hv2"])
        # The container is destroyed and made again: its volume is there, and comes back.
        self.fleet.put_file("hv1", "/%s/letter" % name, "dear")
        self.fleet.remove_file("hv1", "/etc/pve/nodes/hv1/lxc/950.conf")
        self.assertIn("Plan: 0 steps", self.apply(*self.persistent()))
        self.fleet.write_container("hv1", 950, CONTAINER)
        self.assertEqual(set(self.steps(*self.persistent())), {("hv1", "container:950")})
        self.assertIn("COMMITTED", self.apply(*self.persistent()))
        self.assertEqual(self.lines(950), ["mp0: /%s,mp=/kept" % name])

    def test_a_persistent_volume_of_another_node_or_another_root_is_refused(self):
        self.apply()
        standing = self.fleet.dumps()
        # Each is written when its turn comes, to the same file.
        for wrong, told in ((lambda: self.persistent("hv2"),
                             "container 950 is on this node (hv1), and its persistent volumes are declared on node hv2"),
                            (lambda: self.persistent(unprivileged=False), "but user 0 of container 950 is 100000 there"),
                            (lambda: self.persistent("hv3"), "the fleet has no such node"),
                            (lambda: self.lxc({950: {"zfs_volumes": [volume(persistent=True)]}}), "it is not said of which")):
            refused = self.fleet.phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, *wrong())
            self.assertEqual(refused.returncode, 1, refused.stdout)
            self.assertIn(told, refused.stderr)
        self.assertEqual(self.fleet.dumps(), standing)

    def test_templates_and_what_lxc_mounts_itself_are_refused(self):
        self.apply()
        self.fleet.write_container("hv1", 950, CONTAINER + "template: 1\n")
        self.fleet.write_container("hv2", 951, CONTAINER + "lxc.mount.entry: /srv/x data none bind,create=dir 0 0\n")
        refused = self.fleet.phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, *self.wanted())
        self.assertEqual(refused.returncode, 1)
        self.assertIn("container 950 is a template", refused.stderr)
        self.assertIn("/data of container 951 is served already, by the line \"lxc.mount.entry: /srv/x data none", refused.stderr)

    def test_shared_volumes_are_mounted_into_the_containers_that_are_declared(self):
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        config["shared_volumes"] = {"ssl": {"host_path": "/quickOS/shared-prod-data", "mounts": {"950": "/ssl", "951": "/ssl"}}}
        path = self.fleet.path("shared.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        # No container is touched by a run that was given none.
        told = self.apply(config=path)
        self.assertIn("COMMITTED", told)
        self.assertIn("is mounted into containers (950, 951) by a run that is given the container file", told)
        for container in HOMES:
            self.assertEqual(self.lines(container), [])
        one = self.lxc({951: {}})
        told = self.apply(*one, config=path)
        self.assertIn("COMMITTED", told)
        self.assertIn("the container file does not declare container 950", told)
        self.assertEqual((self.lines(950), self.lines(951)), ([], ["mp0: /quickOS/shared-prod-data,mp=/ssl"]))
        self.assertIn("Plan: 0 steps", self.apply(*one, config=path))
        taken = self.fleet.phoenix("plan", "-f", path, *self.lxc({950: {"zfs_volumes": [volume(path="/ssl")]}}))
        self.assertEqual(taken.returncode, 1)
        self.assertIn("/ssl of container 950 is taken by something else, at $.lxc_configs", taken.stderr)

    def test_a_folder_that_nobody_makes_is_refused_and_one_of_the_run_is_not(self):
        """The dataset provides every path below it, and pct asks for none: the container would not start."""
        bind = lambda path: self.lxc({950: {"mount_points": [{"host_path": path, "container_path": "/ssl", "owner_uid": 0, "owner_gid": 0}]}})
        missing = "/quickOS/shared-prod-data/ssl"
        # Whether the dataset comes with the run or is there.
        for made in (False, True):
            refused = self.fleet.phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, *bind(missing))
            self.assertEqual(refused.returncode, 1, refused.stdout)
            self.assertIn("`mkdir -p %s && chown 100000:100000 %s`" % (missing, missing), refused.stderr)
            self.assertIn("0 steps" if made else "COMMITTED", self.apply())
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        config["zfs"]["datasets"] += [{"name": "certs", "pool": "quickOS", "owner": "100000", "group": "100000"},
                                      {"name": "app", "pool": "quickOS", "files": [{"path": "conf/app.conf", "content": "x"}]}]
        path = self.fleet.path("certs.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        both = self.lxc({950: {"mount_points": [{"host_path": "/quickOS/certs", "container_path": "/ssl"},
                                                {"host_path": "/quickOS/app/conf", "container_path": "/conf"}]}})
        self.assertIn("COMMITTED", self.apply(*both, config=path))
        self.assertEqual(self.lines(950), ["mp0: /quickOS/certs,mp=/ssl", "mp1: /quickOS/app/conf,mp=/conf"])
        # What goes afterwards is told of, and the rest is not hindered.
        self.fleet.remove_file("hv1", "/quickOS/app/conf/app.conf")
        self.fleet.remove_file("hv1", "/quickOS/app/conf")
        config["zfs"]["datasets"].pop()
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        self.assertIn("mp1 is /quickOS/app/conf, which is not there", self.apply(*both, config=path))
        # And it goes by name.
        gone = self.lxc({950: {"mount_points": [{"host_path": "/quickOS/app/conf", "container_path": "/conf", "state": "absent"}]}})
        run = self.run_of(self.apply(*gone, config=path))
        self.assertEqual(self.lines(950), ["mp0: /quickOS/certs,mp=/ssl"])
        self.assertIn("Plan: 0 steps", self.apply(*gone, config=path))
        self.assertIn("COMMITTED", self.phoenix("rollback", run))
        self.assertEqual(self.lines(950), ["mp0: /quickOS/certs,mp=/ssl", "mp1: /quickOS/app/conf,mp=/conf"])

    def test_errors_of_both_files_come_at_once_before_any_node_is_asked(self):
        path = self.fleet.path("wrong.json")
        with open(path, "w", encoding="utf-8") as out:
            out.write('{"zfs": {"pools": [{"name": "a", "raid_level": "best"}]}}')
        refused = self.fleet.phoenix("plan", "-f", path, *self.lxc({950: {"zfs_volumes": [volume(size=0)]}}))
        self.assertEqual(refused.returncode, 1)
        self.assertIn("$.zfs.pools[0].raid_level", refused.stderr)
        self.assertIn("size_gb", refused.stderr)

    def test_a_committed_run_is_rolled_back_unless_a_volume_is_in_use(self):
        self.apply()
        before = {node: meaning(dump) for node, dump in self.fleet.dumps().items()}
        run = self.run_of(self.apply(*self.wanted()))
        letter = "/quickOS/lxc-disks/subvol-951-disk-1/letter"
        self.fleet.put_file("hv2", letter, "dear")
        refused = self.fleet.phoenix("rollback", run)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("%s:subvol-951-disk-1 holds letter" % STORAGE, refused.stderr)
        self.fleet.remove_file("hv2", letter)
        self.assertIn("COMMITTED", self.phoenix("rollback", run))
        self.assertEqual({node: meaning(dump) for node, dump in self.fleet.dumps().items()}, before)

    def test_a_volume_that_holds_a_file_by_then_stays_until_a_person_decides(self):
        self.apply()
        setup = self.fleet.start_phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, *self.wanted(), "--confirm-within", "10m")
        while "AWAITING_CONFIRM" not in self.phoenix("runs", "list"):
            pass
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        self.fleet.put_file("hv1", "/quickOS/lxc-disks/subvol-950-disk-0/letter", "dear")
        self.fleet.phoenix("runs", "cancel", run)
        told = setup.communicate()[0]
        self.assertEqual(setup.returncode, 4, told)
        self.assertIn("%s:subvol-950-disk-0 holds letter" % STORAGE, told)
        self.assertIn("pct set 950 --delete unused0", self.phoenix("runs", "show", run))
        self.assertEqual(self.lines(950), ["unused0: %s:subvol-950-disk-0" % STORAGE])
        self.assertEqual(self.lines(951), [])
        # What that command does, by hand.
        self.fleet.write_container("hv1", 950, CONTAINER)
        with self.fleet.machine("hv1") as machine:
            machine.execute("DELETE FROM objects WHERE name = 'quickOS/lxc-disks/subvol-950-disk-0'")
        for path in ("/letter", ""):
            self.fleet.remove_file("hv1", "/quickOS/lxc-disks/subvol-950-disk-0" + path)
        self.resolve("hv1", run)
        self.assertIn("Plan: 2 steps", self.phoenix("plan", "-f", CONFIG, "--secrets", self.secrets, *self.wanted()))

    def resolve(self, node, run):
        done = subprocess.run([os.path.join(BUILD, "clients/phoenix"), "--runtime-dir", self.fleet.path(node, "run"), "resolve", run],
                              capture_output=True, text=True, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_run_is_remembered_with_its_containers(self):
        setup = self.fleet.start_phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, *self.wanted(), "--await-approval")
        while "AWAITING_APPROVAL" not in self.phoenix("runs", "list"):
            pass
        self.fleet.kill("orchestrator")
        setup.communicate()
        self.fleet.start_orchestrator()
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        self.phoenix("runs", "approve", run)
        while "COMMITTED" not in self.phoenix("runs", "list"):
            self.assertNotIn("ROLLED_BACK", self.phoenix("runs", "list"))
        self.assertEqual(len(self.lines(951)), 2)


if __name__ == "__main__":
    unittest.main()
