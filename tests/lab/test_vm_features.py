#!/usr/bin/env python3
"""Features delivered to VMs: hv1 is the hypervisor, vm1001 the VM that gets them, vm1002 another one beside it. Both boot from
Debian's own cloud-init, with the data that `qm` gives out. The tests build on each other in the order of their numbers."""
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lab import difference  # noqa: E402
from phoenix_lab import ROOT, PhoenixLab  # noqa: E402

BUILD = Path(os.environ.get("PHOENIX_BUILD", ROOT / "build" / "release"))
SHARE, INBOX = "/quickOS/vm-features/%d", "/quickOS/vm-features/inbox-%d"
BASE_SETUP = "#!/bin/sh\n. ./utils.sh\nsay base_setup\ngrep -q '\"vmid\": '$1 vm_context.json\n"
DOCKER = "#!/bin/bash\nset -e\nsource \"$(dirname \"$0\")/utils.sh\"\nsay \"docker in $1 as $(id -un)\"\n"
UTILS = "say() { echo \"$1\" | tee -a /root/trace; }\n"
VM = "boot: order=scsi0\nide2: local:vm-%d-cloudinit,media=cdrom\nmemory: 512\nname: guest\n"


class VmFeatures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.lab = PhoenixLab(Path(cls.folder.name) / "lab", BUILD, nodes=1)
        cls.addClassCleanup(cls.lab.close)
        cls.hypervisor = cls.lab["hv1"]
        cls.lab.write_password("correct horse battery")
        cls.lab.write_config(cls.with_features)
        cls.hypervisor.run("mkdir -p /root/features /etc/pve/qemu-server")
        for name, text in (("base_setup.sh", BASE_SETUP), ("feature_install_docker.sh", DOCKER), ("utils.sh", UTILS)):
            cls.lab.write("/root/features/" + name, text)
        cls.vms = [cls.vm(1001, "10.77.0.2"), cls.vm(1002, "10.77.0.3")]
        for vmid in (1001, 1002):
            cls.lab.write("/etc/pve/qemu-server/%d.conf" % vmid, VM % vmid, mode="640")
        cls.write_vms()

    @classmethod
    def with_features(cls, config):
        config["vm_features"] = {"dataset": "quickOS/vm-features", "scripts": "features", "common_files": "utils.sh",
                                 "server": cls.hypervisor.address}

    @staticmethod
    def vm(vmid, address):
        return {"vmid": vmid, "name": "web%d" % vmid, "network_config": {"ip": address + "/24"}, "features": ["base_setup", "docker"]}

    @classmethod
    def write_vms(cls):
        cls.lab.write("/root/vms.json", json.dumps({"vms": cls.vms}))

    def setup_vms(self, flags="", code=0):
        done = self.lab.phoenix("setup --vms /root/vms.json " + flags, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def plan(self):
        plan = json.loads(self.lab.phoenix("plan --vms /root/vms.json --output json").stdout)
        return sorted(step["step"]["id"] for step in plan.get("steps", []))

    @property
    def guest(self):
        return self.lab["vm1001"]

    @property
    def neighbour(self):
        return self.lab["vm1002"]

    def data_of(self, vmid):
        """What Proxmox VE puts on the VM's drive: the file that cicustom names. (`qm cloudinit dump` shows only what it would make itself.)"""
        volume = self.hypervisor.run("qm config %d | sed -n 's/^cicustom:.*user=\\([^,]*\\).*/\\1/p'" % vmid).stdout.strip()
        return self.hypervisor.run("cat \"$(pvesm path %s)\"" % volume).stdout

    def assert_cloud_init_is_content(self, guest):
        status = guest.run("cloud-init status --wait --long; cloud-init schema --system", check=False).stdout
        self.assertIn("status: done", status, guest.run("cat /var/log/cloud-init-output.log").stdout)
        self.assertIn("Valid cloud-config", status)

    def mount(self, node, path, options):
        return node.run("mount -t nfs -o %s %s:%s /mnt" % (options, self.hypervisor.address, path), check=False)

    def result(self, step):
        return self.hypervisor.run("cat %s/%s.result" % (INBOX % 1001, step)).stdout

    def test_1_setup_delivers_and_a_second_one_has_nothing_to_do(self):
        self.assertIn("COMMITTED", self.setup_vms())
        self.assertEqual(self.plan(), [])
        self.assertIn("user=quickOS-vm-features-snippets:snippets/phoenix-1001-user.yaml", self.hypervisor.run("qm config 1001").stdout)
        modes = self.hypervisor.run("stat -c '%%a %%U:%%G' %s %s/* %s" % (SHARE % 1001, SHARE % 1001, INBOX % 1001)).stdout.split("\n")[:-1]
        self.assertEqual(modes, ["750 root:nogroup"] + ["640 root:nogroup"] * 4 + ["700 nobody:nogroup"])

    def test_2_the_guest_mounts_its_share_runs_its_features_and_answers(self):
        self.lab.lab.add_guests({"vm%d" % vmid: (number, self.data_of(vmid)) for vmid, number in ((1001, 2), (1002, 3))})
        self.assert_cloud_init_is_content(self.guest)
        # It came without.
        self.assertIn("nfs-common", self.guest.run("grep ' installed ' /var/log/dpkg.log").stdout)
        self.assertEqual(self.guest.run("hostname").stdout, "web1001\n")
        self.assertEqual(self.guest.run("cat /root/trace").stdout, "base_setup\ndocker in 1001 as root\n")
        self.assertIn("exit_code=0\n", self.result("base_setup"))
        self.assertIn("docker in 1001 as root\n", self.result("docker"))
        self.assertEqual(self.hypervisor.run("stat -c %%U %s/docker.result" % (INBOX % 1001)).stdout, "nobody\n")
        # A look mounts it where the kernel has autofs.
        options = self.guest.run("ls /mnt/nfs/features >/dev/null; systemctl start mnt-nfs-features.mount; findmnt -n -t nfs,nfs4 -o OPTIONS /mnt/nfs/features").stdout
        for word in ("ro", "nosuid", "nodev", "hard"):
            self.assertIn(word, options.strip().split(","))
        self.assertNotEqual(self.guest.run("touch /mnt/nfs/features/x", check=False).returncode, 0)
        # And again, as at the next boot: nothing is run twice.
        self.guest.run("systemctl start phoenix-features")
        self.assertEqual(self.guest.run("cat /root/trace").stdout, "base_setup\ndocker in 1001 as root\n")

    def test_3_a_neighbour_is_refused(self):
        for path, options in ((SHARE % 1001, "vers=3,nolock"), (SHARE % 1001, "vers=4"), (INBOX % 1001, "vers=3,nolock"),
                              (INBOX % 1001, "vers=4"), ("/quickOS/vm-features", "vers=3,nolock")):
            self.assertNotEqual(self.mount(self.neighbour, path, options).returncode, 0, path + " " + options)
        self.assertNotEqual(self.mount(self.guest, SHARE % 1002, "vers=4").returncode, 0)
        # What is its own it may mount, and root there is nobody: it cannot write into the share, whatever it asks for.
        self.assertEqual(self.mount(self.neighbour, SHARE % 1002, "vers=4,rw").returncode, 0)
        self.assertNotEqual(self.neighbour.run("touch /mnt/x", check=False).returncode, 0)
        self.neighbour.run("cat /mnt/feature_install_docker.sh >/dev/null; umount /mnt")
        # Through the root of all exports, which version 4 shows, it sees the way to its own, and nothing of the others.
        self.neighbour.run("mount -t nfs -o vers=4 %s:/ /mnt" % self.hypervisor.address)
        self.assertNotEqual(self.neighbour.run("ls /mnt/quickOS/vm-features/1001/*", check=False).returncode, 0)
        self.neighbour.run("umount /mnt")

    def test_4_a_share_that_was_tampered_with_is_not_run_and_the_next_setup_mends_it(self):
        self.hypervisor.run("echo 'touch /root/evil' >>%s/utils.sh" % (SHARE % 1001))
        self.guest.run("rm -f /var/lib/phoenix-features/*.done /root/trace")
        self.assertNotEqual(self.guest.run("systemctl start phoenix-features", check=False).returncode, 0)
        self.assertIn("utils.sh: FAILED", self.result("phoenix-verify"))
        self.guest.run("test ! -e /root/evil && test ! -e /root/trace")
        self.assertEqual(self.plan(), ["content:quickOS/vm-features/1001"])
        # The guest has looked at it a moment ago: the server lets go of it all the same.
        self.assertIn("COMMITTED", self.setup_vms("--allow content:quickOS/vm-features/1001"))
        self.guest.run("systemctl start phoenix-features")
        self.assertEqual(self.guest.run("cat /root/trace").stdout, "base_setup\ndocker in 1001 as root\n")

    def test_5_a_changed_script_reaches_the_guest_at_its_next_boot(self):
        self.lab.write("/root/features/feature_install_docker.sh", DOCKER + "say again\n")
        steps = self.plan()
        self.assertEqual(steps, ["content:quickOS/vm-features/%s" % name for name in ("1001", "1002", "snippets")])
        # Before it is delivered the guest goes on with what it has.
        self.guest.run("systemctl start phoenix-features")
        self.assertIn("COMMITTED", self.setup_vms(" ".join("--allow " + step for step in steps)))
        # What it was told does not fit what is there: nothing is run before it is told anew.
        self.assertNotEqual(self.guest.run("systemctl start phoenix-features", check=False).returncode, 0)
        self.guest.shut_down()
        self.guest.write_seed(self.data_of(1001))
        self.guest.boot()
        self.assert_cloud_init_is_content(self.guest)
        self.assertTrue(self.guest.run("cat /root/trace").stdout.endswith("docker in 1001 as root\nagain\n"))

    def test_6_a_failing_last_step_leaves_the_hypervisor_as_it_was(self):
        self.vms.append({"vmid": 1003, "ip": "10.77.0.103", "features": ["docker"]})
        self.write_vms()
        self.lab.write("/etc/pve/qemu-server/1003.conf", VM % 1003, mode="640")
        before = self.hypervisor.fingerprint()
        self.hypervisor.run("cat >/run/qm; chmod 755 /run/qm; mount --bind /run/qm /usr/sbin/qm", input="#!/bin/sh\necho broken on purpose >&2\nexit 1\n")
        allowed = "--allow content:quickOS/vm-features/snippets"
        self.assertIn("ROLLED_BACK", self.setup_vms(allowed, code=3))
        self.hypervisor.run("umount /usr/sbin/qm; rm /run/qm")
        self.assertEqual(difference(before, self.hypervisor.fingerprint()), "")
        self.assertIn("COMMITTED", self.setup_vms(allowed))
        self.assertIn("phoenix-1003-user.yaml", self.hypervisor.run("qm config 1003").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
