#!/usr/bin/env python3
"""The fingerprint's canonical forms, on what the tools print. Needs no VM."""
import importlib.machinery
import importlib.util
import io
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

sys.dont_write_bytecode = True
_path = str(Path(__file__).resolve().parent / "fingerprint")
_loader = importlib.machinery.SourceFileLoader("fingerprint", _path)
_spec = importlib.util.spec_from_loader("fingerprint", _loader)
fingerprint = importlib.util.module_from_spec(_spec)
_loader.exec_module(fingerprint)


def facts(parse, text, *more):
    return dict(parse(text, *more))


class Zfs(unittest.TestCase):
    def test_the_limit_in_force_counts_beside_the_parameter(self):
        text = "13 1 0x01 147 39984 3214 5124\nname type data\nc_min    4    64458112\nc_max    4    1031348224\n"
        self.assertEqual(facts(fingerprint.arc_limit, text), {"zfs c_max": "1031348224"})
        self.assertEqual(facts(fingerprint.arc_limit, ""), {})

    def test_space_is_left_out_and_sources_count(self):
        text = ("tank/a\tused\t24576\t-\t-\n"
                "tank/a\twritten@s1\t0\t-\t-\n"
                "tank/a\trecordsize\t16384\tlocal\t-\n"
                "tank/a\tcompression\tlz4\treceived\tlz4\n"
                "tank/a\tguid\t42\t-\t-\n")
        self.assertEqual(facts(fingerprint.datasets, text), {
            "tank/a recordsize": "16384 (local)",
            "tank/a compression": "lz4 (received, received lz4)",
            "tank/a guid": "42 (-)"})

    def test_the_same_value_from_another_source_differs(self):
        line = "tank/a\tatime\toff\t{}\t-\n"
        self.assertNotEqual(facts(fingerprint.datasets, line.format("local")),
                            facts(fingerprint.datasets, line.format("inherited from tank")))

    def test_names_with_blanks_survive(self):
        self.assertEqual(facts(fingerprint.datasets, "tank/a b\tatime\toff\tlocal\t-\n"),
                         {"tank/a b atime": "off (local)"})

    def test_a_feature_in_use_equals_an_enabled_one_but_not_a_disabled_one(self):
        line = "tank\tfeature@zstd_compress\t{}\tlocal\n"
        active, enabled, disabled = (facts(fingerprint.pools, line.format(state))
                                     for state in ("active", "enabled", "disabled"))
        self.assertEqual(active, enabled)
        self.assertNotEqual(enabled, disabled)

    def test_pool_guid_counts_and_load_guid_does_not(self):
        text = "tank\tguid\t1\t-\ntank\tload_guid\t2\t-\ntank\tbcloneratio\t1.00\t-\n"
        self.assertEqual(facts(fingerprint.pools, text), {"tank guid": "1 (-)"})

    LAYOUT = """  pool: tank
 state: ONLINE
  scan: scrub repaired 0B in 00:00:01 with 0 errors on Mon Nov 23 01:14:18 2026
config:

\tNAME                     STATE     READ WRITE CKSUM
\ttank                     ONLINE       0     0     0
\t  mirror-0               ONLINE       0     0     0
\t    /dev/x/A-part1       ONLINE       0     0     7
\t    /dev/x/B-part1       OFFLINE      0     0     0
\tlogs
\t  /dev/x/L-part1         ONLINE       0     0     0

errors: No known data errors
"""

    def test_layout_tells_which_disk_is_where(self):
        self.assertEqual(facts(fingerprint.layouts, self.LAYOUT), {
            "tank tank": "ONLINE",
            "tank tank > mirror-0": "ONLINE",
            "tank tank > mirror-0 > /dev/x/A-part1": "ONLINE",
            "tank tank > mirror-0 > /dev/x/B-part1": "OFFLINE",
            "tank logs": "-",
            "tank logs > /dev/x/L-part1": "ONLINE"})

    def test_exported_pools_are_told(self):
        text = "   pool: old\n     id: 99\n  state: ONLINE\n action: The pool can be imported\n"
        self.assertEqual(facts(fingerprint.importable, text),
                         {"old id": "99", "old state": "ONLINE"})


class Sharing(unittest.TestCase):
    def test_only_storage_mounts_and_each_of_two_on_one_place(self):
        text = ("tank/a /tank/a zfs rw,xattr,noacl 0 0\n"
                "tank/b /tank/a zfs rw 0 0\n"
                "tmpfs /run tmpfs rw 0 0\n"
                "hv1:/x /mnt nfs4 vers=4.2,rw 0 0\n")
        self.assertEqual(facts(fingerprint.mounts, text), {
            "/tank/a #1": "tank/a zfs noacl,rw,xattr",
            "/tank/a #2": "tank/b zfs rw",
            "/mnt #1": "hv1:/x nfs4 rw,vers=4.2"})

    def test_export_options_are_a_set(self):
        self.assertEqual(facts(fingerprint.exports, "/a  10.0.0.0/24(sync,rw)\n/a\t*(ro)\n"),
                         {"/a 10.0.0.0/24": "rw,sync", "/a *": "ro"})

    def test_what_the_kernel_alone_still_serves_is_told(self):
        kernel = ("# Version 1.1\n"
                  "/\t*(ro,root_squash,v4root,fsid=0)\n"
                  "/a\t10.0.0.0/24(rw,sync)\n"
                  "/a/b\t10.0.0.0/24,10.0.0.7(rw,sync)\n"
                  "/gone\t10.0.0.0/24(rw,sync)\n")
        etab = "/a\t10.0.0.0/24(rw)\n/a/b\t10.0.0.7(rw)\n"
        self.assertEqual(facts(fingerprint.kernel_leftovers, kernel, etab), {"/gone 10.0.0.0/24": "rw,sync"})

    def test_an_empty_section_of_smb_conf_counts(self):
        text = "# Global parameters\n[global]\n\tworkgroup = X\n\n\n[empty]\n"
        self.assertEqual(facts(fingerprint.ini, text),
                         {"[global]": "present", "[global] workgroup": "X", "[empty]": "present"})

    def test_password_hashes_are_never_printed(self):
        text = "heads:1000:XXXX:8CC19B6A8CFEAC299C2871C86B38DE28:[U          ]:LCT-6B03936A:\n"
        told = facts(fingerprint.passdb_hashes, text)
        self.assertNotIn("8CC19B6A", str(told))
        self.assertIn("LCT-6B03936A", told["heads uid, flags, last set"])
        other = facts(fingerprint.passdb_hashes, text.replace("8CC1", "8CC2"))
        self.assertNotEqual(told["heads hashes"], other["heads hashes"])

    def test_failed_logins_of_others_do_not_count(self):
        text = ("---------------\nUnix username:        heads\nFull Name:            H\n"
                "Bad password count  : 3\n")
        self.assertEqual(facts(fingerprint.passdb_fields, text),
                         {"heads Unix username": "heads", "heads Full Name": "H"})

    def test_shadow_is_hashed_and_passwd_is_not(self):
        self.assertEqual(facts(fingerprint.accounts, "a:x:1:1::/:/bin/sh\n", False),
                         {"a": "x:1:1::/:/bin/sh"})
        self.assertNotIn("$y$", str(facts(fingerprint.accounts, "a:$y$secret:1::::::\n", True)))


class Firewall(unittest.TestCase):
    RULES = ("*filter\n"
             "### RULES ###\n\n"
             "### tuple ### allow tcp 2049 0.0.0.0/0 any 10.0.0.0/24 in comment=70686f656e6978\n"
             "-A ufw-user-input -p tcp --dport 2049 -s 10.0.0.0/24 -j ACCEPT\n\n"
             "### tuple ### deny any any 0.0.0.0/0 any 10.0.0.9 in\n"
             "-A ufw-user-input -s 10.0.0.9 -j DROP\n\n### END RULES ###\nCOMMIT\n")

    def test_comment_is_readable(self):
        self.assertEqual(next(fingerprint.ufw_rules(self.RULES))[1],
                         "allow tcp 2049 0.0.0.0/0 any 10.0.0.0/24 in comment=phoenix")

    def test_the_order_of_rules_counts(self):
        blocks = self.RULES.split("### tuple ###")
        swapped = blocks[0] + "### tuple ###" + blocks[2] + "### tuple ###" + blocks[1]
        before, after = (fingerprint.render({"ufw-rule": list(fingerprint.ufw_rules(text))})
                         for text in (self.RULES, swapped))
        self.assertEqual(sorted(before), sorted(after))
        self.assertTrue(fingerprint.compare(before, after)[0])

    def test_an_empty_packet_filter_equals_none(self):
        empty = "# Generated\n*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [5:9]\nCOMMIT\n"
        self.assertEqual(list(fingerprint.packet_filter(empty)), [])
        drop = empty.replace(":INPUT ACCEPT", ":INPUT DROP")
        self.assertEqual(list(fingerprint.packet_filter(drop)), [("", "filter :INPUT DROP")])

    def test_packet_counters_do_not_count(self):
        text = "*filter\n[1:2] -A INPUT -p tcp -j ACCEPT\n:mine - [3:4]\n"
        self.assertEqual([value.split() for _, value in fingerprint.packet_filter(text)],
                         [["filter", "-A", "INPUT", "-p", "tcp", "-j", "ACCEPT"],
                          ["filter", ":mine", "-"]])


class Storage(unittest.TestCase):
    LOCAL = {"local type": "dir", "local path": "/var/lib/vz", "local prune-backups": "keep-all=1",
             "local content": "backup,images,iso,rootdir,snippets,vztmpl"}

    def test_lists_are_sets_and_flags_are_1(self):
        one = ("zfspool: tg\n\tpool tank/g\n\tcontent images,rootdir\n\tnodes b,a\n\tsparse 1\n")
        two = ("zfspool: tg\n\tpool tank/g\n\tsparse\n\tnodes a,b\n\tcontent rootdir,images\n\n")
        self.assertEqual(facts(fingerprint.storages, one), facts(fingerprint.storages, two))

    def test_the_default_content_may_be_written_or_not(self):
        text = "nfs: n\n\texport /e\n\tpath /mnt/pve/n\n\tserver s\n"
        self.assertEqual(facts(fingerprint.storages, text),
                         facts(fingerprint.storages, text + "\tcontent images\n"))

    def test_no_file_equals_the_implicit_local_written_out(self):
        written = ("dir: local\n\tpath /var/lib/vz\n\tprune-backups keep-all=1\n"
                   "\tcontent iso,backup,vztmpl,snippets,rootdir,images\n")
        self.assertEqual(facts(fingerprint.storages, ""), self.LOCAL)
        self.assertEqual(facts(fingerprint.storages, written), self.LOCAL)

    def test_a_changed_local_differs(self):
        self.assertNotEqual(facts(fingerprint.storages, "dir: local\n\tpath /var/lib/vz\n"
                                                        "\tcontent iso\n"), self.LOCAL)

    def test_the_last_of_two_sections_wins(self):
        text = "dir: d\n\tpath /a\n\ndir: d\n\tpath /b\n"
        self.assertEqual(facts(fingerprint.storages, text)["d path"], "/b")

    def test_a_disabled_storage_differs(self):
        text = "dir: d\n\tpath /a\n"
        self.assertNotEqual(facts(fingerprint.storages, text),
                            facts(fingerprint.storages, text + "\tdisable\n"))


class Units(unittest.TestCase):
    def test_states_of_units(self):
        text = ("Id=smbd.service\nLoadState=loaded\nActiveState=active\nSubState=running\n"
                "UnitFileState=enabled\n\nId=rpc-statd.service\nLoadState=loaded\n\n"
                "Id=ufw.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n"
                "UnitFileState=\n")
        self.assertEqual(facts(fingerprint.unit_states, text), {
            "smbd.service": "loaded enabled active running",
            "ufw.service": "not-found - inactive dead"})

    def test_phoenix_itself_is_left_out(self):
        self.assertEqual(list(fingerprint.unit_states("Id=phoenix-zfsd.service\n")), [])
        self.assertTrue(fingerprint.excluded(
            "file", "/etc/systemd/system/multi-user.target.wants/phoenix-zfsd.service"))


class Comparison(unittest.TestCase):
    BEFORE = ["zfs t/a atime = on (default)", "user x = 1", "disk A size = 5"]

    def test_equal(self):
        self.assertEqual(fingerprint.compare(self.BEFORE, list(self.BEFORE)), ([], []))

    def test_changes_are_told_by_section(self):
        after = ["zfs t/a atime = off (local)", "disk A size = 5", "user y = 2"]
        told, _ = fingerprint.compare(self.BEFORE, after)
        self.assertEqual(told, ["zfs: 1 differences",
                                "  ~ zfs t/a atime: on (default) -> off (local)",
                                "user: 2 differences", "  - user x = 1", "  + user y = 2"])

    def test_exceptions_hide_prefixes_and_idle_ones_are_named(self):
        after = ["zfs t/a atime = off (local)", "user x = 1", "disk A size = 5"]
        told, unused = fingerprint.compare(self.BEFORE, after, ["zfs t/a", "package"])
        self.assertEqual((told, unused), ([], ["package"]))

    def test_values_with_line_breaks_stay_one_line(self):
        lines = fingerprint.render({"testparm": [("[a] comment", "one\ntwo = 2")]})
        self.assertEqual(len(lines), 1)
        self.assertEqual(len("\n".join(lines).splitlines()), 1)

    def test_command_line(self):
        with tempfile.TemporaryDirectory() as folder:
            before, after, named = (Path(folder) / name for name in ("b", "a", "e"))
            before.write_text("user x = 1\n")
            after.write_text("user x = 2\n")
            named.write_text("# what the plan named\nuser x\n")
            out = io.StringIO()
            with redirect_stdout(out), redirect_stderr(out):
                differ = fingerprint.main(["--diff", str(before), str(after)])
                same = fingerprint.main(["--diff", str(before), str(before)])
                excepted = fingerprint.main(["--diff", str(before), str(after),
                                             "--except", str(named)])
                self.assertRaises(SystemExit, fingerprint.main,
                                  ["--diff", str(before), str(Path(folder) / "none")])
            self.assertEqual((differ, same, excepted), (1, 0, 0))
            self.assertIn("~ user x: 1 -> 2", out.getvalue())

    def test_every_exclusion_has_a_reason(self):
        for section, field, why in fingerprint.EXCLUSIONS:
            self.assertTrue(section and field and len(why) > 10, (section, field))


if __name__ == "__main__":
    unittest.main()
