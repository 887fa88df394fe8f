"""What the documents say of the tree is true: promises and undo name tests that exist and run, every kind of step has its
undo, and whatever is named as a place is there."""

import glob
import os
import re
import unittest

from tree import ROOT, path_of, read

DOMAINS = ("zfs", "nfs", "samba", "proxmox")
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/configuration.md", "docs/promises.md", "docs/traps.md", "docs/undo.md")
TRAPS = 23
# Where the kinds of steps are told, for each room that does steps.
VARIANTS = {"zfs": [("services/zfs/domain/zfs_step.h", "ZfsStep")],
            "samba": [("services/samba/domain/samba_step.h", "SambaStep")],
            "node": [("services/node/domain/node_planner.h", "NodeStep")]}
ENUMS = {"nfs": [("services/nfs/worker/nfs_json.h", "Kind")],
         "proxmox": [("services/proxmox/domain/proxmox_planner.h", "StorageAction"),
                     ("services/proxmox/domain/container_planner.h", "ContainerAction"),
                     ("services/proxmox/domain/vm_planner.h", "VmAction")]}
CLASSES = ("EXACT", "CONFIG", "LOSSY", "POINT_OF_NO_RETURN")

CC_TEST = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P)\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)
PY_TEST = re.compile(r"^    def (test_\w+)\(self\)", re.MULTILINE)


def tests_in(name, text):
    """The names of the tests of a source file, as promises.md writes them."""
    if name.endswith(".py"):
        return set(PY_TEST.findall(text))
    return {"%s.%s" % match for match in CC_TEST.findall(text)}


def is_built(name):
    """Whether a CMakeLists.txt at or above the file lists it."""
    folder = os.path.dirname(name)
    while folder:
        lists = os.path.join(folder, "CMakeLists.txt")
        if os.path.exists(path_of(lists)) and os.path.relpath(name, folder) in read(lists).split():
            return True
        folder = os.path.dirname(folder)
    return False


def named_tests(cell):
    """[(file, test)]"""
    return [tuple(test.split("::")) for test in re.findall(r"`([^`]+::[^`]+)`", cell)]


def missing_tests(named, tests_of):
    """Which of them are not there, in words. `tests_of(file)`: its tests, or None where there is no such file."""
    wrong = []
    for file, test in named:
        tests = tests_of(file)
        if tests is None:
            wrong.append("%s does not exist" % file)
        elif test not in tests:
            wrong.append("%s has no test %s" % (file, test))
    return wrong


def promised(text):
    """[(number, file, test)] of the table in promises.md."""
    found = []
    for line in text.splitlines():
        row = re.match(r"\| (\d+) \| .+ \| (.+) \|$", line)
        if row:
            found += [(int(row.group(1)), *test) for test in named_tests(row.group(2))]
    return found


def wrong_promises(promises_text, readme_text, tests_of):
    """What is wrong with the table, in words. `tests_of` as in missing_tests()."""
    wrong = []
    numbers = {int(number) for number in re.findall(r"^(\d+)\. \*\*", readme_text, re.MULTILINE)}
    table = promised(promises_text)
    for number in sorted(numbers - {number for number, _, _ in table}):
        wrong.append("no test is named for promise %d of the README" % number)
    for number, file, test in table:
        if number not in numbers:
            wrong.append("the README has no promise %d" % number)
        wrong += missing_tests([(file, test)], tests_of)
    return wrong


def trap_rows(text):
    """{number: cells} of the table in traps.md."""
    return {int(row.group(1)): [cell.strip() for cell in row.group(0).strip("|").split(" |")]
            for row in re.finditer(r"^\| (\d+) \|.*\|$", text, re.MULTILINE)}


def wrong_traps(text, count, tests_of):
    """What is wrong with the table in traps.md, in words. `tests_of` as in missing_tests()."""
    wrong = []
    rows = trap_rows(text)
    wrong += ["trap %d has no row" % number for number in range(1, count + 1) if number not in rows]
    wrong += ["there is no trap %d" % number for number in rows if not 1 <= number <= count]
    for number, cells in rows.items():
        if len(cells) != 5 or "" in cells:
            wrong.append("the row of trap %d has not five cells" % number)
            continue
        named = named_tests(cells[4])
        if not any(re.search(r"[Tt]rap_?%d(?!\d)" % number, test) for _, test in named):
            wrong.append("no test of trap %d has its number in its name" % number)
        wrong += missing_tests(named, tests_of)
    return wrong


def variants(text, name):
    """The types of `using NAME = std::variant<...>;`."""
    found = re.search(r"^using %s =\s*std::variant<([^>]+)>;" % name, text, re.MULTILINE)
    return {kind.strip() for kind in found.group(1).split(",")} if found else set()


def enumerators(text, name):
    found = re.search(r"enum class %s \{(.+?)\};" % name, text, re.DOTALL)
    return set(re.findall(r"\bk[A-Z]\w*", re.sub(r"//.*", "", found.group(1)))) if found else set()


def step_kinds():
    """Every kind of step in the code, as undo.md writes it."""
    kinds = set()
    for read_kinds, rooms in ((variants, VARIANTS), (enumerators, ENUMS)):
        for room, places in rooms.items():
            for file, name in places:
                kinds |= {"%s::%s" % (room, kind) for kind in read_kinds(read(file), name)}
    return kinds


def undo_rows(text):
    """The rows about a kind of step: their cells."""
    rows = []
    for line in text.splitlines():
        if re.match(r"\| `\w+::\w+` \|", line):
            rows.append([cell.strip() for cell in line.strip("|").split(" |")])
    return rows


def wrong_undo(text, kinds, tests_of):
    """What is wrong with the tables in undo.md, in words. `tests_of` as in missing_tests()."""
    wrong = []
    rows = undo_rows(text)
    told = {row[0].strip("`") for row in rows}
    wrong += ["%s has no row" % kind for kind in sorted(kinds - told)]
    wrong += ["there is no step %s" % kind for kind in sorted(told - kinds)]
    for row in rows:
        if len(row) != 8 or "" in row:
            wrong.append("the row of %s has not eight cells" % row[0])
            continue
        if row[2] not in CLASSES:
            wrong.append("%s is no class of %s" % (row[2], row[0]))
        if row[2] in ("LOSSY", "POINT_OF_NO_RETURN") and row[6] == "nothing":
            wrong.append("%s does not say what remains" % row[0])
        named = re.findall(r"`([^`]+)::(\w+(?:\.\w+)?)`", row[7])
        if not named:
            wrong.append("no test holds %s" % row[0])
        wrong += missing_tests(named, tests_of)
    return wrong


def places(text):
    """What a document names in backticks that looks like a path of the tree, and what its links point to."""
    tops = "|".join(("base", "clients", "cmake", "deploy", "docs", "orchestrator", "proto", "services", "tests"))
    quoted = re.findall(r"`((?:%s)/[^`\s]*)`" % tops, text)
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    return [place.split("::")[0] for place in quoted], linked


def patterns(place):
    """The glob patterns of a place; <domain> and <d> stand for each of the four."""
    if "<domain>" in place or "<d>" in place:
        return [place.replace("<domain>", domain).replace("<d>", domain) for domain in DOMAINS]
    return [re.sub(r"<\w+>", "*", place)]


def tests_of(name):
    return tests_in(name, read(name)) if os.path.isfile(path_of(name)) else None


class DocumentsTest(unittest.TestCase):
    def test_every_promise_names_tests_that_exist(self):
        self.assertEqual(wrong_promises(read("docs/promises.md"), read("README.md"), tests_of), [])
        self.assertGreater(len(promised(read("docs/promises.md"))), 50)

    def test_every_trap_is_held_by_a_test_of_its_number(self):
        self.assertEqual(wrong_traps(read("docs/traps.md"), TRAPS, tests_of), [])

    def test_the_named_tests_are_built(self):
        named = {file for _, file, _ in promised(read("docs/promises.md")) if file.endswith(".cc")}
        named |= set(re.findall(r"`([^`]+\.cc)::", read("docs/undo.md") + read("docs/traps.md")))
        self.assertEqual([file for file in sorted(named) if not is_built(file)], [])

    def test_every_kind_of_step_has_its_undo_and_the_tests_that_hold_it(self):
        rooms = {os.path.basename(os.path.dirname(name)) for name in glob.glob(path_of("services/*/worker"))}
        self.assertEqual(rooms, set(VARIANTS) | set(ENUMS), "where are the kinds of steps of this room told?")
        for room in rooms:
            self.assertTrue([kind for kind in step_kinds() if kind.startswith(room + "::")], room)
        self.assertEqual(wrong_undo(read("docs/undo.md"), step_kinds(), tests_of), [])

    def test_tests_named_in_decisions_exist(self):
        known = set()
        for name in glob.glob(path_of("**/*_test.cc"), recursive=True) + glob.glob(path_of("tests/contract/*")):
            if os.path.isfile(name) and os.path.relpath(name, ROOT).split(os.sep)[0] != "build":
                name = os.path.relpath(name, ROOT)
                known |= tests_in(name, read(name))
        count = 0
        for name in sorted(glob.glob(path_of("docs/adr/*.md"))):
            for test in re.findall(r"`([A-Z]\w+\.[A-Z]\w+)`", read(os.path.relpath(name, ROOT))):
                count += 1
                self.assertIn(test, known, os.path.basename(name))
        self.assertGreater(count, 3)

    def test_named_places_exist(self):
        missing = []
        for document in DOCUMENTS + tuple(os.path.relpath(name, ROOT) for name in glob.glob(path_of("docs/adr/*.md"))):
            quoted, linked = places(read(document))
            wanted = [(pattern, pattern) for place in quoted for pattern in patterns(place)]
            wanted += [(link, os.path.join(os.path.dirname(document), link)) for link in linked]
            missing += [(document, shown) for shown, pattern in wanted if not glob.glob(path_of(pattern))]
        self.assertEqual(missing, [])


class TheTestItselfTest(unittest.TestCase):
    README = "1. **One.** a\n2. **Two.** b\n"

    def test_what_is_wrong_is_found(self):
        for table, wrong in (
                ("| 1 | x | `a.cc::S.T` |\n", "no test is named for promise 2 of the README"),
                ("| 1 | x | `a.cc::S.T` |\n| 2 | x | `b.cc::S.T` |\n", "b.cc does not exist"),
                ("| 1 | x | `a.cc::S.T`, `a.cc::S.Gone` |\n| 2 | x | `a.cc::S.T` |\n", "a.cc has no test S.Gone"),
                ("| 1 | x | `a.cc::S.T` |\n| 2 | x | `a.cc::S.T` |\n| 3 | x | `a.cc::S.T` |\n", "the README has no promise 3")):
            self.assertEqual(wrong_promises(table, self.README, {"a.cc": {"S.T"}}.get), [wrong])

    def test_what_is_wrong_with_undo_is_found(self):
        row = "| `a::S` | `s:NAME` | EXACT | c | u | g | nothing | `a.cc::S.T` |\n"
        for table, wrong in (
                (row, []),
                ("", ["a::S has no row"]),
                (row + row.replace("a::S", "a::T"), ["there is no step a::T"]),
                (row.replace("| u |", "|  |"), ["the row of `a::S` has not eight cells"]),
                (row.replace("EXACT", "SURE"), ["SURE is no class of `a::S`"]),
                (row.replace("EXACT", "LOSSY"), ["`a::S` does not say what remains"]),
                (row.replace("`a.cc::S.T`", "none"), ["no test holds `a::S`"]),
                (row.replace("S.T`", "S.Gone`"), ["a.cc has no test S.Gone"]),
                (row.replace("a.cc", "b.cc"), ["b.cc does not exist"])):
            self.assertEqual(wrong_undo(table, {"a::S"}, {"a.cc": {"S.T"}}.get), wrong)

    def test_what_is_wrong_with_traps_is_found(self):
        row = "| 1 | w | i | `x` | `a.cc::S.Trap1A` |\n"
        other = "| 2 | w | i | `x` | `a.cc::S.Trap1A`, `b.py::test_trap2_b` |\n"
        known = {"a.cc": {"S.Trap1A", "S.Trap12"}, "b.py": {"test_trap2_b"}}
        for table, wrong in (
                (row + other, []),
                (row, ["trap 2 has no row"]),
                (row + other + row.replace("| 1 |", "| 3 |").replace("Trap1A", "Trap3"), ["there is no trap 3", "a.cc has no test S.Trap3"]),
                (row.replace("| i |", "|  |") + other, ["the row of trap 1 has not five cells"]),
                (row.replace("Trap1A", "Trap12") + other, ["no test of trap 1 has its number in its name"]),
                (row + other.replace("b.py", "c.py"), ["c.py does not exist"])):
            self.assertEqual(wrong_traps(table, 2, known.get), wrong)

    def test_kinds_are_found(self):
        self.assertEqual(variants("using S = std::variant<A, B,\n  C>;\nusing T = std::variant<D>;", "S"), {"A", "B", "C"})
        self.assertEqual(enumerators("enum class K {\n  kA,  // not kB\n  kC = 2,\n};\nenum class L { kD };", "K"), {"kA", "kC"})

    def test_tests_are_found(self):
        self.assertEqual(tests_in("x_test.cc", "TEST(A, B) {\n  TEST(not, one)\nTEST_F(C,\n       D) {\n// TEST(E, F)\n"), {"A.B", "C.D"})
        self.assertEqual(tests_in("x_test.py", "    def test_a(self):\n    def helper(self):\n"), {"test_a"})

    def test_places_are_found(self):
        self.assertEqual(places("`base/x.h` and `--flag` and `services/<d>/y` [z](docs/z.md) [w](https://w)"),
                         (["base/x.h", "services/<d>/y"], ["docs/z.md"]))
        self.assertEqual(patterns("services/<d>/y"), ["services/%s/y" % domain for domain in DOMAINS])
        self.assertEqual(patterns("proto/<package>/v1"), ["proto/*/v1"])


if __name__ == "__main__":
    unittest.main()
