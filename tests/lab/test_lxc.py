#!/usr/bin/env python3
"""Volumes and mount points of containers on real nodes: real ZFS, the lab's stand-in for pct, where no container is ever started;
one runs as far as anybody can tell when its command socket is there.

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
            self.lab["hv1"], f"until mountpoint -q /{POOL}/subvol-950-disk-1; do sleep 1; done; echo dear > /{POOL}/subvol-950-disk-1/letter")
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

    def start(self, container):
        """A socket of the name by which Proxmox VE knows that a container runs. Answers what stops it."""
        node, unit = self.lab[HOMES[container]], f"phxct{container}"
        node.run(f"systemd-run --quiet --collect --unit={unit} perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) or die; "
                 f"bind(S, pack_sockaddr_un(\"\\0/var/lib/lxc/{container}/command\")) or die; listen(S, 1); sleep'; "
                 f"until grep -q '@/var/lib/lxc/{container}/command$' /proc/net/unix; do sleep 0.2; done")
        # Also where the test fails: the next ones want it to stand still.
        self.addCleanup(node.run, f"systemctl stop {unit}", check=False)
        return lambda: node.run(f"systemctl stop {unit}")

    def write_one(self, container, *volumes, **more):
        self.lab.write("/root/lxc.json", json.dumps({"lxc_configs": {container: {"zfs_volumes": volumes, **more}}}))

    def test_6_into_a_running_container_nothing_is_mounted_without_its_line(self):
        stop = self.start(951)
        self.write_one(951, volume(1, "a", "/a"), volume(1, "b", "/b"))
        refused = self.setup_containers(check=False)
        self.assertIn("container 951 runs, so that its mount points go with its next stop", refused.stderr)
        self.shell("hv2", "touch /run/standin-refuse-951-mp3")
        done = self.lab.phoenix("setup --lxc /root/lxc.json --allow container-mount:951:/a", check=False)
        self.shell("hv2", "rm /run/standin-refuse-951-mp3")
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        live = self.shell("hv2", "ls /run/standin-live/951").split()
        self.assertEqual(live, ["mp2"])
        self.assertIn(f"mp2: {STORAGE}:subvol-951-disk-2,mp=/a,size=1G", self.lines(951))
        self.assertIn("[pve:pending]\ndelete: mp2\n", self.shell("hv2", f"cat {self.file(951)}"))
        # What waits is not taken for what is declared.
        self.write_one(951, volume(1, "a", "/a"))
        refused = self.setup_containers(check=False)
        self.assertIn("mp2 of container 951 is to go when the container stops", refused.stderr)
        self.shell("hv2", "pct set 951 --revert mp2; pct set 951 -mp2 /quickOS/shared-prod-data,mp=/a")
        refused = self.setup_containers(check=False)
        self.assertIn("mp2 of container 951 becomes /quickOS/shared-prod-data at /a when the container stops", refused.stderr)
        self.shell("hv2", "pct set 951 --revert mp2")
        self.assertIn("Plan: 0 steps", self.setup_containers().stdout)
        stop()
        self.shell("hv2", "pct set 951 --delete mp2; pct set 951 --delete unused0")

    def test_7_a_volume_that_a_running_container_filled_stays_large_and_the_run_says_so(self):
        name = f"{POOL}/subvol-951-disk-2"
        self.write_one(951, volume(1, "a", "/a"))
        self.assertIn("COMMITTED", self.setup_containers().stdout)
        # Nearly full, of 64 MiB that are written where ZFS clones blocks.
        self.shell("hv2", f"cd /{name}; dd if=/dev/urandom of=0 bs=1M count=64 status=none; "
                          "for i in $(seq 14); do cp --reflink=auto 0 $i; done; zpool sync quickOS")
        stop = self.start(951)
        self.write_one(951, volume(2, "a", "/a"))
        self.lab.write_config(lambda config: config["samba"]["shares"].append(
            {"name": "more", "path": "/fastData/shared-bulk-data", "valid_users": ["heads"]}))
        # Where the service's commands run there is no /dev/zfs: the file system says how large it is, and a transaction group takes 5 s.
        restore = self.lab.break_last_samba_step(
            self.lab["hv2"], f"until [ $(df -B1 --output=size /{name} | tail -1) -gt {3 << 29} ]; do sleep 1; done; cd /{name}; "
                             "for i in 15 16 17; do cp --reflink=auto 0 $i; done; sleep 6")
        done = self.lab.phoenix("setup --lxc /root/lxc.json --allow container:951:mp2", check=False)
        restore()
        self.lab.write_config()
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        run = json.loads(self.lab.phoenix("--output json runs list").stdout)["runs"][0]["name"].removeprefix("runs/")
        self.assertIn(f"keeps 2 GiB; once it holds less: `zfs set refquota={(1 << 30) - 1024} {name}`, then `pct resize 951 mp2 1G`",
                      self.lab.phoenix(f"runs show {run}").stdout)
        self.assertEqual(self.quota(951, 2), 2 << 30)
        self.assertIn(",size=2G", self.lines(951)[2])
        # The two commands are the way back.
        self.shell("hv2", f"rm /{name}/*; zpool sync quickOS; zfs set refquota={(1 << 30) - 1024} {name}; pct resize 951 mp2 1G")
        self.assertEqual(self.quota(951, 2), 1 << 30)
        stop()
        self.shell("hv2", "pct set 951 --delete mp2; pct set 951 --delete unused0")

    def test_8_a_persistent_volume_outlives_its_container(self):
        name = f"{POOL}/persistent-951-kept"
        standing = self.lab.fingerprints()
        declared = {"node": "hv2", "unprivileged": True}
        self.write_one(951, volume(1, "kept", "/kept", persistent=True), **declared)
        restore = self.break_pct("hv2")
        done = self.setup_containers(check=False)
        restore()
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assert_as_before(standing)
        self.assertIn("COMMITTED", self.setup_containers().stdout)
        self.assertEqual(self.lines(951)[2], f"mp2: /{name},mp=/kept")
        self.assertEqual(self.shell("hv2", f"stat -c %u:%g /{name}; zfs get -Hp -o value refquota,acltype,xattr {name}").split(),
                         ["100000:100000", str(1 << 30), "posix", self.shell("hv2", f"zfs get -Hp -o value xattr {POOL}/subvol-951-disk-0").strip()])
        self.assertIn("Plan: 0 steps", self.setup_containers().stdout)
        self.assertNotEqual(self.shell("hv1", f"zfs list {name} 2>&1 || true").find("does not exist"), -1)
        # What Proxmox VE takes for the container's, and would destroy with it.
        self.assertNotIn("persistent", self.shell("hv2", f"pvesm list {STORAGE} --vmid 951"))
        self.shell("hv2", f"echo dear > /{name}/letter; cp -p {self.file(951)} /root/951.conf; rm {self.file(951)}")
        self.assertIn("Plan: 0 steps", self.setup_containers().stdout)
        self.shell("hv2", f"grep -v persistent /root/951.conf > {self.file(951)}; chmod 640 {self.file(951)}; chgrp www-data {self.file(951)}")
        self.assertIn("COMMITTED", self.setup_containers().stdout)
        self.assertEqual(self.lines(951)[2], f"mp2: /{name},mp=/kept")
        self.assertEqual(self.shell("hv2", f"cat /{name}/letter"), "dear\n")

    def test_9_a_folder_has_to_be_there_and_its_mount_point_goes_by_name(self):
        path = "/quickOS/shared-prod-data/ssl"
        bind = {"host_path": path, "container_path": "/ssl", "owner_uid": 0, "owner_gid": 0}
        make = f"mkdir -p {path} && chown 100000:100000 {path}"
        before = self.lines(950)
        self.write_one(950, mount_points=[bind])
        refused = self.setup_containers(check=False)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertIn(f"`{make}`", refused.stderr)
        self.shell("hv1", make)
        self.assertIn("COMMITTED", self.setup_containers().stdout)
        self.assertEqual([line for line in self.lines(950) if line not in before], [f"mp2: {path},mp=/ssl"], before)
        self.write_one(950, mount_points=[{**bind, "state": "absent"}])
        self.assertIn("COMMITTED", self.setup_containers().stdout)
        self.assertIn("Plan: 0 steps", self.setup_containers().stdout)
        self.assertEqual(self.lines(950), before)
        self.shell("hv1", f"rmdir {path}")

    def test_9_what_lxc_mounts_itself_and_templates_are_refused(self):
        self.shell("hv2", f"echo 'lxc.mount.entry: /srv/x mine none bind,create=dir 0 0' >> {self.file(951)}")
        self.write_one(951, volume(1, "mine", "/mine"))
        refused = self.setup_containers(check=False)
        self.assertIn("/mine of container 951 is served already, by the line \"lxc.mount.entry: /srv/x mine none", refused.stderr)
        self.shell("hv2", f"sed -i 's/^lxc.mount.entry.*/template: 1/' {self.file(951)}")
        refused = self.setup_containers(check=False)
        self.assertIn("container 951 is a template", refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
