"""Phoenix on lab nodes: the payload that installs it, and the fleet that its services form.

hv1 carries the orchestrator; all nodes serve TCP with mutual TLS, as a real fleet would."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lab import Lab  # noqa: E402
from node import DEFAULT_DISKS  # noqa: E402
from remote import CommandFailed  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "deploy" / "examples" / "phoenix_hypervisor_config.json"
SERVICES = {"zfsd": 7441, "nfsd": 7442, "sambad": 7443, "proxmoxd": 7444}


def make_payload(build, directory, extra=()):
    """A tar of the installed product, to be unpacked to / of a node; the programs `extra` go to /opt/lab."""
    directory = Path(directory)
    tree = directory / "tree"
    subprocess.run(["cmake", "--install", str(build), "--prefix", "/usr", "--strip"], check=True,
                   stdout=subprocess.DEVNULL, env=dict(os.environ, DESTDIR=str(tree)))
    defaults = tree / "etc" / "default"
    defaults.mkdir(parents=True)
    (defaults / "phoenix").write_text("".join(
        f"PHOENIX_{name.upper()}_OPTIONS=--listen 0.0.0.0:{port}\n" for name, port in SERVICES.items()))
    for program in extra:
        target = tree / "opt" / "lab" / Path(program).name
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["strip", "-o", str(target), str(program)], check=True)
    payload = directory / "payload.tar"
    subprocess.run(["tar", "-C", str(tree), "--owner=0", "--group=0", "-cf", str(payload), "."], check=True)
    return payload


class PhoenixLab:
    """Lab nodes with Phoenix installed and running."""

    def __init__(self, directory, build, nodes=2, image="full", disks=DEFAULT_DISKS):
        self.folder = tempfile.TemporaryDirectory()
        payload = make_payload(build, self.folder.name)
        self.lab = Lab(directory, nodes=nodes, image=image, payload=payload, disks=disks)
        self.nodes = self.lab.nodes
        try:
            self._make_certificates()
            self.lab.each(lambda node: node.run(
                "systemd-sysusers && systemctl daemon-reload && systemctl start "
                + " ".join(f"phoenix-{name}" for name in SERVICES)))
            self.head.run("systemctl start phoenix-orchestratord")
        except BaseException:
            self.close()
            raise

    @property
    def head(self):
        return self.nodes["hv1"]

    def __getitem__(self, name):
        return self.nodes[name]

    def close(self):
        self.lab.close()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _make_certificates(self):
        """The CA lives on hv1 only for the length of this lab; a real one stays off the nodes."""
        head = self.head
        head.run("phoenix pki init && phoenix pki issue --client orchestrator")
        fleet = {"nodes": []}
        for name, node in self.nodes.items():
            head.run(f"phoenix pki issue {name} {node.address} --file node-{name}")
            fleet["nodes"].append({"name": name, "address": node.address})
        for name, node in self.nodes.items():
            if node is head:
                head.run("cd /etc/phoenix/pki && cp node-hv1.crt node.crt && cp -p node-hv1.key node.key")
                continue
            with tempfile.TemporaryDirectory() as folder:
                for file in ("ca.crt", f"node-{name}.crt", f"node-{name}.key"):
                    head.get(f"/etc/phoenix/pki/{file}", folder + "/")
                node.run("mkdir -p /etc/phoenix/pki")
                node.put(f"{folder}/ca.crt", "/etc/phoenix/pki/ca.crt")
                node.put(f"{folder}/node-{name}.crt", "/etc/phoenix/pki/node.crt")
                node.put(f"{folder}/node-{name}.key", "/etc/phoenix/pki/node.key")
        self.write("/root/fleet.json", json.dumps(fleet))

    def write(self, path, text, mode="600"):
        self.head.run(f"umask 077; cat > {path}; chmod {mode} {path}", input=text)

    def write_password(self, password):
        self.write("/root/secrets.json", json.dumps({"samba": {"users": {"heads": password}}}))

    def write_config(self, change=lambda config: None):
        """The seed's configuration, changed by `change(config)`."""
        config = json.loads(CONFIG.read_text())
        change(config)
        self.write("/root/config.json", json.dumps(config, indent=2))

    def phoenix(self, arguments, check=True):
        """The command line on hv1, for the whole fleet."""
        command, _, rest = arguments.partition(" ")
        files = "-f /root/config.json --secrets /root/secrets.json --fleet /root/fleet.json"
        if command == "nodes":
            files = "--fleet /root/fleet.json"
        elif command not in ("plan", "setup"):
            files = ""
        done = self.head.run(f"phoenix {command} {files} {rest}", check=False, timeout=1800)
        if check and done.returncode != 0:
            logs = "\n".join(f"--- {name}\n" + node.run(
                "journalctl --no-pager -o cat -n 60 -u 'phoenix-*'", check=False).stdout
                for name, node in self.nodes.items())
            raise CommandFailed("hv1", f"phoenix {arguments}\n{logs}", done)
        return done

    def plan(self):
        done = self.phoenix("plan --output json")
        return json.loads(done.stdout)

    def fingerprints(self):
        results = {}

        def take(node):
            results[node.name] = node.fingerprint()

        self.lab.each(take)
        return results

    def break_last_samba_step(self, node, meanwhile="true"):
        """From now on smbd on `node` cannot be told to read its configuration again once the last share is in it: the
        step fails after everything else was done, and after the commands `meanwhile`. Answers what takes it back."""
        share = json.loads(self.head.run("cat /root/config.json").stdout)["samba"]["shares"][-1]["name"]
        node.run("cp /usr/bin/smbcontrol /run/smbcontrol.real; cat > /run/smbcontrol.broken; "
                 "chmod 755 /run/smbcontrol.broken; mount --bind /run/smbcontrol.broken /usr/bin/smbcontrol",
                 input=f"""#!/bin/sh
if grep -qs '^\\[{share}\\]' /etc/samba/phoenix.conf; then
  {{ {meanwhile}; }} >&2
  echo 'broken on purpose' >&2
  exit 1
fi
exec /run/smbcontrol.real "$@"
""")
        return lambda: node.run("umount /usr/bin/smbcontrol; rm /run/smbcontrol.*")
