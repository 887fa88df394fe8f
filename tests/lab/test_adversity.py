#!/usr/bin/env python3
"""Everything that tests/lab/adversity.py does to a run, or a slice of it. One lab for all.

    tests/lab/test_adversity.py                  all: hours without KVM
    tests/lab/test_adversity.py --slice 3/25     one power cut and one fault of 25, which ones follows from the number
"""
import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from adversity import CUTS, EFFECTS, Adversity  # noqa: E402
from phoenix_lab import ROOT, PhoenixLab  # noqa: E402

BUILD = Path(os.environ.get("PHOENIX_BUILD", ROOT / "build" / "release"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--slice", default="0/1", help="I/N: every N-th case, from the I-th on")
    parser.add_argument("--only", choices=("cuts", "faults", "edits", "others", "content"))
    arguments = parser.parse_args()
    index, count = (int(part) for part in arguments.slice.split("/"))
    done = failed = 0

    def case(body, *values):
        nonlocal done, failed
        begin = time.monotonic()
        done += 1
        try:
            story = body(*values)
        except AssertionError as error:
            failed += 1
            print(f"FAILED {error}", flush=True)
            raise
        print(f"ok     {story}, {time.monotonic() - begin:.0f} s in all", flush=True)
        return story

    with tempfile.TemporaryDirectory() as folder, PhoenixLab(Path(folder) / "lab", BUILD) as lab:
        lab.write_password("correct horse battery")
        lab.write_config()
        lab.phoenix("setup")
        adversity = Adversity(lab)
        try:
            if arguments.only in (None, "cuts"):
                for cut in CUTS[index % count::count]:
                    case(adversity.cut, *cut)
            if arguments.only in (None, "faults"):
                for effect in EFFECTS:
                    at = 1 + index % count
                    while case(adversity.fault, at, effect):
                        at += count
            if arguments.only in (None, "edits"):
                case(adversity.edits)
            if arguments.only in (None, "others"):
                case(adversity.others)
            if arguments.only in (None, "content"):
                # Last: the second leaves what others wrote.
                for foreign in (False, True):
                    case(adversity.content, foreign)
        except AssertionError:
            pass  # what follows would begin from an unknown state
    print(f"{done} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
