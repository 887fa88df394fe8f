#!/usr/bin/env python3
"""Proves the lab itself, without Phoenix: two hypervisors boot, store, share, lose power,
and come back; the fingerprint sees a change and is equal again once it is undone.

    sudo tests/lab/test_lab_smoke.py        a few minutes where there is no KVM
"""
import os
import signal
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from lab import Lab, difference  # noqa: E402

DISKS = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_"

# What an administrator would type, and how he would take it back, for the whole of what
# Phoenix manages: pool, dataset, export, share, user, firewall rule.
DO = f"""
zpool create -O compression=lz4 quickOS mirror {DISKS}S1A {DISKS}S1B
zfs create -o recordsize=16K -o quota=800G quickOS/shared
chmod 0777 /quickOS/shared
mkdir /etc/exports.d
echo '/quickOS/shared 10.77.0.0/24(rw,sync,no_subtree_check)' > /etc/exports.d/lab.exports
exportfs -r
useradd -M -s /usr/sbin/nologin heads
printf 'lab word\\nlab word\\n' | smbpasswd -s -a heads
cp -p /etc/samba/smb.conf /root/smb.conf.before
printf '[shared]\\npath = /quickOS/shared\\nwriteable = yes\\n' >> /etc/samba/smb.conf
smbcontrol smbd reload-config
ufw allow proto tcp from 10.77.0.0/24 to any port 2049 comment 'lab'
"""
UNDO = f"""
ufw delete allow proto tcp from 10.77.0.0/24 to any port 2049
mv /root/smb.conf.before /etc/samba/smb.conf
smbcontrol smbd reload-config
pdbedit -x heads
userdel heads
rm -r /etc/exports.d
exportfs -r
zpool destroy quickOS
for disk in {DISKS}S1A {DISKS}S1B; do
    zpool labelclear -f $disk-part1
    sgdisk --zap-all $disk
    dd if=/dev/zero of=$disk bs=1M count=1 conv=fsync
    dd if=/dev/zero of=$disk bs=1M seek=$(($(blockdev --getsize64 $disk) / 1048576 - 1)) count=1 conv=fsync
done
udevadm settle
"""


@unittest.skipUnless(os.geteuid() == 0, "the lab's image is built as root")
class LabSmoke(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="phoenix-lab-smoke.")
        cls.addClassCleanup(cls.folder.cleanup)
        payload = Path(cls.folder.name) / "payload.tar"
        tree = Path(cls.folder.name) / "tree" / "lib" / "systemd" / "system"
        tree.mkdir(parents=True)
        (tree / "lab-payload.service").write_text(
            "[Service]\nType=oneshot\nExecStart=/bin/true\n")
        os.system(f"tar -C {cls.folder.name}/tree -cf {payload} .")
        cls.lab = Lab(Path(cls.folder.name) / "lab", nodes=2, image="hv1=full,hv2=bare",
                      payload=payload)
        cls.addClassCleanup(cls.lab.close)
        for node in cls.lab.nodes.values():
            print(f"{node.name}: ssh after {node.boot_seconds:.0f} s, "
                  f"settled after {node.settled_seconds:.0f} s", file=sys.stderr)
        cls.hv1, cls.hv2 = cls.lab["hv1"], cls.lab["hv2"]

    def shell(self, node, script):
        return node.run("set -e\n" + script).stdout

    def test_a_node_is_what_was_asked_for(self):
        self.assertEqual(self.hv1.run("hostname").stdout.strip(), "hv1")
        self.assertEqual(self.hv2.run("hostname").stdout.strip(), "hv2")
        self.assertEqual(self.hv1.run("systemctl is-system-running").stdout.strip(), "running")
        # The payload was there before systemd read its units, and /lib is still a link.
        self.shell(self.hv1, "systemctl start lab-payload; test -L /lib")
        self.assertEqual(self.hv2.run("dpkg -l samba nfs-kernel-server ufw | grep -c ^ii",
                                      check=False).stdout.strip(), "0")
        self.assertEqual(self.shell(self.hv1, f"blockdev --getsize64 {DISKS}S2A").strip(),
                         str(4 << 40))

    def test_files_go_there_and_back(self):
        local = Path(self.folder.name) / "file"
        local.write_bytes(os.urandom(100_000))
        self.hv1.put(local, "/root/file")
        self.hv1.get("/root/file", f"{local}.back")
        self.assertEqual(local.read_bytes(), Path(f"{local}.back").read_bytes())

    def test_packages_install_without_a_network(self):
        self.shell(self.hv2, "DEBIAN_FRONTEND=noninteractive apt-get -qy install "
                              "--no-install-recommends ufw")
        self.assertIn("inactive", self.hv2.run("ufw status").stdout)

    def test_storage_survives_a_power_cut_and_an_undo_is_complete(self):
        hv1, hv2 = self.hv1, self.hv2
        before = hv1.fingerprint()
        self.shell(hv1, DO)

        changed = difference(before, hv1.fingerprint())
        for line in ("+ zfs quickOS/shared recordsize = 16384 (local)",
                     "+ export /quickOS/shared 10.77.0.0/24", "+ passdb heads hashes",
                     "+ testparm [shared] path = /quickOS/shared", "+ user heads",
                     "+ mount /quickOS/shared #1", "+ disk S1A table label = gpt",
                     "ufw-rule = allow tcp 2049"):
            self.assertIn(line, changed)

        self.shell(hv2, """
            mount -t nfs4 10.77.0.1:/quickOS/shared /mnt
            echo 'by nfs' > /mnt/nfs
            sync /mnt/nfs
            umount /mnt
            echo 'by smb' > /tmp/smb
            cd /tmp
            smbclient //10.77.0.1/shared -U 'heads%lab word' -c 'put smb'
        """)
        refused = hv2.run("smbclient //10.77.0.1/shared -U 'heads%other' -c ls", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(self.shell(hv1, "cat /quickOS/shared/nfs /quickOS/shared/smb"),
                         "by nfs\nby smb\n")
        self.shell(hv1, "sync; zpool sync")  # a power cut loses what is only in the guest's memory

        # One loses power, the other's reset button is pressed, both at once.
        self.lab.each(lambda node: node.power_cut() if node is hv1 else node.reset())
        self.assertEqual(self.shell(hv1, "cat /quickOS/shared/nfs /quickOS/shared/smb"),
                         "by nfs\nby smb\n")
        # Version 3 has no grace period, in which the server waits 90 s for old clients' claims.
        self.shell(hv2, """
            mount -t nfs -o vers=3,nolock 10.77.0.1:/quickOS/shared /mnt
            cat /mnt/nfs
            umount /mnt
        """)

        self.shell(hv1, UNDO)
        self.assertEqual(difference(before, hv1.fingerprint()), "")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no node stays behind
    unittest.main(verbosity=2)
