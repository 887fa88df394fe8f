#!/usr/bin/env python3
"""The seed's configuration, and each daemon ended by kill -9 right after each of its durable writes: the run ends in the new
state or in the old one, never between, and the next setup succeeds.

    crash_test.py [--slice K/N] [--only PROGRAM]     every write, or every N-th from the K-th on
    crash_test.py --only phoenix-zfsd --after 17     one of them

Two journeys: a run that succeeds, and one whose last Samba step fails, so that undo is cut as well. The writes are counted
first; a count that is never reached afterwards fails."""
import argparse
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
    def __init__(self, build, prepared, shim, journey, program, after):
        self.build, self.prepared, self.shim = build, prepared, shim
        self.journey, self.program, self.after = journey, program, after
        self.counter = None

    def __str__(self):
        return f"{self.journey}: {self.program} after write {self.after}"

    def environment(self):
        return {"LD_PRELOAD": self.shim, "PHOENIX_CRASH_PROGRAM": self.program, "PHOENIX_CRASH_AFTER": str(self.after),
                "PHOENIX_CRASH_COUNT": self.counter}

    def start(self, key, cut):
        """Starts the daemon of `key`; with `cut` it has its end before it."""
        environment = self.environment() if cut else None
        if key == ("orchestrator",):
            self.fleet.start_orchestrator(environment=environment)
        else:
            self.fleet.start_daemon(*key, environment=environment)

    def restart_when_it_ends(self):
        process = self.fleet.processes[PROGRAMS[self.program]]
        process.wait()
        if self.closing:
            return
        self.ended_with = process.returncode
        try:
            self.start(PROGRAMS[self.program], cut=False)
            self.restarted.set()
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
        """How many durable writes the program made; raises Failure."""
        self.fleet = new_fleet(self.build)
        self.closing = False
        self.restarted = threading.Event()
        self.restart_error = self.ended_with = None
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
                    self.start(key, cut=False)
            before = meaning(self.fleet.dump(NODE))
            if self.journey == "undone":
                self.fleet.fault(NODE, LAST_STEP)
            try:
                self.start(PROGRAMS[self.program], cut=True)
            except RuntimeError:
                # Cut already while it started.
                self.ended_with = self.fleet.processes[PROGRAMS[self.program]].returncode
                self.start(PROGRAMS[self.program], cut=False)
                self.restarted.set()
            else:
                watcher = threading.Thread(target=self.restart_when_it_ends)
                watcher.start()
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
            self.check(state, before, done)
            return writes
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


def difference(before, after):
    return sorted(set(before.split("\n")) ^ set(after.split("\n")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("PHOENIX_BUILD", str(ROOT / "build" / "release")))
    parser.add_argument("--slice", default="0/1", metavar="K/N")
    parser.add_argument("--only", choices=sorted(PROGRAMS))
    parser.add_argument("--after", type=int)
    flags = parser.parse_args()
    part, parts = (int(word) for word in flags.slice.split("/"))
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
                    cases += [Case(flags.build, prepared, shim, journey, program, after) for after in
                              ([flags.after] if flags.after else range(1 + part, count + 1, parts))]
                never = 0
                for case, result in zip(cases, pool.map(tried, cases)):
                    if isinstance(result, Failure):
                        failures.append(result)
                    elif result < case.after:
                        never += 1  # a run takes a few writes more or less from one time to the next
            # Which steps share a write depends on timing, so the last few counts may not be reached.
            if never * 10 > len(cases):
                failures.append(Failure(f"{never} of {len(cases)} writes were never reached"))
        finally:
            shutil.rmtree(prepared, ignore_errors=True)
    for failure in failures:
        print(f"FAILED {failure}\n")
    print(f"{len(cases) - never} of {len(cases)} kills, {len(failures)} failed, {time.monotonic() - begin:.0f} s")
    return 1 if failures or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
