"""Who may call: every RPC states its role, TCP is mutual TLS with a client certificate of our CA, the unix socket is for
root, the daemon's user and `phoenix`."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, buf, call, free_port, one_node, pki, start_zfsd, tls_flags, zfsd_argv  # noqa: E402

PROTOS = os.path.join(ROOT, "proto")
LIST_POOLS = "phoenix.zfs.v1.ZfsService/ListPools"
LIST_RUNS = "phoenix.orchestrator.v1.OrchestratorService/ListRuns"
DESCRIBE = "phoenix.participant.v1.ParticipantService/Describe"
HEALTH = "grpc.health.v1.Health/Check"
# A stranger's uid: nobody.
STRANGER = 65534

# Changes need more than a look. Verbs that only read:
READS = ("Get", "List", "Describe", "Observe", "Watch", "PlanRun")


def methods(text):
    """[(service, method, role or None)] of a proto file."""
    text = re.sub(r"//[^\n]*", "", text)
    found = []
    service = None
    for match in re.finditer(r"\bservice\s+(\w+)\s*\{|\brpc\s+(\w+)\s*\([^)]*\)\s*returns\s*\([^)]*\)\s*(;|\{([^}]*)\})", text):
        if match.group(1):
            service = match.group(1)
            continue
        role = re.search(r"option\s*\(phoenix\.access\.v1\.role\)\s*=\s*(ROLE_\w+)\s*;", match.group(4) or "")
        found.append((service, match.group(2), role.group(1) if role else None))
    return found


class RolesTest(unittest.TestCase):
    def test_every_rpc_states_a_role(self):
        seen = {}
        # gRPC's own services beside them state none: health is for whoever may connect.
        for directory, _, names in os.walk(os.path.join(PROTOS, "phoenix")):
            for name in names:
                if name.endswith(".proto"):
                    with open(os.path.join(directory, name), encoding="utf-8") as text:
                        content = text.read()
                    found = methods(content)
                    self.assertEqual(len(found), len(re.findall(r"^\s*rpc\s", content, re.MULTILINE)), name)
                    for service, method, role in found:
                        seen[service, method] = role
        self.assertGreater(len(seen), 50)
        self.assertEqual({service for service, _ in seen}, {"ZfsService", "NfsService", "SambaService", "ProxmoxService",
                                                            "ParticipantService", "OrchestratorService"})
        without = [key for key, role in seen.items() if role in (None, "ROLE_UNSPECIFIED")]
        self.assertEqual(without, [], "these RPCs are refused to everybody")
        for (service, method), role in seen.items():
            if not method.startswith(READS):
                self.assertNotEqual(role, "ROLE_VIEWER", "%s.%s changes something" % (service, method))

    def test_a_missing_role_is_seen(self):
        self.assertEqual(methods("service S { rpc A(X) returns (Y); rpc B(X) returns (stream Y) { option (phoenix.access.v1.role)"
                                 " = ROLE_VIEWER; } rpc C(X) returns (Y) {} }"),
                         [("S", "A", None), ("S", "B", "ROLE_VIEWER"), ("S", "C", None)])


class TcpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        fleet = cls.fleet = one_node()
        cls.addClassCleanup(fleet.close)
        for name in ("pki", "rogue"):
            os.makedirs(fleet.path(name))
            pki(fleet.path(name), "init")
            pki(fleet.path(name), "issue", "--client", "admin")
        pki(fleet.path("pki"), "issue", "hv1", "127.0.0.1")
        pki(fleet.path("pki"), "issue", "hv2", "127.0.0.2")
        cls.address = "127.0.0.1:%d" % free_port()
        start_zfsd(fleet, "hv1", *tls_flags(fleet.path("pki"), "hv1", cls.address))

    def call(self, *flags, scheme="https", schema=True, method=LIST_POOLS):
        return call(method, "{}", *(["--schema", PROTOS] if schema else []), *flags, url="%s://%s" % (scheme, self.address))

    def certificate(self, name, directory="pki", ca="pki"):
        base = self.fleet.path(directory, name)
        return ["--cacert", self.fleet.path(ca, "ca.crt"), "--cert", base + ".crt", "--key", base + ".key"]

    def assert_refused_by_tls(self, result):
        """The handshake failed: no answer, and nothing of the service's own reached the caller."""
        self.assertNotEqual(result.returncode, 0, result.stdout)
        self.assertEqual(result.stdout, "")
        self.assertNotIn("ErrorInfo", result.stderr)
        # It was the caller that was refused, not the server that was gone.
        self.assertEqual(self.call(*self.certificate("admin")).returncode, 0)

    def test_a_client_certificate_of_our_ca_is_served(self):
        result = self.call(*self.certificate("admin"))
        self.assertEqual(result.returncode, 0, result.stderr)
        result = self.call(*self.certificate("admin"), "--servername", "hv1")
        self.assertEqual(result.returncode, 0, result.stderr)
        result = self.call(*self.certificate("admin"), method=DESCRIBE)
        self.assertIn('"participant": "zfs"', result.stdout)

    def test_no_certificate_is_refused(self):
        self.assert_refused_by_tls(self.call("--cacert", self.fleet.path("pki", "ca.crt")))

    def test_a_certificate_of_another_ca_is_refused(self):
        # The rogue trusts our server, the server does not trust the rogue.
        self.assert_refused_by_tls(self.call(*self.certificate("admin", directory="rogue")))

    def test_a_node_certificate_can_serve_only(self):
        self.assert_refused_by_tls(self.call(*self.certificate("hv2")))

    def test_a_caller_refuses_a_server_of_another_name_or_ca(self):
        self.assert_refused_by_tls(self.call(*self.certificate("admin"), "--servername", "hv2"))
        self.assert_refused_by_tls(self.call(*self.certificate("admin", directory="rogue", ca="rogue")))

    def test_plain_text_is_refused(self):
        self.assert_refused_by_tls(self.call(scheme="http"))

    def test_health_is_served_to_authenticated_callers_only(self):
        result = self.call(*self.certificate("admin"), method=HEALTH)
        self.assertIn("SERVING", result.stdout, result.stderr)
        self.assert_refused_by_tls(self.call("--cacert", self.fleet.path("pki", "ca.crt"), method=HEALTH))


class TcpReflectionTest(unittest.TestCase):
    """What a daemon tells of itself over TCP; its unix socket always tells all."""

    @classmethod
    def setUpClass(cls):
        fleet = cls.fleet = one_node()
        cls.addClassCleanup(fleet.close)
        directory = fleet.path("pki")
        os.makedirs(directory)
        pki(directory, "init")
        pki(directory, "issue", "hv1", "127.0.0.1")
        pki(directory, "issue", "--client", "admin")
        cls.certificate = ["--cacert", directory + "/ca.crt", "--cert", directory + "/admin.crt",
                           "--key", directory + "/admin.key"]

    def start(self, daemon, *flags):
        """Starts a daemon that also listens on TCP; answers where."""
        address = "127.0.0.1:%d" % free_port()
        flags = [*flags, *tls_flags(self.fleet.path("pki"), "hv1", address)]
        if daemon == "zfs":
            start_zfsd(self.fleet, "hv1", *flags)
        else:
            self.fleet.start_orchestrator(*flags)
        return "https://" + address

    def check(self, daemon, method, *flags, offered):
        url = self.start(daemon, *flags)
        # The service itself is there either way, and so is reflection on the socket of the same server.
        result = call(method, "{}", "--schema", PROTOS, *self.certificate, url=url)
        self.assertEqual(result.returncode, 0, result.stderr)
        result = call(method, "{}", "--unix-socket", self.fleet.path("run", daemon + ".sock"))
        self.assertEqual(result.returncode, 0, result.stderr)
        described = call(method, "{}", *self.certificate, url=url)
        self.assertEqual(described.returncode == 0, offered, described.stderr)
        if not offered:
            self.assertIn("failed to find service", described.stderr)

    def test_reflection_on_tcp_can_be_had(self):
        self.check("zfs", LIST_POOLS, "--reflection", offered=True)

    def test_reflection_on_tcp_must_be_asked_for(self):
        self.check("zfs", LIST_POOLS, offered=False)

    def test_the_orchestrator_does_the_same(self):
        self.check("orchestrator", LIST_RUNS, offered=False)
        self.fleet.stop("orchestrator")
        self.check("orchestrator", LIST_RUNS, "--reflection", offered=True)

    def test_tcp_without_certificates_does_not_start(self):
        # A node of its own: a second daemon would end before it looks at certificates.
        fleet = one_node()
        self.addCleanup(fleet.close)
        result = subprocess.run(zfsd_argv(fleet, "hv1", *tls_flags(fleet.path("nowhere"), "hv1", "127.0.0.1:%d" % free_port())),
                                capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(result.returncode, 1)
        self.assertIn("phoenix pki init", result.stderr)


class UnixSocketTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = one_node()
        cls.addClassCleanup(cls.fleet.close)
        start_zfsd(cls.fleet, "hv1")
        cls.socket = cls.fleet.path("hv1", "run", "zfs.sock")

    def call(self, prefix=()):
        return call(LIST_POOLS, "{}", "--schema", PROTOS, "--unix-socket", self.socket, prefix=prefix)

    def test_reflection_describes_every_service_that_it_lists(self):
        listed = subprocess.run([buf(), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--unix-socket", self.socket,
                                 "--list-methods", "http://localhost"], capture_output=True, text=True, check=False)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        for method in (LIST_POOLS, DESCRIBE, HEALTH):
            self.assertIn(method, listed.stdout.split())

    def test_health_is_told_by_reflection_for_the_server_and_each_service(self):
        for service in ("", "phoenix.zfs.v1.ZfsService", "phoenix.participant.v1.ParticipantService"):
            result = call(HEALTH, json.dumps({"service": service}), "--unix-socket", self.socket)
            self.assertEqual(json.loads(result.stdout or "{}"), {"status": "SERVING"}, result.stderr)
        result = call(HEALTH, '{"service": "phoenix.nfs.v1.NfsService"}', "--unix-socket", self.socket)
        self.assertIn("not_found", result.stderr)

    def test_the_socket_is_closed_to_others_by_its_mode(self):
        mode = os.stat(self.socket).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o660)

    def test_the_daemons_own_user_is_served(self):
        result = self.call()
        self.assertEqual(result.returncode, 0, result.stderr)

    @unittest.skipIf(os.geteuid() != 0, "only root can become somebody else")
    def test_a_stranger_is_refused_by_his_credentials(self):
        # With the modes out of the way only the check of the peer is left.
        changed = {path: stat.S_IMODE(os.stat(path).st_mode)
                   for path in (self.socket, os.path.dirname(self.socket), self.fleet.path("hv1"), self.fleet.directory)}
        self.addCleanup(lambda: [os.chmod(path, mode) for path, mode in changed.items()])
        for path in changed:
            os.chmod(path, 0o666 if path == self.socket else 0o755)
        child = os.fork()
        if child == 0:
            # Connecting works, so the modes are out of the way; then the daemon hangs up without a byte of its own.
            code = 3
            try:
                os.setgroups([])
                os.setresgid(STRANGER, STRANGER, STRANGER)
                os.setresuid(STRANGER, STRANGER, STRANGER)
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(self.socket)
                    code = 0 if connection.recv(1) == b"" else 4
            except ConnectionResetError:
                code = 0
            finally:
                os._exit(code)
        reached = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.assertEqual(reached, 0, "the stranger could not connect (3) or was spoken to (4)")
        self.assertIn("refused a connection of uid %d" % STRANGER, self.fleet.log("hv1", "zfs"))
        # The same by a real call. buf may lie where strangers cannot read, hence the one capability.
        refused = self.call(prefix=["setpriv", "--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups",
                                    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"])
        self.assertNotEqual(refused.returncode, 0, refused.stdout)
        self.assertEqual(refused.stdout, "")
        self.assertGreater(self.fleet.log("hv1", "zfs").count("refused a connection of uid %d" % STRANGER), 1)
        self.assertEqual(self.call().returncode, 0)

    def test_a_second_daemon_on_the_socket_is_refused(self):
        result = subprocess.run(zfsd_argv(self.fleet, "hv1"), capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(result.returncode, 1)
        self.assertIn("another daemon serves %s already" % self.socket, result.stderr)
        # The first one lost nothing by it.
        self.assertEqual(self.call().returncode, 0)


if __name__ == "__main__":
    unittest.main()
