"""Stands in for grpcurl where only buf is installed: takes grpcurl's arguments, makes the call with `buf curl`, prints and
exits as grpcurl does. Knows what the worked examples use and refuses everything else.

PHOENIX_EXAMPLE_PLACES, JSON {prefix in the examples: what it is here}, says where sockets, certificates and nodes are."""

import base64
import json
import os
import subprocess
import sys

# In the order of their numbers, as grpcurl writes them; its exit code is 64 + number.
CODES = ("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
         "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
         "DataLoss", "Unauthenticated")
REFLECTION = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SCALARS = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string", 12: "bytes", 13: "uint32"}


def fields(data):
    """The fields of a serialised protobuf message: [(number, value)], value an int or bytes."""
    result, position = [], 0

    def varint():
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while position < len(data):
        key = varint()
        if key & 7 == 0:
            result.append((key >> 3, varint()))
        elif key & 7 == 2:
            size = varint()
            result.append((key >> 3, data[position:position + size]))
            position += size
        else:
            size = {1: 8, 5: 4}[key & 7]
            result.append((key >> 3, data[position:position + size]))
            position += size
    return result


def all_of(message, number):
    return [value for field, value in fields(message) if field == number]


def first_text(message, number):
    return next((value.decode() for value in all_of(message, number)), "")


def detail_as_json(detail):
    """An error detail as grpcurl shows it."""
    value = base64.b64decode(detail["value"] + "===")
    shown = {"@type": "type.googleapis.com/" + detail["type"]}
    if detail["type"] == "google.rpc.ErrorInfo":
        metadata = {first_text(entry, 1): first_text(entry, 2) for entry in all_of(value, 3)}
        shown.update(domain=first_text(value, 2), reason=first_text(value, 1), **({"metadata": metadata} if metadata else {}))
    elif detail["type"] == "google.rpc.BadRequest":
        shown["fieldViolations"] = [{"field": first_text(violation, 1), "description": first_text(violation, 2)}
                                    for violation in all_of(value, 1)]
    else:
        raise SystemExit("unknown error detail " + detail["type"])
    return shown


def print_error(error):
    number = [code.lower() for code in CODES].index(error["code"].replace("_", ""))
    print("ERROR:\n  Code: %s\n  Message: %s" % (CODES[number], error.get("message", "")), file=sys.stderr)
    if error.get("details"):
        print("  Details:", file=sys.stderr)
        for position, detail in enumerate(error["details"], 1):
            print("  %d)\t%s" % (position, json.dumps(detail_as_json(detail), indent=2)), file=sys.stderr)
    return 64 + number


def place(text):
    for prefix, here in json.loads(os.environ.get("PHOENIX_EXAMPLE_PLACES", "{}")).items():
        if text.startswith(prefix):
            return here + text[len(prefix):]
    return text


class Call:
    """One grpcurl command line."""

    def __init__(self, argv):
        self.flags, words = {}, []
        argv = list(argv)
        while argv:
            word = argv.pop(0)
            if word in ("-plaintext", "-unix"):
                self.flags[word] = True
            elif word in ("-d", "-import-path", "-proto", "-cacert", "-cert", "-key"):
                self.flags[word] = argv.pop(0)
            elif word.startswith("-"):
                raise SystemExit("flag %s is not known to this stand-in" % word)
            else:
                words.append(word)
        self.address, self.words = words[0], words[1:]
        where = place(self.address)
        if "-unix" in self.flags:
            self.url, self.where = "http://localhost", ["--unix-socket", where]
        else:
            self.url = ("http://" if "-plaintext" in self.flags else "https://") + where
            self.where = [] if "-plaintext" in self.flags else ["--servername", self.address.rsplit(":", 1)[0]]
        for flag in ("-cacert", "-cert", "-key"):
            if flag in self.flags:
                self.where += ["-" + flag, place(self.flags[flag])]
        if "-proto" in self.flags:
            # buf takes the whole folder; that the file is in it is all that the name is good for here.
            if not os.path.exists(os.path.join(self.flags["-import-path"], self.flags["-proto"])):
                raise SystemExit("no file %(-proto)s in %(-import-path)s" % self.flags)
            self.where += ["--schema", self.flags["-import-path"]]

    def buf(self, method, *flags):
        argv = [os.environ["BUF"], "curl", "--protocol", "grpc", "--http2-prior-knowledge", *self.where, *flags,
                self.url + ("/" + method if method else "")]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def descriptors(self, symbol):
        """The serialised FileDescriptorProto of the file that holds a symbol."""
        answer = self.buf(REFLECTION, "-d", json.dumps({"fileContainingSymbol": symbol}))
        if answer.returncode != 0:
            raise SystemExit(answer.stderr)
        return base64.b64decode(json.loads(answer.stdout)["fileDescriptorResponse"]["fileDescriptorProto"][0])

    def list(self, service):
        if service is None:
            answer = self.buf("", "--list-services")
            print(answer.stdout, end="")
            return answer.returncode
        for entry in all_of(self.descriptors(service), 6):
            if service.endswith("." + first_text(entry, 1)):
                print("\n".join(sorted("%s.%s" % (service, first_text(method, 1)) for method in all_of(entry, 2))))
                return 0
        raise SystemExit("no service " + service)

    def describe(self, symbol):
        for entry in all_of(self.descriptors(symbol), 4):
            if symbol.endswith("." + first_text(entry, 1)):
                print("%s is a message:\nmessage %s {" % (symbol, first_text(entry, 1)))
                for field in all_of(entry, 2):
                    values = dict(fields(field))
                    kind = values[6].decode() if 6 in values else SCALARS[values[5]]
                    print("  %s%s %s = %d;" % ("repeated " if values[4] == 3 else "", kind, values[1].decode(), values[3]))
                print("}")
                return 0
        raise SystemExit("no message " + symbol)

    def run(self):
        if self.words[0] == "list":
            return self.list(self.words[1] if len(self.words) > 1 else None)
        if self.words[0] == "describe":
            return self.describe(self.words[1])
        request = self.flags.get("-d", "{}")
        answer = self.buf(self.words[0], "-d", sys.stdin.read() if request == "@" else request)
        print(answer.stdout, end="")
        if answer.returncode == 0:
            return 0
        if answer.returncode < 8:
            print(answer.stderr, file=sys.stderr)
            return 1
        return print_error(json.loads(answer.stderr))


if __name__ == "__main__":
    sys.exit(Call(sys.argv[1:]).run())
