"""The main job on simulated nodes, as a user does it: plan, setup, again, a failure on one node, crashes."""

import json
import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from fleet_case import BUILD, CONFIG, FleetTest  # noqa: E402
from sim_fleet import SimFleet, meaning, write_secrets  # noqa: E402


class SystemTest(FleetTest):
    def test_trap7_plan_mutates_nothing_and_setup_twice_has_nothing_to_do(self):
        self.plan()  # daemons may seed their machine once
        before = self.fleet.dumps()
        plan = self.plan("--detailed-exitcode", expect=2)
        self.assertGreater(plan["step_count"], 40)
        self.assertEqual(self.fleet.dumps(), before)
        out = self.setup_run()
        self.assertIn("COMMITTED", out)
        after = self.fleet.dumps()
        self.assertNotEqual(after, before)
        self.assertIn("Plan: 0 steps", self.setup_run())
        self.assertEqual(self.plan("--detailed-exitcode")["step_count"], 0)
        self.assertEqual(self.fleet.dumps(), after)

    def test_a_changed_password_is_exactly_one_step_per_node(self):
        self.setup_run()
        write_secrets(self.secrets, "another password")
        plan = self.plan()
        self.assertEqual(plan["step_count"], 2, plan)
        self.assertEqual({step["node"] for step in plan["steps"]}, {"hv1", "hv2"})
        self.assertNotIn("another password", json.dumps(plan))
        self.setup_run()
        self.assertEqual(self.plan()["step_count"], 0)

    def test_a_failing_last_samba_step_of_node_2_undoes_both_nodes(self):
        self.setup_run()
        config = self.with_one_share_more()
        self.plan()
        before = self.fleet.dumps()
        self.fleet.fault("hv2", "samba.set-share:media")
        out = self.phoenix("setup", "-f", config, "--secrets", self.secrets, expect=3)
        self.assertIn("ROLLED_BACK", out)
        self.assertIn("share:media failed", out)
        after = self.fleet.dumps()
        for node in before:
            self.assertEqual(meaning(after[node]), meaning(before[node]), node)
        # Nothing stays locked: the same run goes through once the fault is gone.
        self.assertIn("COMMITTED", self.phoenix("setup", "-f", config, "--secrets", self.secrets))

    def test_a_committed_run_is_rolled_back_where_nothing_has_changed_since(self):
        self.setup_run()
        config = self.with_one_share_more()
        self.plan()
        before = self.fleet.dumps()
        run = self.run_of(self.phoenix("setup", "-f", config, "--secrets", self.secrets))
        self.assertIn("can be taken back: phoenix rollback " + run, self.phoenix("runs", "show", run))
        standing = self.fleet.dumps()
        self.assertIn("take back: create dataset", self.phoenix("rollback", run, "--plan-only"))
        self.assertEqual(self.fleet.dumps(), standing)
        # A step of the rollback that fails leaves the run standing, on both nodes.
        self.fleet.fault("hv2", "zfs.destroy:fastData/shared-media", count=9)
        self.assertIn("ROLLED_BACK", self.phoenix("rollback", run, expect=3))
        # What was destroyed and made again is as it was, but for its GUID and what only a second mount writes down (a mounted
        # root is among the files).
        def as_made_again(dump):
            lines = []
            for line in meaning(dump).split("\n"):
                if line.startswith("zfs.dataset fastData/shared-media "):
                    dataset = json.loads(line.split(" ", 2)[2])
                    line = json.dumps({key: value for key, value in dataset.items() if key not in ("guid", "covered", "root")})
                lines.append(line)
            return "\n".join(lines)
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(as_made_again(dump), as_made_again(standing[node]), node)
        with self.fleet.machine("hv2") as database:
            database.execute("DELETE FROM faults")
        # What somebody wrote into it meanwhile would be lost: refused on both nodes.
        with self.fleet.machine("hv1") as database:
            database.execute("INSERT INTO files(path, directory, uid, gid, mode, content) VALUES(?, 0, 0, 0, 420, 'mine')",
                             ("/fastData/shared-media/film",))
        refused = self.fleet.phoenix("rollback", run)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertIn("it holds /fastData/shared-media/film", refused.stderr)
        with self.fleet.machine("hv1") as database:
            database.execute("DELETE FROM files WHERE path = '/fastData/shared-media/film'")
        out = self.phoenix("rollback", run)
        self.assertIn("COMMITTED", out)
        for node, dump in self.fleet.dumps().items():
            self.assertEqual(meaning(dump), meaning(before[node]), node)
        self.assertIn("rollback of " + run, self.phoenix("runs", "show", self.run_of(out)))
        self.assertIn("has done so already", self.fleet.phoenix("rollback", run).stderr)
        # The next setup makes it all again.
        self.assertIn("COMMITTED", self.phoenix("setup", "-f", config, "--secrets", self.secrets))

    def test_a_rolled_back_run_leaves_passwords_and_its_plan_says_so(self):
        self.setup_run()
        write_secrets(self.secrets, "another password")
        run = self.run_of(self.setup_run())
        out = self.phoenix("rollback", run)
        self.assertIn("not rolled back: the former password was not kept after the commit", out)
        self.assertIn("Plan: 0 steps", out)

    def test_from_the_bare_node_only_the_remainder_that_the_plan_named_is_left(self):
        plan = self.plan()
        before = self.fleet.dumps()
        last = [step["step"]["id"] for step in plan["steps"]
                if step["node"] == "hv2" and step["participant"] == "samba" and step["step"]["id"].startswith("share:")][-1]
        self.fleet.fault("hv2", "samba.set-share:" + last.removeprefix("share:"))
        out = self.setup_run(expect=3)
        self.assertIn("ROLLED_BACK", out)
        lossy = [step["step"] for step in plan["steps"] if step["step"]["step_class"] == "STEP_CLASS_LOSSY"]
        self.assertTrue(lossy)
        self.assertTrue(all("stay installed" in step["remainder"] for step in lossy), lossy)
        for node, after in self.fleet.dumps().items():
            changed = sorted(set(meaning(before[node]).split("\n")) ^ set(meaning(after).split("\n")))
            # What packages bring: themselves, their units, their own files below /etc.
            brought = ("package", "unit ", "file /etc/samba", "file /etc/exports ", "file /etc/idmapd.conf ", "file /etc/ufw",
                       "file /etc/default/", "ufw ")
            self.assertEqual([line for line in changed if not line.startswith(brought)], [], node)
            # Their units are off.
            for line in changed:
                if line.startswith("unit "):
                    self.assertNotIn('"active":true', line)
        self.assertIn("COMMITTED", self.setup_run())

    def with_an_nfs_storage(self):
        """The seed's configuration with a storage entry whose removal leaves folders on the server: a LOSSY step."""
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        config["zfs"]["datasets"].append({
            "name": "shared-media", "pool": "fastData", "properties": "recordsize=1M",
            "proxmox_storage_type": "nfs", "proxmox_content_type": "iso"})
        config["nfs"]["exports"].append({"path": "/fastData/shared-media", "clients": ["10.77.0.0/24"], "options": ["rw"]})
        path = self.fleet.path("nfs-storage.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        return path

    def test_a_step_that_cannot_be_taken_back_is_done_only_when_it_was_allowed(self):
        self.setup_run()
        config = self.with_an_nfs_storage()
        wanted = ("-f", config, "--secrets", self.secrets)
        plan = json.loads(self.phoenix("--output", "json", "plan", *wanted))
        before = self.fleet.dumps()
        marked = [step for step in plan["steps"] if step["needs_allow"]]
        self.assertEqual([step["node"] for step in marked], ["hv1", "hv2"])
        self.assertEqual({step["step"]["step_class"] for step in marked}, {"STEP_CLASS_LOSSY"})
        key = marked[0]["needs_allow"]
        self.assertTrue(key.startswith("storage:"), key)
        self.assertEqual(plan["needs_allow"], [key])
        words = "--allow " + key
        self.assertIn("        needs " + words, self.phoenix("plan", *wanted))
        self.assertNotIn("needs --allow", self.phoenix("plan", *wanted, "--allow", key))
        refused = self.fleet.phoenix("setup", *wanted)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        for node in self.fleet.nodes:
            self.assertIn(node + "/proxmox: add storage", refused.stderr)
        self.assertIn("say so: " + words, refused.stderr)
        for command in ("plan", "setup"):
            misspelt = self.fleet.phoenix(command, *wanted, "--allow", key, "--allow", "storage:typo")
            self.assertEqual(misspelt.returncode, 1)
            self.assertIn("'storage:typo'", misspelt.stderr)
        self.assertEqual(self.fleet.dumps(), before)
        runs = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"]
        self.assertEqual(len(runs), 1, "a refusal leaves no run")
        self.assertIn("COMMITTED", self.phoenix("setup", *wanted, "--allow", key))
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        self.assertIn("allowed  %s\n" % key, self.phoenix("runs", "show", run))
        self.assertIn("allowed: " + key, self.phoenix("runs", "watch", run))
        # The same command line stays right, also when there is something else to do.
        self.assertIn("Plan: 0 steps", self.phoenix("setup", *wanted, "--allow", key))
        write_secrets(self.secrets, "another password")
        self.assertIn("COMMITTED", self.phoenix("setup", *wanted, "--allow", key))

    def test_packages_are_not_installed_where_that_is_forbidden(self):
        self.plan()
        before = self.fleet.dumps()
        wanted = ("-f", CONFIG, "--secrets", self.secrets, "--no-install")
        self.assertIn("needs --allow package:samba", self.phoenix("plan", *wanted))
        refused = self.fleet.phoenix("setup", *wanted)
        self.assertEqual(refused.returncode, 1)
        for node in self.fleet.nodes:
            self.assertIn(node + "/samba: install package samba", refused.stderr)
            self.assertIn(node + "/nfs: install package nfs-kernel-server", refused.stderr)
        self.assertEqual(self.fleet.dumps(), before)
        self.assertEqual(json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"], [])
        self.assertIn("COMMITTED", self.setup_run())
        self.assertIn("Plan: 0 steps", self.phoenix("setup", *wanted))

    def test_a_node_of_another_orchestrator_is_refused_at_planning_until_it_is_adopted(self):
        self.setup_run()
        former = json.loads(self.phoenix("--output", "json", "nodes"))["nodes"][0]["orchestrator_authority"]
        # The orchestrator's store is gone: a new one is another authority.
        self.fleet.stop("orchestrator")
        os.rename(self.fleet.path("orchestrator"), self.fleet.path("lost"))
        self.fleet.start_orchestrator()
        before = self.fleet.dumps()
        refused = self.fleet.phoenix("plan", "-f", CONFIG, "--secrets", self.secrets)
        self.assertEqual(refused.returncode, 1)
        for node in self.fleet.nodes:
            self.assertIn("node %s (zfs, nfs, samba, proxmox) obeys authority %s" % (node, former), refused.stderr)
            self.assertIn("`phoenix node adopt %s`" % node, refused.stderr)
        self.assertIn("hv2 obeys another orchestrator", self.phoenix("nodes"))
        self.assertEqual(self.phoenix("node", "adopt", "hv1").count("obeys it now; before: " + former), 4)
        self.assertEqual(self.phoenix("node", "adopt", "hv1").count("obeyed it already"), 4)
        refused = self.fleet.phoenix("plan", "-f", CONFIG, "--secrets", self.secrets)
        self.assertNotIn("hv1", refused.stderr)
        self.assertIn("`phoenix node adopt hv2`", refused.stderr)
        # A node of which a service is silent stays as it is.
        self.fleet.kill("hv2", "samba")
        silent = self.fleet.phoenix("node", "adopt", "hv2")
        self.assertEqual(silent.returncode, 1)
        self.assertIn("nothing was changed", silent.stderr)
        self.fleet.start_daemon("hv2", "samba")
        # The orchestrator's channel may hold back its next try for a moment.
        while "unreachable" in self.phoenix("nodes"):
            pass
        self.assertEqual(self.phoenix("node", "adopt", "hv2").count("obeys it now"), 4)
        self.assertEqual(self.fleet.dumps(), before)
        self.assertIn("Plan: 0 steps", self.setup_run())
        write_secrets(self.secrets, "another password")
        self.assertIn("COMMITTED", self.setup_run())
        # Who obeyed whom, since when and by whose word stays in the node's journal.
        nodes = json.loads(self.phoenix("--output", "json", "nodes"))["nodes"]
        for node in nodes:
            for service in node["participants"]:
                adoption, = service["description"]["adoptions"]
                self.assertEqual(adoption["former_authority"], former)
                self.assertEqual(adoption["authority"], node["orchestrator_authority"])
                self.assertEqual(adoption["adopted_by"], "local")
        self.assertIn("obeys authority", self.fleet.log("hv1", "zfs"))

    def test_a_node_is_not_adopted_while_a_run_is_open(self):
        setup, run = self.start_setup("--confirm-within", "10m")
        self.wait_for_armed()
        self.fleet.kill("orchestrator")
        setup.communicate()
        os.rename(self.fleet.path("orchestrator"), self.fleet.path("set-aside"))
        self.fleet.start_orchestrator()
        refused = self.fleet.phoenix("node", "adopt", "hv1")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("run %s is open" % run, refused.stderr)
        self.assertIn("phoenix resolve " + run, refused.stderr)
        self.assertNotIn("obeys it now", refused.stdout)

    def test_a_dead_service_is_named_to_those_who_watch_the_run(self):
        setup = self.fleet.start_phoenix("setup", "-f", CONFIG, "--secrets", self.secrets)
        self.addCleanup(setup.stdout.close)
        for line in setup.stdout:
            if "APPLYING" in line:
                break
        self.fleet.kill("hv2", "nfs")
        for line in setup.stdout:
            if "waits for hv2/nfs since" in line:
                break
        self.assertIn("the nfs service of node hv2 does not answer", line)
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        self.assertIn("waiting  for hv2/nfs since", self.phoenix("runs", "show", run))
        self.fleet.start_daemon("hv2", "nfs")
        setup.communicate()
        self.assertIn(setup.returncode, (0, 3))
        self.assertNotIn("waiting", self.phoenix("runs", "show", run))
        self.assertNotIn("waits for", self.phoenix("runs", "watch", run), "a silence is no event")

    def start_setup(self, *flags):
        """`phoenix setup` in the background, and the id of its run."""
        setup = self.fleet.start_phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, *flags)
        self.addCleanup(setup.stdout.close)
        for line in setup.stdout:
            if "phoenix runs " in line:
                return setup, line.split()[-1]
        self.fail("setup did not say how to go on")

    def test_a_plan_that_waits_for_approval_does_nothing_before_it_has_it(self):
        self.plan()
        before = self.fleet.dumps()
        setup, run = self.start_setup("--await-approval")
        while "AWAITING_APPROVAL" not in self.phoenix("runs", "list"):
            pass
        self.assertEqual(self.fleet.dumps(), before)
        refused = self.fleet.phoenix("runs", "approve", run, "--plan", "another")
        self.assertEqual(refused.returncode, 1)
        self.phoenix("runs", "approve", run)
        self.assertIn("COMMITTED", setup.communicate()[0])
        self.assertEqual(setup.returncode, 0)

    def test_an_unconfirmed_run_is_undone_on_every_node_without_the_orchestrator(self):
        self.setup_run()
        config = self.with_one_share_more()
        self.plan()
        before = self.fleet.dumps()
        setup = self.fleet.start_phoenix("setup", "-f", config, "--secrets", self.secrets, "--confirm-within", "15s")
        while "AWAITING_CONFIRM" not in self.phoenix("runs", "list"):
            pass
        # Every participant has its own deadline by now, or gets it from nobody: then Prepare's counts.
        self.wait_for_armed()
        self.fleet.kill("orchestrator")
        setup.communicate()
        while any(meaning(after) != meaning(before[node]) for node, after in self.fleet.dumps().items()):
            pass
        self.fleet.start_orchestrator()
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        self.assertIn("ROLLED_BACK", self.phoenix("runs", "watch", run, expect=3))
        self.assertIn("COMMITTED", self.phoenix("setup", "-f", config, "--secrets", self.secrets))

    def wait_for_armed(self):
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        watch = self.fleet.start_phoenix("runs", "watch", run)
        armed = 0
        for line in watch.stdout:
            armed += "waits for confirmation" in line
            if armed == 8:
                break
        watch.kill()
        watch.communicate()

    def test_a_confirmed_run_is_kept_and_a_cancelled_one_is_not(self):
        setup, run = self.start_setup("--confirm-within", "10m")
        self.wait_for_armed()
        self.assertIn("confirmed", self.phoenix("runs", "confirm", run))
        setup.communicate()
        self.assertEqual(setup.returncode, 0)
        self.assertEqual(self.plan()["step_count"], 0)
        refused = self.fleet.phoenix("runs", "cancel", run)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("COMMITTED", refused.stderr)

    def test_runs_can_be_listed_shown_and_watched_again(self):
        self.setup_run()
        runs = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"]
        self.assertEqual(len(runs), 1)
        run = runs[0]["name"].removeprefix("runs/")
        self.assertIn("COMMITTED", self.phoenix("runs", "show", run))
        self.assertIn("committed: every node keeps the new state", self.phoenix("runs", "watch", run))

    def test_an_orchestrator_that_dies_goes_on_where_it_was(self):
        setup = self.fleet.start_phoenix("setup", "-f", CONFIG, "--secrets", self.secrets)
        for line in setup.stdout:
            if "doing" in line:
                break
        self.fleet.kill("orchestrator")
        setup.communicate()
        self.assertEqual(setup.returncode, 1)
        self.fleet.start_orchestrator()
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")
        self.assertIn("COMMITTED", self.phoenix("runs", "watch", run))
        self.assertEqual(self.plan()["step_count"], 0)

    def test_a_service_that_dies_mid_run_changes_nothing_of_the_outcome(self):
        setup = self.fleet.start_phoenix("setup", "-f", CONFIG, "--secrets", self.secrets)
        for line in setup.stdout:
            if "hv1/zfs: doing" in line:
                break
        self.fleet.kill("hv1", "zfs")
        self.fleet.start_daemon("hv1", "zfs")
        out, _ = setup.communicate()
        code = setup.returncode
        self.assertIn(code, (0, 3), out)
        self.assertIn("COMMITTED" if code == 0 else "ROLLED_BACK", out)

    def test_no_secret_in_any_artefact(self):
        self.setup_run()
        for folder, _, files in os.walk(self.fleet.directory):
            for name in files:
                path = os.path.join(folder, name)
                if path == self.secrets or not os.path.isfile(path):
                    continue
                with open(path, "rb") as data:
                    self.assertNotIn(b"correct horse", data.read(), path)

    def test_nodes_shows_every_service(self):
        out = self.phoenix("nodes")
        for participant in self.fleet.participants:
            self.assertIn(participant, out)
        self.assertNotIn("unreachable", out)

    def test_a_silent_service_is_named_with_its_node_its_address_and_what_to_check(self):
        self.fleet.kill("hv2", "nfs")
        nodes = self.phoenix("nodes")
        self.assertRegex(nodes, r"(?m)^hv2 +nfs +unreachable")
        report = json.loads(self.phoenix("--output", "json", "nodes"))
        errors = {(node["name"], service["name"]): service["error"] for node in report["nodes"]
                  for service in node["participants"]}
        silent = errors.pop(("nodes/hv2", "nfs"))
        self.assertEqual(set(errors.values()), {""})
        plan = self.fleet.phoenix("plan", "-f", CONFIG, "--secrets", self.secrets)
        self.assertEqual(plan.returncode, 1)
        for text in (nodes, silent, plan.stderr):
            self.assertIn("nfs service of node hv2 does not answer at unix:" + self.fleet.path("hv2", "run", "nfs.sock"), text)
            self.assertIn("on hv2, `systemctl status phoenix-nfsd`", text)
            self.assertNotIn("all addresses", text)
            self.assertNotIn("phoenix-orchestratord", text)

    def test_what_is_wrong_or_doubtful_in_a_file_is_said_once_with_its_place_once(self):
        wrong = self.fleet.path("wrong.json")
        with open(wrong, "w", encoding="utf-8") as out:
            out.write('{"zfs": {"pools": [{"name": "a", "raid_level": "x", "disks": ["b"]}]}}')
        refused = self.fleet.phoenix("plan", "-f", wrong)
        self.assertEqual(refused.returncode, 1)
        self.assertEqual(refused.stderr.count("$.zfs.pools[0].raid_level"), 1, refused.stderr)
        self.assertFalse(refused.stderr.endswith("\n\n"), refused.stderr)
        doubtful = self.fleet.path("doubtful.json")
        with open(doubtful, "w", encoding="utf-8") as out:
            out.write('{"nfs": {},\n"nfs": {}}')
        self.assertEqual(self.phoenix("plan", "-f", doubtful).splitlines()[0],
                         "warning: $.nfs (line 2): this key was given before with the same value; keep one")

    def test_a_node_may_have_other_storage_than_the_configuration_says(self):
        with open(self.fleet.fleet_file, encoding="utf-8") as file:
            nodes = json.load(file)["nodes"]
        nodes[1]["overrides"] = {"samba": None, "zfs": {"datasets": [
            {"name": "only-here", "pool": "fastData", "properties": "quota=1G"}]}, "nfs": {"exports": []}}
        with open(self.fleet.fleet_file, "w", encoding="utf-8") as file:
            json.dump({"nodes": nodes}, file)
        plan = json.loads(self.phoenix("--output", "json", "plan", "-f", CONFIG, "--secrets", self.secrets))
        steps = {(step["node"], step["step"]["id"]) for step in plan["steps"]}
        self.assertIn(("hv2", "dataset:fastData/only-here"), steps)
        self.assertNotIn(("hv1", "dataset:fastData/only-here"), steps)
        self.assertEqual({participant for node, participant in {(step["node"], step["participant"]) for step in plan["steps"]}
                          if node == "hv2"}, {"zfs"})
        self.setup_run()
        self.assertIn("0 steps", self.phoenix("plan", "-f", CONFIG, "--secrets", self.secrets))
        nodes[1]["overrides"]["zfs"]["datasets"][0]["properties"] = "quota=lots"
        with open(self.fleet.fleet_file, "w", encoding="utf-8") as file:
            json.dump({"nodes": nodes}, file)
        refused = self.fleet.phoenix("plan", "-f", CONFIG, "--secrets", self.secrets)
        self.assertEqual(refused.stderr.count("(overrides of node hv2)"), 1, refused.stderr)
        checked = self.fleet.phoenix("validate", CONFIG, "--fleet", self.fleet.fleet_file, fleet=False)
        self.assertEqual(checked.returncode, 1)
        self.assertEqual(checked.stdout.count("(overrides of node hv2)"), 1, checked.stdout)
        self.assertIn(CONFIG + ": 0 error(s)", checked.stdout)
        self.assertIn(CONFIG + " for hv2: 1 error(s)", checked.stdout)

    def test_what_is_doubtful_in_a_fleet_is_told_by_its_plan(self):
        with open(self.fleet.fleet_file, encoding="utf-8") as text:
            fleet = json.load(text)
        fleet["nodes"][1]["rack"] = "7"
        with open(self.fleet.fleet_file, "w", encoding="utf-8") as out:
            json.dump(fleet, out)
        plan = self.phoenix("plan", "-f", CONFIG, "--secrets", self.secrets)
        self.assertEqual(plan.count("warning: fleet $.nodes[1].rack (line 1): this key is not known and has no effect"), 1, plan)
        refused = self.fleet.phoenix("plan", "-f", self.fleet.fleet_file)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("this is a fleet file, no configuration", refused.stderr)

    def test_resolve_finds_the_services_of_this_node(self):
        self.setup_run()
        run = json.loads(self.phoenix("--output", "json", "runs", "list"))["runs"][0]["name"].removeprefix("runs/")

        def resolve(*args):
            return subprocess.run([os.path.join(BUILD, "clients/phoenix"), "--runtime-dir", self.fleet.path("hv1", "run"),
                                   "resolve", *args], capture_output=True, text=True)
        seen = resolve(run)
        self.assertEqual(seen.returncode, 0, seen.stderr)
        for participant in self.fleet.participants:
            self.assertIn(participant + ": COMMITTED", seen.stdout)
        self.assertEqual(resolve(run, "--undo").returncode, 1)
        self.assertEqual(resolve("00000000-0000-0000-0000-000000000000").returncode, 1)

    def test_a_graceful_stop_exits_with_0(self):
        self.assertEqual(self.fleet.stop("hv1", "zfs"), 0)
        self.assertEqual(self.fleet.stop("orchestrator"), 0)


class DiskTest(unittest.TestCase):
    # More than any disk has: 1 PiB.
    TOO_MUCH = ("--journal-reserve", str(1 << 30))

    def setUp(self):
        self.fleet = SimFleet(BUILD, nodes=("hv1",))
        self.addCleanup(self.fleet.close)
        self.arguments = ("setup", "-f", CONFIG, "--secrets", write_secrets(self.fleet.path("secrets.json"), "correct horse"))

    def test_a_service_without_its_journal_reserve_reads_and_refuses_what_is_new(self):
        self.fleet.start()
        self.assertEqual(self.fleet.stop("hv1", "samba"), 0)
        self.fleet.start_daemon("hv1", "samba", *self.TOO_MUCH)
        plan = self.fleet.phoenix("plan", *self.arguments[1:])
        self.assertEqual(plan.returncode, 0, plan.stderr)
        before = self.fleet.dump("hv1")
        refused = self.fleet.phoenix(*self.arguments)
        self.assertEqual(refused.returncode, 3, refused.stdout + refused.stderr)
        self.assertIn("the journal reserve " + self.fleet.path("hv1", "state", "samba", "reserve") + " cannot be made",
                      refused.stdout + refused.stderr)
        self.assertIn("Free space on that file system", refused.stdout + refused.stderr)
        self.assertEqual(self.fleet.dump("hv1"), before)
        self.assertEqual(self.fleet.stop("hv1", "samba"), 0)
        self.fleet.start_daemon("hv1", "samba")
        done = self.fleet.phoenix(*self.arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_an_orchestrator_without_its_reserve_plans_and_begins_no_run(self):
        for participant in self.fleet.participants:
            self.fleet.start_daemon("hv1", participant)
        self.fleet.start_orchestrator(*self.TOO_MUCH)
        self.assertEqual(self.fleet.phoenix("plan", *self.arguments[1:]).returncode, 0)
        refused = self.fleet.phoenix(*self.arguments)
        self.assertEqual(refused.returncode, 1, refused.stdout + refused.stderr)
        self.assertIn("the journal reserve " + self.fleet.path("orchestrator", "reserve"), refused.stderr)

    def test_a_damaged_journal_is_named_and_kept_and_no_restart_is_asked_for(self):
        self.fleet.start_daemon("hv1", "nfs")
        self.assertEqual(self.fleet.stop("hv1", "nfs"), 0)
        journal = self.fleet.path("hv1", "state", "nfs", "journal.db")
        with open(journal, "r+b") as data:
            data.seek(4097)
            data.write(b"\xff" * 500)
        with open(journal, "rb") as data:
            damaged = data.read()
        code, log = self.fleet.start_daemon_that_ends("hv1", "nfs")
        # RestartPreventExitStatus of the unit.
        self.assertEqual(code, 65)
        self.assertIn(journal + " is damaged", log)
        self.assertIn("Copy " + journal, log)
        with open(journal, "rb") as data:
            self.assertEqual(data.read(), damaged)


class OneNodeTest(unittest.TestCase):
    def test_without_a_fleet_file_the_fleet_is_this_very_node(self):
        fleet = SimFleet(BUILD, nodes=("pve1",))
        self.addCleanup(fleet.close)
        # As on a hypervisor: the orchestrator and the services of its node share one folder of sockets.
        os.symlink(fleet.path("pve1", "run"), fleet.path("run"))
        secrets = write_secrets(fleet.path("secrets.json"), "correct horse")
        fleet.start()
        nodes = fleet.phoenix("nodes", fleet=False)
        self.assertEqual(nodes.returncode, 0, nodes.stderr)
        self.assertRegex(nodes.stdout, r"(?m)^pve1 +zfs +up ")
        done = fleet.phoenix("setup", "-f", CONFIG, "--secrets", secrets, fleet=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("on 1 node(s)", done.stdout)
        again = fleet.phoenix("setup", "-f", CONFIG, "--secrets", secrets, fleet=False)
        self.assertIn("Plan: 0 steps", again.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
