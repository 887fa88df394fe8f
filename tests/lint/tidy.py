#!/usr/bin/env python3
"""clang-tidy over every translation unit of the tree.

A unit that was found clean is not read again as long as nothing changed that clang-tidy would read: the unit, each of its headers,
the command line, the checks and clang-tidy itself. What is clean is remembered by content in PHOENIX_CACHE, so that another checkout
profits. `tidy.py BUILD [PART…]` reads the units whose path contains one of PART.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("PHOENIX_CACHE", pathlib.Path.home() / ".cache/phoenix")) / "tidy"
ROOMS = ("base", "services", "orchestrator", "clients", "tests")
TIDY = "clang-tidy-19"


def digest_of(path: pathlib.Path, known: dict) -> str:
    if path not in known:
        known[path] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "gone"
    return known[path]


def headers_of(build: pathlib.Path) -> dict:
    """What each object was made of, as ninja has it from the compiler."""
    told = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout
    headers, current = {}, None
    for line in told.splitlines():
        if line.startswith("    ") and current is not None:
            current.append((build / line.strip()).resolve())
        elif ": #deps" in line:
            # A record that is not valid is as good as none: then the unit is read.
            current = headers[line.split(":")[0]] = [] if line.endswith("(VALID)") else None
    return headers


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    parts = sys.argv[2:]
    version = subprocess.run([TIDY, "--version"], capture_output=True, text=True, check=True).stdout
    checks = (ROOT / ".clang-tidy").read_text()
    headers, known = headers_of(build), {}
    units = []
    for command in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(command["file"]).resolve()
        place = path.relative_to(ROOT) if path.is_relative_to(ROOT) else None
        if place is None or place.parts[0] not in ROOMS or (parts and not any(part in str(place) for part in parts)):
            continue
        words = shlex.split(command["command"])
        made_of = headers.get(words[words.index("-o") + 1])
        key = None
        if made_of is not None:
            told = command["command"].replace(str(ROOT), "")
            # Sorted as they read without ROOT: in every checkout alike.
            lines = [version, checks, told] + sorted(str(h).replace(str(ROOT), "") + digest_of(h, known) for h in set(made_of))
            key = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        units.append((place, key))
    CACHE.mkdir(parents=True, exist_ok=True)
    to_read = [(place, key) for place, key in sorted(set(units), key=str) if key is None or not (CACHE / key).exists()]
    print(f"clang-tidy: {len(units)} units, {len(units) - len(to_read)} known to be clean, {len(to_read)} to read", flush=True)

    def read(unit):
        place, key = unit
        ran = subprocess.run([TIDY, "--quiet", "-p", build, ROOT / place], capture_output=True, text=True)
        if ran.returncode == 0 and key is not None:
            (CACHE / key).touch()
        return place, ran

    failed = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for done, (place, ran) in enumerate(pool.map(read, to_read), 1):
            print(f"[{done}/{len(to_read)}] {place}{'' if ran.returncode == 0 else ': FINDINGS'}", flush=True)
            if ran.returncode != 0:
                print(ran.stdout, flush=True)
                failed.append(place)
    for place in failed:
        print(f"not clean: {place}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
