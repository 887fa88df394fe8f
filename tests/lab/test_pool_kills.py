#!/usr/bin/env python3
"""kill -9 of the zfs service within `zpool create`, on real disks.

    tests/lab/test_pool_kills.py [--tries N] [--slice S]     N moments, spread over the time that the command takes;
                                                             S moves them, and which kind of try comes first

In one try of two the command is killed with its daemon, in the other it outlives it; of each two such tries the first is a run
that succeeds, the second one whose next step fails. Nobody helps: every run ends by itself, COMMITTED with the pool as declared, or
ROLLED_BACK with disks that hold nothing; and what was committed is then rolled back to that as well."""
import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from phoenix_lab import ROOT, PhoenixLab  # noqa: E402

BUILD = Path(os.environ.get("PHOENIX_BUILD", ROOT / "build" / "release"))
BY_ID = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_"
DISKS = (BY_ID + "S1A", BY_ID + "S1B")
SETTLE_SECONDS = 240
CONFIG = {"version": "1.0.0", "zfs": {
    "pools": [{"name": "scratch", "raid_level": "mirror", "disks": list(DISKS)}],
    "datasets": [{"name": "data", "pool": "scratch", "properties": "quota=1G"}]}}

# The first `zpool create` after it was armed is shot at; what the disks then hold is noted.
ZPOOL = """#!/bin/bash
if [ "$1" = create ] && rm /run/kills/armed 2>/dev/null; then
  (
    sleep "$(cat /run/kills/delay)"
    if [ ! -d /proc/$$ ]; then echo 'it had ended' > /run/kills/seen; exit; fi
    kill -9 $(cat /run/kills/zfsd)
    if [ "$(cat /run/kills/victims)" = daemon ]; then echo 'it went on without its daemon' > /run/kills/seen; exit; fi
    kill -9 $$
    while [ -d /proc/$$ ]; do sleep 0.02; done
    seen='no pool, disks untouched'
    for part in DISKS; do
      [ ! -e $part-part1 ] || seen='no pool, partition tables'
    done
    for part in DISKS; do
      ! zdb -l $part-part1 2>/dev/null | grep -q 'name:' || seen='no pool, labels'
    done
    ! /run/kills/real/zpool list scratch >/dev/null 2>&1 || seen='pool is there'
    echo "$seen" > /run/kills/seen
  ) </dev/null >/dev/null 2>&1 &
fi
exec /run/kills/real/zpool "$@"
""".replace("DISKS", " ".join(DISKS))
ZFS = """#!/bin/sh
if [ "$1" = create ] && [ -e /run/kills/no-datasets ]; then
  echo 'broken on purpose' >&2
  exit 1
fi
exec /run/kills/real/zfs "$@"
"""


class PoolKills:
    def __init__(self, lab):
        self.lab, self.node = lab, lab.head
        self.seconds = self.seconds_of_a_create()
        self.node.run("systemctl enable -q phoenix-zfsd; mkdir -p /run/kills/real")
        for name, text in (("zpool", ZPOOL), ("zfs", ZFS)):
            self.node.run(f"cp -p /usr/sbin/{name} /run/kills/real/{name}; cat > /run/kills/{name}; chmod 755 /run/kills/{name}; "
                          f"mount --bind /run/kills/{name} /usr/sbin/{name}", input=text)

    def seconds_of_a_create(self):
        """How long the command takes on blank disks, which are blank again afterwards."""
        told = self.node.run(f"begin=$(date +%s.%N); zpool create -m none scratch mirror {' '.join(DISKS)} && "
                             f"echo $begin $(date +%s.%N); zpool destroy scratch; udevadm settle; "
                             + "; ".join(f"blkdiscard -z {disk} && partprobe {disk}" for disk in DISKS)).stdout
        begin, end = told.split()[:2]
        return float(end) - float(begin)

    def assert_blank(self, when):
        for disk in DISKS:
            told = self.node.run(f"wipefs --no-act {disk}; ls {disk}-part* 2>/dev/null; zpool list -H -o name", check=False).stdout
            assert not told.strip(), f"{when}: {disk} is not blank:\n{told}"

    def settle(self, count, told):
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            runs = json.loads(self.node.run("phoenix runs list --output json", check=False).stdout or "{}").get("runs", [])
            if len(runs) > count and runs[0].get("end_time"):
                return runs[0]
            assert time.monotonic() < deadline, f"no run that ends: {json.dumps(runs[:1])}\n{told}"
            time.sleep(1)

    def kill(self, share, victims, undone):
        """One kill, when `share` of the time has passed. Answers what was seen and how the run ended."""
        runs = json.loads(self.node.run("phoenix runs list --output json").stdout).get("runs", [])
        self.node.run(f"cd /run/kills; rm -f seen no-datasets; echo {share * self.seconds:.3f} > delay; echo {victims} > victims; "
                      f"{'touch no-datasets; ' if undone else ''}systemctl show -P MainPID phoenix-zfsd > zfsd; touch armed")
        told = self.lab.phoenix("setup", check=False)
        run = self.settle(len(runs), told.stdout + told.stderr)
        seen = self.node.run("cat /run/kills/seen").stdout.strip()
        state = run["state"].removeprefix("STATE_")
        when = f"killed ({victims}) after {share * self.seconds:.2f} s, {seen}: {state}"
        assert state == ("ROLLED_BACK" if undone else "COMMITTED"), f"{when}\n{json.dumps(run)}"
        if not undone:
            assert self.lab.plan()["step_count"] == 0, f"{when}, but steps are left"
            assert self.node.run("zpool list -H -o health scratch").stdout.strip() == "ONLINE", when
            done = self.lab.phoenix("rollback " + run["name"].removeprefix("runs/"), check=False)
            assert done.returncode == 0, f"{when}; rollback: {done.stdout}{done.stderr}"
        self.assert_blank(when)
        print(f"ok     {when}", flush=True)
        return seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tries", type=int, default=4)
    parser.add_argument("--slice", type=int, default=0)
    arguments = parser.parse_args()
    tries, first = arguments.tries, arguments.slice
    states = Counter()
    with tempfile.TemporaryDirectory() as folder, PhoenixLab(Path(folder) / "lab", BUILD, nodes=1) as lab:
        kills = PoolKills(lab)
        print(f"zpool create takes {kills.seconds:.2f} s", flush=True)
        lab.write_password("unused")
        lab.write("/root/config.json", json.dumps(CONFIG))
        before = lab.fingerprints()
        for i in range(first, first + tries):
            share = (i / tries + 0.5 / tries + first * 0.37) % 1
            states[kills.kill(share, ("both", "daemon")[i % 2], i // 2 % 2 == 1)] += 1
        assert lab.fingerprints() == before, "the node is not as before the first run"
    for state, count in states.most_common():
        print(f"{count:5d}  {state}")
    print(f"{tries} kills, all ended old or new by themselves")


if __name__ == "__main__":
    sys.exit(main())
