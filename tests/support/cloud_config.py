"""Cloud-init data as a guest's cloud-init would read them, as far as Phoenix makes use of it."""

import re

try:
    import yaml
except ImportError:
    yaml = None


def parse(text):
    """The document: by a YAML reader where there is one, else by its indentation."""
    if not text.startswith("#cloud-config\n"):
        raise ValueError("this is no cloud-config: %r" % text[:40])
    return yaml.safe_load(text) if yaml is not None else parse_by_indentation(text)


def parse_by_indentation(text):
    files = []
    written, _, commands = text.partition("write_files:\n")[2].partition("runcmd:\n")
    for block in re.split(r"^  - path: ", written, flags=re.MULTILINE)[1:]:
        head, body = block.split("    content: |\n")
        files.append({"path": re.match(r"'(.*)'", head)[1], "permissions": re.search(r"permissions: '(.*)'", head)[1],
                      "owner": re.search(r"owner: (.*)", head)[1], "content": re.sub(r"^      ", "", body, flags=re.MULTILINE)})
    found = {"packages": re.findall(r"^  - ([a-z-]+)$", text.partition("write_files:")[0], re.MULTILINE), "write_files": files,
             "runcmd": [re.findall(r"'([^']*)'", line) for line in commands.splitlines()]}
    hostname = re.search(r"^hostname: '(.*)'$", text, re.MULTILINE)
    if hostname:
        found["hostname"] = hostname[1]
    return found
