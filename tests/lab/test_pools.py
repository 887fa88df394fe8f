#!/usr/bin/env python3
"""Pools on real disks: made, grown, mended, imported, destroyed and brought back by runs, with a file in them whose digest
stays the same all the time. One node; the tests build on each other in the order of their numbers."""
import json
import os
import re
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lab import difference  # noqa: E402
from phoenix_lab import ROOT, PhoenixLab  # noqa: E402

BUILD = Path(os.environ.get("PHOENIX_BUILD", ROOT / "build" / "release"))
SERIALS = ("S1A", "S1B", "S1C", "S1D", "S1E", "S1F", "S1G", "S1H", "S1I")


def disk(serial):
    return f"/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_{serial}"


class Pools(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.lab = PhoenixLab(Path(folder.name) / "lab", BUILD, nodes=1, disks=[(serial, "1T") for serial in SERIALS])
        cls.addClassCleanup(cls.lab.close)
        cls.node = cls.lab["hv1"]
        cls.pool = {"name": "tank", "raid_level": "single", "disks": [disk("S1A")], "properties": "ashift=12,compression=lz4"}
        cls.datasets = [{"name": "tank/data", "properties": "recordsize=128K"}]
        cls.digest = None

    def wish(self, **settings):
        self.lab.write("/root/secrets.json", "{}")
        self.lab.write("/root/config.json", json.dumps({"zfs": {"pools": [self.pool], "datasets": self.datasets, **settings}}))

    def set_up(self, words="", steps=None):
        """A run that is kept, after which nothing is left to do."""
        if steps is not None:
            self.assertEqual([step["step"]["id"] for step in self.lab.plan()["steps"]], steps)
        self.assertIn("COMMITTED", self.lab.phoenix("setup " + words).stdout)
        self.assertEqual(self.lab.plan()["step_count"], 0)
        self.assert_intact()

    def refused(self, *texts, words=""):
        done = self.lab.phoenix("setup " + words, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        for text in texts:
            self.assertIn(text, done.stdout + done.stderr)
        self.assert_intact()

    def run_node(self, script):
        return self.node.run("set -e\n" + script).stdout

    def assert_intact(self):
        if self.digest:
            self.assertEqual(self.run_node("sha256sum < /tank/data/file"), self.digest)

    def layout(self):
        """The pool's tree, without states: ["tank", "  mirror-0", "    S1A", …]."""
        tree = self.run_node("zpool status tank | sed -n '/^config:/,/^errors:/p'")
        names = re.findall(r"^\t( *\S+)", tree, re.MULTILINE)
        return [re.sub(r"nvme-QEMU_NVMe_Ctrl_", "", name) for name in names[1:]]

    def test_1_made_with_the_properties_of_pool_and_root(self):
        self.wish()
        self.set_up(steps=["pool:tank", "dataset:tank/data"])
        self.assertEqual(self.run_node("zpool get -Hpo value ashift tank; zfs get -Hpo value,source compression tank").split(),
                         ["12", "lz4", "local"])
        self.run_node("head -c 20000000 /dev/urandom > /tank/data/file; sync")
        type(self).digest = self.run_node("sha256sum < /tank/data/file")

    def test_1a_nodes_shows_pools_and_the_wear_of_disks(self):
        self.assertRegex(self.node.run("phoenix nodes").stdout, r"tank +ONLINE, \d+ % full, no scrub known\n")
        self.run_node("zpool scrub -w tank")
        said = self.node.run("phoenix nodes --verbose").stdout
        self.assertRegex(said, r"tank +ONLINE, \d+ % full, last scrub \d{4}-\d\d-\d\d without errors\n")
        for serial in SERIALS:
            self.assertRegex(said, rf"nvme-QEMU_NVMe_Ctrl_{serial}\S* +wear 0 %, .*ok\n")

    def test_2_a_disk_more_makes_it_a_mirror(self):
        self.pool.update({"raid_level": "mirror", "disks": [disk("S1A"), disk("S1B")]})
        self.wish()
        self.set_up(steps=["vdev:tank/nvme-QEMU_NVMe_Ctrl_S1B"])
        self.run_node("zpool wait -t resilver tank")
        self.assertEqual(self.layout(), ["tank", "  mirror-0", "    S1A", "    S1B"])

    def test_3_a_run_that_fails_gives_the_vdevs_back_blank(self):
        self.pool["vdevs"] = [{"class": "log", "disks": [disk("S1C")]}, {"class": "cache", "disks": [disk("S1D")]},
                              {"class": "spare", "disks": [disk("S1E")]}]
        # Something else of the run cannot be done.
        self.datasets.append({"name": "tank/taken"})
        self.wish()
        before = self.node.fingerprint()
        self.node.run("mv /usr/sbin/zfs /usr/sbin/zfs.real && printf '#!/bin/sh\\ncase \"$*\" in create*tank/taken) exit 1;; "
                      "esac\\nexec /usr/sbin/zfs.real \"$@\"\\n' > /usr/sbin/zfs && chmod 755 /usr/sbin/zfs")
        done = self.lab.phoenix("setup", check=False)
        self.node.run("mv /usr/sbin/zfs.real /usr/sbin/zfs")
        self.assertIn("ROLLED_BACK", done.stdout, done.stderr)
        self.assertEqual(self.layout(), ["tank", "  mirror-0", "    S1A", "    S1B"])
        self.assertEqual(difference(before, self.node.fingerprint()), "")
        self.datasets.pop()
        self.wish()
        self.set_up()
        self.assertEqual(self.layout(), ["tank", "  mirror-0", "    S1A", "    S1B", "logs", "  S1C", "cache", "  S1D",
                                         "spares", "  S1E"])

    def test_4_a_disk_is_replaced_only_where_that_was_allowed(self):
        self.pool["disks"] = [disk("S1A"), disk("S1F")]
        self.wish()
        word = "--allow vdev:tank/nvme-QEMU_NVMe_Ctrl_S1F"
        self.refused(word)
        self.set_up(word)
        self.run_node("zpool wait -t resilver tank; zpool scrub -w tank")
        self.assertEqual(self.layout()[:4], ["tank", "  mirror-0", "    S1A", "    S1F"])
        self.assertIn("errors: No known data errors", self.run_node("zpool status tank"))
        self.assert_intact()

    def test_5_properties_of_a_pool_that_is_there(self):
        self.pool["properties"] = "ashift=12,compression=zstd,autotrim=on"
        self.wish()
        self.set_up(steps=["pool-properties:tank", "properties:tank"])
        self.assertEqual(self.run_node("zpool get -Hpo value autotrim tank; zfs get -Hpo value compression tank/data").split(),
                         ["on", "zstd"])

    def test_6_an_exported_pool_is_imported(self):
        self.run_node("zpool export tank")
        self.set_up(steps=["import:tank"])

    def test_7_a_quota_below_what_is_in_use_is_refused(self):
        self.datasets[0]["properties"] = "recordsize=128K,quota=1M"
        self.wish()
        self.refused("bytes are in use")
        self.datasets[0]["properties"] = "recordsize=128K"

    def test_8_it_goes_with_its_dataset_and_is_not_lost_until_its_disks_are_used(self):
        self.pool["state"] = self.datasets[0]["state"] = "absent"
        self.wish()
        self.refused("--allow pool:tank")
        type(self).digest, digest = None, self.digest
        self.set_up("--allow pool:tank", steps=["delete:tank/data", "destroy:tank"])
        self.assertEqual(self.run_node("zpool list -H"), "")
        run = json.loads(self.node.run("phoenix runs list --output json").stdout)["runs"][0]["name"].removeprefix("runs/")
        done = self.lab.phoenix("rollback " + run, check=False)
        self.assertIn("cannot be rolled back", done.stdout + done.stderr)
        self.run_node("""
            zpool import -D -f -N tank
            zfs rename -u $(zfs list -Ho name -r tank | grep '/trash/.*/data$') tank/data
            zfs set canmount=on tank/data
            zfs mount tank; zfs mount tank/data
            zfs inherit -r phoenix:run tank
        """)
        type(self).digest = digest
        self.assert_intact()
        self.assertEqual(len(self.layout()), 10)

    def test_9_disks_that_hold_something_are_wiped_only_by_name(self):
        for wanted in (self.pool, self.datasets[0]):
            wanted["state"] = "present"
        other = {"name": "other", "raid_level": "single", "disks": [disk("S1B")]}
        self.run_node(f"zpool labelclear -f {disk('S1B')}-part1; wipefs -aq {disk('S1B')}; mkfs.ext4 -q {disk('S1B')}; udevadm settle")
        config = {"zfs": {"pools": [self.pool, other], "datasets": self.datasets}}
        self.lab.write("/root/config.json", json.dumps(config))
        self.refused("is not blank, and safe mode wipes nothing", "ext4")
        force = f"--mode force-destructive --wipe {disk('S1B')} --allow pool:other"
        self.refused("allow_destructive_operations", words=force)
        config["zfs"]["settings"] = {"allow_destructive_operations": True}
        self.lab.write("/root/config.json", json.dumps(config))
        self.refused("among the disks that may be wiped", words=f"--mode force-destructive --wipe {disk('S1F')} --allow pool:other")
        self.set_up(force)
        self.assertEqual(self.run_node("zpool list -Ho name").split(), ["other", "tank"])

    def test_a_after_a_reboot_the_arc_is_limited_and_an_encrypted_dataset_waits_for_its_key(self):
        limit = "cat /sys/module/zfs/parameters/zfs_arc_max; awk '$1 == \"c_max\" { print $3 }' /proc/spl/kstat/zfs/arcstats"
        config = json.loads(self.run_node("cat /root/config.json"))
        config["zfs"]["arc_max_gb"] = 1
        config["zfs"]["datasets"].append({"name": "tank/secure", "encryption": {"key": {"secret": "zfs/secure"}}})
        self.lab.write("/root/secrets.json", json.dumps({"zfs": {"secure": "tr0ub4dor staple"}}))
        self.lab.write("/root/config.json", json.dumps(config))
        self.set_up()
        self.assertEqual(self.run_node(limit).split(), [str(1 << 30)] * 2)
        self.run_node("echo dear > /tank/secure/letter")
        self.node.shut_down()
        self.node.boot()
        self.assertEqual(self.run_node(limit).split(), [str(1 << 30)] * 2)
        self.assertEqual(self.run_node("zfs get -Ho value keystatus,mounted tank/secure; ls /tank/secure").split(), ["unavailable", "no"])
        self.run_node("systemctl start phoenix-zfsd phoenix-nfsd phoenix-sambad phoenix-proxmoxd phoenix-orchestratord")
        self.assertEqual([step["step"]["id"] for step in self.lab.plan()["steps"]], ["key:tank/secure"])
        self.assert_intact()
        # Its first export comes while its directory is one of the dataset above.
        config["nfs"] = {"exports": [{"path": "/tank/secure", "clients": ["127.0.0.1"], "options": ["rw", "no_root_squash", "insecure"]}]}
        self.lab.write("/root/config.json", json.dumps(config))
        self.set_up()
        mount = "mount -t nfs -o vers=4.2,soft,retry=0 127.0.0.1:/tank/secure /mnt"
        self.assertEqual(self.run_node(f"{mount}; cat /mnt/letter; umount /mnt"), "dear\n")
        # Locked again, nothing of the dataset above is served in its place.
        self.run_node("zfs unmount tank/secure || { exportfs -ua; exportfs -f; zfs unmount tank/secure; exportfs -ra; }; "
                      "zfs unload-key tank/secure; exportfs -f; test -d /tank/secure")
        done = self.node.run(mount + " && touch /mnt/lost", check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.run_node("systemctl is-active nfs-server; rpcinfo -t 127.0.0.1 nfs 4")
        self.assertEqual(self.run_node("ls /tank/secure"), "")
        self.set_up()
        self.assertEqual(self.run_node("cat /tank/secure/letter"), "dear\n")

    def change(self, change):
        """Something of the configuration on the node becomes otherwise."""
        config = json.loads(self.run_node("cat /root/config.json"))
        change(config["zfs"])
        self.lab.write("/root/config.json", json.dumps(config))

    def test_b_a_second_mirror_is_added_for_good_only_where_that_was_allowed(self):
        mirror = {"class": "data", "raid_level": "mirror", "disks": [disk("S1G"), disk("S1H")]}
        self.change(lambda zfs: zfs["pools"][0]["vdevs"].append(mirror))
        word = "--allow vdev:tank/nvme-QEMU_NVMe_Ctrl_S1G"
        before = self.layout()
        self.refused(word)
        self.assertEqual(self.layout(), before)
        self.set_up(word, steps=["vdev:tank/nvme-QEMU_NVMe_Ctrl_S1G"])
        layout = self.layout()
        place = layout.index("    S1G")
        self.assertRegex(layout[place - 1], r"^  mirror-\d+$")
        self.assertEqual(layout[place + 1], "    S1H")
        self.assertEqual(layout[:place - 1] + layout[place + 2:], before)
        # Data lies on it, and all of it is as it was.
        self.run_node("cp /tank/data/file /tank/data/copy; zpool scrub -w tank")
        self.assertIn("errors: No known data errors", self.run_node("zpool status tank"))
        self.assertEqual(self.run_node("sha256sum < /tank/data/copy"), self.digest)
        self.assert_intact()

    def test_c_a_disk_that_is_gone_stops_nothing_and_is_replaced_by_another(self):
        gone = disk("S1F")
        self.run_node(f"""
            device=$(basename "$(readlink -f {gone})")
            echo 1 > "/sys/class/nvme/${{device%n*}}/device/remove"
            udevadm settle
            test ! -e {gone}
            # ZFS notices at the next write.
            for i in $(seq 60); do
                head -c 1000000 /dev/urandom > /tank/data/noise; zpool sync tank
                zpool list -Ho health tank | grep -q ONLINE || break
                sleep 1
            done
            zpool list -Ho health tank | grep -q DEGRADED
        """)
        self.change(lambda zfs: zfs["datasets"].append({"name": "tank/later"}))
        plan = self.lab.plan()
        self.assertEqual([step["step"]["id"] for step in plan["steps"]], ["dataset:tank/later"])
        self.assertIn(f"disk {gone} of pool tank is not present on this node any more", json.dumps(plan))
        self.set_up()
        self.change(lambda zfs: zfs["pools"][0].update(disks=[disk("S1A"), disk("S1I")]))
        word = "--allow vdev:tank/nvme-QEMU_NVMe_Ctrl_S1I"
        self.refused(word)
        self.set_up(word, steps=["vdev:tank/nvme-QEMU_NVMe_Ctrl_S1I"])
        # The spare that may have stood in goes by itself.
        self.run_node("zpool wait -t resilver,replace tank; for i in $(seq 60); do zpool status tank | grep -q spare- || break; sleep 1; done; "
                      "zpool scrub -w tank")
        status = self.run_node("zpool status tank")
        self.assertIn("errors: No known data errors", status)
        self.assertIn("state: ONLINE", status)
        self.assertEqual(self.layout()[:4], ["tank", "  mirror-0", "    S1A", "    S1I"])
        # It comes back, with the label of a member that it is no longer, and is in nobody's way.
        self.run_node(f"""
            echo 1 > /sys/bus/pci/rescan
            for i in $(seq 60); do test -e {gone} && break; sleep 1; done
            udevadm settle
            test -e {gone}
        """)
        plan = self.lab.plan()
        self.assertEqual(plan["step_count"], 0)
        self.assertNotIn("not present on this node any more", json.dumps(plan))
        self.assert_intact()

    def test_d_a_volume_is_a_device_and_what_was_written_to_it_is_kept_when_it_goes(self):
        volume = {"name": "tank/target", "volume_size": "64M", "properties": "volblocksize=16K,refreservation=none"}
        self.change(lambda zfs: zfs["datasets"].append(volume))
        self.set_up(steps=["dataset:tank/target"])
        self.assertEqual(self.run_node("zfs get -Hpo value type,volsize,volblocksize,refreservation tank/target").split(),
                         ["volume", str(64 << 20), "16384", "0"])
        self.run_node("udevadm settle; echo dear | dd of=/dev/zvol/tank/target conv=notrunc,fsync status=none")
        self.change(lambda zfs: zfs["datasets"][-1].update(volume_size="128M"))
        self.refused(f"zfs set volsize={128 << 20} tank/target")
        self.run_node(f"zfs set volsize={128 << 20} tank/target")
        self.assertEqual(self.lab.plan()["step_count"], 0)
        self.change(lambda zfs: zfs["datasets"][-1].update(state="absent"))
        self.set_up(steps=["delete:tank/target"])
        kept = self.run_node("zfs list -Ho name -t volume -r tank").split()
        self.assertEqual(len(kept), 1)
        self.assertTrue(kept[0].startswith("tank/.phoenix/"), kept)
        self.run_node("udevadm settle")
        self.assertEqual(self.run_node(f"head -c 5 /dev/zvol/{kept[0]}"), "dear\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
