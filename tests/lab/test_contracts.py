#!/usr/bin/env python3
"""Each host's contract suite on the real tools, whose simulated side the unit tier runs; and the domains' own runs there.

hv1 has the packages and blank disks, hv2 has no packages: installing some is part of the node's contract."""
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lab import Lab, difference  # noqa: E402
from node import DEFAULT_DISKS  # noqa: E402
from phoenix_lab import ROOT, make_payload  # noqa: E402

BUILD = Path(os.environ.get("PHOENIX_BUILD", ROOT / "build" / "release"))
BY_ID = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_"
DATASET = "contract/data"


class Contracts(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        programs = sorted((BUILD / "lab").iterdir())
        payload = make_payload(BUILD, folder.name, extra=programs)
        cls.lab = Lab(Path(folder.name) / "lab", nodes=2, image="hv1=full,hv2=bare", payload=payload,
                      disks=[*DEFAULT_DISKS, ("S1C", "2T"), ("S1D", "2T"), ("S3A", "1T")])
        cls.addClassCleanup(cls.lab.close)

    def passes(self, program, node="hv1", **settings):
        """Runs every case of a suite; one that skips itself has found less than the lab promises, so it fails too."""
        environment = " ".join(f"{name}={value}" for name, value in settings.items())
        done = self.lab[node].run(f"{environment} /opt/lab/{program} --gtest_brief=0", check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("SKIPPED", done.stdout)
        self.assertRegex(done.stdout, r"\[  PASSED  \] [1-9]")

    def leaves_no_trace(self, program, exceptions=(), **settings):
        before = self.lab["hv1"].fingerprint()
        self.passes(program, **settings)
        self.assertEqual(difference(before, self.lab["hv1"].fingerprint(), exceptions), "")

    def with_dataset(self):
        self.lab["hv1"].run(f"zpool create contract {BY_ID}S3A && zfs create {DATASET}")
        self.addCleanup(self.lab["hv1"].run, "zpool destroy contract")

    def test_zfs_host(self):
        # Of one size: zpool takes no others into one raidz or dRAID without being forced.
        # Its cases make a pool each, which takes an emulated node most of half an hour: a part of them, where one is wanted.
        part, parts = os.environ.get("PHOENIX_CONTRACT_PART", "0/1").split("/")
        self.leaves_no_trace("zfs_host_lab_contract", GTEST_SHARD_INDEX=part, GTEST_TOTAL_SHARDS=parts,
                             PHOENIX_CONTRACT_DISKS=",".join(BY_ID + serial for serial in ("S1A", "S1B", "S1C", "S1D")))

    def test_nfs_host(self):
        self.leaves_no_trace("nfs_host_lab_contract")

    def test_nfs_domain(self):
        self.with_dataset()
        self.leaves_no_trace("nfs_domain_lab", PHOENIX_CONTRACT_DATASET=DATASET)

    def test_samba_host(self):
        self.leaves_no_trace("samba_host_lab_contract")

    def test_samba_domain(self):
        # Samba only recommends it; that a run installs it is a case of test_phoenix.py.
        self.lab["hv1"].run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q samba-vfs-modules")
        self.leaves_no_trace("samba_domain_lab")

    def test_proxmox_host(self):
        self.with_dataset()
        self.leaves_no_trace("proxmox_host_lab_contract", PHOENIX_CONTRACT_DATASET=DATASET)

    def test_proxmox_domain(self):
        self.leaves_no_trace("proxmox_domain_lab")

    def with_node_api(self):
        """The node's own API with a token of root@pam in a file; answers its path."""
        hv1 = self.lab["hv1"]
        hv1.run("systemctl start pvedaemon")
        self.addCleanup(hv1.run, "systemctl stop pvedaemon")
        made = json.loads(hv1.run("pveum user token add root@pam phoenix --privsep 0 --output-format json").stdout)
        self.addCleanup(hv1.run, "pveum user token remove root@pam phoenix && rm -f /root/pve-token")
        hv1.run("umask 077; cat > /root/pve-token", input=f"{made['full-tokenid']}={made['value']}\n")
        return "/root/pve-token"

    def test_proxmox_host_through_the_nodes_api(self):
        self.with_dataset()
        self.leaves_no_trace("proxmox_host_lab_contract", PHOENIX_CONTRACT_DATASET=DATASET,
                             PHOENIX_CONTRACT_TOKEN=self.with_node_api())

    def test_proxmox_domain_through_the_nodes_api(self):
        self.leaves_no_trace("proxmox_domain_lab", PHOENIX_CONTRACT_TOKEN=self.with_node_api())

    def test_node_host(self):
        # What packages leave behind is no secret; that the contract holds on a node without them is the point.
        self.lab["hv2"].run("DEBIAN_FRONTEND=noninteractive apt-get install -y -q ufw")
        self.passes("node_host_lab_contract", node="hv2")


if __name__ == "__main__":
    unittest.main(verbosity=2)
