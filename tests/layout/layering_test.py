"""The layering of ARCHITECTURE.md, held by reading #include lines: who may know whom, who may start processes, how long
files may be and what nothing may be called."""

import functools
import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE_TREES = ("base", "services", "orchestrator", "clients")
DOMAINS = ("zfs", "nfs", "samba", "proxmox")
# nfs and samba share packages, units and firewall rules; the other two have no need of them.
USERS_OF_NODE = ("nfs", "samba")

# Commands that call a domain's typed service as any client may; they send no specs.
CALLERS_OF_TYPED_SERVICES = {("clients/cli/commands/kept.cc", "phoenix/zfs/v1/zfs.grpc.pb.h"),
                             ("clients/cli/commands/kept_test.cc", "phoenix/zfs/v1/zfs.grpc.pb.h")}

# Libraries that a room must ask for. The standard library, POSIX, Abseil and fmt are free.
GRPC, PROTOBUF, JSON, LOG, CLI, CURL = "grpc", "protobuf", "nlohmann", "spdlog", "CLI11", "libcurl"
LIBRARY_OF = {"grpc": GRPC, "grpcpp": GRPC, "google": PROTOBUF, "phoenix": PROTOBUF, "nlohmann": JSON, "spdlog": LOG, "CLI": CLI,
              "curl": CURL}

# room -> (project rooms it may include, libraries it may include). A room is a folder; "x/main" is the main.cc in it.
# A room always knows itself. Rooms not named here fail: a new room states its place in this table.
ROOMS = {
    "base": ((), ()),
    "services/kit/plan": (("base",), ()),
    "services/kit/transaction": (("base", "services/kit/plan"), (JSON,)),
    "services/kit/participant": (("base", "services/kit/plan", "services/kit/transaction"), ()),
    "services/kit/sim": (("base",), (JSON,)),
    "services/kit/rpc": (("base", "services/kit"), (GRPC, PROTOBUF, LOG, CLI)),
    "services/node/domain": (("base",), ()),
    "services/node/host": (("base", "services/node/domain", "services/kit/sim"), (JSON,)),
    "services/node/worker": (("base", "services/node", "services/kit/plan", "services/kit/participant"), (JSON,)),
    # Pure: events, state, decisions.
    "orchestrator/run": (("base", "services/kit/plan"), ()),
    "orchestrator/store": (("base", "orchestrator/run"), (JSON,)),
    "orchestrator/fleet": (("base", "orchestrator/run", "clients/cpp", "services/kit/rpc"), (GRPC,)),
    # The engine drives participants without knowing any: neither a domain nor its configuration.
    "orchestrator/engine": (("base", "orchestrator/run", "orchestrator/store", "orchestrator/fleet", "services/kit/rpc"),
                            (PROTOBUF, LOG)),
    # The one place outside the services that knows domains, and only their specs.
    "orchestrator/config": (("base",), (PROTOBUF, JSON)),
    "orchestrator/api": (("base", "orchestrator/engine", "orchestrator/run", "orchestrator/fleet", "services/kit/rpc"),
                         (GRPC, PROTOBUF)),
    "orchestrator/main": (("base", "orchestrator", "services/kit/rpc"), (GRPC, LOG, CLI)),
    "clients/cpp": (("base", "services/kit/rpc"), (GRPC, PROTOBUF)),
    # `validate` needs no daemon, so the command line reads configurations itself.
    "clients/cli": (("base", "orchestrator/config", "clients/cpp", "services/kit/rpc"), (GRPC, PROTOBUF, JSON)),
    "clients/cli/commands": (("base", "orchestrator/config", "clients", "services/kit/rpc"), (GRPC, PROTOBUF, JSON, CLI)),
    "clients/cli/render": (("base", "clients/cpp"), (PROTOBUF,)),
    "clients/cli/main": (("clients/cli/commands",), ()),
}
for _domain in DOMAINS:
    _service = "services/" + _domain
    _node = ("services/node",) if _domain in USERS_OF_NODE else ()
    ROOMS.update({
        _service + "/domain": (("base", "services/kit/plan"), ()),
        # Proxmox VE's own API is HTTP.
        _service + "/host": (("base", _service + "/domain", "services/kit/sim") + _node,
                             (JSON, CURL) if _domain == "proxmox" else (JSON,)),
        _service + "/worker": (("base", _service + "/domain", _service + "/host", "services/kit/plan",
                                "services/kit/participant") + _node, (JSON, LOG)),
        _service + "/api": (("base", _service, "services/kit/rpc", "services/kit/plan"), (GRPC, PROTOBUF)),
        _service + "/main": (("base", _service, "services/kit/rpc") + _node, (LOG, CLI)),
    })

# What stands against the table today, each with its reason. An entry that is no longer needed fails, so the list only
# ever shrinks.
PARTICIPANT_HEADER = "services/kit/participant/domain.h"
EXCEPTIONS = {
    # The interface that a domain implements lies with the participant, and the rooms below it speak in its terms: the two
    # rooms include each other. It would stand in services/kit/transaction or a room of its own.
    ("services/kit/transaction/journal.h", PARTICIPANT_HEADER),
    ("services/kit/transaction/step_json.h", PARTICIPANT_HEADER),
    ("services/kit/transaction/step_execution.h", PARTICIPANT_HEADER),
}

# The launcher is the child that the runner starts; it turns into the tool.
PROCESS_STARTERS = re.compile(r"(?<![\w.>])(?:::|std::)?(posix_spawnp?|v?fork|system|popen|exec[lv][ep]*|execveat|clone3?)\s*\(")
MAY_START_PROCESSES = "base/host/"

MAX_LINES = 600
BANNED = ("Manager", "Helper", "Util", "Utils", "Common", "Impl", "Misc")
CODE_ENDINGS = (".h", ".cc", ".proto", ".py", ".cmake", ".sh")


NOT_CODE = re.compile(r'R"(?P<mark>\w*)\(.*?\)(?P=mark)"|//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', re.DOTALL)


def files_below(*tops):
    for top in tops:
        for directory, folders, names in os.walk(os.path.join(ROOT, top)):
            folders[:] = sorted(f for f in folders if f not in ("testdata", "__pycache__", "build"))
            for name in sorted(names):
                yield os.path.relpath(os.path.join(directory, name), ROOT)


@functools.cache
def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as text:
        return text.read()


def without_comments_and_strings(text):
    return NOT_CODE.sub('""', text)


def includes(text):
    return re.findall(r'^\s*#\s*include\s*[<"]([^">]+)[">]', text, re.MULTILINE)


def is_test(text, path):
    """Tests and their fixtures construct worlds, and may know more than their room."""
    return path.endswith("_test.cc") or any(name.startswith(("gtest/", "gmock/")) for name in includes(text))


def room_of(path):
    if path.startswith("base/"):
        return "base"
    folder, name = os.path.split(path)
    return folder + "/main" if name == "main.cc" else folder


def below(path, folders):
    return any(path.startswith(folder + "/") for folder in folders)


def wrongs(path, text, rooms=None):
    """What a source file includes although its room must not: [(path, include)]."""
    rooms = ROOMS if rooms is None else rooms
    room = room_of(path)
    if room not in rooms:
        return [(path, "stands in the room %s, which the table does not know" % room)]
    known, libraries = rooms[room]
    found = []
    for name in includes(text):
        top = name.split("/")[0]
        if top in SOURCE_TREES or top == "tests":
            own = room_of(name) == room or name.startswith(os.path.dirname(path) + "/")
            if not own and not below(name, known):
                found.append((path, name))
        elif top in LIBRARY_OF and LIBRARY_OF[top] not in libraries:
            found.append((path, name))
    return found


class LayeringTest(unittest.TestCase):
    def test_rooms_include_only_what_the_table_allows(self):
        found = set()
        count = 0
        for path in files_below(*SOURCE_TREES):
            if path.endswith((".h", ".cc")):
                text = read(path)
                if not is_test(text, path):
                    count += 1
                    found.update(wrongs(path, text))
        self.assertGreater(count, 200, "the sources were not found")
        self.assertEqual(sorted(found - EXCEPTIONS), [], "these includes break the layering")
        self.assertEqual(sorted(EXCEPTIONS - found), [], "these exceptions are no longer needed: take them away")

    def test_tests_too_know_no_other_domain(self):
        found = []
        for path in files_below("services"):
            parts = path.split("/")
            if not path.endswith((".h", ".cc")) or parts[1] not in DOMAINS + ("kit", "node"):
                continue
            allowed = {parts[1], "kit"} | ({"node"} if parts[1] in USERS_OF_NODE else set())
            for name in includes(read(path)):
                if name.startswith("services/") and name.split("/")[1] not in allowed:
                    found.append((path, name))
                match = re.match(r"phoenix/(\w+)/", name)
                if match and match.group(1) in DOMAINS and match.group(1) != parts[1]:
                    found.append((path, name))
        self.assertEqual(found, [])

    def test_only_the_config_room_knows_the_specs_of_domains(self):
        found = [(path, name) for path in files_below("orchestrator", "clients") if path.endswith((".h", ".cc"))
                 for name in includes(read(path)) if re.match(r"(phoenix|services)/(zfs|nfs|samba|proxmox|node)/", name)
                 and not path.startswith("orchestrator/config/") and (path, name) not in CALLERS_OF_TYPED_SERVICES]
        self.assertEqual(found, [])

    def test_only_base_host_starts_processes(self):
        found = []
        starters = 0
        for path in files_below(*SOURCE_TREES):
            if not path.endswith((".h", ".cc")):
                continue
            for match in PROCESS_STARTERS.finditer(without_comments_and_strings(read(path))):
                if path.startswith(MAY_START_PROCESSES):
                    starters += 1
                else:
                    found.append((path, match.group(1)))
        self.assertEqual(found, [])
        self.assertGreater(starters, 0, "the pattern finds no longer even the one place")

    def test_mounts_are_those_of_the_machine(self):
        """In a unit's own mount namespace the folders that it may write to are mounts, too."""
        paths = [path for path in files_below("services", "base") if path.endswith((".h", ".cc"))]
        self.assertEqual([path for path in paths if re.search(r"/proc/(self/)?(mountinfo|mounts)", read(path))], [])
        self.assertTrue([path for path in paths if "/proc/1/mountinfo" in read(path)], "nobody reads mounts any more")

    def test_no_file_is_longer_than_a_reader_can_hold(self):
        found = []
        for path in files_below(*SOURCE_TREES, "proto", "deploy", "tests", "cmake"):
            lines = read(path).count("\n")
            if lines > MAX_LINES:
                found.append((path, lines))
        self.assertEqual(found, [], "split these files")

    def test_nothing_is_named_by_a_word_that_says_nothing(self):
        declared = re.compile(r"^\s*(?:export\s+)?(?:class|struct|union|enum(?:\s+class)?|namespace|message|service|concept)\s+"
                              r"(?:\[\[\w+\]\]\s*|PHX_\w+(?:\([^)]*\))?\s+)*(\w+)", re.MULTILINE)
        found = []
        for path in files_below(*SOURCE_TREES, "proto", "tests", "cmake"):
            name = os.path.splitext(os.path.basename(path))[0]
            if self.banned_parts(name) or self.banned_parts(os.path.basename(os.path.dirname(path))):
                found.append((path, "its name"))
            if path.endswith(CODE_ENDINGS):
                text = read(path)
                if path.endswith((".h", ".cc", ".proto")):
                    text = without_comments_and_strings(text)
                found += [(path, word) for word in declared.findall(text) if self.banned_parts(word)]
        self.assertEqual(found, [])

    @staticmethod
    def banned_parts(name):
        """The banned words among the parts of a CamelCase or snake_case name."""
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
        return [part for part in parts if part.capitalize() in BANNED]


class TheTestItselfTest(unittest.TestCase):
    """What the checks above must find, on texts that break the rules."""

    def test_wrong_includes_are_found(self):
        for path, include in (
                ("services/zfs/domain/x.cc", "phoenix/zfs/v1/zfs.pb.h"),
                ("services/zfs/domain/x.cc", "services/zfs/host/zfs_host.h"),
                ("services/nfs/domain/x.cc", "nlohmann/json.hpp"),
                ("orchestrator/run/x.cc", "spdlog/spdlog.h"),
                ("orchestrator/run/x.cc", "grpcpp/grpcpp.h"),
                ("orchestrator/engine/x.cc", "orchestrator/config/specs.h"),
                ("orchestrator/engine/x.cc", "services/zfs/domain/zfs_state.h"),
                ("services/zfs/worker/x.cc", "services/node/worker/node_steps.h"),
                ("services/nfs/worker/x.cc", "services/samba/domain/samba_state.h"),
                ("services/kit/rpc/x.cc", "services/zfs/domain/zfs_state.h"),
                ("services/kit/plan/x.cc", "services/kit/rpc/server.h"),
                ("base/host/x.cc", "services/kit/plan/keys.h"),
                ("base/status/x.cc", "google/protobuf/message.h"),
                ("services/zfs/nowhere/x.cc", "base/status/errors.h")):
            self.assertEqual(len(wrongs(path, '#include "%s"\n' % include)), 1, (path, include))

    def test_right_includes_are_not(self):
        for path, include in (
                ("services/zfs/domain/x.cc", "services/zfs/domain/zfs_state.h"),
                ("services/zfs/domain/x.cc", "services/kit/plan/keys.h"),
                ("services/nfs/worker/x.cc", "services/node/worker/node_steps.h"),
                ("services/nfs/worker/x.cc", "string"),
                ("services/nfs/main.cc", "services/nfs/api/nfs_service.h"),
                ("base/host/x.cc", "base/status/errors.h")):
            self.assertEqual(wrongs(path, "#include <%s>\n" % include), [])

    def test_banned_parts(self):
        for name in ("PoolManager", "zfs_util", "StringUtils", "common", "ServerImpl", "misc", "JSONHelper"):
            self.assertTrue(LayeringTest.banned_parts(name), name)
        for name in ("Implied", "Management", "Utility", "Commonplace", "zfs_host"):
            self.assertFalse(LayeringTest.banned_parts(name), name)

    def test_process_starts_are_found(self):
        for code in ("fork();", "  ::posix_spawn(&pid, a);", "std::system (x);", "if (popen(a, b)) {}", "execv(p, a);"):
            self.assertTrue(PROCESS_STARTERS.search(without_comments_and_strings(code)), code)
        for code in ("// fork()", "file_system(x);", "runner.system(x);", '"system(x)"', "ListSystem(x);"):
            self.assertFalse(PROCESS_STARTERS.search(without_comments_and_strings(code)), code)


if __name__ == "__main__":
    unittest.main()
