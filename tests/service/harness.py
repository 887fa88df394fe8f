"""What the tests of this tier share: one simulated node, certificates, and calls by `buf curl`."""

import os
import shutil
import socket
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from sim_fleet import DAEMONS, SimFleet  # noqa: E402

BUILD = os.environ.get("PHOENIX_BUILD", os.path.join(ROOT, "build", "asan"))


def buf():
    """The buf binary; a missing one is an error, not a reason to skip."""
    found = os.environ.get("BUF") or shutil.which("buf")
    if not found or not os.access(found, os.X_OK):
        raise RuntimeError("no buf: set BUF to its path (./dev test does)")
    return found


def call(method, request="{}", *flags, url="http://localhost", prefix=()):
    """`buf curl` of one method ("zfs.v1.ZfsService/ListPools" with its package); flags say where to."""
    argv = [*prefix, buf(), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", request, *flags, url + "/" + method]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def one_node(**kwargs):
    """A fleet of the node hv1 that looks like a hypervisor: the orchestrator's socket lies beside the daemons'."""
    fleet = SimFleet(BUILD, nodes=("hv1",), **kwargs)
    os.symlink(fleet.path("hv1", "run"), fleet.path("run"))
    return fleet


def zfsd_argv(fleet, node, *extra):
    return [os.path.join(fleet.build, DAEMONS["zfs"]), "--node", node, "--sim", fleet.path(node, "machine"),
            "--state-dir", fleet.path(node, "state"), "--runtime-dir", fleet.path(node, "run"),
            "--launcher", os.path.join(fleet.build, "base/phoenix-launch"), *extra]


def start_zfsd(fleet, node, *extra):
    """Starts (or starts again) the zfs daemon of a node, with flags that the fleet does not know."""
    if (node, "zfs") in fleet.processes:
        fleet.stop(node, "zfs")
    fleet._spawn((node, "zfs"), zfsd_argv(fleet, node, *extra))
    fleet._await_socket((node, "zfs"), fleet.path(node, "run", "zfs.sock"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pki(directory, *args):
    """`phoenix pki ARGS` in a folder."""
    subprocess.run([os.path.join(BUILD, "clients/phoenix"), "pki", "--dir", directory, *args], check=True,
                   capture_output=True, text=True, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))


def tls_flags(directory, name, listen):
    return ["--listen", listen, "--tls-ca", os.path.join(directory, "ca.crt"),
            "--tls-cert", os.path.join(directory, name + ".crt"), "--tls-key", os.path.join(directory, name + ".key")]
