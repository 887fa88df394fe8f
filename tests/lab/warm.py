"""Nodes from a frozen template: skips the boot where the CPU is emulated.

The first time a node of some kind is booted it is frozen, right after it settled and before
it gets its disks and its payload: memory into a file, its root disk beside it. Later nodes of
that name and kind thaw from there in a few seconds. Disks and payload are plugged in
afterwards in either case, since QEMU cannot freeze an NVMe disk. After a power cut a node
boots like any other, with its disks in place.
"""
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from remote import LabError


def template_of(record):
    """Where the template of such a node lies. All that the frozen memory depends on is in its
    name: the image, the virtual hardware, who the node is, and the QEMU that froze it."""
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True,
                          check=True).stdout
    shape = [qemu, record["name"], record["number"], record["image"], record["accel"],
             record["memory_mib"], record["cpus"], len(record["disks"])]
    sources = b"".join((Path(__file__).parent / name).read_bytes()
                       for name in ("warm.py", "node.py"))
    key = hashlib.sha256(json.dumps(shape).encode() + sources).hexdigest()[:12]
    return Path(record["images"]) / f"warm-{record['name']}-{record['image']}-{key}"


def freeze(node, template):
    """Makes the template from a settled node, which goes on running."""
    node.run("sync")
    node.remote.hang_up()  # or the template would remember a connection of ours
    time.sleep(0.5)
    partial = Path(tempfile.mkdtemp(dir=template.parent, prefix="warm-partial."))
    try:
        node.qmp("stop")
        try:
            node.qmp("migrate-set-parameters", **{"max-bandwidth": 8 << 30})
            node.qmp("migrate", uri=f"exec:cat > {partial}/memory")
            while (state := node.qmp("query-migrate"))["status"] != "completed":
                if state["status"] in ("failed", "cancelled"):
                    raise LabError(f"{node.name} cannot be frozen: {state}")
                time.sleep(0.1)
            # The copy keeps the image as its backing file and holds what the boot wrote.
            shutil.copyfile(node.directory / "root.qcow2", partial / "root.qcow2")
        finally:
            node.qmp("cont")
        try:
            partial.rename(template)
        except OSError:
            pass  # another lab was faster with the same template
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def thawed_root(template, root):
    """A fresh root disk on top of the template's."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                    "-b", str(template / "root.qcow2"), str(root)], check=True)


def thaw(node):
    """Lets a node run on whose QEMU was started on a template's memory."""
    deadline = time.monotonic() + 300
    while (status := node.qmp("query-status")["status"]) == "inmigrate":
        if time.monotonic() > deadline:
            raise LabError(f"{node.name}: the template's memory is not read")
        time.sleep(0.05)
    if status == "paused":  # as it was when frozen
        node.qmp("cont")


def discard(template):
    shutil.rmtree(template, ignore_errors=True)


def freshen(node):
    """What a node asleep for long must not know: the old time, and the random numbers that
    other nodes of the same template are about to draw as well."""
    reseed = ("open R, '+<', '/dev/urandom'; syswrite R, pack('H*', $ARGV[0]);"
              "ioctl R, 0x5207, 0 or die $!")  # RNDRESEEDCRNG
    node.run(f"date -s @{time.time():.3f} >/dev/null && "
             f'perl -e "{reseed}" {secrets.token_hex(64)}'.replace("$", "\\$"))


def plug_in(node):
    """Gives the running node its payload, unpacked, and its disks."""
    record = node.record
    if record["payload"]:
        node.qmp("blockdev-add", **{"driver": "raw", "node-name": "payload", "read-only": True,
                                    "file": {"driver": "file", "filename": record["payload"]}})
        node.qmp("device_add", driver="virtio-blk-pci", drive="payload", serial="lab-payload",
                 bus="slot0", id="payload")
    for slot, (serial, _) in enumerate(record["disks"], 1):
        node.qmp("blockdev-add", **{"driver": "raw", "node-name": serial, "discard": "unmap",
                                    "cache": {"direct": False, "no-flush": True},
                                    "file": {"driver": "file", "discard": "unmap",
                                             "filename": str(node.disk_path(serial))}})
        node.qmp("device_add", driver="nvme", serial=serial, drive=serial, bus=f"slot{slot}",
                 id=f"nvme-{serial}")
    links = [f"nvme-QEMU_NVMe_Ctrl_{serial}" for serial, _ in record["disks"]]
    script = """
        wait_for() {
            n=0
            until [ -e "$1" ]; do sleep 0.1; n=$((n+1)); [ $n -lt 3000 ] || exit 9; done
        }
    """
    script += "".join(f"wait_for /dev/disk/by-id/{link}\n" for link in links)
    if record["payload"]:
        script += f"""
            wait_for /dev/disk/by-id/virtio-lab-payload
            tar --keep-directory-symlink -xf /dev/disk/by-id/virtio-lab-payload -C / || exit 8
            sync; echo {record['payload_hash']} > /var/lib/phoenix-lab/payload; sync
            systemctl daemon-reload; systemctl start multi-user.target
            systemctl is-system-running --wait
        """
    done = node.run(script + "\ntrue", check=False)
    if done.returncode:
        raise LabError(f"{node.name}: disks or payload did not arrive (rc {done.returncode}):\n"
                       f"{done.stdout}{done.stderr}")


def wanted(record):
    """Where the CPU is real, a boot is as quick and proves more. A guest's first boot is what is looked at."""
    if record["seed"]:
        return False
    return record["accel"][0].startswith("tcg") and os.environ.get("PHOENIX_LAB_WARM") != "no"
