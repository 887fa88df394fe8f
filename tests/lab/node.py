"""One lab node: a QEMU process and its disks."""
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import warm
from remote import LabError, Remote

# What the shipped example configuration names: two disks for the mirror, one large one.
DEFAULT_DISKS = [("S1A", "2T"), ("S1B", "2T"), ("S2A", "4T")]
BOOT_SECONDS = 900
THAW_SECONDS = 300
_registry_lock = threading.Lock()  # nodes of one lab share a lab.json
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def size_in_bytes(text):
    return int(float(text[:-1]) * UNITS[text[-1].upper()]) if text[-1].isalpha() else int(text)


def free_port(udp=False):
    """A port of loopback nobody uses now. Another process may still take it first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    """A VM that is started, cut and started again on the same disks.

    `record` is all that is needed to find and restart it from another process.
    """

    def __init__(self, directory, record):
        self.directory = Path(directory)
        self.record = record
        self.boot_seconds = 0.0      # from power-on to the first answer by ssh
        self.settled_seconds = 0.0   # ... to the end of all start-up jobs
        self._began = time.monotonic()
        self._process = None
        self._thawing = False

    @classmethod
    def create(cls, directory, name, number, image, shared, payload=None, disks=DEFAULT_DISKS,
               forward=(), seed=False):
        """Fresh disks in `directory`; nothing runs yet."""
        directory = Path(directory)
        directory.mkdir(parents=True)
        for serial, size in disks:
            with open(directory / f"{serial}.raw", "wb") as disk:
                disk.truncate(size_in_bytes(size))  # sparse: 2 TB cost what is written
        record = dict(shared, name=name, number=number, image=image,
                      disks=[list(disk) for disk in disks], forward=[22, *forward],
                      payload=None, payload_hash=None, ports={}, pid=None, pid_start=None,
                      fresh=True, seed=seed)
        if payload:
            record["payload"] = str(Path(payload).resolve())
            with open(payload, "rb") as tar:
                record["payload_hash"] = hashlib.file_digest(tar, "sha256").hexdigest()[:16]
        return cls(directory, record)

    @property
    def name(self):
        return self.record["name"]

    @property
    def address(self):
        """Its address on the lab's own network, as the other nodes see it."""
        return f"10.77.0.{self.record['number']}"

    @property
    def forwards(self):
        """Guest port -> port on this machine's loopback."""
        return {int(guest): host for guest, host in self.record["ports"].items()}

    @property
    def remote(self):
        return Remote(self.name, self.forwards.get(22, 0), f"{self.record['images']}/id_ed25519")

    def disk_path(self, serial):
        return self.directory / f"{serial}.raw"

    def write_seed(self, user_data):
        """The drive with cloud-init's data, made as Proxmox VE makes it; other data are another instance. For the next start."""
        instance = hashlib.sha1(user_data.encode()).hexdigest()
        folder = self.directory / "cidata"
        folder.mkdir(exist_ok=True)
        (folder / "user-data").write_text(user_data)
        (folder / "meta-data").write_text(f"instance-id: {instance}\n")
        subprocess.run(["genisoimage", "-quiet", "-iso-level", "3", "-R", "-V", "cidata", "-o",
                        self.directory / "seed.iso", folder], check=True)

    @property
    def console(self):
        return self.directory / "console.log"

    # --- life ---------------------------------------------------------------------------

    def qemu_command(self, disks=True, thaw=None):
        """argv of QEMU. The virtual hardware is the same with and without disks: they, and the
        payload, sit in slots that are there in any case, so that they can be plugged in."""
        record, number = self.record, self.record["number"]
        images = Path(record["images"])
        accel, cpu = record["accel"]
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}"
                           for guest, host in self.forwards.items())
        machine_id = hashlib.sha256(f"phoenix-lab {self.name}".encode()).hexdigest()[:32]
        append = ["rw", "console=ttyS0", "loglevel=5", "mitigations=off no_timer_check", "net.ifnames=0",
                  "panic=-1", "random.trust_cpu=on", f"systemd.hostname={self.name}",
                  f"systemd.machine_id={machine_id}", f"lab.node={number}"]
        # A flush must reach qcow2's own tables, or a power cut would tear the image itself;
        # the raw disks have none, so there the host's page cache is as good as a disk.
        command = [
            "qemu-system-x86_64", "-name", self.name, "-nodefaults", "-display", "none",
            "-accel", accel, "-machine", "q35", "-cpu", cpu,
            "-m", str(record["memory_mib"]), "-smp", str(record["cpus"]),
            "-kernel", str(images / "vmlinuz"), "-initrd", str(images / "initrd.img"),
            "-chardev", f"file,id=console,path={self.console},append=on",
            "-serial", "chardev:console",
            "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off",
            "-drive", "if=none,id=root,format=qcow2,cache=writeback,"
                      f"file={self.directory}/root.qcow2",
            "-device", "virtio-blk-pci,drive=root,serial=lab-root",
            "-netdev", f"user,id=user{forwards}",
            "-device", f"virtio-net-pci,netdev=user,mac=52:54:00:77:00:{number:02x}",
            "-netdev", f"socket,id=lab,mcast=230.0.0.1:{record['mcast_port']},localaddr=127.0.0.1",
            "-device", f"virtio-net-pci,netdev=lab,mac=52:54:00:77:01:{number:02x}",
        ]
        for slot in range(len(record["disks"]) + 1):
            command += ["-device", f"pcie-root-port,id=slot{slot},chassis={slot + 1},"
                                   f"slot={slot + 1}"]
        if disks and record["payload"]:
            command += ["-drive", "if=none,id=payload,format=raw,readonly=on,"
                                  f"file={record['payload']}",
                        "-device", "virtio-blk-pci,drive=payload,serial=lab-payload,bus=slot0"]
            append.append(f"lab.payload={record['payload_hash']}")
        for slot, (serial, _) in enumerate(record["disks"] if disks else [], 1):
            command += ["-drive", f"if=none,id={serial},format=raw,cache=unsafe,discard=unmap,"
                                  f"file={self.disk_path(serial)}",
                        "-device", f"nvme,serial={serial},drive={serial},bus=slot{slot}"]
        if record["seed"]:
            command += ["-drive", "if=none,id=seed,format=raw,readonly=on,"
                                  f"file={self.directory}/seed.iso",
                        "-device", "virtio-blk-pci,drive=seed,serial=lab-seed"]
        if thaw:
            command += ["-incoming", f"exec:cat {thaw}/memory"]
        return command + ["-append", " ".join(append)]

    def _prepare_root(self):
        """The root disk of a node that never ran. Returns the template it thaws from, if any."""
        root = self.directory / "root.qcow2"
        if warm.wanted(self.record):
            template = warm.template_of(self.record)
            if template.exists():
                warm.thawed_root(template, root)
                return template
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
                        f"{self.record['images']}/{self.record['image']}.qcow2", str(root)],
                       check=True)
        return None

    def start(self):
        """Starts the VM and returns at once; wait_until_up() tells when it is usable."""
        if self.alive():
            raise LabError(f"{self.name} already runs")
        self._began = time.monotonic()
        fresh = self.record["fresh"]
        thaw = self._prepare_root() if fresh else None
        self._thawing = thaw is not None
        disks = not (fresh and warm.wanted(self.record))
        for _ in range(3):  # a forwarded port may be taken between choice and use
            self.record["ports"] = {str(guest): free_port() for guest in self.record["forward"]}
            with open(self.directory / "qemu.log", "ab") as log:
                self._process = subprocess.Popen(
                    self.qemu_command(disks, thaw), stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, start_new_session=True)
            time.sleep(0.3)
            if self._process.poll() is None:
                self.record["pid"] = self._process.pid
                self.record["pid_start"] = start_time(self._process.pid)
                self._save_record()
                return
            if self._thawing:  # perhaps for want of a sound template, not of a port
                warm.discard(thaw)
                thaw = self._prepare_root()
                self._thawing = thaw is not None
        raise LabError(f"{self.name}: QEMU does not start:\n"
                       + tail(self.directory / "qemu.log"))

    def _save_record(self):
        """A restarted node has another pid and other ports: tell whoever opens the lab later."""
        with _registry_lock:
            registry = self.directory.parent / "lab.json"
            if not registry.exists():
                return
            state = json.loads(registry.read_text())
            state["nodes"][self.name] = self.record
            draft = registry.with_suffix(".partial")
            draft.write_text(json.dumps(state, indent=2))
            draft.rename(registry)

    def wait_until_up(self, seconds=BOOT_SECONDS):
        """Returns when ssh answers and no start-up job is left: until then services still
        come up, and nothing could be said about the node's state."""
        if self._thawing and not self._thawed():
            # A template that does not wake up must not break every lab from now on.
            self.kill()
            warm.discard(warm.template_of(self.record))
            self.start()
        deadline = time.monotonic() + seconds
        while not self.remote.answers():
            self._check(deadline)
            time.sleep(0.2)
        self.boot_seconds = time.monotonic() - self._began
        self.run("systemctl is-system-running --wait", check=False, timeout=seconds)
        if self.record["fresh"] and warm.wanted(self.record):
            if not self._thawing:
                warm.freeze(self, warm.template_of(self.record))
            warm.freshen(self)
            warm.plug_in(self)
        self.record["fresh"] = False
        self._save_record()
        self.settled_seconds = time.monotonic() - self._began

    def _check(self, deadline):
        if not self.alive():
            raise LabError(f"{self.name}: QEMU ended during boot; its console ends with:\n"
                           + tail(self.console) + tail(self.directory / "qemu.log"))
        if time.monotonic() > deadline:
            raise LabError(f"{self.name}: no ssh in time; its console ends with:\n"
                           + tail(self.console))

    def _thawed(self):
        """Lets a node run on from its template; False when it does not come to life."""
        deadline = time.monotonic() + THAW_SECONDS
        try:
            warm.thaw(self)
            while not self.remote.answers():
                self._check(deadline)
                time.sleep(0.2)
        except (LabError, OSError):
            return False
        return True

    def boot(self):
        self.start()
        self.wait_until_up()

    def alive(self):
        pid = self.record["pid"]
        if pid is None:
            return False
        if self._process is not None and self._process.poll() is not None:
            return False
        return start_time(pid) == self.record["pid_start"]

    def kill(self):
        """SIGKILL to this node's own QEMU, nothing else."""
        self.remote.hang_up()
        if self.alive():
            os.kill(self.record["pid"], signal.SIGKILL)
            if self._process is not None:
                self._process.wait()
            while self.alive():
                time.sleep(0.02)
        self._process = None
        self.record["pid"] = None

    def power_cut(self, boot=True):
        """The plug is pulled: nothing in the guest hears of it. Same disks afterwards."""
        self.kill()
        if boot:
            self.boot()

    def reset(self):
        """The reset button: same QEMU, the guest starts over."""
        self._began = time.monotonic()
        self.remote.hang_up()
        self.qmp("system_reset")
        self.wait_until_up()

    def shut_down(self, seconds=120):
        """An orderly power-off by the guest itself."""
        self.run("systemctl poweroff", check=False)
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} does not power off:\n" + tail(self.console))
            time.sleep(0.1)
        self.remote.hang_up()
        self.record["pid"] = None

    def qmp(self, command, **arguments):
        """One command to QEMU's monitor; returns its answer."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(30)
            link.connect(str(self.directory / "qmp"))
            lines = link.makefile("rw")

            def answer():
                while True:
                    message = json.loads(lines.readline())
                    if "event" not in message:
                        return message

            answer()  # the greeting
            for name, values in (("qmp_capabilities", {}), (command, arguments)):
                lines.write(json.dumps({"execute": name, "arguments": values}) + "\n")
                lines.flush()
                last = answer()
        if "error" in last:
            raise LabError(f"{self.name}: {command}: {last['error']}")
        return last["return"]

    # --- talking to it ------------------------------------------------------------------

    def run(self, command, check=True, input=None, timeout=3600):
        """Runs a shell command as root; see Remote.run."""
        return self.remote.run(command, check, input, timeout)

    def put(self, source, target):
        self.remote.put(source, target)

    def get(self, source, target):
        self.remote.get(source, target)

    def install(self, tarball):
        self.remote.install(tarball)

    def fingerprint(self):
        """The node's whole storage state as text; see ./fingerprint."""
        script = Path(__file__).resolve().parent / "fingerprint"
        return self.run("python3 -", input=script.read_text()).stdout


def start_time(pid):
    """With the pid, tells one process from a later one of the same number; None if gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else int(fields[19])


def tail(path, lines=40):
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:]) + "\n"
