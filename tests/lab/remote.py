"""Commands and files to a node, over ssh on a forwarded port of loopback."""
import os
import socket
import subprocess


class LabError(Exception):
    """Something of the lab itself failed, not of what it tests."""


class CommandFailed(LabError):
    """A checked command on a node ended with another exit code than 0."""

    def __init__(self, name, command, done):
        super().__init__(f"{name}: rc {done.returncode} from: {command}\n"
                         f"{done.stdout}{done.stderr}".rstrip())
        self.done = done


class Remote:
    """root's shell on the node called `name`, whose sshd is at `port` here."""

    def __init__(self, name, port, key):
        self.name, self.port, self.key = name, port, key

    def _options(self):
        # Unix socket paths are short and the lab's directory may be deep, hence /tmp.
        return ["-F", "none", "-i", str(self.key),
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=240",
                "-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=20",
                # One connection for all commands: a key exchange costs an emulated CPU a second.
                "-o", "ControlMaster=auto", "-o", f"ControlPath={self._master_path()}",
                "-o", "ControlPersist=600"]

    def _master_path(self):
        return f"/tmp/phoenix-lab-{os.getuid()}-{self.port}.ssh"

    def command(self, tty=False):
        """argv of ssh, to which a command may be added."""
        return (["ssh", *self._options(), "-p", str(self.port)] + (["-t"] if tty else [])
                + ["root@127.0.0.1"])

    def answers(self):
        """Whether sshd is there and lets us in."""
        try:  # QEMU accepts for the guest at once; only a banner says that somebody is there
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as link:
                link.settimeout(20)
                if link.recv(4) != b"SSH-":
                    return False
        except OSError:
            return False
        try:
            return self.run("true", check=False, timeout=300).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def hang_up(self):
        """Ends the shared connection, if there is one."""
        if os.path.exists(self._master_path()):
            subprocess.run(["ssh", *self._options(), "-O", "exit", "-p", str(self.port),
                            "root@127.0.0.1"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def run(self, command, check=True, input=None, timeout=3600):
        """Runs a shell command as root. Returns CompletedProcess with text stdout, stderr.

        `input` is text for its standard input (none: empty).
        """
        done = subprocess.run(self.command() + [command], text=True, errors="replace",
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
        done = subprocess.run(["scp", "-q", "-r", *self._options(), "-P", str(self.port),
                               source, target], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CommandFailed(self.name, f"scp {source} {target}", done)

    def install(self, tarball):
        """Unpacks a local tar to / of the running node (at boot, `payload` is faster)."""
        with open(tarball, "rb") as tar:
            done = subprocess.run(self.command() + ["tar --keep-directory-symlink -xf - -C /"],
                                  stdin=tar, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CommandFailed(self.name, f"unpacking {tarball}", done)
