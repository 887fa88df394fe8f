"""What may come in the way of a run on real hypervisors: power cuts, tools that fail or lie, others who change things, a
service that is killed at work. Each is done to a small run over two nodes on which the seed's storage is set up, and ends
with both nodes in the old state exactly, or with an AssertionError that says what differs."""
import json
import re
import subprocess
import time

from lab import difference

SETTLE_SECONDS = 900
NODES = ("hv1", "hv2")
# What a boot makes of itself: the cache's limit follows from the memory of this boot, and ZFS's own lock comes into a
# directory of exports that is there.
BOOTED = ("module zfs c_max", "file /etc/exports.d/zfs.exports.lock")
PATH = "/fastData/shared-media"

# (how the run would end, what its log says at the moment, who loses power). hv1 carries the orchestrator.
KEPT, UNDONE = "kept", "undone"
CUTS = [
    (KEPT, r"planned \d+ steps", ["hv1"]),
    (KEPT, r"PREPARING", ["hv2"]),
    (KEPT, r"hv1/nfs: lock taken", ["hv1"]),
    (KEPT, r"hv2/nfs: lock taken", ["hv2"]),
    (KEPT, r"APPLYING", ["hv1", "hv2"]),
    (KEPT, r"hv1/zfs: doing", ["hv1"]),
    (KEPT, r"hv2/zfs: doing", ["hv2"]),
    (KEPT, r"hv2/zfs: done", ["hv2"]),
    (KEPT, r"hv1/nfs: doing", ["hv1"]),
    (KEPT, r"hv2/samba: doing", ["hv2"]),
    (KEPT, r"hv1/proxmox: doing", ["hv1", "hv2"]),
    (KEPT, r"VERIFYING", ["hv1"]),
    (KEPT, r"hv2/\w+: verified", ["hv2"]),
    (KEPT, r"COMMITTING", ["hv1", "hv2"]),
    (KEPT, r"hv1/\w+: ready to commit", ["hv1"]),
    (KEPT, r"hv2/\w+: ready to commit", ["hv2"]),
    (KEPT, r"committed: every node keeps", ["hv1"]),
    (KEPT, r"committed: every node keeps", ["hv2"]),
    (KEPT, r"hv1/\w+: committed", ["hv1", "hv2"]),
    (UNDONE, r"hv2/samba: .* failed", ["hv1"]),
    (UNDONE, r"rolling back", ["hv1"]),
    (UNDONE, r"rolling back", ["hv2"]),
    (UNDONE, r"rolling back", ["hv1", "hv2"]),
    (UNDONE, r"hv1/\w+: undone", ["hv1"]),
    (UNDONE, r"hv2/\w+: undone", ["hv2"]),
]

# The n-th call of a tool that changes something goes wrong: it fails; it works and says that it failed; it does nothing and
# says that it worked.
EFFECTS = ("fail", "lie", "nothing")
TOOLS = {"/usr/sbin/zfs": "create|destroy|set|inherit|rename|mount|unmount|snapshot|hold|release|rollback",
         "/usr/sbin/exportfs": "-r|-u|-i", "/usr/bin/smbcontrol": "smbd", "/usr/sbin/pvesm": "add|set|remove"}
WRAPPER = """#!/bin/sh
case "$1" in
{verbs})
  exec 9>/run/phoenix-faults/lock
  flock 9
  n=$(($(cat /run/phoenix-faults/count) + 1))
  echo $n > /run/phoenix-faults/count
  at=$(cat /run/phoenix-faults/at)
  exec 9>&-
  if [ "$n" = "$at" ]; then
    echo "{tool} $*" > /run/phoenix-faults/fired
    case $(cat /run/phoenix-faults/effect) in
    fail) echo 'broken on purpose' >&2; exit 1 ;;
    lie) /run/phoenix-faults/real/{name} "$@"; echo 'broken on purpose, though it is done' >&2; exit 1 ;;
    nothing) exit 0 ;;
    esac
  fi ;;
esac
exec /run/phoenix-faults/real/{name} "$@"
"""


def one_share_more(config):
    config["zfs"]["datasets"].append({"name": "shared-media", "pool": "fastData", "properties": "recordsize=1M",
                                      "proxmox_storage_type": "dir", "proxmox_content_type": "iso"})
    config["nfs"]["exports"].append({"path": PATH, "clients": ["10.77.0.0/24"], "options": ["rw", "no_root_squash"]})
    config["samba"]["shares"].append({"name": "media", "path": PATH, "valid_users": ["heads"]})


# What somebody does by hand, how to see that it is there still, and how it goes.
BY_HAND = ("echo '/srv 192.0.2.7(ro)' >> /etc/exports && exportfs -ra && "
           "pvesm add dir by-hand --path /srv/by-hand --content iso && ufw allow 12345/tcp comment 'by hand'")
BY_HAND_IS_THERE = ("grep -q '192.0.2.7(ro)' /etc/exports && grep -q 192.0.2.7 /var/lib/nfs/etab && "
                    "grep -q 'dir: by-hand' /etc/pve/storage.cfg && grep -q 12345 /etc/ufw/user.rules")
BY_HAND_GOES = ("sed -i /192.0.2.7/d /etc/exports; exportfs -ra; pvesm remove by-hand; rm -rf /srv/by-hand; "
                "ufw delete allow 12345/tcp")

CONTENT = "/fastData/shared-content"
# What is in it, with owners, modes and digests.
LISTING = f"cd {CONTENT} && find . -printf '%p %y %U %G %m\\n' | sort && find . -type f -exec sha256sum {{}} + | sort -k2"


def one_dataset_more(config):
    config["zfs"]["datasets"].append({"name": "shared-content", "pool": "fastData", "properties": "recordsize=128K"})


def other_content(config):
    """Every step that changes the content of a dataset that is there, and a share of it, whose step comes last."""
    one_dataset_more(config)
    config["zfs"]["datasets"][-1].update({
        "owner": "root", "group": "heads", "mode": "2775", "recursive_owner": True,
        "proxmox_storage_type": "dir", "proxmox_content_type": "iso,backup",
        "files": [{"path": "conf/service.conf", "content": "level = 22\n"}, {"path": "new/README", "content": "new\n"}]})
    config["samba"]["shares"].append({"name": "content", "path": CONTENT, "valid_users": ["heads"]})


class Adversity:
    """`lab`: a PhoenixLab with the seed's storage set up on hv1 and hv2."""

    def __init__(self, lab):
        self.lab = lab
        services = " ".join(f"phoenix-{name}" for name in ("zfsd", "nfsd", "sambad", "proxmoxd"))
        lab.lab.each(lambda node: node.run("systemctl enable -q " + services))
        lab.head.run("systemctl enable -q phoenix-orchestratord")
        lab.write_config(one_share_more)
        self.exceptions = []
        self.old = lab.fingerprints()

    def runs(self):
        return json.loads(self.lab.head.run("phoenix runs list --output json").stdout).get("runs", [])

    def settle(self):
        """Waits until no run is open anywhere; answers the newest one."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            answer = self.lab.head.run("phoenix nodes --fleet /root/fleet.json --output json", check=False).stdout
            services = [service for node in json.loads(answer or "{}").get("nodes", []) for service in node["participants"]]
            quiet = len(services) == 4 * len(NODES) and all(
                service["reachable"] and not service["description"]["open_run_id"] for service in services)
            runs = self.runs() if quiet else []
            if quiet and all(run.get("end_time") for run in runs):
                return runs[0]
            if time.monotonic() > deadline:
                raise AssertionError(f"a run does not end: {json.dumps(self.runs()[:1])}\n{json.dumps(services)[:3000]}")
            time.sleep(2)

    def differences(self):
        """What differs from the old state, by node."""
        now = self.lab.fingerprints()
        return {name: found for name in NODES if (found := difference(self.old[name], now[name], self.exceptions))}

    def assert_old(self, when):
        if found := self.differences():
            raise AssertionError(f"{when}: the nodes are not as before:\n" + "\n".join(f"{n}:\n{d}" for n, d in found.items()))

    def end_in_the_old_state(self, run, when):
        """Both nodes are in the state that the run claims; where it was kept, it is taken back."""
        state = run["state"]
        if state == "STATE_COMMITTED":
            if (steps := self.lab.plan()["step_count"]) != 0:
                raise AssertionError(f"{when}: COMMITTED, but {steps} steps are left")
            done = self.lab.phoenix("rollback " + run["name"].removeprefix("runs/"), check=False)
            if done.returncode != 0:
                raise AssertionError(f"{when}: rollback: {done.stdout}{done.stderr}")
            self.assert_old(when + ", after the rollback of the run that was kept")
        elif state in ("STATE_ROLLED_BACK", "STATE_NOTHING_DONE"):
            self.assert_old(when)
        else:
            raise AssertionError(f"{when}: the run ended {json.dumps(run)}")
        return state.removeprefix("STATE_")

    # --- power

    def cut(self, kind, pattern, victims):
        """Answers what happened, in words."""
        restore = self.lab.break_last_samba_step(self.lab["hv2"]) if kind == UNDONE else None
        setup = subprocess.Popen(
            self.lab.head.remote.command() + [
                "phoenix setup -f /root/config.json --secrets /root/secrets.json --fleet /root/fleet.json 2>&1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
        said = any(re.search(pattern, line) for line in setup.stdout)
        begin = time.monotonic()
        self.exceptions = BOOTED
        for act in ("kill", "start", "wait_until_up"):
            for name in victims:
                getattr(self.lab[name], act)()
        booted = time.monotonic() - begin
        setup.kill()
        setup.communicate()
        if restore and "hv2" not in victims:
            restore()
        when = f"power cut of {'+'.join(victims)} at «{pattern}»"
        if not said:
            raise AssertionError(f"{when}: the run never said so")
        run = self.settle()
        settled = time.monotonic() - begin
        state = self.end_in_the_old_state(run, when)
        return f"{when}: {state}; booted after {booted:.0f} s, settled after {settled:.0f} s"

    # --- tools

    def arm(self, node, at, effect):
        script = ["mkdir -p /run/phoenix-faults/real", "cd /run/phoenix-faults", "echo 0 > count", f"echo {at} > at",
                  f"echo {effect} > effect", "rm -f fired"]
        for tool, verbs in TOOLS.items():
            name = tool.rsplit("/", 1)[1]
            text = WRAPPER.format(verbs=verbs, tool=tool, name=name)
            script.append(f"[ -e real/{name} ] || {{ cp -p {tool} real/{name}; cat > {name} <<'END'\n{text}END\n"
                          f"chmod 755 {name}; mount --bind {name} {tool}; }}")
        node.run("set -e\n" + "\n".join(script))

    def disarm(self, node):
        """Answers the call that went wrong, "" for none."""
        fired = node.run("cat /run/phoenix-faults/fired 2>/dev/null", check=False).stdout.strip()
        node.run("\n".join(f"umount {tool}" for tool in TOOLS) + "\nrm -r /run/phoenix-faults")
        return fired

    def fault(self, at, effect):
        """The `at`-th changing call of a tool on hv2 goes wrong. Answers what happened, None where there are fewer calls."""
        node = self.lab["hv2"]
        self.arm(node, at, effect)
        self.lab.phoenix("setup", check=False)
        run = self.settle()
        fired = self.disarm(node)
        when = f"call {at} on hv2, «{fired}»: {effect}"
        if fired and effect == "fail" and run["state"] == "STATE_COMMITTED":
            raise AssertionError(f"{when}: the run was kept all the same")
        state = self.end_in_the_old_state(run, when)
        return f"{when}: {state}" if fired else None

    # --- content

    def content(self, foreign):
        """Other owners of everything in a dataset, files delivered into it and the folders that a new storage entry makes
        in it; then the last step of hv2 fails. `foreign`: by then a client has written into it on hv2."""
        def listings():
            return {name: self.lab[name].run(LISTING).stdout for name in NODES}

        other = self.lab["hv2"]
        self.lab.write_config(one_dataset_more)
        self.lab.phoenix("setup")
        self.lab.lab.each(lambda node: node.run(
            f"cd {CONTENT} && mkdir -p conf deep/er && echo 'level = 1' > conf/service.conf && head -c 300000 /dev/urandom "
            "> deep/er/data && chown -R 1234:1234 deep && chmod 600 deep/er/data && ln -sf /etc/hostname deep/link && sync"))
        self.old, before = self.lab.fingerprints(), listings()
        self.lab.write_config(other_content)
        restore = self.lab.break_last_samba_step(
            other, f"echo mine > {CONTENT}/dump/client; echo mine > {CONTENT}/client" if foreign else
            f"[ $(stat -c %s {CONTENT}/conf/service.conf) = 11 ] && [ $(stat -c %G {CONTENT}/deep/er/data) = heads ] && "
            f"[ -d {CONTENT}/dump ] && touch /run/content-was-there")
        done = self.lab.phoenix("setup --allow content:fastData/shared-content", check=False)
        run = self.settle()
        restore()
        when = f"content, {'others wrote to it' if foreign else 'nobody else wrote to it'}: {run['state']}"
        told = f"{when}\n{done.stdout}{done.stderr}{json.dumps(run)}"
        after = listings()
        assert after["hv1"] == before["hv1"], f"{told}\nhv1 has other content:\n{before['hv1']}\n{after['hv1']}"
        if not foreign:
            assert run["state"] == "STATE_ROLLED_BACK", told
            assert other.run("ls /run/content-was-there", check=False).returncode == 0, "it failed before the content was there"
            other.run("rm /run/content-was-there")
            assert after["hv2"] == before["hv2"], f"{told}\nhv2 has other content:\n{before['hv2']}\n{after['hv2']}"
            self.assert_old(when)
            return when
        assert run["state"] == "STATE_QUARANTINED", told
        if found := difference(self.old["hv1"], self.lab.fingerprints()["hv1"], self.exceptions):
            raise AssertionError(f"{when}: hv1 is not as before:\n{found}")
        assert other.run(f"cat {CONTENT}/client {CONTENT}/dump/client").stdout == "mine\nmine\n", told
        [kept] = json.loads(other.run("phoenix kept list --output json").stdout)["nodes"][0]["kept"]
        other.run(f"phoenix kept restore {kept['native_name']} --as fastData/before")
        was = other.run(LISTING.replace(CONTENT, "/fastData/before", 1)).stdout
        # The storage entry's folders were there when the step began.
        was = "".join(line for line in was.splitlines(True) if not re.match(r"\./(dump|template|template/iso) d ", line))
        assert was == before["hv2"], f"{told}\nwhat is kept is not as it was:\n{before['hv2']}\n{was}"
        other.run("phoenix resolve " + run["name"].removeprefix("runs/"))
        return when + "; how it was is kept"

    # --- others

    def edits(self):
        """While a run waits for its approval somebody edits exports, shares, storage entries and firewall rules by hand and
        takes a snapshot; approved, the run fails at its last step on the other node. Both nodes are as before, and nothing
        that was done by hand is lost."""
        head, other = self.lab["hv1"], self.lab["hv2"]
        restore = self.lab.break_last_samba_step(other)
        setup = subprocess.Popen(
            head.remote.command() + ["phoenix setup -f /root/config.json --secrets /root/secrets.json "
                                     "--fleet /root/fleet.json --await-approval 2>&1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
        waiting = next((found for line in setup.stdout if (found := re.search(r"phoenix runs approve (\S+),", line))), None)
        assert waiting, "the run does not wait for its approval"
        for node in (head, other):
            node.run(BY_HAND)
            node.run("zfs snapshot fastData/shared-backups@by-hand && cp -p /etc/samba/smb.conf /root/smb.conf && "
                     "printf '[by-hand]\n  path = /srv\n' >> /etc/samba/smb.conf && smbcontrol smbd reload-config")
        head.run("phoenix runs approve " + waiting[1])
        setup.communicate()
        restore()
        run = self.settle()
        assert run["state"] == "STATE_ROLLED_BACK", f"an approved run ended {json.dumps(run)}"
        for node in (head, other):
            node.run(BY_HAND_IS_THERE + " && zfs list -H fastData/shared-backups@by-hand && testparm -s 2>&1 | grep -q by-hand")
            node.run("zfs destroy fastData/shared-backups@by-hand; cp -p /root/smb.conf /etc/samba/smb.conf; "
                     "rm /root/smb.conf; smbcontrol smbd reload-config; " + BY_HAND_GOES)
        self.assert_old("after what was done by hand was taken away by hand")
        return "edits by hand between plan and do: ROLLED_BACK, and all of them survived"

    def others(self):
        """While a run waits for its confirmation, a client writes into the new share, and somebody edits exports, storage
        entries and firewall rules by hand. The orchestrator is gone for good. At the deadline the nodes undo by themselves;
        nothing of it is lost, and the dataset that holds the client's file is set aside and can be restored."""
        head, other = self.lab["hv1"], self.lab["hv2"]
        setup = subprocess.Popen(
            head.remote.command() + ["phoenix setup -f /root/config.json --secrets /root/secrets.json "
                                     "--fleet /root/fleet.json --confirm-within 150s 2>&1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
        armed = 0
        for line in setup.stdout:
            armed += "waits for confirmation" in line
            if armed == 8:
                break
        head.run("systemctl kill -s KILL phoenix-orchestratord; systemctl stop phoenix-orchestratord", check=False)
        other.run(f"mount -t nfs -o vers=4.2 10.77.0.1:{PATH} /mnt && echo mine > /mnt/film && umount /mnt")
        head.run(BY_HAND)
        head.run("zfs snapshot fastData/shared-media@by-hand")
        deadline = time.monotonic() + SETTLE_SECONDS
        while any(node.run(f"exportfs -s | grep -c {PATH}", check=False).stdout.strip() != "0" or
                  node.run("zfs list -H fastData/shared-media", check=False).returncode == 0 for node in (head, other)):
            if time.monotonic() > deadline:
                raise AssertionError("the nodes do not undo by themselves")
            time.sleep(3)
        setup.kill()
        setup.communicate()
        head.run("systemctl start phoenix-orchestratord")
        run = self.settle()
        if run["state"] != "STATE_ROLLED_BACK":
            raise AssertionError(f"an unconfirmed run ended {json.dumps(run)}")
        [kept] = json.loads(head.run("phoenix kept list --output json").stdout)["nodes"][0]["kept"]
        head.run(f"phoenix kept restore {kept['native_name']}")
        if head.run(f"cat {PATH}/film").stdout != "mine\n":
            raise AssertionError("what the client wrote is lost")
        head.run(BY_HAND_IS_THERE + " && zfs list -H fastData/shared-media@by-hand")
        # By hand it goes away again, and nothing else is left.
        head.run("zfs destroy -r fastData/shared-media; " + BY_HAND_GOES)
        self.assert_old("after what others did was taken away by hand")
        return "an unconfirmed run was undone by the nodes alone, and nothing of others was lost"
