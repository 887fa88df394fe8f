#!/usr/bin/env python3
"""The seed's configuration, and each daemon ended by kill -9 right after each of its durable writes: the run ends in the new
state or in the old one, never between, and the next one succeeds.

    crash_test.py [--slice K/N] [--again K/N] [--pair K/N] [--lost K/N] [--only PROGRAM] [--journey NAME]
    crash_test.py --journey done --only phoenix-zfsd --after 17 [--then 2 | --both | --lose]     one of them

Four kinds of case, of each all or every N-th from the K-th on (0/0: none of them):
    slice   the daemon is ended once
    again   the daemon that was started again is ended again after its first, second or third durable write: in recovery
    pair    a service is ended, and the orchestrator at the same moment
    lost    the daemon is ended right before the write is durable; what it wrote and did not sync is lost, as in a power cut

Six journeys: a run that succeeds; one whose last Samba step fails, so that undo is cut as well; the rollback of a committed
run; a rollback whose last step fails, so that it is undone; and volumes of containers that come and grow, in a run that succeeds
and in one whose Samba step fails. The writes are counted first; a count that is never reached
afterwards fails."""
import argparse
import collections
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from sim_fleet import SimFleet, meaning, write_secrets  # noqa: E402

CONFIG = ROOT / "deploy" / "examples" / "phoenix_hypervisor_config.json"
NODE = "hv1"
PROGRAMS = {"phoenix-zfsd": (NODE, "zfs"), "phoenix-nfsd": (NODE, "nfs"), "phoenix-sambad": (NODE, "samba"),
            "phoenix-proxmoxd": (NODE, "proxmox"), "phoenix-orchestratord": ("orchestrator",)}
PACKAGES = ("nfs-kernel-server", "samba")
LAST_STEP = "samba.set-share:shared-bulk-data"
LAST_STEP_BACK = "zfs.destroy:fastData/shared-media"
ENDED = {"COMMITTED", "ROLLED_BACK", "NOTHING_DONE"}
# Which share of the cases may never be met: which steps share a write depends on timing, so the last few counts may not be
# reached; and a daemon that ended near the end of a run has little left to write in its next life.
KINDS = {"slice": 0.1, "again": 0.5, "pair": 0.1, "lost": 0.1}
PATIENCE = 180  # seconds until a run that does not end is a failure of this test


class Failure(Exception):
    pass


def new_fleet(build):
    fleet = SimFleet(build, nodes=(NODE,))
    write_secrets(fleet.path("secrets.json"), "correct horse")
    return fleet


def setup(fleet, config=CONFIG):
    return fleet.phoenix("setup", "-f", str(config), "--secrets", fleet.path("secrets.json"))


def one_share_more(fleet):
    config = json.loads(CONFIG.read_text())
    config["zfs"]["datasets"].append({"name": "shared-media", "pool": "fastData", "properties": "recordsize=1M",
                                      "proxmox_storage_type": "dir", "proxmox_content_type": "iso"})
    config["nfs"]["exports"].append({"path": "/fastData/shared-media", "clients": ["10.77.0.0/24"], "options": ["rw"]})
    config["samba"]["shares"].append({"name": "media", "path": "/fastData/shared-media", "valid_users": ["heads"]})
    path = fleet.path("more.json")
    Path(path).write_text(json.dumps(config))
    return path


class Journey:
    """What a run sets out to do. Here: to set up the seed's storage. One object for each case."""
    name, end, faults, fault_count = "done", "COMMITTED", (), 1
    goal = None  # the machine where the run is kept; None where the next setup tells

    def prepare(self, fleet):
        """What has to be there before; all daemons run."""

    def act(self, fleet):
        return setup(fleet)

    def comparable(self, machine):
        """What has to be equal where the run does not stay."""
        return machine

    def afterwards(self, fleet, kept):
        """The next run, and what it has to say."""
        fleet.clear_faults(NODE)
        return self.act(fleet), "Plan: 0 steps" if kept else "COMMITTED"


class Undone(Journey):
    name, end, faults = "undone", "ROLLED_BACK", (LAST_STEP,)


class Rollback(Journey):
    """Of the newest committed run, which made a dataset that is exported, shared and a storage."""
    name = "rollback"

    def prepare(self, fleet):
        done = setup(fleet)
        self.goal = meaning(fleet.dump(NODE))
        more = setup(fleet, one_share_more(fleet))
        if done.returncode or more.returncode:
            raise Failure("what is to be rolled back was not set up:\n" + done.stdout + more.stdout + more.stderr)
        self.run = runs_of(fleet)[0]["name"].removeprefix("runs/")

    def act(self, fleet):
        return fleet.phoenix("rollback", self.run)

    def comparable(self, machine):
        """A dataset that was destroyed and made again has another GUID, and what only a second mount writes down."""
        lines = []
        for line in machine.split("\n"):
            if line.startswith("zfs.dataset fastData/shared-media "):
                dataset = json.loads(line.split(" ", 2)[2])
                line = json.dumps({key: value for key, value in dataset.items() if key not in ("guid", "covered", "root")})
            lines.append(line)
        return "\n".join(sorted(lines))

    def afterwards(self, fleet, kept):
        if kept:
            return setup(fleet, one_share_more(fleet)), "COMMITTED"
        return super().afterwards(fleet, kept)


class RollbackUndone(Rollback):
    name, end, faults, fault_count = "rollback-undone", "ROLLED_BACK", (LAST_STEP_BACK,), 9


class Containers(Journey):
    """A container gets volumes and a directory, the volume of another one grows; beside a dataset that is exported and shared."""
    name = "containers"
    text = "arch: amd64\nhostname: web\nmemory: 512\nunprivileged: 1\n"

    def apply(self, fleet, config, containers):
        path = fleet.path("lxc.json")
        Path(path).write_text(json.dumps({"lxc_configs": containers}))
        return fleet.phoenix("setup", "-f", str(config), "--secrets", fleet.path("secrets.json"), "--lxc", path)

    def volume(self, name, size):
        return {"name": name, "pool": "quickOS-lxc-disks", "size_gb": size, "mount_point": "/" + name}

    def prepare(self, fleet):
        for container in (950, 951):
            fleet.write_container(NODE, container, self.text)
        done = self.apply(fleet, CONFIG, {"951": {"zfs_volumes": [self.volume("data", 8)]}})
        if done.returncode:
            raise Failure("the first volume was not made:\n" + done.stdout + done.stderr)

    def act(self, fleet):
        return self.apply(fleet, one_share_more(fleet), {
            "950": {"zfs_volumes": [self.volume("data", 8), self.volume("more", 4)],
                    "mount_points": [{"host_path": "/fastData/shared-media", "container_path": "/media"}]},
            "951": {"zfs_volumes": [self.volume("data", 20)]}})


class ContainersUndone(Containers):
    name, end, faults = "containers-undone", "ROLLED_BACK", ("samba.set-share:media",)


JOURNEYS = {journey.name: journey for journey in (Journey, Undone, Rollback, RollbackUndone, Containers, ContainersUndone)}


def runs_of(fleet):
    """The newest first; None where nobody answers."""
    listed = fleet.phoenix("--output", "json", "runs", "list")
    return json.loads(listed.stdout).get("runs", []) if listed.returncode == 0 else None


def prepare(build):
    """A node with the packages and nothing else: what a run leaves that was undone. Its directory is copied for each case."""
    fleet = new_fleet(build)
    fleet.keep = True
    fleet.start()
    # A run that fails before it came to all of its packages leaves the others to the next one.
    while not all(f'package {name} {{"state":"installed"}}' in fleet.dump(NODE) for name in PACKAGES):
        fleet.fault(NODE, LAST_STEP)
        done = setup(fleet)
        if done.returncode != 3:
            raise Failure("the prepared run was not rolled back:\n" + done.stdout + done.stderr)
    fleet.close()
    if os.path.exists(fleet.path(NODE, "machine", "machine.db-wal")):
        raise Failure("somebody has the prepared machine open still, and may change it while it is copied")
    return fleet.directory


class Case:
    """`then`: the daemon's next life ends after that many writes. `both`: the orchestrator ends with it. `lose`: what was not
    synced is lost at the end."""

    def __init__(self, build, prepared, shim, journey, program, after, then=0, both=False, lose=False):
        self.build, self.prepared, self.shim = build, prepared, shim
        self.journey, self.program, self.after, self.then, self.both, self.lose = JOURNEYS[journey](), program, after, then, both, lose
        self.counter = None
        self.lost = []

    def __str__(self):
        return (f"--journey {self.journey.name} --only {self.program} --after {self.after}" +
                (f" --then {self.then}" if self.then else "") + (" --both" if self.both else "") +
                (" --lose" if self.lose else ""))

    @property
    def kind(self):
        return "again" if self.then else "pair" if self.both else "lost" if self.lose else "slice"

    def state_directory(self):
        if self.program == "phoenix-orchestratord":
            return self.fleet.path("orchestrator")
        return self.fleet.path(NODE, "state", PROGRAMS[self.program][1])

    def environment(self, after, counter):
        return {"LD_PRELOAD": self.shim, "PHOENIX_CRASH_PROGRAM": self.program, "PHOENIX_CRASH_AFTER": str(after),
                **({"PHOENIX_CRASH_COUNT": counter} if counter else {}),
                **({"PHOENIX_CRASH_LOSE": self.state_directory()} if self.lose else {})}

    def start(self, key, environment=None):
        if key == ("orchestrator",):
            self.fleet.start_orchestrator(environment=environment)
        else:
            self.fleet.start_daemon(*key, environment=environment)

    def start_again(self):
        """What systemd does, once or, where the next life is cut too, twice."""
        key = PROGRAMS[self.program]
        # Either may be up first.
        orchestrator_first = self.both and self.after % 2
        if self.both:
            self.fleet.kill("orchestrator")
        if orchestrator_first:
            self.start(("orchestrator",))
        if self.then:
            try:
                self.start(key, self.environment(self.then, None))
            except RuntimeError:  # already while it started
                pass
            self.second_life = self.fleet.processes[key]
            self.restarted.set()
            ended_with = self.second_life.wait()
            if self.closing:
                return
            if not self.over:
                self.ended_again = ended_with
        self.start(key)
        if self.both and not orchestrator_first:
            self.start(("orchestrator",))

    def restart_when_it_ends(self):
        process = self.fleet.processes[PROGRAMS[self.program]]
        process.wait()
        if self.closing:
            return
        self.ended_with = process.returncode
        try:
            self.start_again()
        except Exception as error:  # told by the main thread
            self.restart_error = error
        self.restarted.set()

    def await_end(self, runs_before):
        """The state in which the newest run ended; None where the orchestrator died before it knew of a run."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            runs = runs_of(self.fleet)
            if runs is not None:
                if len(runs) == runs_before:
                    return None
                state = runs[0]["state"].removeprefix("STATE_")
                if state in ENDED or state == "QUARANTINED":
                    return state
            time.sleep(0.05)
        raise Failure("the run does not end")

    def run(self):
        """How many durable writes the program made, None where a second end was wanted and not met; raises Failure."""
        self.fleet = new_fleet(self.build)
        self.closing = self.over = False
        self.restarted = threading.Event()
        self.restart_error = self.ended_with = self.ended_again = self.second_life = None
        self.counter = self.fleet.path("writes")
        watcher = None
        try:
            for part in (NODE, "orchestrator"):
                shutil.rmtree(self.fleet.path(part), ignore_errors=True)
                shutil.copytree(os.path.join(self.prepared, part), self.fleet.path(part),
                                ignore=shutil.ignore_patterns("*.sock", "*.lock"))
            os.makedirs(self.fleet.path(NODE, "run"), exist_ok=True)
            self.fleet.start()
            self.journey.prepare(self.fleet)
            runs_before = len(runs_of(self.fleet))
            self.fleet.stop(*PROGRAMS[self.program])
            before = meaning(self.fleet.dump(NODE))
            for fault in self.journey.faults:
                self.fleet.fault(NODE, fault, count=self.journey.fault_count)
            cut_at_start = False
            try:
                self.start(PROGRAMS[self.program], self.environment(self.after, self.counter))
            except RuntimeError:
                cut_at_start = True
            watcher = threading.Thread(target=self.restart_when_it_ends)
            watcher.start()
            if cut_at_start:
                self.restarted.wait(60)
            done = self.journey.act(self.fleet)
            writes = sum(1 for _ in open(self.counter, encoding="utf-8")) if os.path.exists(self.counter) else 0
            if self.after and writes < self.after:
                return writes
            if self.after and not self.restarted.wait(60):
                raise Failure("it was not restarted")
            if self.restart_error:
                raise Failure(f"it does not start again: {self.restart_error}")
            if self.after and self.ended_with != -9:
                raise Failure(f"it ended with {self.ended_with}, not by kill -9")
            state = self.await_end(runs_before)
            if self.then:
                # An end that was not met in this run must not come in the next one.
                self.over = self.ended_again is None
                if self.over:
                    self.second_life.kill()
                watcher.join(60)
            lost = os.path.join(self.state_directory(), "lost")
            self.lost = Path(lost).read_text().splitlines() if os.path.exists(lost) else []
            self.check(state, before, done)
            if not self.after and state != self.journey.end:
                raise Failure(f"without a cut it ended {state}")
            if self.restart_error:
                raise Failure(f"it does not start again: {self.restart_error}")
            if self.ended_again not in (None, -9):
                raise Failure(f"it ended with {self.ended_again}, not by kill -9")
            return writes if not self.then or self.ended_again else None
        except Failure as failure:
            logs = "".join(f"\n--- {key}\n{self.fleet.log(*key)[-3000:]}" for key in PROGRAMS.values())
            raise Failure(f"{self}: {failure}{logs}") from None
        finally:
            self.closing = True
            self.fleet.close()
            if watcher:
                watcher.join()

    def check(self, state, before, done):
        now = meaning(self.fleet.dump(NODE))
        left = []
        if state in (None, "ROLLED_BACK", "NOTHING_DONE"):
            left = difference(*(self.journey.comparable(text) for text in (before, now)))
        elif state != "COMMITTED":
            raise Failure(f"the run ended {state}:\n{done.stdout}{done.stderr}")
        elif self.journey.faults and "failed" in done.stdout:
            raise Failure("a run whose last step failed is COMMITTED")
        elif self.journey.goal is not None:
            left = difference(self.journey.goal, now)
        if left:
            raise Failure(f"{state}, and the node is not as it has to be:\n" + "\n".join(left))
        again, wanted = self.journey.afterwards(self.fleet, state == "COMMITTED")
        if again.returncode != 0 or wanted not in again.stdout:
            raise Failure(f"after {state} the next one does not say {wanted!r}:\n{again.stdout}{again.stderr}")


def ends_of(flags, program, count):
    """(after, then, both, lose) of every case of one program."""
    def chosen(words):
        part, parts = (int(word) for word in words.split("/"))
        return range(1 + part, count + 1, parts) if parts else ()

    yield from ((after, 0, False, False) for after in chosen(flags.slice))
    yield from ((after, 1 + after % 3, False, False) for after in chosen(flags.again))
    yield from ((after, 0, False, True) for after in chosen(flags.lost))
    if program != "phoenix-orchestratord":
        yield from ((after, 0, True, False) for after in chosen(flags.pair))


def difference(before, after):
    return sorted(set(before.split("\n")) ^ set(after.split("\n")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("PHOENIX_BUILD", str(ROOT / "build" / "release")))
    for kind in KINDS:
        parser.add_argument("--" + kind, default="0/1", metavar="K/N")
    parser.add_argument("--only", choices=sorted(PROGRAMS))
    parser.add_argument("--after", type=int)
    parser.add_argument("--then", type=int, default=0)
    parser.add_argument("--both", action="store_true")
    parser.add_argument("--lose", action="store_true")
    parser.add_argument("--journey", choices=list(JOURNEYS))
    flags = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        shim = os.path.join(folder, "crash_shim.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", shim,
                        str(Path(__file__).with_name("crash_shim.c")), "-ldl"], check=True)
        prepared = prepare(flags.build)
        try:
            failures, tries, never, lost = try_all(flags, prepared, shim)
        finally:
            shutil.rmtree(prepared, ignore_errors=True)
    for kind, share in KINDS.items():
        if never[kind] > 2 + share * tries[kind]:  # a slice may be small
            failures.append(Failure(f"{kind}: {never[kind]} of {tries[kind]} were never reached"))
    if tries["lost"] > 20 and not lost:
        failures.append(Failure("lost: nothing was ever lost"))
    for failure in failures:
        print(f"FAILED {failure}\n")
    for kind in tries:
        print(f"{kind}: {tries[kind] - never[kind]} of {tries[kind]} were reached")
    for what, times in sorted(lost.items()):
        print(f"lost {times} times: {what}")
    print(f"{len(failures)} failed, {time.monotonic() - begin:.0f} s")
    return 1 if failures or not tries else 0


def try_all(flags, prepared, shim):
    failures, cases = [], []
    tries, never, lost = collections.Counter(), collections.Counter(), collections.Counter()

    def tried(case):
        try:
            return case.run()
        except Failure as failure:
            return failure

    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        programs = [flags.only] if flags.only else list(PROGRAMS)
        pairs = [(journey, program) for journey in ([flags.journey] if flags.journey else JOURNEYS) for program in programs]
        counts = list(pool.map(lambda one: tried(Case(flags.build, prepared, shim, *one, 0)), pairs))
        for (journey, program), count in zip(pairs, counts):
            if isinstance(count, Failure):
                failures.append(count)
                continue
            print(f"{journey}: {program} makes {count} durable writes", flush=True)
            cases += [Case(flags.build, prepared, shim, journey, program, *ends)
                      for ends in ([(flags.after, flags.then, flags.both, flags.lose)] if flags.after else
                                   ends_of(flags, program, count))]
        for case, result in zip(cases, pool.map(tried, cases)):
            tries[case.kind] += 1
            for what in case.lost:
                lost[what.replace(os.path.dirname(os.path.dirname(what.split(" ")[-1])), "…")] += 1
            if isinstance(result, Failure):
                failures.append(result)
            elif result is None or result < case.after:
                never[case.kind] += 1  # a run takes a few writes more or less from one time to the next
    return failures, tries, never, lost


if __name__ == "__main__":
    sys.exit(main())
