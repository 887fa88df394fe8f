"""A fleet of simulated nodes as real processes on this machine: four daemons a node over one simulated machine, one
orchestrator over all of them, unix sockets in between. Used by the system tier and by `./dev demo --sim`."""

import ast
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

PARTICIPANTS = ("zfs", "nfs", "samba", "proxmox")
DAEMONS = {"zfs": "services/zfs/phoenix-zfsd", "nfs": "services/nfs/phoenix-nfsd",
           "samba": "services/samba/phoenix-sambad", "proxmox": "services/proxmox/phoenix-proxmoxd"}


class SimFleet:
    """Starts nothing by itself: call start(). The directory is removed by close() unless `keep`. The nodes of a `cluster` have
    one storage.cfg."""

    def __init__(self, build, nodes=("hv1", "hv2"), participants=PARTICIPANTS, keep=False, directory=None, cluster=""):
        self.build = os.path.abspath(build)
        self.nodes = tuple(nodes)
        self.participants = tuple(participants)
        self.keep = keep
        # Socket paths are limited to 107 characters: a short directory.
        self.directory = directory or tempfile.mkdtemp(prefix="phx-", dir="/tmp")
        self.processes = {}
        for node in self.nodes:
            os.makedirs(self.path(node, "run"), exist_ok=True)
            if cluster and not os.path.lexists(self.path(node, "machine", "cluster")):
                os.makedirs(self.path(cluster), exist_ok=True)
                os.makedirs(self.path(node, "machine"), exist_ok=True)
                os.symlink(self.path(cluster), self.path(node, "machine", "cluster"))
        self.cluster_files = self.path(cluster, "files.db") if cluster else None
        self.fleet_file = self.path("fleet.json")
        with open(self.fleet_file, "w", encoding="utf-8") as out:
            json.dump({"nodes": [{"name": node, "address": "unix:" + self.path(node, "run")} for node in self.nodes]}, out)

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        for node in self.nodes:
            for participant in self.participants:
                self.start_daemon(node, participant)
        self.start_orchestrator()

    def _spawn(self, key, argv, environment=None):
        log = open(self.path("%s.log" % "-".join(key)), "ab")
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0:abort_on_error=1", **(environment or {}))
        self.processes[key] = subprocess.Popen(argv, stdout=log, stderr=log, env=env, start_new_session=True)
        log.close()

    def start_daemon(self, node, participant, *extra, environment=None):
        self._spawn_daemon(node, participant, extra, environment)
        self._await_socket((node, participant), self.path(node, "run", participant + ".sock"))

    def start_daemon_that_ends(self, node, participant, *extra):
        """Its exit code and what it logged. Its socket proves nothing: it is bound first, as the lock against a second one."""
        self._spawn_daemon(node, participant, extra, None)
        code = self.processes.pop((node, participant)).wait(timeout=120)
        return code, self.log(node, participant)

    def _spawn_daemon(self, node, participant, extra, environment):
        self._spawn((node, participant), [
            os.path.join(self.build, DAEMONS[participant]), "--node", node, "--sim", self.path(node, "machine"),
            "--state-dir", self.path(node, "state"), "--runtime-dir", self.path(node, "run"),
            "--launcher", os.path.join(self.build, "base/phoenix-launch"), *extra], environment)

    def start_orchestrator(self, *extra, environment=None):
        os.makedirs(self.path("run"), exist_ok=True)
        if "--journal-reserve" not in extra:
            extra += ("--journal-reserve", "1")
        self._spawn(("orchestrator",), [
            os.path.join(self.build, "orchestrator/phoenix-orchestratord"), "--node", self.nodes[0],
            "--state-dir", self.path("orchestrator"), "--runtime-dir", self.path("run"), *extra], environment)
        self._await_socket(("orchestrator",), self.path("run", "orchestrator.sock"))

    def _await_socket(self, key, path):
        """Until the daemon of `key` accepts connections; fails when it ended instead."""
        import socket
        while True:
            if self.processes[key].poll() is not None:
                raise RuntimeError("%s ended with %s:\n%s" % (key, self.processes[key].returncode, self.log(*key)))
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(path)
                    return
                except OSError:
                    time.sleep(0.02)

    def log(self, *key):
        with open(self.path("%s.log" % "-".join(key)), encoding="utf-8", errors="replace") as text:
            return text.read()

    def kill(self, *key):
        """kill -9, as a crash would."""
        process = self.processes.pop(key)
        process.kill()
        process.wait()

    def stop(self, *key):
        """SIGTERM, as systemd would; answers the exit code."""
        process = self.processes.pop(key)
        process.send_signal(signal.SIGTERM)
        return process.wait()

    def close(self):
        codes = {}
        for key in list(self.processes):
            self.processes[key].send_signal(signal.SIGTERM)
        for key in list(self.processes):
            codes[key] = self.processes.pop(key).wait()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        return codes

    def _command_line(self, args, fleet):
        argv = [os.path.join(self.build, "clients/phoenix"), "--runtime-dir", self.path("run"), *args]
        if fleet and {"plan", "setup", "nodes", "adopt", "kept"} & set(args):
            argv += ["--fleet", self.fleet_file]
        return {"args": argv, "text": True, "env": dict(os.environ, ASAN_OPTIONS="detect_leaks=0")}

    def phoenix(self, *args, fleet=True, **kwargs):
        """Runs the command line against this fleet."""
        return subprocess.run(**self._command_line(args, fleet), capture_output=True, **kwargs)

    def start_phoenix(self, *args):
        """The same in the background."""
        return subprocess.Popen(**self._command_line(args, True), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def machine(self, node):
        return opened(self.path(node, "machine", "machine.db"))

    def fault(self, node, operation, effect="fail", count=1):
        """The next `count` operations of this name go wrong on the simulated machine."""
        with self.machine(node) as database:
            database.executemany("INSERT INTO faults(operation, effect) VALUES(?, ?)", [(operation, effect)] * count)

    def clear_faults(self, node):
        with self.machine(node) as database:
            database.execute("DELETE FROM faults")

    def put_file(self, node, path, text, mode=0o644, gid=0):
        """As somebody else would write it; folders above are made."""
        content, parts = text.encode(), path.split("/")
        with self.machine(node) as database:
            for end in range(2, len(parts)):
                database.execute("INSERT OR IGNORE INTO files VALUES(?, 1, x'', 0, 0, ?, x'', 0, 0, ?)",
                                 ("/".join(parts[:end]), 0o755, 0o755))
            database.execute("INSERT OR REPLACE INTO files VALUES(?, 0, ?, 0, ?, ?, ?, 0, ?, ?)",
                             (path, content, gid, mode, content, gid, mode))

    def remove_file(self, node, path):
        with self.machine(node) as database:
            database.execute("DELETE FROM files WHERE path = ?", (path,))

    def lock(self, node):
        """What a reboot does to encrypted datasets: they are unmounted, and their keys are gone."""
        with self.machine(node) as database:
            datasets = {name: json.loads(value) for name, value in
                        database.execute("SELECT name, value FROM objects WHERE kind = 'zfs.dataset'")}
            for name in sorted(datasets, reverse=True):
                dataset = datasets[name]
                if "crypt" not in dataset:
                    continue
                at = dataset["mounted"]
                for path, directory, content, uid, gid, mode in database.execute(
                        "SELECT path, directory, content, uid, gid, mode FROM files WHERE path = ? OR path LIKE ?", (at, at + "/%")).fetchall():
                    if not at:
                        break
                    inode = {"uid": uid, "gid": gid, "mode": mode}
                    if path == at:
                        dataset["root"] = inode
                        # The directory that mounting made stays, empty.
                        database.execute("UPDATE files SET uid = 0, gid = 0, mode = 493 WHERE path = ?", (path,))
                        continue
                    content = content.decode() if isinstance(content, bytes) else content
                    dataset["content"][path[len(at) + 1:]] = {**inode, "directory": bool(directory), "content": content}
                    database.execute("DELETE FROM files WHERE path = ?", (path,))
                dataset["mounted"] = ""
                dataset.pop("covered", None)
                if "loaded" in dataset["crypt"]:
                    dataset["crypt"]["loaded"] = False
                database.execute("UPDATE objects SET value = ? WHERE kind = 'zfs.dataset' AND name = ?", (json.dumps(dataset, separators=(",", ":"), sort_keys=True, ensure_ascii=False), name))

    def write_container(self, node, container, text):
        self.put_file(node, "/etc/pve/nodes/%s/lxc/%d.conf" % (node, container), text, 0o640, 33)

    def container(self, node, container):
        """The text of its configuration."""
        with self.machine(node) as database:
            row = database.execute("SELECT content FROM files WHERE path = ?",
                                   ("/etc/pve/nodes/%s/lxc/%d.conf" % (node, container),)).fetchone()
        return row[0].decode() if isinstance(row[0], bytes) else row[0]

    def dump(self, node):
        """The whole simulated world of a node as text, without faults and counters: equal texts, equal worlds."""
        with self.machine(node) as database:
            lines = ["%s %s %s" % row for row in database.execute(
                "SELECT kind, name, value FROM objects ORDER BY kind, name")]
            lines += ["file %s %s %s:%s %o %r" % row for row in database.execute(
                "SELECT path, directory, uid, gid, mode, content FROM files ORDER BY path")]
        if self.cluster_files:
            with opened(self.cluster_files) as database:
                lines += ["file %s %s %s:%s %o %r" % row for row in database.execute(
                    "SELECT path, directory, uid, gid, mode, content FROM files ORDER BY path")]
        return "\n".join(lines)

    def dumps(self):
        return {node: self.dump(node) for node in self.nodes}


@contextlib.contextmanager
def opened(path):
    """One transaction on a database, closed with it: what is left to the garbage collector goes at any time later, and with the
    last connection goes the file's -wal, under whoever copies it."""
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as database, database:
        yield database


def meaning(dump):
    """A simulated world in which storage.cfg is compared by what it says: Proxmox's tools write it anew, lists in any
    order, the implicit `local` spelled out."""
    lines = []
    for line in dump.split("\n"):
        if not line.startswith("file /etc/pve/storage.cfg "):
            lines.append(line)
            continue
        text = ast.literal_eval(line[line.index(" b'") + 1:]).decode()
        for section in text.split("\n\n"):
            if section.strip() and not section.startswith("dir: local\n"):
                lines.append("storage " + " ".join(sorted(",".join(sorted(word.split(","))) for word in section.split())))
    return "\n".join(sorted(lines))


def write_secrets(path, password):
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"samba": {"users": {"heads": password}}}, out)
    os.chmod(path, 0o600)
    return path
