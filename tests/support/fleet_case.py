"""A test case over a fleet of two simulated nodes that run, with the seed's configuration."""

import json
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from sim_fleet import SimFleet, write_secrets  # noqa: E402

BUILD = os.environ.get("PHOENIX_BUILD", os.path.join(ROOT, "build", "asan"))
CONFIG = os.path.join(ROOT, "deploy", "examples", "phoenix_hypervisor_config.json")


class FleetTest(unittest.TestCase):
    CLUSTER = ""

    def setUp(self):
        self.fleet = SimFleet(BUILD, cluster=self.CLUSTER)
        self.addCleanup(self.fleet.close)
        self.secrets = write_secrets(self.fleet.path("secrets.json"), "correct horse")
        self.fleet.start()
        # A socket is bound before its daemon has made its part of the simulated machine; who answers has.
        self.phoenix("nodes")

    def phoenix(self, *args, expect=0, **kwargs):
        result = self.fleet.phoenix(*args, **kwargs)
        self.assertEqual(result.returncode, expect, "phoenix %s\n%s\n%s" % (" ".join(args), result.stdout, result.stderr))
        return result.stdout

    def plan(self, *extra, expect=0):
        return json.loads(self.phoenix("--output", "json", "plan", "-f", CONFIG, "--secrets", self.secrets, *extra,
                                       expect=expect))

    def setup_run(self, expect=0):
        return self.phoenix("setup", "-f", CONFIG, "--secrets", self.secrets, expect=expect)

    def with_one_share_more(self):
        """The seed's configuration with a dataset, an export, a share and a storage more."""
        with open(CONFIG, encoding="utf-8") as text:
            config = json.load(text)
        config["zfs"]["datasets"].append({
            "name": "shared-media", "pool": "fastData", "properties": "recordsize=1M,compression=zstd",
            "proxmox_storage_type": "dir", "proxmox_content_type": "iso"})
        config["nfs"]["exports"].append({"path": "/fastData/shared-media", "clients": ["10.77.0.9"], "options": ["ro"]})
        config["samba"]["shares"].append({"name": "media", "path": "/fastData/shared-media", "valid_users": ["heads"]})
        path = self.fleet.path("more.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out)
        return path

    def run_of(self, out):
        return out.rsplit("runs/", 1)[1].split(":")[0]
