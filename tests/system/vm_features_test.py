"""Features that are delivered to VMs over NFS, on simulated nodes, as a user does it; and the cloud-init data that they
get, carried out in a folder."""

import hashlib
import json
import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from cloud_config import parse, parse_by_indentation  # noqa: E402
from fleet_case import CONFIG, FleetTest  # noqa: E402
from sim_fleet import meaning  # noqa: E402

DATASET = "quickOS/vm-features"
SNIPPETS = "/quickOS/vm-features/snippets/snippets/"
SCRIPTS = {
    "feature_install_base_setup.sh": "#!/bin/sh\n. \"$(dirname \"$0\")/utils.sh\"\nsay \"base of $1\"\ngrep -q /persistent vm_context.json\n",
    "docker.sh": "#!/bin/sh\necho docker >>\"$TRACE\"\n",
    "broken.sh": "#!/bin/sh\necho 'cannot go on'\nexit 7\n",
    "utils.sh": "say() { echo \"$1\" | tee -a \"$TRACE\"; }\n",
}
VM_FILE = "#made by hand\ncicustom: network=local:snippets/n.yaml\nide2: local:vm-%d-cloudinit,media=cdrom\nmemory: 512\n"


def content(dump):
    """The meaning of a simulated world without what only a second mount writes down."""
    lines = []
    for line in meaning(dump).split("\n"):
        if line.startswith("zfs.dataset "):
            kind, name, value = line.split(" ", 2)
            dataset = json.loads(value)
            line = json.dumps([kind, name, {key: value for key, value in dataset.items() if key not in ("covered", "root")}])
        lines.append(line)
    return "\n".join(lines)


class VmFeaturesTest(FleetTest):
    def setUp(self):
        super().setUp()
        os.mkdir(self.fleet.path("scripts"))
        for name, text in SCRIPTS.items():
            self.write("scripts/" + name, text)
        with open(CONFIG, encoding="utf-8") as text:
            self.config = json.load(text)
        self.config["vm_features"] = {"dataset": DATASET, "scripts": "scripts", "common_files": ["utils.sh"]}
        self.vms = {"vms": [
            {"vmid": 1001, "name": "portainer", "node": "hv1", "network_config": {"ip": "10.77.0.101/24"}, "features": ["base_setup", "docker"],
             "user_config": {"username": "u", "password": "hunter2"}, "volumes": [{"type": "nfs", "server": "10.9.9.9", "path": "/x", "mount_point": "/persistent"}]},
            {"vmid": 1002, "name": "worker", "node": "hv2", "ip": "10.77.0.102", "features": ["docker"]}]}
        self.give_addresses()
        for node, vmid in (("hv1", 1001), ("hv2", 1002)):
            self.put_file(node, "/etc/pve/nodes/%s/qemu-server/%d.conf" % (node, vmid), VM_FILE % vmid)

    def write(self, name, text):
        with open(self.fleet.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        return self.fleet.path(name)

    def give_addresses(self, **addresses):
        """By the overrides of the fleet file."""
        with open(self.fleet.fleet_file, encoding="utf-8") as text:
            fleet = json.load(text)
        for node in fleet["nodes"]:
            node["overrides"] = {"network": {"nfs_server": {"hv1": "10.77.0.11", "hv2": "10.77.0.12", **addresses}[node["name"]]}}
        self.write("fleet.json", json.dumps(fleet))

    def put_file(self, node, path, text):
        with self.fleet.machine(node) as database:
            database.execute("INSERT OR REPLACE INTO files(path, directory, uid, gid, mode, content) VALUES(?, 0, 0, 33, 416, ?)", (path, text.encode()))

    def file(self, node, path):
        """(content, uid:gid, mode)"""
        with self.fleet.machine(node) as database:
            row = database.execute("SELECT content, uid, gid, mode FROM files WHERE path = ?", (path,)).fetchone()
        if row is None:
            return None
        text = row[0].decode() if isinstance(row[0], bytes) else row[0]
        return text, "%d:%d" % (row[1], row[2]), row[3]

    def files(self):
        return ("-f", self.write("config.json", json.dumps(self.config)), "--vms", self.write("vms.json", json.dumps(self.vms)),
                "--secrets", self.secrets)

    def plan_of(self, *flags):
        plan = json.loads(self.phoenix("--output", "json", "plan", *self.files(), *flags))
        steps = [(step["node"], step["step"]["id"]) for step in plan.get("steps", [])]
        return steps, [(note["node"], note["note"]["text"]) for note in plan.get("notes", [])]

    def apply(self, *flags, expect=0):
        return self.phoenix("setup", *self.files(), *flags, expect=expect)

    def test_each_vm_gets_what_only_it_may_mount_and_a_second_run_has_nothing_to_do(self):
        self.assertIn("COMMITTED", self.apply())
        for node, vmid, other in (("hv1", 1001, 1002), ("hv2", 1002, 1001)):
            base = "/quickOS/vm-features/%d" % vmid
            text, owner, mode = self.file(node, base + "/docker.sh")
            self.assertEqual((text, owner, mode), (SCRIPTS["docker.sh"], "0:65534", 0o640))
            self.assertIsNone(self.file(node, "/quickOS/vm-features/%d/docker.sh" % other))
            exports = self.file(node, "/etc/exports.d/phoenix.exports")[0]
            entries = dict(re.findall(r'^"(/quickOS/vm-features/[^"]+)" (.*)$', exports, re.MULTILINE))
            self.assertEqual(set(entries), {base, "/quickOS/vm-features/inbox-%d" % vmid})
            address = "10.77.0.%d" % (vmid - 900)
            for path, words in ((base, ("ro", "root_squash")), ("/quickOS/vm-features/inbox-%d" % vmid, ("rw", "all_squash", "anonuid=65534"))):
                self.assertEqual(entries[path].count("("), 1, entries[path])
                self.assertTrue(entries[path].startswith(address + "("), entries[path])
                for word in words:
                    self.assertIn(word, re.split(r"[(),]", entries[path]))
            cicustom = re.search(r"^cicustom: (.*)$", self.file(node, "/etc/pve/nodes/%s/qemu-server/%d.conf" % (node, vmid))[0], re.MULTILINE)[1]
            self.assertEqual(cicustom, "network=local:snippets/n.yaml,user=quickOS-vm-features-snippets:snippets/phoenix-%d-user.yaml" % vmid)
            data, _, mode = self.file(node, SNIPPETS + "phoenix-%d-user.yaml" % vmid)
            self.assertEqual(mode, 0o640)
            self.assertEqual(set(re.findall(r"What=(\S+?):/", data)), {{"hv1": "10.77.0.11", "hv2": "10.77.0.12"}[node]})
        self.assertNotIn("hunter2", self.fleet.dump("hv1"))
        steps, notes = self.plan_of()
        self.assertEqual(steps, [])
        self.assertEqual([note for note in notes if "cloud-init" in note[1] or "orphaned" in note[1]], [])

    def test_a_changed_script_changes_its_share_and_the_digest_that_the_vm_trusts(self):
        self.apply()
        self.write("scripts/feature_install_base_setup.sh", SCRIPTS["feature_install_base_setup.sh"] + "# changed\n")
        self.vms["vms"][1]["features"] = []
        steps, _ = self.plan_of()
        self.assertEqual(sorted(steps), [("hv1", "content:quickOS/vm-features/1001"), ("hv1", "content:quickOS/vm-features/snippets")])
        allowed = [word for _, step in steps for word in ("--allow", step)]
        self.assertIn("COMMITTED", self.apply(*allowed))
        digest = hashlib.sha256(self.file("hv1", "/quickOS/vm-features/1001/feature_install_base_setup.sh")[0].encode()).hexdigest()
        self.assertIn("%s  feature_install_base_setup.sh\n" % digest, self.user_data())

    def test_a_step_that_fails_last_leaves_both_worlds_as_they_were(self):
        # With packages, pools and the rest in place.
        self.setup_run()
        self.plan_of()
        before = self.fleet.dumps()
        # The VM's data are set last: by then everything else is there.
        self.fleet.fault("hv2", "qm.set:1002")
        self.assertIn("ROLLED_BACK", self.apply(expect=3))
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(content(dump), content(before[node]), node)
        run = self.run_of(self.apply())
        self.assertIn("COMMITTED", self.phoenix("rollback", run))
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(content(dump), content(before[node]), node)

    def test_a_vm_that_is_not_there_yet_gets_the_rest(self):
        self.vms["vms"].append({"vmid": 1003, "ip": "10.77.0.103", "features": ["docker"]})
        del self.vms["vms"][1]["node"]
        _, notes = self.plan_of()
        self.assertIn(("hv1", "is not on this node; its features are ready, and it gets its cloud-init data by the first run after it is made"), notes)
        self.apply()
        self.assertIsNotNone(self.file("hv1", "/quickOS/vm-features/1003/docker.sh"))
        self.assertIsNotNone(self.file("hv1", "/quickOS/vm-features/1002/docker.sh"))
        self.put_file("hv2", "/etc/pve/nodes/hv2/qemu-server/1003.conf", VM_FILE % 1003)
        self.assertEqual(self.plan_of()[0], [("hv2", "vm:1003")])

    def test_what_was_delivered_goes_by_name(self):
        self.apply()
        self.vms["vms"][0] = {"vmid": 1001, "node": "hv1", "state": "absent"}
        steps, _ = self.plan_of()
        self.assertLessEqual({("hv1", "vm:1001"), ("hv1", "delete:quickOS/vm-features/1001"), ("hv1", "delete:quickOS/vm-features/inbox-1001"),
                              ("hv1", "export:/quickOS/vm-features/1001")}, set(steps))
        self.assertIn("COMMITTED", self.apply())
        self.assertIn("cicustom: network=local:snippets/n.yaml\n", self.file("hv1", "/etc/pve/nodes/hv1/qemu-server/1001.conf")[0])
        self.assertNotIn("1001", self.file("hv1", "/etc/exports.d/phoenix.exports")[0])
        self.assertEqual(self.plan_of()[0], [])

    def test_two_nodes_do_not_send_their_vms_to_one(self):
        self.give_addresses(hv2="10.77.0.11")
        refused = self.fleet.phoenix("plan", *self.files())
        self.assertEqual(refused.returncode, 1)
        self.assertIn("$.vm_features.server: nodes hv1 and hv2 say the same: their VMs mount their features from 10.77.0.11", refused.stderr)
        self.vms["vms"][1]["node"] = "hv1"
        self.put_file("hv1", "/etc/pve/nodes/hv1/qemu-server/1002.conf", VM_FILE % 1002)
        self.plan_of()

    def test_mistakes_name_their_place(self):
        self.vms["vms"][1]["node"] = "hv9"
        self.vms["vms"][0]["features"].append("unheard-of")
        refused = self.fleet.phoenix("plan", *self.files())
        self.assertEqual(refused.returncode, 1)
        self.assertIn("vms $.vms[0].features[2]", refused.stderr)
        self.assertIn("feature_install_unheard-of.sh", refused.stderr)
        self.assertIn("the fleet has no such node", refused.stderr)
        without = self.phoenix("plan", "-f", self.files()[1], "--secrets", self.secrets)
        self.assertIn("no VMs are given", without)

    def user_data(self):
        return self.file("hv1", SNIPPETS + "phoenix-1001-user.yaml")[0]

    def cloud_config(self):
        return parse(self.user_data())

    def test_the_user_data_are_cloud_config(self):
        self.apply()
        config = self.cloud_config()
        by_indentation = parse_by_indentation(self.user_data())
        self.assertEqual({key: config[key] for key in by_indentation}, by_indentation)
        self.assertEqual(config["hostname"], "portainer")
        self.assertIn("nfs-common", config["packages"])
        files = {file["path"]: file for file in config["write_files"]}
        mount = files["/etc/systemd/system/mnt-nfs-features.mount"]["content"]
        self.assertIn("\nWhat=10.77.0.11:/quickOS/vm-features/1001\nWhere=/mnt/nfs/features\nType=nfs\n", mount)
        options = re.search(r"^Options=(.*)$", mount, re.MULTILINE)[1].split(",")
        self.assertLessEqual({"ro", "hard", "nosuid", "nodev", "_netdev", "nofail"}, set(options))
        self.assertIn("rw,noexec,hard,nosuid,nodev", files["/etc/systemd/system/mnt-nfs-inbox.mount"]["content"])
        self.assertIn("\nWhere=/mnt/nfs/features\n", files["/etc/systemd/system/mnt-nfs-features.automount"]["content"])
        self.assertEqual(files["/usr/local/sbin/phoenix-features"]["permissions"], "0700")
        self.assertEqual(config["runcmd"][-1], ["systemctl", "start", "phoenix-features.service"])

    def guest(self):
        """A folder that looks like a VM in which the user data were carried out; its mounts are folders."""
        script = {file["path"]: file["content"] for file in self.cloud_config()["write_files"]}["/usr/local/sbin/phoenix-features"]
        guest = self.fleet.path("guest")
        for folder in ("bin", "features", "inbox", "state"):
            os.makedirs(os.path.join(guest, folder), exist_ok=True)
        for place, folder in (("/var/lib/phoenix-features", "state"), ("'/mnt/nfs/features'", "features"), ("'/mnt/nfs/inbox'", "inbox")):
            script = script.replace(place, os.path.join(guest, folder))
        for tool in ("mountpoint", "mount.nfs", "systemctl"):
            self.write("guest/bin/" + tool, "#!/bin/sh\n")
            os.chmod(self.fleet.path("guest", "bin", tool), 0o755)
        prefix = "/quickOS/vm-features/1001/"
        with self.fleet.machine("hv1") as database:
            for path, text in database.execute("SELECT path, content FROM files WHERE path LIKE ? AND directory = 0", (prefix + "%",)).fetchall():
                with open(os.path.join(guest, "features", path[len(prefix):]), "wb") as out:
                    out.write(text if isinstance(text, bytes) else text.encode())
        self.write("guest/run", script)
        return guest

    def boot(self, guest):
        return subprocess.run(["sh", os.path.join(guest, "run")], capture_output=True, text=True, check=False,
                              env={"PATH": os.path.join(guest, "bin") + ":/usr/sbin:/usr/bin:/sbin:/bin", "TRACE": os.path.join(guest, "trace")})

    def result(self, guest, step):
        with open(os.path.join(guest, "inbox", step + ".result"), encoding="utf-8") as text:
            return text.read()

    def trace(self, guest):
        try:
            with open(os.path.join(guest, "trace"), encoding="utf-8") as text:
                return text.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def test_a_guest_runs_its_features_once_and_answers(self):
        self.apply()
        guest = self.guest()
        done = self.boot(guest)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.trace(guest), ["base of 1001", "docker"])
        self.assertIn("step=base_setup\nexit_code=0\n", self.result(guest, "base_setup"))
        self.assertIn("base of 1001\n", self.result(guest, "base_setup"))
        self.assertEqual(sorted(os.listdir(os.path.join(guest, "inbox"))), ["base_setup.result", "docker.result"])
        self.assertEqual(self.boot(guest).returncode, 0)
        self.assertEqual(self.trace(guest), ["base of 1001", "docker"])
        self.assertEqual([name for name in os.listdir(os.path.join(guest, "state")) if name.startswith("run.")], [])

    def test_a_guest_runs_nothing_of_a_share_that_was_tampered_with(self):
        self.apply()
        guest = self.guest()
        # Not even what is as declared.
        with open(os.path.join(guest, "features", "utils.sh"), "a", encoding="utf-8") as out:
            out.write("touch \"$TRACE.evil\"\n")
        done = self.boot(guest)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.trace(guest), [])
        self.assertIn("exit_code=1\n", self.result(guest, "phoenix-verify"))
        self.assertIn("utils.sh: FAILED", self.result(guest, "phoenix-verify"))

    def test_a_guest_stops_at_a_feature_that_fails_and_tries_it_again(self):
        self.vms["vms"][0]["features"] = ["broken", "docker"]
        self.apply()
        guest = self.guest()
        for _ in range(2):
            self.assertNotEqual(self.boot(guest).returncode, 0)
            self.assertIn("exit_code=7\n", self.result(guest, "broken"))
            self.assertIn("\ncannot go on\n", self.result(guest, "broken"))
            self.assertEqual(self.trace(guest), ["base of 1001"])


if __name__ == "__main__":
    unittest.main()
