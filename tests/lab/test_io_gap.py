#!/usr/bin/env python3
"""What a client that writes notices of a run: the longest time between two writes that are on the server's disk, while an
export is changed under it. Measured and printed, never judged by its length: what must hold is that no write fails and that
the server is not restarted."""
import json
import os
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from phoenix_lab import ROOT, PhoenixLab  # noqa: E402

BUILD = Path(os.environ.get("PHOENIX_BUILD", ROOT / "build" / "release"))
EXPORT = "/quickOS/shared-prod-data"
MOUNT = "/mnt/io-gap"

# Writes 4 KiB and waits until they are on the disk, again and again, until /run/io-gap.stop is there. Of every write it keeps
# when it was done, by the node's clock.
WRITER = f"""
import json, os, time
done, errors = [], []
file = os.open("{MOUNT}/io-gap.data", os.O_CREAT | os.O_WRONLY, 0o600)
while not os.path.exists("/run/io-gap.stop"):
    try:
        os.pwrite(file, os.urandom(4096), 4096 * (len(done) % 256))
        os.fsync(file)
        done.append(time.time())
    except OSError as error:
        errors.append(str(error))
        time.sleep(0.1)
os.close(file)
with open("/run/io-gap.json", "w") as out:
    json.dump({{"done": done, "errors": errors}}, out)
"""
# A server that was started again, or whose mountd was, has another start time.
SERVER = "systemctl show -P ActiveEnterTimestampMonotonic nfs-server nfs-mountd"
QUIET_SECONDS = 10


class IoGap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.lab = PhoenixLab(Path(cls.folder.name) / "lab", BUILD)
        cls.addClassCleanup(cls.lab.close)
        cls.lab.write_config()
        cls.lab.write_password("correct horse battery")
        cls.lab.phoenix("setup")
        cls.lab["hv2"].run("cat > /run/io-gap.py", input=WRITER)

    def measure(self, options, change):
        """Writes on hv2 over a mount from hv1 while `phoenix setup` brings the seed's configuration, changed by `change`."""
        server, client = self.lab["hv1"], self.lab["hv2"]
        before = server.run(SERVER).stdout
        client.run(f"mkdir -p {MOUNT} && mount -t nfs -o hard,{options} {server.address}:{EXPORT} {MOUNT} && "
                   "rm -f /run/io-gap.stop /run/io-gap.json && "
                   "systemd-run -q --unit io-gap --collect python3 /run/io-gap.py")
        try:
            time.sleep(QUIET_SECONDS)
            self.lab.write_config(change)
            begin = float(client.run("date +%s.%N").stdout)
            run = self.lab.phoenix("setup")
            end = float(client.run("date +%s.%N").stdout)
            time.sleep(QUIET_SECONDS)
        finally:
            client.run("touch /run/io-gap.stop; while ! test -e /run/io-gap.json; do sleep 1; done; "
                       f"rm -f {MOUNT}/io-gap.data; umount {MOUNT}", timeout=300)
        self.assertIn("COMMITTED", run.stdout)
        report = json.loads(client.run("cat /run/io-gap.json").stdout)
        self.assertEqual(report["errors"], [])
        self.assertEqual(server.run(SERVER).stdout, before, "the server was restarted")
        done = report["done"]
        gaps = [(later, later - earlier) for earlier, later in zip(done, done[1:])]
        quiet = [gap for at, gap in gaps if at < begin]
        during = [gap for at, gap in gaps if begin <= at and at - gap <= end]
        self.assertTrue(quiet and during, f"{len(done)} writes")
        self.assertGreater(done[-1], end, "nothing was written after the run")
        print(f"longest gap {max(during) * 1000:.0f} ms in a run of {end - begin:.1f} s with {len(during)} writes; "
              f"{max(quiet) * 1000:.0f} ms without a run", end=" ... ", flush=True)

    def test_1_the_export_in_use_gets_another_client_nfs4(self):
        def change(config):
            config["nfs"]["exports"][0]["clients"].append("192.0.2.7")
        self.measure("vers=4.2", change)
        self.assertIn("192.0.2.7", self.lab["hv1"].run("exportfs -s").stdout)

    def test_2_the_options_of_the_export_in_use_change_nfs3(self):
        def change(config):
            config["nfs"]["exports"][0]["options"].append("no_wdelay")
        self.measure("vers=3,nolock", change)
        self.assertIn("no_wdelay", self.lab["hv1"].run("exportfs -s").stdout)

    def test_3_a_dataset_an_export_and_a_share_come_beside_it(self):
        def change(config):
            config["zfs"]["datasets"].append({"name": "shared-gap", "pool": "fastData", "properties": "recordsize=1M"})
            config["nfs"]["exports"].append({"path": "/fastData/shared-gap", "clients": ["10.77.0.0/24"], "options": ["ro"]})
            config["samba"]["shares"].append({"name": "gap", "path": "/fastData/shared-gap", "valid_users": ["heads"]})
        self.measure("vers=4.2", change)


if __name__ == "__main__":
    unittest.main(verbosity=2)
