#!/usr/bin/env python3
"""Power cuts in mid-run on real hypervisors: QEMU of one node or of both is killed at a moment of a run over two nodes.
After the boot the run must end by itself, and both nodes must equal the old state or both the new one.

    tests/lab/test_power.py              every moment
    tests/lab/test_power.py --slice 3/9  every ninth, from the third on

One lab for all moments. A run that was kept is taken back by `phoenix rollback`, which must lead to the old state exactly."""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from lab import difference  # noqa: E402
from phoenix_lab import ROOT, SERVICES, PhoenixLab  # noqa: E402

BUILD = Path(os.environ.get("PHOENIX_BUILD", ROOT / "build" / "release"))
SETTLE_SECONDS = 900
BOTH = ("hv1", "hv2")

# (what the run's log says, who loses power). hv1 carries the orchestrator. A run of `UNDONE` fails at its last Samba step.
KEPT, UNDONE = "kept", "undone"
MOMENTS = [
    (KEPT, r"planned \d+ steps", ["hv1"]),
    (KEPT, r"PREPARING", ["hv2"]),
    (KEPT, r"hv1/nfs: lock taken", ["hv1"]),
    (KEPT, r"hv2/nfs: lock taken", ["hv2"]),
    (KEPT, r"APPLYING", ["hv1", "hv2"]),
    (KEPT, r"hv1/zfs: doing", ["hv1"]),
    (KEPT, r"hv2/zfs: doing", ["hv2"]),
    (KEPT, r"hv2/zfs: done", ["hv2"]),
    (KEPT, r"hv1/nfs: doing", ["hv1"]),
    (KEPT, r"hv2/samba: doing", ["hv2"]),
    (KEPT, r"hv1/proxmox: doing", ["hv1", "hv2"]),
    (KEPT, r"VERIFYING", ["hv1"]),
    (KEPT, r"hv2/\w+: verified", ["hv2"]),
    (KEPT, r"COMMITTING", ["hv1", "hv2"]),
    (KEPT, r"hv1/\w+: ready to commit", ["hv1"]),
    (KEPT, r"hv2/\w+: ready to commit", ["hv2"]),
    (KEPT, r"committed: every node keeps", ["hv1"]),
    (KEPT, r"committed: every node keeps", ["hv2"]),
    (KEPT, r"hv1/\w+: committed", ["hv1", "hv2"]),
    (UNDONE, r"hv2/samba: .* failed", ["hv1"]),
    (UNDONE, r"rolling back", ["hv1"]),
    (UNDONE, r"rolling back", ["hv2"]),
    (UNDONE, r"rolling back", ["hv1", "hv2"]),
    (UNDONE, r"hv1/\w+: undone", ["hv1"]),
    (UNDONE, r"hv2/\w+: undone", ["hv2"]),
]


def one_share_more(config):
    config["zfs"]["datasets"].append({"name": "shared-media", "pool": "fastData", "properties": "recordsize=1M",
                                      "proxmox_storage_type": "dir", "proxmox_content_type": "iso"})
    config["nfs"]["exports"].append({"path": "/fastData/shared-media", "clients": ["10.77.0.0/24"], "options": ["ro"]})
    config["samba"]["shares"].append({"name": "media", "path": "/fastData/shared-media", "valid_users": ["heads"]})


class Power:
    def __init__(self, folder):
        self.lab = PhoenixLab(Path(folder) / "lab", BUILD)
        try:
            self.lab.lab.each(lambda node: node.run("systemctl enable -q " + " ".join(f"phoenix-{s}" for s in SERVICES)))
            self.lab.head.run("systemctl enable -q phoenix-orchestratord")
            self.lab.write_password("correct horse battery")
            self.lab.write_config()
            self.lab.phoenix("setup")
            self.old = self.lab.fingerprints()
            self.lab.write_config(one_share_more)
        except BaseException:
            self.lab.close()
            raise

    def runs(self):
        return json.loads(self.lab.head.run("phoenix runs list --output json").stdout).get("runs", [])

    def watch_until(self, pattern):
        """Starts a setup and returns once its log says `pattern`, or at its end; answers whether it was said."""
        setup = subprocess.Popen(
            self.lab.head.remote.command() + [
                "phoenix setup -f /root/config.json --secrets /root/secrets.json --fleet /root/fleet.json 2>&1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
        said = False
        for line in setup.stdout:
            if re.search(pattern, line):
                said = True
                break
        return said, setup

    def settle(self):
        """Waits until no run is open anywhere; answers the newest run."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            nodes = json.loads(self.lab.head.run("phoenix nodes --fleet /root/fleet.json --output json", check=False).stdout or "{}")
            told = [service for node in nodes.get("nodes", []) for service in node.get("participants", [])]
            quiet = len(told) == 4 * len(BOTH) and all(
                service.get("reachable") and not service["description"].get("open_run_id") for service in told)
            ended = [run for run in self.runs() if not run.get("end_time")] == []
            if quiet and ended:
                return (self.runs() or [{}])[0]
            if time.monotonic() > deadline:
                raise AssertionError(f"a run does not end:\n{json.dumps(self.runs()[:1], indent=1)}\n{json.dumps(told)[:3000]}")
            time.sleep(2)

    def compare(self):
        """"old" or "new" where both nodes are in one and the same of the two states, else what differs."""
        now = self.lab.fingerprints()
        differences = [difference(self.old[name], now[name]) for name in BOTH]
        if not any(differences):
            return "old", ""
        has = ["/fastData/shared-media" in self.lab[name].run("exportfs -s; testparm -s 2>/dev/null").stdout for name in BOTH]
        plan = self.lab.plan()
        if all(has) and plan["step_count"] == 0:
            return "new", ""
        return "between", "\n".join(differences) + json.dumps(plan)[:2000]

    def cut(self, kind, pattern, victims):
        restore = self.lab.break_last_samba_step(self.lab["hv2"]) if kind == UNDONE else None
        said, setup = self.watch_until(pattern)
        begin = time.monotonic()
        for name in victims:
            self.lab[name].kill()
        for name in victims:
            self.lab[name].start()
        for name in victims:
            self.lab[name].wait_until_up()
        booted = time.monotonic() - begin
        setup.kill()
        setup.communicate()
        if restore and "hv2" not in victims:
            restore()
        run = self.settle()
        settled = time.monotonic() - begin
        state, why = self.compare()
        story = (f"{'+'.join(victims):8} at «{pattern}» ({kind}): run {run.get('state', '-')}, {state}; "
                 f"booted after {booted:.0f} s, settled after {settled:.0f} s")
        problems = [] if said else [f"the run never said «{pattern}»"]
        if state == "between":
            problems.append("neither old nor new: " + why)
        expected = {"STATE_COMMITTED": "new", "STATE_ROLLED_BACK": "old", "STATE_NOTHING_DONE": "old"}.get(run.get("state"))
        if state != expected:
            problems.append(f"the run says {run.get('state')}, the nodes are in the {state} state")
        if state == "new" and not problems:
            back = self.lab.phoenix("rollback " + run["name"].removeprefix("runs/"), check=False)
            if back.returncode != 0:
                problems.append("rollback: " + back.stdout + back.stderr)
            elif self.compare()[0] != "old":
                problems.append("after the rollback the nodes are not as before: " + self.compare()[1])
        return story, problems


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--slice", default="0/1", help="I/N: every N-th moment, from the I-th on")
    index, count = (int(part) for part in arguments.parse_args().slice.split("/"))
    moments = MOMENTS[index % count::count]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        power = Power(folder)
        try:
            for moment in moments:
                begin = time.monotonic()
                story, problems = power.cut(*moment)
                print(f"{'FAILED' if problems else 'ok':6} {story}, {time.monotonic() - begin:.0f} s in all", flush=True)
                for problem in problems:
                    print("       " + problem, flush=True)
                if problems:
                    failed += 1
                    break  # what follows would begin from an unknown state
        finally:
            power.lab.close()
    print(f"{len(moments)} of {len(MOMENTS)} moments, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
