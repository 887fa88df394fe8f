"""One lab node: a QEMU process, its disks, and ssh to it."""
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

# What the shipped example configuration names: two disks for the mirror, one large one.
DEFAULT_DISKS = [("S1A", "2T"), ("S1B", "2T"), ("S2A", "4T")]
BOOT_SECONDS = 300
_registry_lock = threading.Lock()  # nodes of one lab share a lab.json
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class LabError(Exception):
    """Something of the lab itself failed, not of what it tests."""


class CommandFailed(LabError):
    """A checked command on a node ended with another exit code than 0."""

    def __init__(self, node, command, done):
        super().__init__(f"{node}: rc {done.returncode} from: {command}\n"
                         f"{done.stdout}{done.stderr}".rstrip())
        self.done = done


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

    @classmethod
    def create(cls, directory, name, number, image, shared, payload=None, disks=DEFAULT_DISKS,
               forward=()):
        """Fresh disks in `directory`; nothing runs yet."""
        directory = Path(directory)
        directory.mkdir(parents=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                        "-b", f"{shared['images']}/{image}.qcow2", str(directory / "root.qcow2")],
                       check=True)
        for serial, size in disks:
            with open(directory / f"{serial}.raw", "wb") as disk:
                disk.truncate(size_in_bytes(size))  # sparse: 2 TB cost what is written
        record = dict(shared, name=name, number=number, image=image,
                      disks=[list(disk) for disk in disks], forward=[22, *forward],
                      payload=None, payload_hash=None, ports={}, pid=None, pid_start=None)
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
    def console(self):
        return self.directory / "console.log"

    # --- life ---------------------------------------------------------------------------

    def qemu_command(self):
        record, number = self.record, self.record["number"]
        images = Path(record["images"])
        accel, cpu = record["accel"]
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}"
                           for guest, host in self.forwards.items())
        machine_id = hashlib.sha256(f"phoenix-lab {self.name}".encode()).hexdigest()[:32]
        append = ["root=/dev/vda", "rw", "console=ttyS0", "loglevel=5", "mitigations=off",
                  "net.ifnames=0", "panic=-1", "random.trust_cpu=on",
                  f"systemd.hostname={self.name}", f"systemd.machine_id={machine_id}",
                  f"lab.node={number}"]
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
            "-drive", f"if=virtio,format=qcow2,cache=writeback,file={self.directory}/root.qcow2",
            "-netdev", f"user,id=user{forwards}",
            "-device", f"virtio-net-pci,netdev=user,mac=52:54:00:77:00:{number:02x}",
            "-netdev", f"socket,id=lab,mcast=230.0.0.1:{record['mcast_port']},localaddr=127.0.0.1",
            "-device", f"virtio-net-pci,netdev=lab,mac=52:54:00:77:01:{number:02x}",
        ]
        if record["payload"]:
            command += ["-drive", f"if=virtio,format=raw,readonly=on,file={record['payload']}"]
            append.append(f"lab.payload={record['payload_hash']}")
        for serial, _ in record["disks"]:
            command += ["-drive", f"if=none,id={serial},format=raw,cache=unsafe,discard=unmap,"
                                  f"file={self.directory}/{serial}.raw",
                        "-device", f"nvme,serial={serial},drive={serial}"]
        return command + ["-append", " ".join(append)]

    def start(self):
        """Starts the VM and returns at once; wait_until_up() tells when it is usable."""
        if self.alive():
            raise LabError(f"{self.name} already runs")
        self._began = time.monotonic()
        for attempt in range(3):  # a forwarded port may be taken between choice and use
            self.record["ports"] = {str(guest): free_port() for guest in self.record["forward"]}
            with open(self.directory / "qemu.log", "ab") as log:
                self._process = subprocess.Popen(self.qemu_command(), stdin=subprocess.DEVNULL,
                                                 stdout=log, stderr=log, start_new_session=True)
            time.sleep(0.3)
            if self._process.poll() is None:
                self.record["pid"] = self._process.pid
                self.record["pid_start"] = start_time(self._process.pid)
                self._save_record()
                return
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
        deadline = time.monotonic() + seconds
        while not self._answers():
            if not self.alive():
                raise LabError(f"{self.name}: QEMU ended during boot; its console ends with:\n"
                               + tail(self.console) + tail(self.directory / "qemu.log"))
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: no ssh after {seconds} s; its console ends with:\n"
                               + tail(self.console))
            time.sleep(0.2)
        self.boot_seconds = time.monotonic() - self._began
        self.run("systemctl is-system-running --wait", check=False, timeout=seconds)
        self.settled_seconds = time.monotonic() - self._began

    def _answers(self):
        # QEMU accepts for the guest at once; only a banner says that sshd is there.
        return self._banner() and self.run("true", check=False, timeout=60).returncode == 0

    def _banner(self):
        try:
            with socket.create_connection(("127.0.0.1", self.forwards[22]), timeout=2) as link:
                link.settimeout(2)
                return link.recv(4) == b"SSH-"
        except OSError:
            return False

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
        self._close_master()
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
        self._close_master()
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
        self._close_master()
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

    def ssh_options(self):
        return ["-F", "none", "-i", f"{self.record['images']}/id_ed25519",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30",
                "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=6",
                # One connection for all commands: a key exchange costs an emulated CPU a second.
                "-o", "ControlMaster=auto", "-o", f"ControlPath={self._master_path()}",
                "-o", "ControlPersist=600"]

    def _master_path(self):
        # Unix socket paths are short; the lab's directory may be deep.
        return f"/tmp/phoenix-lab-{os.getuid()}-{self.forwards.get(22, 0)}.ssh"

    def ssh_command(self, tty=False):
        return (["ssh", *self.ssh_options(), "-p", str(self.forwards[22])]
                + (["-t"] if tty else []) + ["root@127.0.0.1"])

    def _close_master(self):
        if self.forwards.get(22) and os.path.exists(self._master_path()):
            subprocess.run(["ssh", *self.ssh_options(), "-O", "exit", "-p",
                            str(self.forwards[22]), "root@127.0.0.1"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def run(self, command, check=True, input=None, timeout=600):
        """Runs a shell command as root. Returns CompletedProcess with text stdout, stderr.

        `input` is text for its standard input (none: empty).
        """
        done = subprocess.run(self.ssh_command() + [command], text=True, errors="replace",
                              input="" if input is None else input, capture_output=True,
                              timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise CommandFailed(self.name, command, done)
        return done

    def put(self, source, target):
        """A local file or folder to the node."""
        self._copy(str(source), f"root@127.0.0.1:{target}")

    def get(self, source, target):
        """A file or folder of the node to here."""
        self._copy(f"root@127.0.0.1:{source}", str(target))

    def _copy(self, source, target):
        done = subprocess.run(["scp", "-q", "-r", *self.ssh_options(), "-P",
                               str(self.forwards[22]), source, target],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CommandFailed(self.name, f"scp {source} {target}", done)

    def fingerprint(self):
        """The node's whole storage state as text; see ./fingerprint."""
        script = Path(__file__).resolve().parent / "fingerprint"
        return self.run("python3 -", input=script.read_text()).stdout

    def install(self, tarball):
        """Unpacks a local tar to / of the running node (at boot, `payload` is faster)."""
        with open(tarball, "rb") as tar:
            done = subprocess.run(self.ssh_command() + ["tar --keep-directory-symlink -xf - -C /"],
                                  stdin=tar, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CommandFailed(self.name, f"unpacking {tarball}", done)


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
