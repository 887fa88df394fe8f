#!/usr/bin/env python3
"""The lab: real hypervisor VMs under QEMU, as a library and as a command.

    tests/lab/lab.py up --dir DIR --nodes 2 [--image full|bare|hv1=full,hv2=bare]
                        [--payload FILE.tar] [--disks S1A:2T,...] [--forward 7441,...]
    tests/lab/lab.py ssh --dir DIR hv1 [command...]
    tests/lab/lab.py down --dir DIR

As a library:

    with Lab(work_dir, nodes=2, image="full", payload="phoenix.tar") as lab:
        hv1 = lab["hv1"]
        hv1.run("zpool status")
        hv1.power_cut()

Everything listens on loopback only; processes are ended by their id. DIR keeps disks,
consoles (hv1/console.log) and lab.json, by which a later command finds the nodes.
"""
import argparse
import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from accel import acceleration  # noqa: E402
from node import DEFAULT_DISKS, Node, free_port  # noqa: E402
from remote import LabError  # noqa: E402

__all__ = ["Lab", "LabError", "Node", "build_image", "difference"]

HERE = Path(__file__).resolve().parent


def build_image():
    """The directory of the lab's images; builds what is missing (minutes, as root)."""
    done = subprocess.run([HERE / "image"], check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.strip().splitlines()[-1])


def image_of(name, image):
    """`image` is one word for all nodes, or 'hv1=full,hv2=bare'."""
    kind = image
    if "=" in image:
        kind = dict(part.split("=", 1) for part in image.split(",")).get(name)
    if kind not in ("full", "bare"):
        raise LabError(f"no image for node {name} in '{image}': say full, bare or {name}=full,...")
    return kind


def difference(before, after, exceptions=()):
    """How two fingerprints differ, as readable text; empty where they are equal. Exceptions
    are prefixes of lines that may differ."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("before", "after", "exceptions")]
        for path, text in zip(paths, (before, after, "\n".join(exceptions))):
            path.write_text(text)
        done = subprocess.run([sys.executable, HERE / "fingerprint", "--diff", *paths[:2],
                               "--except", paths[2]], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise LabError(done.stderr)
    return done.stdout if done.returncode else ""


class Lab:
    """A set of nodes hv1, hv2 ... on one network 10.77.0.0/24 of their own."""

    def __init__(self, directory, nodes=2, image="full", payload=None, disks=DEFAULT_DISKS,
                 forward=(), memory_mib=2048, cpus=2, images=None, boot=True, outlive=False):
        """`outlive`: the nodes go on when this process ends, until somebody calls close()."""
        self.directory = Path(directory).resolve()
        if (self.directory / "lab.json").exists():
            raise LabError(f"{self.directory} already holds a lab: end it with 'down' first")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.images = Path(images) if images else build_image()
        shared = {
            "images": str(self.images),
            "accel": acceleration(self.images / "vmlinuz"),
            "mcast_port": free_port(udp=True),
            "memory_mib": memory_mib,
            "cpus": cpus,
        }
        self.shared = shared
        self.nodes = {}
        for number in range(1, nodes + 1):
            name = f"hv{number}"
            self.nodes[name] = Node.create(
                self.directory / name, name, number, image_of(name, image), shared,
                payload=payload, disks=disks, forward=forward)
        self.save()
        if not outlive:
            atexit.register(self.close)
        if boot:
            try:
                self.boot()
            except BaseException:
                self.close()
                raise

    @classmethod
    def open(cls, directory):
        """The lab that an earlier process left running in `directory`."""
        lab = cls.__new__(cls)
        lab.directory = Path(directory).resolve()
        try:
            state = json.loads((lab.directory / "lab.json").read_text())
        except FileNotFoundError:
            raise LabError(f"no lab in {lab.directory}") from None
        lab.nodes = {name: Node(lab.directory / name, record)
                     for name, record in state["nodes"].items()}
        return lab

    def save(self):
        state = {"nodes": {name: node.record for name, node in self.nodes.items()}}
        draft = self.directory / "lab.json.partial"
        draft.write_text(json.dumps(state, indent=2))
        draft.rename(self.directory / "lab.json")

    def each(self, action, names=None):
        """Calls action(node) for all nodes at once; raises the first failure."""
        failures = []

        def guarded(node):
            try:
                action(node)
            except Exception as failure:  # told by the caller's thread
                failures.append(failure)

        threads = [threading.Thread(target=guarded, args=(self.nodes[name],))
                   for name in (names or self.nodes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def boot(self):
        self.each(lambda node: node.start())
        self.save()
        self.each(lambda node: node.wait_until_up())

    def add_guests(self, guests):
        """VMs beside the hypervisors boot for the first time: name -> (number, cloud-init's user data), at 10.77.0.number."""
        for name, (number, user_data) in guests.items():
            self.nodes[name] = Node.create(self.directory / name, name, number, "guest", self.shared, disks=(), seed=True)
            self.nodes[name].write_seed(user_data)
        self.save()
        self.each(Node.boot, guests)

    def close(self):
        """Ends every node at once (no shutdown); disks and consoles stay in the directory."""
        for node in self.nodes.values():
            node.kill()
        (self.directory / "lab.json").unlink(missing_ok=True)

    def __getitem__(self, name):
        return self.nodes[name]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def parse_disks(text):
    """'S1A:2T,S1B:2T' -> [('S1A', '2T'), ('S1B', '2T')]"""
    return [tuple(part.split(":", 1)) for part in text.split(",") if part]


def main(arguments):
    parser = argparse.ArgumentParser(prog="lab.py", description="Real hypervisor VMs for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="boot a lab and leave it running")
    up.add_argument("--nodes", type=int, default=2)
    up.add_argument("--image", default="full", help="full, bare, or hv1=full,hv2=bare")
    up.add_argument("--payload", help="a tar that is unpacked to / before systemd starts")
    up.add_argument("--disks", type=parse_disks, default=DEFAULT_DISKS,
                    help="SERIAL:SIZE,... of every node's NVMe disks")
    up.add_argument("--forward", type=lambda text: [int(port) for port in text.split(",")],
                    default=[], help="guest ports to reach from this machine's loopback")
    up.add_argument("--memory", type=int, default=2048, help="MiB per node")
    up.add_argument("--cpus", type=int, default=2)
    down = commands.add_parser("down", help="end a lab's processes")
    ssh = commands.add_parser("ssh", help="a shell, or one command, on a node")
    ssh.add_argument("node")
    ssh.add_argument("remote", nargs=argparse.REMAINDER)
    for command in (up, down, ssh):
        command.add_argument("--dir", required=True, help="where the lab lives")
    options = parser.parse_args(arguments)

    try:
        if options.command == "up":
            began = time.monotonic()
            lab = Lab(options.dir, nodes=options.nodes, image=options.image,
                      payload=options.payload, disks=options.disks, forward=options.forward,
                      memory_mib=options.memory, cpus=options.cpus, outlive=True)
            for name, node in lab.nodes.items():
                forwards = " ".join(f"{guest}->127.0.0.1:{host}"
                                    for guest, host in node.forwards.items())
                print(f"{name}: {node.address} ({node.record['image']}), ssh after "
                      f"{node.boot_seconds:.0f} s, settled after {node.settled_seconds:.0f} s; "
                      + forwards)
            print(f"lab up in {time.monotonic() - began:.0f} s with "
                  + lab["hv1"].record["accel"][0])
        elif options.command == "down":
            Lab.open(options.dir).close()
        else:
            node = Lab.open(options.dir)[options.node]
            os.execvp("ssh", node.remote.command(tty=not options.remote) + options.remote)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
