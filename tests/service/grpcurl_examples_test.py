"""Runs every example of deploy/grpcurl/README.md as it stands there, in a shell, with a stand-in for grpcurl that makes the
calls with `buf curl`, and compares what is printed with what the README promises."""

import json
import os
import re
import shlex
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, buf, free_port, one_node, pki, start_zfsd, tls_flags  # noqa: E402
from sim_fleet import write_secrets  # noqa: E402

FOLDER = os.path.join(ROOT, "deploy", "grpcurl")
CONFIG = os.path.join(ROOT, "deploy", "examples", "phoenix_hypervisor_config.json")
STAND_IN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "grpcurl_by_buf.py")
VARIABLE = re.compile(r"\$([A-Z_]+)\Z")


class Example:
    def __init__(self, command, kind, answer, line):
        self.command, self.kind, self.answer, self.line = command, kind, answer, line


def read_examples(text):
    """A `sh` block and the block after it; anything else in fences is a mistake."""
    examples, command = [], None
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        kind, body, line = match.group(1), match.group(2), text.count("\n", 0, match.start()) + 1
        if (kind == "sh") != (command is None) or kind not in ("sh", "json", "text"):
            raise ValueError("line %d: a sh block must be followed by one json or text block" % line)
        if kind == "sh":
            command = body
        else:
            examples.append(Example(command, kind, body, line))
            command = None
    if command is not None:
        raise ValueError("the last example has no answer")
    return examples


def documents(text):
    """The JSON documents in a text, one after the other."""
    decoder, found, position = json.JSONDecoder(), [], 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text):
            return found
        document, position = decoder.raw_decode(text, position)
        found.append(document)


def read_error(text):
    """An error as grpcurl prints it: {code, message, details}."""
    match = re.match(r"ERROR:\n  Code: (\w+)\n  Message: (.*?)(?:\n  Details:\n(.*))?\Z", text.strip(), re.DOTALL)
    if not match:
        raise ValueError("this is no error of grpcurl's:\n" + text)
    details = [documents(part)[0] for part in re.split(r"^  \d+\)\s*", match.group(3) or "", flags=re.MULTILINE)[1:]]
    return {"code": match.group(1), "message": match.group(2), "details": details}


def difference(promised, found, values, where="answer"):
    """None when `found` holds all that was promised, else the first thing that it does not. Learns $VALUES."""
    if isinstance(promised, dict):
        if not isinstance(found, dict):
            return "%s: is %r" % (where, found)
        for key, value in promised.items():
            if key not in found:
                return "%s.%s is missing" % (where, key)
            wrong = difference(value, found[key], values, where + "." + key)
            if wrong:
                return wrong
        return None
    if isinstance(promised, list):
        if not isinstance(found, list):
            return "%s: is %r" % (where, found)
        rest = list(found)
        for position, value in enumerate(promised):
            wrong = "%s[%d]: nothing is left that could be it" % (where, position)
            while rest:
                # A try that fails must teach nothing.
                learned = dict(values)
                mismatch = difference(value, rest.pop(0), learned, "%s[%d]" % (where, position))
                if mismatch is None:
                    values.update(learned)
                    wrong = None
                    break
                wrong = mismatch
            if wrong:
                return wrong
        return None
    if promised == "…":
        return None
    variable = VARIABLE.match(promised) if isinstance(promised, str) else None
    if variable:
        if not isinstance(found, str) or not found:
            return "%s: %r is no value for %s" % (where, found, promised)
        promised = values.setdefault(variable.group(1), found)
    return None if promised == found else "%s: is %r, not %r" % (where, found, promised)


class ExamplesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        fleet = cls.fleet = one_node()
        cls.addClassCleanup(fleet.close)
        os.makedirs(fleet.path("pki"))
        pki(fleet.path("pki"), "init")
        pki(fleet.path("pki"), "issue", "hv1", "10.77.0.11")
        pki(fleet.path("pki"), "issue", "--client", "admin")
        fleet.start()
        address = "127.0.0.1:%d" % free_port()
        start_zfsd(fleet, "hv1", *tls_flags(fleet.path("pki"), "hv1", address))
        secrets = write_secrets(fleet.path("secrets.json"), "the first password")
        result = fleet.phoenix("setup", "-f", CONFIG, "--secrets", secrets)
        if result.returncode != 0:
            raise RuntimeError(result.stdout + result.stderr)
        os.makedirs(fleet.path("bin"))
        with open(fleet.path("bin", "grpcurl"), "w", encoding="utf-8") as out:
            out.write('#!/bin/sh\nexec %s %s "$@"\n' % (shlex.quote(sys.executable), shlex.quote(STAND_IN)))
        os.chmod(fleet.path("bin", "grpcurl"), 0o755)
        cls.environment = {
            "PATH": fleet.path("bin") + ":" + os.environ["PATH"], "BUF": buf(), "HOME": fleet.directory,
            "PASSWORD": "the second password",
            "PHOENIX_EXAMPLE_PLACES": json.dumps({"/run/phoenix/": fleet.path("run") + "/",
                                                  "/etc/phoenix/pki/": fleet.path("pki") + "/", "10.77.0.11:7441": address})}

    def run_example(self, example, values):
        result = subprocess.run(["bash", "-euo", "pipefail", "-c", example.command], cwd=FOLDER, text=True,
                                capture_output=True, env={**self.environment, **values}, check=False)
        shown = "%s\nexit %d\n%s%s" % (example.command, result.returncode, result.stdout, result.stderr)
        self.assertNotIn(self.environment["PASSWORD"], result.stdout + result.stderr)
        if example.answer.startswith("ERROR:"):
            promised = read_error(example.answer)
            self.assertGreater(result.returncode, 64, shown)
            self.assertEqual(result.stdout, "", shown)
            found = read_error(result.stderr)
            self.assertIsNone(difference(promised, found, values), shown)
            self.assertTrue(found["message"], shown)
            return
        self.assertEqual(result.returncode, 0, shown)
        if example.kind == "json":
            self.assertIsNone(difference(documents(example.answer), documents(result.stdout), values), shown)
        else:
            for line in example.answer.splitlines():
                self.assertIn(line, result.stdout.splitlines(), shown)

    def test_every_example_does_what_the_readme_says(self):
        with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as text:
            examples = read_examples(text.read())
        self.assertGreater(len(examples), 40)
        values = {}
        for example in examples:
            with self.subTest(line=example.line):
                self.run_example(example, values)
        self.check_logs()

    def check_logs(self):
        """Both passwords went through two daemons; neither may stand in a log."""
        logs = self.fleet.log("hv1", "samba") + self.fleet.log("orchestrator")
        self.assertNotIn("the second password", logs)
        self.assertNotIn("the first password", logs)


class TheComparisonItselfTest(unittest.TestCase):
    def test_what_must_differ_differs(self):
        for promised, found in (({"a": 1}, {}), ({"a": 1}, {"a": 2}), ([1, 2], [2, 1]), ([{"a": 1}], []), ({"a": []}, {"a": 1}),
                                ("x", "y"), ({"a": "…"}, {}), (["$A", "$A"], ["x", "y"]), ("$A", "")):
            self.assertIsNotNone(difference(promised, found, {}), (promised, found))
        self.assertIsNotNone(difference("$A", "y", {"A": "x"}))

    def test_what_is_promised_may_be_a_part(self):
        values = {}
        self.assertIsNone(difference({"a": [{"b": "$B"}, "…"]}, {"a": [{"c": 1}, {"b": "x", "c": 2}, 3], "d": 4}, values))
        self.assertEqual(values, {"B": "x"})

    def test_a_readme_that_promises_nothing_is_refused(self):
        for text in ("```sh\nx\n```\n", "```sh\nx\n```\n```sh\ny\n```\n", "```json\n{}\n```\n", "```\nx\n```\n"):
            with self.assertRaises(ValueError, msg=text):
                read_examples(text)

    def test_errors_are_read(self):
        error = read_error('ERROR:\n  Code: NotFound\n  Message: two\n  lines\n  Details:\n  1)\t{\n  "a": 1\n}\n  2) {"b": 2}\n')
        self.assertEqual(error, {"code": "NotFound", "message": "two\n  lines", "details": [{"a": 1}, {"b": 2}]})
        self.assertEqual(read_error("ERROR:\n  Code: Aborted\n  Message: x\n")["details"], [])


if __name__ == "__main__":
    unittest.main()
