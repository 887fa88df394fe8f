"""What the typed services promise beyond the examples: standard methods that answer as AIP has them, errors that name
fields of the request, and a dataset that is not taken away from under others."""

import json
import os
import sys
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from grpcurl_by_buf import detail_as_json  # noqa: E402
from harness import ROOT, call, one_node  # noqa: E402
from sim_fleet import write_secrets  # noqa: E402

CONFIG = os.path.join(ROOT, "deploy", "examples", "phoenix_hypervisor_config.json")
SERVICES = {"Zfs": "zfs", "Nfs": "nfs", "Samba": "samba", "Proxmox": "proxmox"}
PASSWORD = "cGFzc3dvcmQ="

# One object of each kind: service, create method's noun, field of the request, the object, a change of it.
OBJECTS = (
    ("Zfs", "Dataset", {"name": "datasets/quickOS~one", "properties": {"quota": {"value": "1G"}}},
     {"properties": {"quota": {"value": "2G"}}}),
    ("Zfs", "Snapshot", {"name": "snapshots/quickOS~vm-disks@one"}, None),
    ("Nfs", "Export", {"name": "exports/fastData~shared-test-data", "clients": [{"client": "10.77.0.9", "options": ["ro"]}]},
     {"clients": [{"client": "10.77.0.9", "options": ["rw"]}]}),
    ("Samba", "Share", {"name": "shares/one", "path": "/fastData/shared-bulk-data", "validUsers": ["heads"]}, {"readOnly": False}),
    ("Samba", "User", {"name": "users/one", "password": PASSWORD}, {"password": "b3RoZXI="}),
    ("Proxmox", "Storage", {"name": "storages/one", "type": "dir", "content": ["iso"],
                            "options": {"path": "/fastData/shared-bulk-data"}}, {"content": ["iso", "vztmpl"]}),
)


class Refused(Exception):
    """An error of a service: code as buf writes it, message, reason, [(field, description)]."""

    def __init__(self, error):
        super().__init__(json.dumps(error, indent=1))
        details = [detail_as_json(detail) for detail in error.get("details", [])]
        self.code, self.message = error["code"], error.get("message", "")
        self.reason = next((detail["reason"] for detail in details if "reason" in detail), "")
        self.violations = [(violation["field"], violation["description"])
                           for detail in details for violation in detail.get("fieldViolations", [])]
        self.fields = [field for field, _ in self.violations]


def setUpModule():
    """One node for all: each test makes objects of its own."""
    fleet = TypedTest.fleet = one_node()
    unittest.addModuleCleanup(fleet.close)
    fleet.start()
    secrets = write_secrets(fleet.path("secrets.json"), "the password")
    result = fleet.phoenix("setup", "-f", CONFIG, "--secrets", secrets)
    if result.returncode != 0:
        raise RuntimeError(result.stdout + result.stderr)


class TypedTest(unittest.TestCase):
    fleet = None

    def ask(self, service, method, request=None):
        """The answer of a method; raises Refused."""
        result = call("phoenix.%s.v1.%sService/%s" % (SERVICES[service], service, method), json.dumps(request or {}),
                      "--unix-socket", self.fleet.path("run", SERVICES[service] + ".sock"))
        if result.returncode == 0:
            return json.loads(result.stdout)
        try:
            error = json.loads(result.stderr)
        except ValueError:
            self.fail(result.stderr)
        raise Refused(error)

    def refusal(self, service, method, request=None):
        with self.assertRaises(Refused) as caught:
            self.ask(service, method, request)
        for field, description in caught.exception.violations:
            self.assertRegex(field, r"\A[a-z_]+(\[\d+\])?(\.[^.\[]+(\[\d+\])?)*\Z", "no field of the request: " + field)
            self.assertTrue(description)
        return caught.exception


class StandardMethodsTest(TypedTest):
    def test_a_life_of_each_object(self):
        for service, noun, wanted, change in OBJECTS:
            with self.subTest(noun):
                self.live(service, noun, noun.lower(), wanted, change)

    def live(self, service, noun, field, wanted, change):
        name = wanted["name"]
        missing = {"name": name}
        self.assertEqual(self.refusal(service, "Delete" + noun, missing).code, "not_found")
        if change:
            self.assertEqual(self.refusal(service, "Update" + noun, {field: dict(wanted, **change)}).code, "not_found")

        # Checking alone uses the request's id up no more than it makes anything.
        create = {field: wanted, "requestId": str(uuid.uuid4())}
        self.ask(service, "Create" + noun, dict(create, validateOnly=True))
        first = self.ask(service, "Create" + noun, create)
        self.assertEqual(first["name"], name)
        self.assertEqual(self.ask(service, "Create" + noun, create), first)

        # Whatever the fields are: what is there is not created, and nothing is planned for it.
        for again in (wanted, dict(wanted, **(change or {}))):
            error = self.refusal(service, "Create" + noun, {field: again})
            self.assertEqual(error.code, "already_exists", error)
            self.assertIn("is there already", error.message)
        other = str(uuid.uuid4())
        self.assertEqual(self.refusal(service, "Create" + noun, {field: wanted, "requestId": other}).code, "already_exists")

        if change:
            update = {field: dict({"name": name}, **change), "requestId": str(uuid.uuid4())}
            if "etag" in first:
                update[field]["etag"] = first["etag"]
            second = self.ask(service, "Update" + noun, update)
            # The etag is another one by now; the same request is not refused for it.
            self.assertEqual(self.ask(service, "Update" + noun, update), second)
            # Its first answer, not what became of it.
            self.assertEqual(self.ask(service, "Create" + noun, create), first)
            stolen = self.refusal(service, "Delete" + noun, dict(missing, requestId=create["requestId"]))
            self.assertEqual((stolen.code, stolen.fields), ("invalid_argument", ["request_id"]))

        delete = dict(missing, requestId=str(uuid.uuid4()))
        last = self.ask(service, "Delete" + noun, delete)
        self.assertEqual(self.ask(service, "Delete" + noun, delete), last)
        self.assertEqual(self.refusal(service, "Delete" + noun, missing).code, "not_found")
        if change:
            self.assertEqual(self.refusal(service, "Update" + noun, {field: dict(wanted, **change)}).code, "not_found")

    def test_nothing_of_a_password_is_kept(self):
        request = {"user": {"name": "users/kept", "password": PASSWORD}, "requestId": str(uuid.uuid4())}
        self.ask("Samba", "CreateUser", request)
        self.addCleanup(self.ask, "Samba", "DeleteUser", {"name": "users/kept"})
        with open(self.fleet.path("hv1", "state", "samba", "answers.db"), "rb") as kept:
            answers = kept.read()
        with open(self.fleet.path("hv1", "state", "samba", "answers.db-wal"), "rb") as kept:
            answers += kept.read()
        self.assertIn(b"users/kept", answers)
        self.assertNotIn(b"password", answers)


class ErrorsTest(TypedTest):
    def test_fields_are_those_of_the_request(self):
        for service, method, request, fields in (
                ("Nfs", "CreateExport", {"export": {"path": "srv/x", "clients": [{"client": "10.0.0.0/33"},
                                                                               {"client": "10.0.0.9", "options": ["rw", "atime"]}]}},
                 ["export.path", "export.clients[0].client", "export.clients[1].options[1]"]),
                ("Nfs", "CreateExport", {"export": {"name": "exports/a/b"}}, ["export.name"]),
                ("Nfs", "GetExport", {"name": "x"}, ["name"]),
                ("Samba", "CreateShare", {"share": {"name": "shares/two", "path": "x", "options": {"root preexec": "x", "writable": "?"},
                                                    "validUsers": ["heads", "no good"]}},
                 ["share.options.root preexec", "share.options.writable", "share.path", "share.valid_users[1]"]),
                ("Samba", "CreateShare", {"share": {"name": "two"}}, ["share.name"]),
                ("Samba", "CreateUser", {"user": {"name": "users/root", "password": PASSWORD}}, ["user.name"]),
                ("Samba", "CreateUser", {"user": {"name": "users/two", "password": "Cg=="}}, ["user.password"]),
                ("Samba", "DeleteUser", {"name": "users/"}, ["name"]),
                ("Proxmox", "CreateStorage", {"storage": {"name": "storages/two", "type": "zfspool", "content": ["iso"],
                                                          "options": {"pool": "/x"}, "nodes": ["a"]}}, ["storage.nodes"]),
                ("Proxmox", "CreateStorage", {"storage": {"name": "storages/two", "type": "zfspool", "content": ["iso"],
                                                          "options": {"pool": "/x"}}}, ["storage.content", "storage.options.pool"]),
                ("Proxmox", "UpdateStorage", {"storage": {"name": "storages/local", "content": ["iso"]}}, ["storage"]),
                ("Proxmox", "DeleteStorage", {"name": "storages/1"}, ["name"]),
                ("Zfs", "CreateDataset", {"dataset": {"name": "datasets/quickOS~.hidden", "mode": "9"}}, ["dataset.name", "dataset.mode"]),
                ("Zfs", "CreateDataset", {"dataset": {"name": "datasets/quickOS~no~parent"}}, ["dataset.name"]),
                ("Zfs", "CreateSnapshot", {"snapshot": {"name": "snapshots/quickOS"}}, ["snapshot.name"]),
                ("Zfs", "DeleteDataset", {"name": "datasets/quickOS"}, ["name"])):
            with self.subTest(method=method, request=request):
                error = self.refusal(service, method, request)
                self.assertEqual(sorted(error.fields), sorted(fields), error)

    def test_a_step_that_lacks_something_is_told_in_the_callers_terms(self):
        error = self.refusal("Samba", "CreateShare", {"share": {"name": "shares/two", "path": "/nowhere", "validUsers": ["heads"]}})
        self.assertEqual((error.code, error.reason), ("failed_precondition", "PLAN_INCONSISTENT"))
        self.assertEqual(error.fields, ["share"])
        self.assertTrue(error.violations[0][1].endswith("needs path:/nowhere, which is not there and which no step provides"))
        self.assertNotIn("/: ", error.message)


class DeleteDatasetTest(TypedTest):
    def delete(self, name):
        return self.refusal("Zfs", "DeleteDataset", {"name": name})

    def test_a_dataset_that_others_stand_on_stays(self):
        self.ask("Zfs", "CreateDataset", {"dataset": {"name": "datasets/fastData~ground"}})
        self.ask("Nfs", "CreateExport", {"export": {"path": "/fastData/ground", "clients": [{"client": "10.77.0.9"}]}})
        self.ask("Samba", "CreateShare", {"share": {"name": "shares/ground", "path": "/fastData/ground", "validUsers": ["heads"]}})
        self.ask("Proxmox", "CreateStorage", {"storage": {"name": "storages/ground", "type": "dir", "content": ["iso"],
                                                          "options": {"path": "/fastData/ground"}}})
        self.ask("Proxmox", "CreateStorage", {"storage": {"name": "storages/ground2", "type": "zfspool", "content": ["images"],
                                                          "options": {"pool": "fastData/ground"}}})
        before = self.fleet.dump("hv1")
        for consumers, release in (
                (("nfs: /fastData/ground is exported by Phoenix", "samba: the share [ground]", "proxmox: path:/fastData/ground",
                  "storage 'ground2'"), ("Nfs", "DeleteExport", "exports/fastData~ground")),
                (("samba: the share [ground]", "storage 'ground'", "storage 'ground2'"), ("Samba", "DeleteShare", "shares/ground")),
                (("storage 'ground'", "storage 'ground2'"), ("Proxmox", "DeleteStorage", "storages/ground")),
                (("storage 'ground2'",), ("Proxmox", "DeleteStorage", "storages/ground2"))):
            for validate_only in (True, False):
                error = self.refusal("Zfs", "DeleteDataset", {"name": "datasets/fastData~ground", "validateOnly": validate_only})
                self.assertEqual((error.code, error.reason), ("failed_precondition", "STILL_NEEDED"), error)
                self.assertEqual(set(error.fields), {"name"})
                self.assertEqual(len(error.violations), len(consumers), error)
                for consumer in consumers:
                    self.assertIn(consumer, error.message)
            if before:
                self.assertEqual(self.fleet.dump("hv1"), before)
                before = None
            self.ask(release[0], release[1], {"name": release[2]})
        self.ask("Zfs", "DeleteDataset", {"name": "datasets/fastData~ground"})

    def test_what_others_than_phoenix_made_counts_too(self):
        self.ask("Zfs", "CreateDataset", {"dataset": {"name": "datasets/fastData~theirs"}})
        with self.fleet.machine("hv1") as database:
            database.execute("INSERT INTO files(path, directory, content, uid, gid, mode) "
                             "VALUES('/etc/exports.d/theirs.exports', 0, ?, 0, 0, 420)", (b"/fastData/theirs *(ro)\n",))
        error = self.delete("datasets/fastData~theirs")
        self.assertIn("is exported by /etc/exports.d/theirs.exports", error.message)
        with self.fleet.machine("hv1") as database:
            database.execute("DELETE FROM files WHERE path='/etc/exports.d/theirs.exports'")
        self.ask("Zfs", "DeleteDataset", {"name": "datasets/fastData~theirs"})

    def test_children_keep_their_parent(self):
        self.ask("Zfs", "CreateDataset", {"dataset": {"name": "datasets/fastData~parent"}})
        self.ask("Zfs", "CreateDataset", {"dataset": {"name": "datasets/fastData~parent~child"}})
        error = self.delete("datasets/fastData~parent")
        self.assertEqual((error.code, error.fields), ("failed_precondition", ["name"]))
        self.assertIn("holds fastData/parent/child", error.message)
        self.ask("Zfs", "DeleteDataset", {"name": "datasets/fastData~parent~child"})
        self.ask("Zfs", "DeleteDataset", {"name": "datasets/fastData~parent"})

    def test_a_service_that_does_not_answer_may_know_of_something(self):
        self.ask("Zfs", "CreateDataset", {"dataset": {"name": "datasets/fastData~unknown"}})
        self.fleet.stop("hv1", "nfs")
        try:
            error = self.delete("datasets/fastData~unknown")
        finally:
            self.fleet.start_daemon("hv1", "nfs")
        self.assertEqual((error.code, error.reason), ("unavailable", "SIBLING_SILENT"))
        self.assertIn("nfs cannot say", error.message)
        self.ask("Zfs", "DeleteDataset", {"name": "datasets/fastData~unknown"})

    def test_the_answer_is_the_dataset_in_the_trash(self):
        made = self.ask("Zfs", "CreateDataset", {"dataset": {"name": "datasets/fastData~rubbish"}})
        checked = self.ask("Zfs", "DeleteDataset", {"name": made["name"], "validateOnly": True})
        self.assertEqual(checked["name"], made["name"])
        gone = self.ask("Zfs", "DeleteDataset", {"name": made["name"]})
        self.assertRegex(gone["name"], r"\Adatasets/fastData~\.phoenix~trash~[0-9a-f-]{36}~rubbish\Z")
        self.assertEqual(gone["guid"], made["guid"])
        self.assertNotIn("mounted", gone)
        self.assertEqual(self.ask("Zfs", "GetDataset", {"name": gone["name"]}), gone)
        self.assertEqual(self.refusal("Zfs", "DeleteDataset", {"name": gone["name"]}).code, "invalid_argument")


class KeptTest(TypedTest):
    def keep(self, name):
        """A volume of a run r1 that was undone, as undo puts it aside; its resource name."""
        self.ask("Zfs", "CreateDataset", {"dataset": {"name": "datasets/fastData~" + name, "volumeSizeBytes": 1 << 20}})
        container = {"type": "filesystem", "local": {"canmount": "off", "mountpoint": "none"}, "received": {}, "mounted": "",
                     "root": {"uid": 0, "gid": 0, "mode": 0o755}, "content": {}}
        with self.fleet.machine("hv1") as database:
            for guid, at in enumerate(("", "/kept", "/kept/r1"), start=900000):
                database.execute("INSERT OR IGNORE INTO objects(kind, name, value) VALUES('zfs.dataset', ?, ?)",
                                 ("fastData/.phoenix" + at, json.dumps(dict(container, guid=guid))))
            database.execute("UPDATE objects SET name = ? WHERE kind = 'zfs.dataset' AND name = ?",
                             ("fastData/.phoenix/kept/r1/" + name, "fastData/" + name))
        return "datasets/fastData~.phoenix~kept~r1~" + name

    def listed(self):
        return [kept["name"] for kept in self.ask("Zfs", "ListKept", {"pool": "fastData"}).get("kept", [])]

    def test_restoring_is_checked_and_then_done_once(self):
        name = self.keep("back")
        kept, = self.ask("Zfs", "ListKept")["kept"]
        self.assertEqual((kept["name"], kept["originalName"], kept["run"]), (name, "fastData/back", "r1"))
        self.assertEqual(self.ask("Zfs", "ListKept", {"pool": "quickOS"}), {})
        request = {"name": name, "guid": kept["guid"], "requestId": str(uuid.uuid4())}
        self.assertEqual(self.ask("Zfs", "RestoreKept", dict(request, validateOnly=True))["name"], name)
        self.assertEqual(self.listed(), [name])
        error = self.refusal("Zfs", "RestoreKept", dict(request, guid="7"))
        self.assertEqual((error.code, error.reason), ("aborted", "ANOTHER_GUID"))
        error = self.refusal("Zfs", "RestoreKept", dict(request, to="datasets/fastData~shared-backups"))
        self.assertEqual((error.code, error.fields), ("failed_precondition", ["to"]))
        back = self.ask("Zfs", "RestoreKept", request)
        self.assertEqual((back["name"], back["guid"]), ("datasets/fastData~back", kept["guid"]))
        self.assertEqual(self.ask("Zfs", "RestoreKept", request), back)
        self.assertEqual(self.listed(), [])
        self.assertEqual(self.refusal("Zfs", "RestoreKept", {"name": name}).code, "not_found")

    def test_what_others_took_of_it_is_named_before_it_is_destroyed(self):
        name = self.keep("gone")
        native = "fastData/.phoenix/kept/r1/gone"
        snapshot = {"guid": 910000, "created": 0, "kept": {}, "local": {}, "tags": ["backup"], "clones": []}
        with self.fleet.machine("hv1") as database:
            database.execute("INSERT INTO objects(kind, name, value) VALUES('zfs.snapshot', ?, ?)",
                             (native + "@theirs", json.dumps(snapshot)))
        error = self.refusal("Zfs", "DiscardKept", {"name": name})
        self.assertEqual((error.code, error.fields), ("failed_precondition", ["name"]))
        self.assertIn("is held by backup", error.message)
        with self.fleet.machine("hv1") as database:
            database.execute("DELETE FROM objects WHERE kind = 'zfs.snapshot' AND name = ?", (native + "@theirs",))
        # Somebody has it open, and would write on into the trash.
        with self.fleet.machine("hv1") as database:
            database.execute("UPDATE objects SET value = json_set(value, '$.busy', json('true')) WHERE name = ?", (native,))
        error = self.refusal("Zfs", "DiscardKept", {"name": name})
        self.assertIn("is open", error.message)
        self.assertEqual(self.listed(), [name])
        # A file system is not told to be gone, and goes once they have closed it.
        with self.fleet.machine("hv1") as database:
            database.execute("UPDATE objects SET value = json_set(value, '$.type', 'filesystem', '$.local.canmount', 'noauto') WHERE name = ?", (native,))
        error = self.refusal("Zfs", "DiscardKept", {"name": name})
        self.assertEqual((error.code, error.reason), ("failed_precondition", "STILL_IN_USE"))
        self.assertEqual(self.listed(), [])


class ResourcesTest(TypedTest):
    def test_a_volume_is_updated_like_a_file_system(self):
        made = self.ask("Zfs", "CreateDataset", {"dataset": {"name": "datasets/quickOS~volume", "volumeSizeBytes": 1 << 30}})
        self.assertEqual((made["type"], made["volumeSizeBytes"]), ("volume", str(1 << 30)))
        for request in ({"dataset": {"name": made["name"], "properties": {"compression": {"value": "zstd"}}}},
                        {"dataset": {"name": made["name"], "properties": {"compression": {"value": "lz4"}}},
                         "updateMask": "properties.compression"}):
            changed = self.ask("Zfs", "UpdateDataset", request)
            self.assertEqual(changed["properties"]["compression"]["value"],
                             request["dataset"]["properties"]["compression"]["value"])
            self.assertEqual(changed["volumeSizeBytes"], made["volumeSizeBytes"])
        error = self.refusal("Zfs", "UpdateDataset", {"dataset": {"name": made["name"], "volumeSizeBytes": 1 << 31}})
        self.assertEqual((error.code, error.fields), ("failed_precondition", ["dataset.volume_size_bytes"]))

    def test_owners_are_named_and_numbers_stay_where_nobody_is(self):
        found = self.ask("Zfs", "GetDataset", {"name": "datasets/quickOS~shared-prod-data"})
        self.assertEqual((found["owner"], found["group"]), ("root", "heads"))
        listed = self.ask("Zfs", "ListDatasets", {"pool": "quickOS"})["datasets"]
        self.assertIn(found, listed)
        self.ask("Zfs", "CreateDataset", {"dataset": {"name": "datasets/fastData~nobodys", "owner": "4242", "group": "heads"}})
        found = self.ask("Zfs", "GetDataset", {"name": "datasets/fastData~nobodys"})
        self.assertEqual((found["owner"], found["group"]), ("4242", "heads"))

    def test_disks_of_pools_are_those_of_the_configuration(self):
        with open(CONFIG, encoding="utf-8") as text:
            declared = {pool["name"]: pool["disks"] for pool in json.load(text)["zfs"]["pools"]}
        for pool in self.ask("Zfs", "ListPools")["pools"]:
            self.assertEqual(pool["disks"], declared[pool["name"].removeprefix("pools/")])
            self.assertEqual(self.ask("Zfs", "GetPool", {"name": pool["name"]})["disks"], pool["disks"])

    def test_a_share_has_sambas_defaults(self):
        share = self.ask("Samba", "CreateShare", {"share": {"name": "shares/plain", "path": "/fastData/shared-bulk-data",
                                                            "validUsers": ["heads"]}})
        self.assertEqual((share["browseable"], share["readOnly"], share["guestOk"]), (True, True, False))
        share = self.ask("Samba", "UpdateShare", {"share": {"name": "shares/plain", "browseable": False}})
        self.assertEqual((share["browseable"], share["readOnly"]), (False, True))
        self.assertEqual(share["validUsers"], ["heads"])

    def test_a_folder_has_one_entry_for_each_content(self):
        storage = {"name": "storages/second", "type": "dir", "content": ["backup"], "options": {"path": "/fastData/shared-backups"}}
        error = self.refusal("Proxmox", "CreateStorage", {"storage": storage})
        self.assertEqual((error.code, error.fields), ("failed_precondition", ["storage.options.path"]))
        self.assertIn("storage 'fastData-shared-backups'", error.message)
        made = self.ask("Proxmox", "CreateStorage", {"storage": dict(storage, content=["snippets"])})
        error = self.refusal("Proxmox", "UpdateStorage", {"storage": {"name": made["name"], "content": ["snippets", "backup"]}})
        self.assertEqual((error.code, error.fields), ("failed_precondition", ["storage.options.path"]))

    def test_snapshots_have_a_time(self):
        for name in ("one", "two"):
            self.ask("Zfs", "CreateSnapshot", {"snapshot": {"name": "snapshots/quickOS~lxc-disks@" + name}})
        listed = self.ask("Zfs", "ListSnapshots", {"dataset": "datasets/quickOS~lxc-disks"})["snapshots"]
        times = [int(snapshot["creationSeconds"]) for snapshot in listed]
        self.assertEqual(len(times), 2)
        self.assertTrue(0 < times[0] <= times[1], times)


if __name__ == "__main__":
    unittest.main()
