#!/usr/bin/env python3
"""The seed's configuration, and each daemon ended by kill -9 right after each of its durable writes: the run ends in the new
state or in the old one, never between, and the next setup succeeds.

    crash_test.py [--slice K/N] [--again K/N] [--pair K/N] [--only PROGRAM]
    crash_test.py --only phoenix-zfsd --after 17 [--then 2 | --both]     one of them

Three kinds of case, of each all or every N-th from the K-th on (0/0: none of them):
    slice   the daemon is ended once
    again   the daemon that was started again is ended again after its first, second or third durable write: in recovery
    pair    a service is ended, and the orchestrator at the same moment

Two journeys: a run that succeeds, and one whose last Samba step fails, so that undo is cut as well. The writes are counted
first; a count that is never reached afterwards fails."""
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
LAST_STEP = "samba.set-share:shared-bulk-data"
ENDED = {"COMMITTED", "ROLLED_BACK", "NOTHING_DONE"}
# Which share of the cases may never be met: which steps share a write depends on timing, so the last few counts may not be
# reached; and a daemon that ended near the end of a run has little left to write in its next life.
KINDS = {"slice": 0.1, "again": 0.5, "pair": 0.1}
PATIENCE = 180  # seconds until a run that does not end is a failure of this test


class Failure(Exception):
    pass


def new_fleet(build):
    fleet = SimFleet(build, nodes=(NODE,))
    write_secrets(fleet.path("secrets.json"), "correct horse")
    return fleet


def arguments(fleet):
    return ("setup", "-f", str(CONFIG), "--secrets", fleet.path("secrets.json"))


def prepare(build):
    """A node with the packages and nothing else: what a run leaves that was undone. Its directory is copied for each case."""
    fleet = new_fleet(build)
    fleet.keep = True
    fleet.start()
    fleet.fault(NODE, LAST_STEP)
    done = fleet.phoenix(*arguments(fleet))
    fleet.close()
    if done.returncode != 3:
        raise Failure("the prepared run was not rolled back:\n" + done.stdout + done.stderr)
    return fleet.directory


class Case:
    """`then`: the daemon's next life ends after that many writes. `both`: the orchestrator ends with it."""

    def __init__(self, build, prepared, shim, journey, program, after, then=0, both=False):
        self.build, self.prepared, self.shim = build, prepared, shim
        self.journey, self.program, self.after, self.then, self.both = journey, program, after, then, both
        self.counter = None

    def __str__(self):
        return (f"{self.journey}: --only {self.program} --after {self.after}" + (f" --then {self.then}" if self.then else "") +
                (" --both" if self.both else ""))

    def environment(self, after, counter):
        return {"LD_PRELOAD": self.shim, "PHOENIX_CRASH_PROGRAM": self.program, "PHOENIX_CRASH_AFTER": str(after),
                **({"PHOENIX_CRASH_COUNT": counter} if counter else {})}

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
            listed = self.fleet.phoenix("--output", "json", "runs", "list")
            if listed.returncode == 0:
                runs = json.loads(listed.stdout)["runs"]
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
            for program, key in PROGRAMS.items():
                if program != self.program:
                    self.start(key)
            before = meaning(self.fleet.dump(NODE))
            if self.journey == "undone":
                self.fleet.fault(NODE, LAST_STEP)
            cut_at_start = False
            try:
                self.start(PROGRAMS[self.program], self.environment(self.after, self.counter))
            except RuntimeError:
                cut_at_start = True
            watcher = threading.Thread(target=self.restart_when_it_ends)
            watcher.start()
            if cut_at_start:
                self.restarted.wait(60)
            done = self.fleet.phoenix(*arguments(self.fleet))
            writes = sum(1 for _ in open(self.counter, encoding="utf-8")) if os.path.exists(self.counter) else 0
            if self.after and writes < self.after:
                return writes
            if self.after and not self.restarted.wait(60):
                raise Failure("it was not restarted")
            if self.restart_error:
                raise Failure(f"it does not start again: {self.restart_error}")
            if self.after and self.ended_with != -9:
                raise Failure(f"it ended with {self.ended_with}, not by kill -9")
            state = self.await_end(runs_before=1)
            if self.then:
                # An end that was not met in this run must not come in the next one.
                self.over = self.ended_again is None
                if self.over:
                    self.second_life.kill()
                watcher.join(60)
            self.check(state, before, done)
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
        if state in (None, "ROLLED_BACK", "NOTHING_DONE"):
            left = [line for line in difference(before, meaning(self.fleet.dump(NODE)))]
            if left:
                raise Failure(f"{state}, and the node is not as it was:\n" + "\n".join(left))
        elif state != "COMMITTED":
            raise Failure(f"the run ended {state}:\n{done.stdout}{done.stderr}")
        elif self.journey == "undone" and "failed" in done.stdout:
            raise Failure("a run whose last step failed is COMMITTED")
        again = self.fleet.phoenix(*arguments(self.fleet))
        if again.returncode == 3 and self.journey == "undone":  # the fault was still to come
            again = self.fleet.phoenix(*arguments(self.fleet))
        wanted = "Plan: 0 steps" if state == "COMMITTED" else "COMMITTED"
        if again.returncode != 0 or wanted not in again.stdout:
            raise Failure(f"after {state} the next setup does not say {wanted!r}:\n{again.stdout}{again.stderr}")


def ends_of(flags, program, count):
    """(after, then, both) of every case of one program."""
    def chosen(words):
        part, parts = (int(word) for word in words.split("/"))
        return range(1 + part, count + 1, parts) if parts else ()

    yield from ((after, 0, False) for after in chosen(flags.slice))
    yield from ((after, 1 + after % 3, False) for after in chosen(flags.again))
    if program != "phoenix-orchestratord":
        yield from ((after, 0, True) for after in chosen(flags.pair))


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
    flags = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        shim = os.path.join(folder, "crash_shim.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", shim,
                        str(Path(__file__).with_name("crash_shim.c")), "-ldl"], check=True)
        prepared = prepare(flags.build)
        failures, cases = [], []

        def tried(case):
            try:
                return case.run()
            except Failure as failure:
                return failure

        try:
            with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
                programs = [flags.only] if flags.only else list(PROGRAMS)
                journeys = [(journey, program) for journey in ("done", "undone") for program in programs]
                counts = list(pool.map(lambda one: tried(Case(flags.build, prepared, shim, *one, 0)), journeys))
                for (journey, program), count in zip(journeys, counts):
                    if isinstance(count, Failure):
                        failures.append(count)
                        continue
                    print(f"{journey}: {program} makes {count} durable writes", flush=True)
                    cases += [Case(flags.build, prepared, shim, journey, program, *ends)
                              for ends in ([(flags.after, flags.then, flags.both)] if flags.after else
                                           ends_of(flags, program, count))]
                tries, never = collections.Counter(), collections.Counter()
                for case, result in zip(cases, pool.map(tried, cases)):
                    kind = "again" if case.then else "pair" if case.both else "slice"
                    tries[kind] += 1
                    if isinstance(result, Failure):
                        failures.append(result)
                    elif result is None or result < case.after:
                        never[kind] += 1  # a run takes a few writes more or less from one time to the next
            for kind, share in KINDS.items():
                if never[kind] > 2 + share * tries[kind]:  # a slice may be small
                    failures.append(Failure(f"{kind}: {never[kind]} of {tries[kind]} were never reached"))
        finally:
            shutil.rmtree(prepared, ignore_errors=True)
    for failure in failures:
        print(f"FAILED {failure}\n")
    for kind in tries:
        print(f"{kind}: {tries[kind] - never[kind]} of {tries[kind]} were reached")
    print(f"{len(failures)} failed, {time.monotonic() - begin:.0f} s")
    return 1 if failures or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
