#!/usr/bin/env python3
"""The main job on real hypervisors: plan, set up, again, break and roll back the seed's storage on two nodes.

One lab for all tests, which build on each other in the order of their numbers."""
import json
import os
import re
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from adversity import CUTS, EFFECTS, Adversity  # noqa: E402
from lab import difference  # noqa: E402
from phoenix_lab import ROOT, PhoenixLab  # noqa: E402

BUILD = Path(os.environ.get("PHOENIX_BUILD", ROOT / "build" / "release"))
PASSWORD = "correct horse battery"
# What installing nfs-kernel-server, samba and ufw leaves: themselves, their units, files and groups, Samba's own
# configuration; and that what cannot be asked without them can be asked now.
REMAINDER = (r"^[+~-] (package|unit|group|gshadow|file|testparm) |^\+ ufw Status: = inactive$"
             r"|^- (export|etab|testparm|ufw|ufw-rule|iptables|ip6tables) = not there$")


# The storage that the seed's configuration is for: storage id, dataset, type and content in Proxmox VE, shared via; record
# size, sync, compression and quota in ZFS.
SEED_TABLE = [
    ("quickOS-vm-disks", "quickOS/vm-disks", "zfspool", "images", (), "131072", "standard", "lz4", "858993459200"),
    ("quickOS-lxc-disks", "quickOS/lxc-disks", "zfspool", "rootdir", (), "16384", "standard", "lz4", "644245094400"),
    ("quickOS-shared-prod-data", "quickOS/shared-prod-data", "zfspool", "images,rootdir", ("NFS", "Samba"), "131072",
     "standard", "lz4", "429496729600"),
    ("quickOS-shared-prod-data-sync", "quickOS/shared-prod-data-sync", "zfspool", "images,rootdir", ("NFS", "Samba"), "16384",
     "always", "lz4", "107374182400"),
    ("fastData-shared-test-data", "fastData/shared-test-data", "zfspool", "images,rootdir", ("Samba",), "131072", "standard",
     "lz4", "536870912000"),
    ("fastData-shared-test-data-sync", "fastData/shared-test-data-sync", "zfspool", "images,rootdir", (), "16384", "always",
     "lz4", "107374182400"),
    ("fastData-shared-backups", "fastData/shared-backups", "dir", "backup", (), "1048576", "standard", "zstd", "2199023255552"),
    ("fastData-shared-bulk-data", "fastData/shared-bulk-data", "zfspool", "images,rootdir", ("NFS", "Samba"), "1048576",
     "standard", "lz4", "1539316278886"),
]


class Fleet(unittest.TestCase):
    """A lab with Phoenix on two nodes of `image`, and the seed's configuration on hv1."""
    image = "full"

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.lab = PhoenixLab(Path(cls.folder.name) / "lab", BUILD, image=cls.image)
        cls.addClassCleanup(cls.lab.close)
        cls.lab.write_config()
        cls.lab.write_password(PASSWORD)
        cls.before = cls.lab.fingerprints()

    def assert_as_before(self, before, exceptions=()):
        for name, after in self.lab.fingerprints().items():
            self.assertEqual(difference(before[name], after, exceptions), "", name)

    def shell(self, node, script):
        return self.lab[node].run("set -e\n" + script).stdout

    def setup_that_fails_on_hv2(self):
        restore = self.lab.break_last_samba_step(self.lab["hv2"])
        done = self.lab.phoenix("setup", check=False)
        restore()
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn("ROLLED_BACK", done.stdout)


class TwoNodes(Fleet):
    def test_1_planning_mutates_nothing(self):
        plan = self.lab.plan()
        self.assertGreater(plan["step_count"], 40)
        self.assertEqual({step["node"] for step in plan["steps"]}, {"hv1", "hv2"})
        for step in plan["steps"]:
            self.assertTrue(step["step"]["undo"], step)
        self.assert_as_before(self.before)

    def test_2_a_failing_last_samba_step_on_one_node_undoes_both(self):
        self.setup_that_fails_on_hv2()
        self.assert_as_before(self.before)

    def test_3_setup_brings_both_nodes_to_the_declared_state(self):
        done = self.lab.phoenix("setup")
        self.assertIn("COMMITTED", done.stdout)
        for node in ("hv1", "hv2"):
            self.assert_seed_table(node)

    def assert_seed_table(self, node):
        """Every row and every column of SEED_TABLE, and nothing besides."""
        self.assertIn("mirror-0", self.shell(node, "zpool status quickOS"))
        self.assertNotRegex(self.shell(node, "zpool status fastData"), r"mirror|raidz|draid")
        storages = {}
        for section in re.split(r"\n\s*\n", self.shell(node, "cat /etc/pve/storage.cfg").strip()):
            head, *lines = section.splitlines()
            kind, name = head.split(": ")
            storages[name] = {"type": kind, **dict((*line.split(None, 1), "1")[:2] for line in lines)}
        exported = {line.split()[0] for line in self.shell(node, "exportfs -s").splitlines()}
        # Samba's own shares of printers are not in the pools.
        shared = set(re.findall(r"^\s*path = (/(?:quickOS|fastData)/\S+)", self.shell(node, "testparm -s 2>/dev/null"),
                                re.MULTILINE))
        for name, dataset, kind, content, by, *properties in SEED_TABLE:
            with self.subTest(node=node, row=name):
                found = self.shell(node, f"zfs get -Hp -o value recordsize,sync,compression,quota {dataset}").split()
                self.assertEqual(found, properties)
                entry = storages.pop(name)
                self.assertEqual((entry["type"], set(entry["content"].split(","))), (kind, set(content.split(","))))
                self.assertEqual(entry.get("pool") or entry["path"].lstrip("/"), dataset)
                # Of this node only, and never on its root disk while the dataset is not mounted.
                self.assertEqual(entry.get("nodes"), node)
                self.assertEqual(entry.get("is_mountpoint"), "1" if kind == "dir" else None)
        self.assertEqual(set(storages) - {"local"}, set())
        for protocol, paths in (("NFS", exported), ("Samba", shared)):
            self.assertEqual(paths, {"/" + row[1] for row in SEED_TABLE if protocol in row[4]}, (node, protocol))

    def test_4_a_real_client_mounts_and_writes(self):
        self.assertIn("/quickOS/shared-prod-data ", self.shell("hv2", "showmount -e 10.77.0.1"))
        self.shell("hv2", """
            mount -t nfs -o vers=3,nolock 10.77.0.1:/quickOS/shared-prod-data /mnt
            ls /mnt
            umount /mnt
        """)
        self.shell("hv2", f"""
            echo 'by smb' > /tmp/smb; cd /tmp
            printf 'username = heads\\npassword = {PASSWORD}\\n' > /tmp/login
            smbclient //10.77.0.1/shared-prod-data -A /tmp/login -c 'put smb; ls'
        """)
        self.assertEqual(self.shell("hv1", "cat /quickOS/shared-prod-data/smb"), "by smb\n")
        refused = self.lab["hv2"].run("smbclient //10.77.0.1/shared-prod-data -U 'heads%wrong' -c ls", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.shell("hv1", "rm /quickOS/shared-prod-data/smb")

    def test_4_locks_of_nfs3_are_given(self):
        self.assertEqual(self.shell("hv1", "systemctl is-active rpcbind.socket rpc-statd nfs-server").split(), ["active"] * 3)
        self.shell("hv2", """
            systemctl start rpc-statd
            mount -t nfs -o vers=3 10.77.0.1:/quickOS/shared-prod-data /mnt
            touch /mnt/lock
            timeout 120 flock -n /mnt/lock -c true
            rm /mnt/lock
            umount /mnt
        """)

    def test_5_a_second_setup_has_0_steps_and_touches_nothing(self):
        before = self.lab.fingerprints()
        self.assertIn("Plan: 0 steps", self.lab.phoenix("setup").stdout)
        self.assert_as_before(before)

    def test_6_a_changed_password_is_exactly_one_step_per_node(self):
        self.lab.write_password("another " + PASSWORD)
        plan = self.lab.plan()
        self.assertEqual([step["node"] for step in plan["steps"]], ["hv1", "hv2"], plan)
        self.assertIn("COMMITTED", self.lab.phoenix("setup").stdout)
        self.assertEqual(self.lab.plan()["step_count"], 0)

    def test_7_an_export_that_leaves_the_file_is_orphaned_and_stays(self):
        gone = []
        self.lab.write_config(lambda config: gone.append(config["nfs"]["exports"].pop()))
        plan = self.lab.plan()
        self.assertEqual(plan["step_count"], 0, plan)
        self.assertIn("orphan", str(plan["notes"]))
        self.assertIn(gone[0]["path"], self.shell("hv1", "exportfs -s"))
        self.lab.write_config()

    # What every test tier runs of tests/lab/test_adversity.py: PHOENIX_SLICE, which follows from the commit, says which cases.
    slice = int(os.environ.get("PHOENIX_SLICE", "0"))

    def test_8_a_power_cut_in_mid_run_ends_in_the_old_or_the_new_state(self):
        type(self).adversity = Adversity(self.lab)
        print(self.adversity.cut(*CUTS[self.slice % len(CUTS)]), end=" ... ", flush=True)

    def test_9_a_tool_that_fails_or_lies_leaves_nothing_half_done(self):
        at, effect = 1 + self.slice % 4, EFFECTS[self.slice // 4 % len(EFFECTS)]
        print(self.adversity.fault(at, effect), end=" ... ", flush=True)

    # Last: what others wrote stays.
    def test_a_content_is_rolled_back_unless_others_wrote_to_it(self):
        print(self.adversity.content(foreign=self.slice % 2 == 1), end=" ... ", flush=True)


class FromTheBareNode(Fleet):
    """hv1 starts without samba, nfs-kernel-server and ufw: their installation is a step, and what it leaves is named. On both
    nodes the stand-in for Proxmox VE's status daemon runs beside every run, which mounts and makes things on its own."""
    image = "hv1=bare,hv2=full"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Every 2 s instead of 10, to meet more moments.
        cls.lab.lab.each(lambda node: node.run(
            "systemd-run --quiet --unit=lab-pvestatd --setenv=STANDIN_STAT_PAUSE=2 /usr/bin/pvestatd"))

    def tearDown(self):
        for name in self.lab.nodes:
            self.assertEqual(self.shell(name, "systemctl is-active lab-pvestatd"), "active\n", name)

    def test_1_a_run_undone_leaves_what_its_plan_named_and_nothing_else(self):
        plan = self.lab.plan()
        lossy = [step for step in plan["steps"] if step["step"]["step_class"] == "STEP_CLASS_LOSSY"]
        self.assertTrue(lossy)
        self.assertTrue(all(step["node"] == "hv1" and step["step"]["remainder"] for step in lossy))
        self.setup_that_fails_on_hv2()
        after = self.lab.fingerprints()
        self.assertEqual(difference(self.before["hv2"], after["hv2"]), "")
        # On hv1 only the packages and what they bring may remain, with their units off, as the plan named.
        left = difference(self.before["hv1"], after["hv1"])
        remainder = [line.strip() for line in left.splitlines() if line.strip()[:2] in ("+ ", "- ", "~ ")]
        self.assertTrue(any(line.startswith("+ package samba:") for line in remainder), left)
        for line in remainder:
            self.assertRegex(line, REMAINDER, left)
            if re.match(r"[+~] unit (smbd|nmbd|winbind|nfs-server|ufw)", line):
                self.assertNotRegex(line.split("->")[-1], r" (active|enabled) ", left)

    def test_2_the_same_setup_then_succeeds(self):
        self.assertIn("COMMITTED", self.lab.phoenix("setup").stdout)
        self.assertIn("Plan: 0 steps", self.lab.phoenix("setup").stdout)

    def test_3_content_of_a_storage_is_rolled_back_though_the_status_daemon_mounts_what_is_unmounted(self):
        """While its content is changed a dataset is unmounted, and of a zfspool storage that is what `zfs mount -a` of the
        daemon is for."""
        name = "fastData/shared-test-data-sync"
        self.assertIn(f"pool {name}\n", self.shell("hv2", "cat /etc/pve/storage.cfg"))
        self.lab.lab.each(lambda node: node.run(f"echo dear > /{name}/letter; zpool sync fastData"))
        before = self.lab.fingerprints()

        def deliver(config):
            dataset, = [one for one in config["zfs"]["datasets"] if f"{one['pool']}/{one['name']}" == name]
            dataset["files"] = [{"path": "conf/service.conf", "content": "level = 1\n"}]
            config["samba"]["shares"].append({"name": "more", "path": "/fastData/shared-bulk-data", "valid_users": ["heads"]})
        self.lab.write_config(deliver)
        restore = self.lab.break_last_samba_step(
            # A look at its name: reading it would move its access time, which is a write of somebody else.
            self.lab["hv2"], f"until [ -f /{name}/conf/service.conf ]; do sleep 1; done; touch /run/it-was-there")
        done = self.lab.phoenix(f"setup --allow content:{name}", check=False)
        restore()
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.shell("hv2", "rm /run/it-was-there")
        for node in ("hv1", "hv2"):
            self.assertEqual(self.shell(node, f"ls /{name}; cat /{name}/letter"), "letter\ndear\n", node)
        self.assert_as_before(before)
        # And to its end where nothing fails.
        done = self.lab.phoenix(f"setup --allow content:{name}")
        self.assertIn("COMMITTED", done.stdout)
        self.assertEqual(self.shell("hv1", f"cat /{name}/conf/service.conf"), "level = 1\n")
        self.assertIn("Plan: 0 steps", self.lab.phoenix("setup").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
