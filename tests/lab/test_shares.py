#!/usr/bin/env python3
"""Previous versions, ACLs and who is let in, through shares on real ZFS and a real client."""
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from test_phoenix import PASSWORD, Fleet  # noqa: E402


class Shares(Fleet):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.write_password("another " + PASSWORD)
        cls.lab.phoenix("setup")

    def acl(self, node, path):
        """The entries as the kernel has them: which list, tag, rights and number, as in linux/posix_acl.h."""
        return self.lab[node].run(f"python3 - {path}", input="""
import os, struct, sys
for kind in "access", "default":
    name = "system.posix_acl_" + kind
    raw = os.getxattr(sys.argv[1], name) if name in os.listxattr(sys.argv[1]) else b""
    for begin in range(4, len(raw), 8):
        print(kind, *struct.unpack_from("<HHi", raw, begin))
""").stdout.splitlines()

    def test_previous_versions_are_seen_by_a_client_and_a_user_not_listed_by_nobody(self):
        word = "another " + PASSWORD
        snapshot = "GMT-2026.01.02-03.04.05"

        def seed_with(state):
            def change(config):
                config["samba"]["users"] = [{"name": "stranger", "state": state}]
                share = {"name": "letters", "path": "quickOS/shared-prod-data/letters", "previous_versions": True, "state": state}
                config["samba"]["shares"].append(share)
                if state == "absent":
                    return
                dataset, = [one for one in config["zfs"]["datasets"] if one["name"] == "shared-prod-data"]
                dataset["properties"] += ",acltype=posix,xattr=sa"
                config["samba"]["shares"][0].update(previous_versions=True, acl="windows")
            return change

        self.lab.write("/root/secrets.json", json.dumps({"samba": {"users": {"heads": word, "stranger": word}}}))
        # A share may be a folder of its dataset: Samba finds the dataset's mount point.
        self.lab.lab.each(lambda node: node.run(
            "mkdir -m 2770 /quickOS/shared-prod-data/letters && chgrp heads /quickOS/shared-prod-data/letters"))
        self.shell("hv1", f"""
            cd /quickOS/shared-prod-data/letters
            echo first > a; chown heads a
            zfs snapshot quickOS/shared-prod-data@{snapshot}
            zfs snapshot quickOS/shared-prod-data@of-another-name
            echo second > a
        """)
        self.lab.write_config(seed_with("present"))
        steps = {step["step"]["id"] for step in self.lab.plan()["steps"]}
        self.assertLessEqual({"package:samba-vfs-modules", "share:letters", "user:stranger"}, steps)
        self.assertIn("COMMITTED", self.lab.phoenix("setup").stdout)
        self.assertIn("Plan: 0 steps", self.lab.phoenix("setup").stdout)

        client = "cd /tmp; smbclient //10.77.0.1/%s -A /tmp/login -c '%s'"
        self.shell("hv2", f"printf 'username = heads\npassword = {word}\n' > /tmp/login; chmod 600 /tmp/login")
        for share, file in (("letters", "a"), ("shared-prod-data", "letters/a")):
            told = self.shell("hv2", client % (share, "allinfo " + file))
            self.assertIn("@" + snapshot, told)
            self.assertEqual(told.count("@GMT-"), 1, told)
            self.shell("hv2", client % (share, f"get @{snapshot}/{file} old; get {file} new"))
            self.assertEqual(self.shell("hv2", "cat /tmp/old /tmp/new"), "first\nsecond\n")
        # An ACL that a client sets is there when it is read again.
        self.shell("hv2", "cd /tmp; smbcacls //10.77.0.1/shared-prod-data letters/a -A /tmp/login -a ACL:stranger:ALLOWED/0x0/READ")
        self.assertIn("stranger:ALLOWED", self.shell("hv2", "smbcacls //10.77.0.1/shared-prod-data letters/a -A /tmp/login"))

        # Who is no valid user has an account that works, and is let in nowhere.
        refused = self.lab["hv2"].run(f"smbclient //10.77.0.1/letters -U 'stranger%{word}' -c ls", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("NT_STATUS_ACCESS_DENIED", refused.stdout + refused.stderr)
        listed = self.lab["hv2"].run(f"smbclient -L //10.77.0.1 -U 'stranger%{word}'", check=False)
        self.assertEqual(listed.returncode, 0, listed.stdout + listed.stderr)

        # As it was before, for the tests that follow.
        self.lab.write_config(seed_with("absent"))
        self.lab.phoenix("setup")
        self.shell("hv1", f"zfs destroy quickOS/shared-prod-data@{snapshot},of-another-name")
        self.lab.lab.each(lambda node: node.run("rm -r /quickOS/shared-prod-data/letters"))
        self.lab.write_password(word)
        self.lab.write_config()
        self.assertIn("Plan: 0 steps", self.lab.phoenix("setup").stdout)

    def test_an_acl_of_the_dataset_lets_in_whom_owner_and_group_leave_out(self):
        word = "another " + PASSWORD

        def with_acl(*acl, state="present"):
            def change(config):
                config["zfs"]["datasets"].append({
                    "name": "letters", "pool": "quickOS", "properties": "acltype=posix,xattr=sa", "owner": "root", "group": "heads",
                    "mode": "2770", "acl": list(acl), "state": state})
                config["samba"]["users"] = [{"name": "reader", "state": state}]
                config["samba"]["shares"].append({"name": "letters", "path": "quickOS/letters", "valid_users": ["heads", "reader"], "state": state})
            return change

        self.lab.write("/root/secrets.json", json.dumps({"samba": {"users": {"heads": word, "reader": word}}}))
        # Samba's users come with the same run.
        self.lab.write_config(with_acl("user:reader:r-x", "default:user:reader:r-x"))
        self.assertIn("COMMITTED", self.lab.phoenix("setup").stdout)
        self.assertIn("Plan: 0 steps", self.lab.phoenix("setup").stdout)
        reader = self.shell("hv1", "id -u reader").strip()
        self.assertEqual(self.acl("hv1", "/quickOS/letters"), [
            "access 1 7 -1", f"access 2 5 {reader}", "access 4 7 -1", "access 16 7 -1", "access 32 0 -1",
            "default 1 7 -1", f"default 2 5 {reader}", "default 4 7 -1", "default 16 7 -1", "default 32 0 -1"])
        self.assertEqual(self.shell("hv1", "stat -c %a /quickOS/letters"), "2770\n")

        def smb(user, command):
            return self.lab["hv2"].run(f"cd /tmp; smbclient //10.77.0.1/letters -U '{user}%{word}' -c '{command}'", check=False)
        self.shell("hv2", "echo dear > /tmp/letter")
        self.assertEqual(smb("heads", "put letter").returncode, 0)
        self.assertEqual(smb("reader", "get letter copy").returncode, 0)
        self.assertEqual(self.shell("hv2", "cat /tmp/copy"), "dear\n")
        refused = smb("reader", "put letter other")
        self.assertIn("NT_STATUS_ACCESS_DENIED", refused.stdout + refused.stderr)

        # What somebody adds goes, and a run that fails gives back what was there.
        self.shell("hv1", """python3 -c 'import os
name = "system.posix_acl_access"
had = os.getxattr("/quickOS/letters", name)
os.setxattr("/quickOS/letters", name, had.replace(b"\\2\\0\\5\\0", b"\\2\\0\\7\\0"))'
        """)
        before = self.acl("hv1", "/quickOS/letters")
        self.assertIn(f"access 2 7 {reader}", before)
        def failing(config):
            with_acl()(config)
            config["samba"]["shares"].append({"name": "more", "path": "/quickOS/letters", "valid_users": ["heads"]})
        self.lab.write_config(failing)
        restore = self.lab.break_last_samba_step(self.lab["hv1"])
        done = self.lab.phoenix("setup", check=False)
        restore()
        self.assertIn("ROLLED_BACK", done.stdout)
        self.assertIn("root:quickOS/letters", done.stdout)
        self.assertEqual(self.acl("hv1", "/quickOS/letters"), before)
        self.lab.write_config(with_acl())
        self.assertIn("COMMITTED", self.lab.phoenix("setup").stdout)
        self.assertEqual(self.acl("hv1", "/quickOS/letters"), [])

        self.lab.write_config(with_acl(state="absent"))
        self.lab.phoenix("setup")
        self.lab.write_password(word)
        self.lab.write_config()
        self.assertIn("Plan: 0 steps", self.lab.phoenix("setup").stdout)

    def test_z_an_active_firewall_lets_the_clients_in_and_nobody_else(self):
        # The lab itself comes by ssh.
        self.shell("hv1", "ufw allow 22/tcp && ufw --force enable")
        self.addCleanup(self.shell, "hv1", "ufw --force disable")
        done = self.lab.phoenix("setup").stdout
        self.assertIn("COMMITTED", done)
        # Two services changed the one firewall at the same time.
        self.assertIn("doing rule:10.77.0.0/24:2049/tcp", done)
        self.assertIn("doing rule:10.77.0.0/24:445/tcp", done)
        self.assertIn("Plan: 0 steps", self.lab.phoenix("setup").stdout)
        rules = self.shell("hv1", "ufw status")
        for port in (2049, 445):
            self.assertRegex(rules, rf"{port}/tcp\s+ALLOW\s+10\.77\.0\.0/24")
        mount = "mount -t nfs -o vers=%s,nolock,soft,retry=0 10.77.0.1:/quickOS/shared-prod-data /mnt && umount /mnt"
        self.shell("hv2", mount % "4.2")
        # mountd takes any port until it is given one, and the plan says how.
        self.assertIn("NFSv4 passes ufw, NFSv3 and `showmount` do not", done)
        self.shell("hv1", "printf '[mountd]\nport=20048\n' > /etc/nfs.conf.d/lab.conf && systemctl restart nfs-mountd")
        self.assertIn("COMMITTED", self.lab.phoenix("setup").stdout)
        self.shell("hv2", mount % "3")
        self.shell("hv2", f"smbclient //10.77.0.1/shared-prod-data -U 'heads%another {PASSWORD}' -c ls")
        # The same machines by addresses that are no clients'.
        for node, address in (("hv1", "10.78.0.1/24"), ("hv2", "10.78.0.2/24")):
            self.shell(node, f"ip addr add {address} dev $(ip -o -4 addr show | awk '/ 10[.]77[.]0[.]/ {{ print $2 }}')")
        reach = "timeout 5 bash -c '</dev/tcp/%s/%d' && echo in || echo out"
        for port in (2049, 445):
            self.assertEqual(self.shell("hv2", reach % ("10.77.0.1", port)), "in\n", port)
            self.assertEqual(self.shell("hv2", reach % ("10.78.0.1", port)), "out\n", port)

    def test_the_nodes_own_share_is_a_storage_that_logs_in_with_a_password(self):
        word, storage = "another " + PASSWORD, "fastData-shared-media"

        def with_storage(config):
            config["network"]["nfs_server"] = "127.0.0.1"
            config["zfs"]["datasets"].append({
                "name": "shared-media", "pool": "fastData", "properties": "recordsize=1M", "proxmox_storage_type": "cifs",
                "proxmox_content_type": "iso", "proxmox_storage_user": "heads"})
            config["samba"]["shares"].append({"name": "media", "path": "/fastData/shared-media", "valid_users": ["heads"]})

        self.lab.write_config(with_storage)
        # pvesm would take the password as an argument.
        refused = self.lab.phoenix("plan", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("has no token for the API", refused.stdout + refused.stderr)
        self.lab.lab.each(lambda node: node.run("""set -e
            systemctl start pvedaemon
            umask 077
            pveum user token add root@pam phoenix --privsep 0 --output-format json |
              python3 -c 'import json, sys; t = json.load(sys.stdin); print(t["full-tokenid"] + "=" + t["value"])' > /etc/phoenix/pve-token
        """))
        self.assertIn("token of root@pam!phoenix", self.lab.phoenix("nodes").stdout)
        done = self.lab.phoenix(f"setup --allow storage:{storage}")
        self.assertIn("COMMITTED", done.stdout)
        for node in ("hv1", "hv2"):
            self.assertIn("//127.0.0.1/media", self.shell(node, f"findmnt -n -o SOURCE /mnt/pve/{storage}"))
            self.assertEqual(self.shell(node, f"cat /etc/pve/priv/storage/{storage}.pw"), f"password={word}\n")
            # Neither the token nor the password is told to anybody.
            log = self.shell(node, "journalctl --no-pager -o cat -u 'phoenix-*'")
            self.assertNotIn(word, log)
            self.assertNotIn(self.shell(node, "cut -d= -f2 /etc/phoenix/pve-token").strip(), log)
        self.assertIn("Plan: 0 steps", self.lab.phoenix("setup").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
