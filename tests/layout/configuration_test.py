"""The configuration files have three descriptions: the loader, the schemas for editors and docs/configuration.md. What one
of them knows, the others know; what the loader takes, the schemas take; what they refuse, it refuses."""

import functools
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import jsonschema
except ImportError:
    # Debian's package is for Debian's own interpreter, before which another one may stand.
    if os.path.realpath(sys.executable) == os.path.realpath("/usr/bin/python3"):
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

from configuration_variants import (BAD, BAD_FLEETS, BAD_LXC, BAD_SECRETS, BAD_VMS, BEYOND_SCHEMA, DELIVERIES, DOUBTFUL, DOUBTFUL_VMS,
                                    FLEETS_BEYOND_SCHEMA, GOOD, GOOD_FLEETS, GOOD_LXC, GOOD_SECRETS, GOOD_VMS, MEETINGS, SCRIPTS,
                                    STORAGE, VMS_BEYOND_SCHEMA, dataset, lxc)
from tree import ROOT, path_of, read

BUILD = os.environ.get("PHOENIX_BUILD", os.path.join(ROOT, "build", "asan"))
PHOENIX = os.path.join(BUILD, "clients/phoenix")
SOURCES = "orchestrator/config"
COMMANDS = "clients/cli/commands"
DOCUMENT = "docs/configuration.md"
EXAMPLES = {"phoenix_hypervisor_config": "phoenix_hypervisor_config.json", "phoenix_fleet": "phoenix_fleet.example.json",
            "phoenix_secrets": "phoenix_secrets.example.json", "phoenix_lxc_configs": "phoenix_lxc_configs.example.json",
            "phoenix_vm_configs": "phoenix_vm_configs.example.json"}
CONFIG, FLEET, SECRETS, LXC, VMS = EXAMPLES
BROKEN = "orchestrator/config/testdata/broken.json"

# Keywords of JSON Schema by what they hold; a misspelled one would be ignored.
SCHEMAS_BY_NAME = ("properties", "patternProperties", "definitions")
LISTS_OF_SCHEMAS = ("allOf", "anyOf")
SCHEMAS = ("not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames")
OTHER_KEYWORDS = ("$schema", "$ref", "$comment", "title", "description", "default", "type", "enum", "const", "pattern", "required",
                  "minLength", "maxLength", "minimum", "maximum", "multipleOf", "minItems", "maxItems", "uniqueItems")

# Older spellings, which the document's example with every key leaves out.
OLDER_KEYS = {("$.zfs", "arc_max"), ("$.zfs", "dataset_storage_types"), ("$.nfs", "shares"), ("$.samba.shares[]", "browseable")}
OLDER_PATHS = {"$.zfs.dataset_storage_types[]", "$.nfs.shares[]", "$.shared_volumes.firewall"}


def schema_of(name):
    return json.loads(read("deploy/examples/%s.schema.json" % name))


@functools.cache
def validator_of(name):
    return jsonschema.Draft7Validator(schema_of(name))


def subschemas(schema):
    """The schema and all that it is made of."""
    if not isinstance(schema, dict):
        return
    yield schema
    inner = [schema[word] for word in SCHEMAS if word in schema]
    inner += [part for word in LISTS_OF_SCHEMAS for part in schema.get(word, [])]
    inner += [part for word in SCHEMAS_BY_NAME for part in schema.get(word, {}).values()]
    for part in inner:
        yield from subschemas(part)


def wrong_schema(schema):
    """What no validator would say of the schema, in words."""
    known = {*SCHEMAS_BY_NAME, *LISTS_OF_SCHEMAS, *SCHEMAS, *OTHER_KEYWORDS}
    wrong = []
    for part in subschemas(schema):
        wrong += ["%s is no keyword known here" % word for word in part if word not in known]
        if "$ref" in part and len(part) > 1:
            wrong.append("draft 7 ignores what stands beside the $ref to %s" % part["$ref"])
    for path, keys in objects(schema)[0].items():
        wrong += ["%s.%s is not described" % (path, key) for key, described in keys.items() if not described]
    return wrong


def objects(schema):
    """({path: {key: whether it has title and description}}, {paths whose keys are all there are}). "*" stands for keys of
    anybody's choice. What a condition names counts as well."""
    found, closed = {}, set()

    def is_described(part):
        return bool(part.get("title")) and bool(part.get("description"))

    def note(path, key, part):
        keys = found.setdefault(path, {})
        keys[key] = keys.get(key, False) or is_described(part)
        visit(part, "%s.%s" % (path, key))

    def visit(part, path):
        if "$ref" in part:
            name = part["$ref"].rsplit("/", 1)[1]
            target = schema["definitions"][name]
            # Secrets may be nested as deep as one likes.
            if all(inner.get("$ref") != part["$ref"] for inner in subschemas(target)):
                visit(target, path)
            return
        for key, inner in part.get("properties", {}).items():
            note(path, key, inner)
        for inner in part.get("patternProperties", {}).values():
            note(path, "*", inner)
        others = part.get("additionalProperties", True)
        if others is False:
            closed.add(path)
        elif others is not True:
            note(path, "*", others)
        if "items" in part:
            visit(part["items"], path + "[]")
        for word in ("if", "then", "else", "not"):
            if word in part:
                visit(part[word], path)
        for word in LISTS_OF_SCHEMAS:
            for inner in part.get(word, []):
                visit(inner, path)

    visit(schema, "$")
    return found, closed


def documented(text):
    """{file: {path: {key: rules named in its row}}} of the tables below headings like ### `$.zfs`."""
    found, file, paths = {}, None, []
    for line in text.splitlines():
        if line.startswith("## "):
            heading = re.match(r"## `(\w+)\.json`", line)
            file, paths = heading.group(1) if heading else None, []
        elif line.startswith("### "):
            paths = re.findall(r"`(\$[^`]*)`", line)
        elif file and line.startswith("| `"):
            cells = line.strip().strip("|").split("|")
            rules = re.findall(r"`([^`]+)`", cells[-1]) if len(cells) == 5 else ["a row of %d cells" % len(cells)]
            for path in paths:
                for key in re.findall(r"`([^`]+)`", cells[0]):
                    found.setdefault(file, {}).setdefault(path, {})[key] = rules
    return found


def documented_rules(text):
    """(errors, lints): the rules of the two lists, in the order of the document."""
    lists = []
    for heading in ("Errors", "Lints"):
        section = re.search(r"^## %s\n(.*?)(?=^## |\Z)" % heading, text, re.MULTILINE | re.DOTALL)
        lists.append(re.findall(r"^\| `([^`]+)` \| [^|]+ \|$", section.group(1), re.MULTILINE) if section else [])
    return tuple(lists)


def rules_of(text):
    """(errors, lints, calls whose rule cannot be read) of a source."""
    errors, lints, unread = set(), set(), []
    text = re.sub(r"//[^\n]*", "", text)
    for call in re.finditer(r"\b(Error|Lint|Refuse)\(", text):
        argument, depth = "", 0
        for c in text[call.end():]:
            depth += (c == "(") - (c == ")")
            if depth < 0 or (c == "," and depth == 0):
                break
            argument += c
        rules = re.findall(r'"([^"]*)"', argument)
        if rules:
            (lints if call.group(1) == "Lint" else errors).update(rules)
        elif not re.match(r"\s*std::(string rule|move\(rule\))", argument):
            unread.append(argument.strip())
    return errors, lints, unread


def sources():
    """Of what reads the files, and of the commands, which look at the files themselves."""
    names = [name for folder in (SOURCES, COMMANDS) for name in sorted(glob.glob(path_of(folder + "/*.cc")))]
    return [os.path.relpath(name, ROOT) for name in names if not name.endswith("_test.cc")]


def known_keys(text):
    """The lists of keys that a source takes for all there are."""
    return [frozenset(re.findall(r'"([^"]*)"', keys)) for keys in re.findall(r"\bExpectKeys\(\{([^}]*)\}\)", text)]


def keys_in(document, path="$"):
    """{path: keys} of a document."""
    found = {}
    inner = [("%s.%s" % (path, key), value) for key, value in document.items()] if isinstance(document, dict) else \
            [(path + "[]", value) for value in document] if isinstance(document, list) else []
    if isinstance(document, dict):
        found[path] = set(document)
    for place, value in inner:
        for at, keys in keys_in(value, place).items():
            found.setdefault(at, set()).update(keys)
    return found


def document_with(path, members):
    """The smallest document that has an object with these members at a path of objects()."""
    value = members
    for step in reversed(re.findall(r"\.[^.\[]+|\[\]", path)):
        value = [value] if step == "[]" else {"name" if step == ".*" else step[1:]: value}
    return value


def place_of(path):
    """The same place as findings name it."""
    return path.replace("[]", "[0]").replace(".*", ".name")


def validated(documents):
    """What `phoenix validate` says of each document (or JSON text): (errors, lints) as lists of (rule, path)."""
    with tempfile.TemporaryDirectory() as directory:
        names = []
        for number, document in enumerate(documents):
            names.append(os.path.join(directory, "%d.json" % number))
            with open(names[-1], "w", encoding="utf-8") as out:
                out.write(document if isinstance(document, str) else json.dumps(document))
        told = subprocess.run([PHOENIX, "--output", "json", "validate", *names], capture_output=True, text=True,
                              env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    reports = json.loads(told.stdout)
    return [tuple([(finding["rule"], finding["path"]) for finding in report[kind]] for kind in ("errors", "lints")) for report in reports]


def validated_as(kind, document):
    """What `phoenix validate --fleet`, `--secrets` or `--lxc` says of a document: (errors, lints) as lists of (rule, path), all that is printed."""
    with tempfile.TemporaryDirectory() as directory:
        name = os.path.join(directory, "file.json")
        with open(name, "w", encoding="utf-8") as out:
            out.write(json.dumps(document))
        os.chmod(name, 0o600)
        told = subprocess.run([PHOENIX, "--output", "json", "validate", "--" + kind, name], capture_output=True, text=True,
                              env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    report, = json.loads(told.stdout)
    if report["kind"] != kind or told.returncode != (1 if report["errors"] else 0):
        raise AssertionError(told)
    errors, lints = ([(finding["rule"], finding["path"]) for finding in report[kind]] for kind in ("errors", "lints"))
    return errors, lints, told.stdout + told.stderr


def refused_secrets(document):
    """Whether the command line refuses the secrets. It reads them before it looks for the orchestrator, which is not there."""
    with tempfile.TemporaryDirectory() as directory:
        files = {name: os.path.join(directory, name) for name in ("config", "secrets")}
        for name, text in (("config", "{}"), ("secrets", json.dumps(document))):
            with open(files[name], "w", encoding="utf-8") as out:
                out.write(text)
            os.chmod(files[name], 0o600)
        told = subprocess.run([PHOENIX, "--server", "localhost:1", "--tls-ca", os.path.join(directory, "none"), "plan", "-f",
                               files["config"], "--secrets", files["secrets"]], capture_output=True, text=True,
                              env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    refused = files["secrets"] + ":\n" in told.stderr
    if not refused and "/none" not in told.stderr:
        raise AssertionError(told.stderr)
    return refused


def pairs(cases):
    """[(rule, document)] of {rule: documents}."""
    return [(rule, document) for rule, documents in cases.items() for document in documents]


class SchemaTest(unittest.TestCase):
    def test_the_schemas_are_schemas_without_slips(self):
        for name in EXAMPLES:
            jsonschema.Draft7Validator.check_schema(schema_of(name))
            self.assertEqual(wrong_schema(schema_of(name)), [], name)

    def test_the_examples_name_the_schemas_that_take_them(self):
        for name, example in EXAMPLES.items():
            document = json.loads(read("deploy/examples/" + example))
            self.assertEqual(document["$schema"], "./%s.schema.json" % name)
            validator_of(name).validate(document)
            for file in (example, name + ".schema.json"):
                self.assertIn("examples/" + file, read("deploy/CMakeLists.txt").split(), "not installed")

    def test_files_in_use_are_taken_and_broken_ones_are_not(self):
        names = {os.path.relpath(name, ROOT) for name in glob.glob(path_of(SOURCES + "/testdata/*.json"))} - {BROKEN}
        self.assertGreater(len(names), 1)
        for name in names:
            validator_of(CONFIG).validate(json.loads(read(name)))
        places = {"/".join(map(str, error.absolute_path)) for error in validator_of(CONFIG).iter_errors(json.loads(read(BROKEN)))}
        self.assertEqual(len(places), 10, places)

    def check(self, name, good, bad):
        for document in good:
            self.assertEqual([error.message for error in validator_of(name).iter_errors(document)], [], document)
        for document in bad:
            self.assertFalse(validator_of(name).is_valid(document), document)

    def test_variants(self):
        beyond = [document for cases in (BEYOND_SCHEMA, DOUBTFUL) for _, document in pairs(cases) if not isinstance(document, str)]
        self.check(CONFIG, GOOD + beyond, [document for _, document in pairs(BAD)])
        self.check(FLEET, GOOD_FLEETS + [document for _, document in pairs(FLEETS_BEYOND_SCHEMA)], BAD_FLEETS)
        self.check(SECRETS, GOOD_SECRETS, BAD_SECRETS)
        self.check(VMS, GOOD_VMS + [document for cases in (VMS_BEYOND_SCHEMA, DOUBTFUL_VMS) for _, document in pairs(cases)], BAD_VMS)
        self.check(LXC, GOOD_LXC, BAD_LXC)


class DocumentTest(unittest.TestCase):
    def test_it_has_the_keys_of_the_schemas_and_no_others(self):
        told = documented(read(DOCUMENT))
        self.assertEqual(set(told), set(EXAMPLES))
        for name in EXAMPLES:
            wanted = {path: set(keys) for path, keys in objects(schema_of(name))[0].items()}
            self.assertEqual({path: set(keys) for path, keys in told[name].items()}, wanted, name)

    def test_it_lists_the_rules_of_the_sources_and_no_others(self):
        errors, lints, unread = set(), set(), []
        for name in sources():
            for whole, part in zip((errors, lints), rules_of(read(name))):
                whole |= part
            unread += rules_of(read(name))[2]
        self.assertEqual(unread, [], "rules are written where they are used")
        self.assertGreater(len(errors) + len(lints), 60)
        told_errors, told_lints = documented_rules(read(DOCUMENT))
        self.assertEqual(told_errors, sorted(errors))
        self.assertEqual(told_lints, sorted(lints))

    def test_its_tables_name_rules_only_and_every_rule_that_belongs_to_keys(self):
        errors, lints = documented_rules(read(DOCUMENT))
        rows = [rules for paths in documented(read(DOCUMENT)).values() for keys in paths.values() for rules in keys.values()]
        named = {rule for rules in rows for rule in rules}
        self.assertEqual(named - {*errors, *lints}, set())
        self.assertEqual({*errors, *lints} - named, {"json-syntax", "wrong-type", "other-file", "duplicate-key", "unknown-key", "plaintext-password", "secrets-mode"})

    def test_its_examples_are_taken_and_the_long_one_has_every_key_of_today(self):
        blocks = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", read(DOCUMENT), re.MULTILINE | re.DOTALL)]
        self.assertEqual(len(blocks), 2)
        for block in blocks:
            validator_of(CONFIG).validate(block)
        used = keys_in(blocks[1])
        keys, closed = objects(schema_of(CONFIG))
        for path in (closed | {"$", "$.network"}) - OLDER_PATHS:
            pattern = re.escape(path).replace(r"\*", r"\w+")
            there = {key for place, there in used.items() if re.fullmatch(pattern, place) for key in there}
            self.assertEqual({key for key in keys[path] if (path, key) not in OLDER_KEYS} - there, set(), path)

    def test_its_links_lead_to_its_headings(self):
        headings = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
                    for heading in re.findall(r"^#+ (.*)$", read(DOCUMENT), re.MULTILINE)}
        links = re.findall(r"\]\(#([^)]+)\)", read(DOCUMENT))
        self.assertGreater(len(links), 10)
        self.assertEqual([link for link in links if link not in headings], [])


class LoaderTest(unittest.TestCase):
    def test_its_lists_of_keys_are_those_of_the_schemas(self):
        known = {keys for name in sources() for keys in known_keys(read(name))}
        closed = set()
        for name in EXAMPLES:
            keys, paths = objects(schema_of(name))
            closed |= {frozenset(keys[path]) for path in paths}
        self.assertEqual(closed, known)


@unittest.skipUnless("PHOENIX_BUILD" in os.environ or os.path.exists(PHOENIX), "phoenix is not built")
class BuiltTest(unittest.TestCase):
    def test_an_invented_key_is_told_where_the_schema_closes_an_object_and_no_other_key_is(self):
        keys, closed = objects(schema_of(CONFIG))
        self.assertGreater(len(closed), 10)
        documents = []
        for path in sorted(closed):
            members = {**dict.fromkeys(keys[path]), "invented": 1}  # null counts as absent, but its key is looked at
            if path == "$.shared_volumes.firewall":
                members["host_path"] = "/x"  # what makes a volume of it
            documents.append(document_with(path, members))
        for path, (_, lints) in zip(sorted(closed), validated(documents)):
            self.assertEqual([place for rule, place in lints if rule == "unknown-key"], [place_of(path) + ".invented"], path)

    def test_an_invented_key_is_let_be_elsewhere(self):
        keys, closed = objects(schema_of(CONFIG))
        others = sorted(path for path in keys if path not in closed)
        self.assertIn("$.network", others)
        for path, (_, lints) in zip(others, validated([document_with(path, {"invented": 1}) for path in others])):
            self.assertEqual([place for rule, place in lints if rule == "unknown-key"], [], path)

    def test_what_the_schema_takes_and_refuses_the_loader_takes_and_refuses(self):
        for document, (errors, lints) in zip(GOOD, validated(GOOD)):
            self.assertEqual(errors + [lint for lint in lints if lint[0] == "unknown-key"], [], document)
        for cases, kind in ((BAD, 0), (BEYOND_SCHEMA, 0), (DOUBTFUL, 1)):
            for (rule, document), found in zip(pairs(cases), validated([document for _, document in pairs(cases)])):
                self.assertIn(rule, [name for name, _ in found[kind]], document)
                self.assertEqual(bool(found[0]), kind == 0, document)

    def test_container_files(self):
        for document in GOOD_LXC:
            errors, lints, _ = validated_as("lxc", document)
            self.assertEqual(errors + [lint for lint in lints if lint[0] == "unknown-key"], [], document)
        for document in BAD_LXC:
            errors, lints, _ = validated_as("lxc", document)
            self.assertTrue(errors or ("unknown-key" in [rule for rule, _ in lints]), document)

    def test_a_backup_of_a_persistent_volume_is_doubtful(self):
        _, lints, _ = validated_as("lxc", lxc({"persistent": True, "backup": True}))
        self.assertEqual([rule for rule, _ in lints], ["not-in-backups"])

    def test_what_a_configuration_makes_of_containers(self):
        for rule, (config, containers) in pairs(MEETINGS):
            with tempfile.TemporaryDirectory() as directory:
                for name, document in (("config.json", config), ("lxc.json", containers)):
                    with open(os.path.join(directory, name), "w", encoding="utf-8") as out:
                        out.write(json.dumps(document))
                told = subprocess.run([PHOENIX, "--output", "json", "validate", "config.json", "--lxc", "lxc.json"], capture_output=True,
                                      text=True, cwd=directory, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
            report = {report["kind"]: report for report in json.loads(told.stdout)}["configuration"]
            found = {finding["rule"] for kind in ("errors", "lints") for finding in report[kind]}
            self.assertEqual(found - {"pool-not-declared", "undeclared-path"}, {rule} if rule else set(), told.stdout)

    def test_a_persistent_volume_names_its_node_in_a_fleet(self):
        fleet = {"nodes": [{"name": name, "address": "10.0.0.%d" % number} for number, name in enumerate(("hv1", "hv2"), 1)]}
        for node, wrong in ((None, True), ("hv1", False), ("HV2", False), ("hv3", True)):
            containers = lxc({"pool": "tank-a", "persistent": True}, **({"node": node} if node else {}))
            with tempfile.TemporaryDirectory() as directory:
                for name, document in (("config.json", dataset(**STORAGE)), ("lxc.json", containers), ("fleet.json", fleet)):
                    with open(os.path.join(directory, name), "w", encoding="utf-8") as out:
                        out.write(json.dumps(document))
                told = subprocess.run([PHOENIX, "--output", "json", "validate", "config.json", "--lxc", "lxc.json", "--fleet", "fleet.json"],
                                      capture_output=True, text=True, cwd=directory, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
            report = {report["kind"]: report for report in json.loads(told.stdout)}["configuration"]
            self.assertEqual([finding["rule"] for finding in report["errors"]], ["unknown-node"] if wrong else [], told.stdout)

    def test_with_a_fleet_counts_what_each_node_gets(self):
        config = {"zfs": {"pools": [{"name": "tank"}], "datasets": [{"name": "a", "pool": "tank"}]},
                  "nfs": {"exports": [{"path": "/tank/a", "options": ["rw"]}]}}
        whole, other = ({"network": {"default_subnet": "10.0.0.0/24"}}, {"network": {"workgroup": "HOME"}})

        def errors(*overrides):
            """{whom it concerns, as it is told: places of errors}, and the exit code."""
            nodes = [{"name": "hv%d" % number, "address": "10.0.0.%d" % number, **({"overrides": own} if own else {})}
                     for number, own in enumerate(overrides, 1)]
            with tempfile.TemporaryDirectory() as directory:
                for name, document in (("config.json", config), ("fleet.json", {"nodes": nodes})):
                    with open(os.path.join(directory, name), "w", encoding="utf-8") as out:
                        out.write(json.dumps(document))
                told = subprocess.run([PHOENIX, "--output", "json", "validate", "config.json", *(["--fleet", "fleet.json"] if nodes else [])],
                                      capture_output=True, text=True, cwd=directory, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
            return {report["file"]: [finding["path"] for finding in report["errors"]] for report in json.loads(told.stdout)
                    if report["kind"] == "configuration" and (report["errors"] or report["file"] == "config.json")}, told.returncode

        wrong = ["$.nfs.exports[0].clients"]
        self.assertEqual(errors(), ({"config.json": wrong}, 1))
        # Every node has of its own what the file lacks, as plan and setup see it.
        self.assertEqual(errors(whole, whole), ({"config.json": []}, 0))
        # A node without overrides gets the file as it is, and it alone is named.
        self.assertEqual(errors(whole, None), ({"config.json": [], "config.json for hv2": wrong}, 1))
        self.assertEqual(errors(whole, None, other), ({"config.json": [], "config.json for hv2, hv3": wrong}, 1))
        # What is so on every node is told once, whoever has overrides.
        self.assertEqual(errors(other, None), ({"config.json": wrong}, 1))

    def test_every_rule_is_met(self):
        errors, lints = documented_rules(read(DOCUMENT))
        of_other_files = {"duplicate-address", "overlapping-ports", "invalid-owner", "invalid-secret", "invalid-vmid", "unknown-node",
                          "missing-script", "ambiguous-script", "invalid-script", "persistent-storage", "secrets-mode"}
        self.assertEqual(set(errors) - set(BAD) - set(BEYOND_SCHEMA), of_other_files)
        # Only a plan knows that it was given no VMs.
        self.assertEqual(set(lints) - set(DOUBTFUL), {"not-in-backups", "undeclared-container", "unknown-key", "no-vms", "volume-not-exported",
                                                      *DOUBTFUL_VMS})

    def test_the_documents_examples_have_neither_errors_nor_lints(self):
        self.assertEqual(validated(re.findall(r"^```json\n(.*?)^```", read(DOCUMENT), re.MULTILINE | re.DOTALL)), [([], [])] * 2)

    def test_fleets(self):
        for document in GOOD_FLEETS:
            self.assertEqual(validated_as("fleet", document)[:2], ([], []), document)
        for document in BAD_FLEETS:
            self.assertNotEqual(validated_as("fleet", document)[:2], ([], []), document)
        for rule, document in pairs(FLEETS_BEYOND_SCHEMA):
            self.assertIn(rule, [name for name, _ in validated_as("fleet", document)[0]], document)

    def test_vms(self):
        for document in GOOD_VMS:
            self.assertEqual(validated_as("vms", document)[:2], ([], []), document)
        for document in BAD_VMS:
            self.assertNotEqual(validated_as("vms", document)[0], [], document)
        for cases, kind in ((VMS_BEYOND_SCHEMA, 0), (DOUBTFUL_VMS, 1)):
            for rule, document in pairs(cases):
                self.assertIn(rule, [name for name, _ in validated_as("vms", document)[kind]], document)

    def test_what_a_configuration_makes_of_vms(self):
        for rule, (config, vms) in pairs(DELIVERIES):
            with tempfile.TemporaryDirectory() as directory:
                os.mkdir(os.path.join(directory, "scripts"))
                files = {"config.json": json.dumps(config), "vms.json": json.dumps(vms), **{"scripts/" + name: text for name, text in SCRIPTS.items()}}
                for name, text in files.items():
                    with open(os.path.join(directory, name), "w", encoding="utf-8") as out:
                        out.write(text)
                told = subprocess.run([PHOENIX, "--output", "json", "validate", "config.json", "--vms", "vms.json"], capture_output=True,
                                      text=True, cwd=directory, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
            reports = {report["kind"]: report for report in json.loads(told.stdout)}
            # Each is told of the file that its place is in.
            places = {kind: [one["path"] for errors in ("errors", "lints") for one in reports[kind][errors]] for kind in ("vms", "configuration")}
            self.assertEqual([path for path in places["vms"] if not path.startswith("$.vms") and path != "$"], [], told.stdout)
            self.assertEqual([path for path in places["configuration"] if "vms" in path.split("[")[0].split(".")], [], told.stdout)
            found = {finding["rule"] for report in ("vms", "configuration") for kind in ("errors", "lints") for finding in reports[report][kind]}
            self.assertEqual(found, {rule} if rule else set(), told.stdout)

    def test_secrets_are_validated_without_being_shown(self):
        for document in GOOD_SECRETS:
            self.assertEqual(validated_as("secrets", document)[:2], ([], []), document)
        for document in BAD_SECRETS + [{"samba": {"users": {"heads": "hunter2\n"}}}]:
            errors, _, printed = validated_as("secrets", document)
            self.assertNotEqual(errors, [], document)
            self.assertNotIn("hunter2", printed)

    def test_secrets_that_others_can_read_are_refused_as_plan_refuses_them(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write("{}")
            file.flush()
            for mode, code in ((0o644, 1), (0o600, 0)):
                os.chmod(file.name, mode)
                told = subprocess.run([PHOENIX, "validate", "--secrets", file.name], capture_output=True, text=True,
                                      env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
                self.assertEqual((told.returncode, "chmod 600" in told.stdout), (code, code == 1))

    def test_a_directory_is_not_taken_for_an_empty_file(self):
        with tempfile.TemporaryDirectory() as directory:
            told = subprocess.run([PHOENIX, "validate", directory], capture_output=True, text=True, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
        self.assertNotEqual(told.returncode, 0)
        self.assertIn(directory + ": Is a directory", told.stdout + told.stderr)

    def test_secrets(self):
        self.assertEqual([document for document in GOOD_SECRETS if refused_secrets(document)], [])
        self.assertEqual([document for document in BAD_SECRETS if not refused_secrets(document)], [])


class TheTestItselfTest(unittest.TestCase):
    def test_slips_of_a_schema_are_found(self):
        described = {"title": "t", "description": "d"}
        for schema, wrong in (
                ({"properties": {"a": described}}, []),
                ({"properties": {"a": {"title": "t"}}}, ["$.a is not described"]),
                ({"propertys": {}}, ["propertys is no keyword known here"]),
                ({"items": {"anyOf": [{"minLenght": 1}]}}, ["minLenght is no keyword known here"]),
                ({"items": {"$ref": "#/definitions/x", "pattern": "y"}, "definitions": {"x": {}}},
                 ["draft 7 ignores what stands beside the $ref to #/definitions/x"])):
            self.assertEqual(wrong_schema(schema), wrong)

    def test_objects_are_found(self):
        closed = {"additionalProperties": False, "properties": {"b": {}}, "allOf": [{"then": {"properties": {"c": {}}}}]}
        schema = {"properties": {"a": {"items": {"$ref": "#/definitions/x"}}, "m": {"additionalProperties": {"type": "string"}}},
                  "definitions": {"x": closed}}
        self.assertEqual(objects(schema), ({"$": {"a": False, "m": False}, "$.a[]": {"b": False, "c": False}, "$.m": {"*": False}},
                                           {"$.a[]"}))

    def test_tables_are_read(self):
        text = ("## `f.json`\n### `$.a`, `$.b`: x\n| key | t | d | m | e |\n|---|\n| `k`, `l` | t | d | `m` | `r`, `s` |\n"
                "## Other\n| `n` | t | d | m | |\n")
        self.assertEqual(documented(text), {"f": {path: {"k": ["r", "s"], "l": ["r", "s"]} for path in ("$.a", "$.b")}})
        text = "## Errors\n| rule | w |\n|---|---|\n| `a-b` | x |\n\n## Lints\n| `c` | x |\n## More\n| `d` | x |\n"
        self.assertEqual(documented_rules(text), (["a-b"], ["c"]))

    def test_rules_are_read(self):
        self.assertEqual(rules_of('x.Error(\n    "a-b", y, "not-a-rule"); Lint("c"); return Refuse("d", {}); // Error("e")\n'
                                  'f->Error(p() ? "g" : "h", o); void Error(std::string rule, int); l(); Lint(std::move(rule), x);'
                                  'Error(kRule, y);'),
                         ({"a-b", "d", "g", "h"}, {"c"}, ["kRule"]))
        self.assertEqual(known_keys('c.ExpectKeys({"a",\n  "b"}); void ExpectKeys(std::initializer_list<int> known);'), [frozenset("ab")])

    def test_documents_are_made_and_read(self):
        self.assertEqual(document_with("$.a[].b.*", {"k": 1}), {"a": [{"b": {"name": {"k": 1}}}]})
        self.assertEqual(place_of("$.a[].b.*"), "$.a[0].b.name")
        self.assertEqual(keys_in({"a": [{"b": 1}, {"c": {"d": 2}}]}), {"$": {"a"}, "$.a[]": {"b", "c"}, "$.a[].c": {"d"}})


if __name__ == "__main__":
    unittest.main()
