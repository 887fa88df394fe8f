#!/usr/bin/env python3
"""Volumes and mount points of containers on real nodes: real ZFS, the lab's stand-in for pct, where containers stand still.

One lab for all tests, which build on each other in the order of their numbers."""
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from test_phoenix import Fleet  # noqa: E402

STORAGE = "quickOS-lxc-disks"
POOL = "quickOS/lxc-disks"
CONTAINER = "arch: amd64\nhostname: web\nmemory: 512\nunprivileged: 1\n"
HOMES = {950: "hv1", 951: "hv2"}


def volume(size, name="data", path="/data", **more):
    return {"name": name, "pool": STORAGE, "size_gb": size, "mount_point": path, **more}


class Containers(Fleet):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.phoenix("setup")
        for container, node in HOMES.items():
            # As the stand-in writes it: keys by name, 0640.
            cls.lab[node].run(f"umask 027; cat > {cls.file(container)}; chgrp www-data {cls.file(container)}", input=CONTAINER)
        cls.before = cls.lab.fingerprints()

    @staticmethod
    def file(container):
        return f"/etc/pve/nodes/{HOMES[container]}/lxc/{container}.conf"

    def write(self, size, **more):
        """Of a container on each node, and of one that nobody has."""
        containers = {950: {"zfs_volumes": [volume(size)], **more,
                            "mount_points": [{"host_path": "/quickOS/shared-prod-data", "container_path": "/shared"}]},
                      951: {"volumes": [volume(size), volume(4, "more", "/more", backup=True)]},
                      960: {"zfs_volumes": [volume(size)]}}
        self.lab.write("/root/lxc.json", json.dumps({"lxc_configs": containers}))

    def setup_containers(self, check=True):
        return self.lab.phoenix("setup --lxc /root/lxc.json", check=check)

    def lines(self, container):
        return self.shell(HOMES[container], f"grep -E '^(mp|unused)' {self.file(container)} || true").splitlines()

    def quota(self, container, number):
        name = f"{POOL}/subvol-{container}-disk-{number}"
        return int(self.shell(HOMES[container], f"zfs get -Hp -o value refquota {name}"))

    def test_1_a_failing_last_step_leaves_no_volume_and_no_line(self):
        self.write(1)
        restore = self.break_pct("hv2")
        done = self.setup_containers(check=False)
        restore()
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn("ROLLED_BACK", done.stdout)
        self.assert_as_before(self.before)

    def break_pct(self, node):
        """pct does all that it is told and says that it failed after it has forgotten the container's file: volumes that no
        line names."""
        self.lab[node].run("cp -L /usr/sbin/pct /run/pct.real; cat > /run/pct.broken; chmod 755 /run/pct.broken; "
                           "mount --bind /run/pct.broken /usr/sbin/pct", input=f"""#!/bin/sh
file={self.file(951)}
cp -p $file /run/pct.before
perl -I/usr/share/phoenix-lab-standin /run/pct.real "$@" || exit
case "$*" in
*--delete*) exit 0 ;;
esac
cp -p /run/pct.before $file
echo 'broken on purpose' >&2
exit 1
""")
        return lambda: self.lab[node].run("umount /usr/sbin/pct; rm /run/pct.*")

    def test_2_volumes_and_directories_are_mounted_once(self):
        self.assertIn("COMMITTED", self.setup_containers().stdout)
        self.assertEqual(self.lines(950), [f"mp0: {STORAGE}:subvol-950-disk-0,mp=/data,size=1G",
                                           "mp1: /quickOS/shared-prod-data,mp=/shared"])
        self.assertEqual(self.lines(951), [f"mp0: {STORAGE}:subvol-951-disk-0,mp=/data,size=1G",
                                           f"mp1: {STORAGE}:subvol-951-disk-1,mp=/more,backup=1,size=4G"])
        self.assertEqual((self.quota(950, 0), self.quota(951, 1)), (1 << 30, 4 << 30))
        # The root of an unprivileged container's volume is its root's.
        self.assertEqual(self.shell("hv1", f"stat -c %u /{POOL}/subvol-950-disk-0").strip(), "100000")
        standing = self.lab.fingerprints()
        for _ in range(2):
            self.assertIn("Plan: 0 steps", self.setup_containers().stdout)
        self.assert_as_before(standing)

    def test_3_a_growth_that_is_undone_gives_quota_and_size_back(self):
        standing = self.lab.fingerprints()
        self.write(3)
        self.lab.write_config(lambda config: config["samba"]["shares"].append(
            {"name": "more", "path": "/fastData/shared-bulk-data", "valid_users": ["heads"]}))
        restore = self.lab.break_last_samba_step(self.lab["hv2"])
        done = self.setup_containers(check=False)
        restore()
        self.lab.write_config()
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assert_as_before(standing)

    def test_4_a_volume_grows_and_does_not_shrink(self):
        self.write(3)
        self.assertIn("COMMITTED", self.setup_containers().stdout)
        self.assertEqual((self.quota(950, 0), self.quota(951, 0)), (3 << 30, 3 << 30))
        self.assertIn(",size=3G", self.lines(951)[0])
        self.assertIn("Plan: 0 steps", self.setup_containers().stdout)
        self.write(2)
        refused = self.setup_containers(check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("has 3 GiB and cannot shrink to 2 GiB", refused.stderr)

    def test_5_a_volume_that_holds_a_file_by_then_stays_and_is_named(self):
        self.write(3, volumes=[volume(1, "logs", "/logs")])
        self.lab.write_config(lambda config: config["samba"]["shares"].append(
            {"name": "more", "path": "/fastData/shared-bulk-data", "valid_users": ["heads"]}))
        restore = self.lab.break_last_samba_step(
            self.lab["hv1"], f"until [ -d /{POOL}/subvol-950-disk-1 ]; do sleep 1; done; echo dear > /{POOL}/subvol-950-disk-1/letter")
        done = self.setup_containers(check=False)
        restore()
        self.lab.write_config()
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
        self.assertIn(f"{STORAGE}:subvol-950-disk-1 holds letter", done.stdout + done.stderr)
        self.assertEqual(self.shell("hv1", f"cat /{POOL}/subvol-950-disk-1/letter"), "dear\n")
        self.assertIn(f"unused0: {STORAGE}:subvol-950-disk-1", self.lines(950))
        # A person decides, and the run ends.
        self.shell("hv1", "pct set 950 --delete unused0")
        run = json.loads(self.lab.phoenix("--output json runs list").stdout)["runs"][0]["name"].removeprefix("runs/")
        self.lab.phoenix(f"resolve {run}")
        self.assertIn("Plan: 0 steps", self.lab.phoenix("setup").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
