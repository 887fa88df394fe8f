"""Configurations, fleets, VMs and secrets that configuration_test.py holds against the schemas and the loader."""


def disks(count):
    return ["/dev/disk/by-id/d%d" % number for number in range(count)]


def pool(**members):
    return {"zfs": {"pools": [{"name": "tank", **members}]}}


def dataset(**members):
    return {"zfs": {"pools": [{"name": "tank"}], "datasets": [{"name": "a", "pool": "tank", **members}]}}


def two(*datasets, **more):
    return {"zfs": {"pools": [{"name": "tank"}], "datasets": list(datasets)}, **more}


def delivered(*files):
    return dataset(files=list(files))


def export(**members):
    entry = {"path": "/tank/a", "clients": ["10.0.0.0/24"], "options": ["ro"], **members}
    return two({"name": "tank/a"}, nfs={"exports": [entry]})


def share(**members):
    return two({"name": "tank/a"}, samba={"user": "heads", "shares": [{"path": "tank/a", **members}]})


def volume(**members):
    return {"shared_volumes": {"v": {"host_path": "/srv", **members}}}


def fleet(**members):
    return {"nodes": [{"name": "pve1", "address": "10.0.0.1", **members}]}


def features(**members):
    return {"network": {"nfs_server": "10.0.0.1"}, "zfs": {"pools": [{"name": "tank"}]},
            "vm_features": {"dataset": "tank/vms", "scripts": "scripts", **members}}


STORAGE = {"proxmox_storage_type": "zfspool", "proxmox_content_type": "rootdir"}
IMAGES = {"name": "tank/a", "proxmox_storage_type": "zfspool", "proxmox_content_type": "images"}
NEIGHBOUR = {"path": "/tank/a/b", "clients": ["10.0.0.0/24"], "options": ["ro"]}

# What the loader and the schema take: every variant that files in use have.
GOOD = [
    {"network": {"nfs_server": "10.0.0.1"}, "vm_features": None},
    *({"network": {"nfs_server": "10.0.0.1"}, "zfs": {"pools": [{"name": "tank"}]}, "vm_features": {"dataset": "tank/a/vms", "scripts": "/s", **more}} for more in (
        {}, {"scripts": "x/y"}, {"common_files": "a.sh, b"}, {"common_files": ["a_b.sh"]}, {"server": "nas.example"}, {"cloud_init": "vendor"},
        {"mount_point": "/srv/f", "inbox_mount_point": "/srv/i"}, {"inbox_quota": "1G"}, {"inbox_quota": 1048576})),
    {"nfs": {"exports": [{"path": "/srv", "state": "absent"}]}}, {"samba": {"shares": [{"name": "gone", "state": "absent"}]}},
    {"samba": {"shares": [{"path": "/srv", "state": "absent"}], "users": [{"name": "bob", "state": "absent"}, {"name": "ann"}]}},
    two({"name": "tank/a", "state": "absent"}, {"name": "tank/b", "proxmox_storage_type": "dir", "proxmox_storage_state": "absent"}),
    {}, {"zfs": None, "nfs": None, "samba": None, "shared_volumes": None}, {"zfs": {}, "nfs": {}, "samba": {}},
    {"zfs": {"pools": [], "datasets": []}, "nfs": {"exports": []}, "samba": {"shares": []}, "proxmox_storage_ids": {}},
    {"$schema": "./s.json", "docker": {"x": 1}, "tests": [], "nvidia_driver": None},
    {"network": {"x": 1, "interfaces": [{"address": 5}]}},
    *(pool(raid_level=level, disks=disks(count)) for level, count in (
        ("single", 1), ("stripe", 2), ("raid0", 1), ("Mirror", 3), ("RAID1", 2), ("raid10", 4), ("raidz", 3), ("RAIDZ1", 3),
        ("raidz2", 4), ("RaidZ3", 5), ("draid", 4), ("dRAID2:4d:1s", 8), ("draid1:5c", 5))),
    pool(), pool(disks=[]), pool(disks=None, raid_level="mirror"), pool(state="absent"),
    pool(properties="ashift=12, autotrim=on, compression=lz4"), pool(properties={"failmode": "continue", "atime": False}),
    *(pool(raid_level="mirror", disks=disks(2), vdevs=[{"disks": disks(5)[2:], **vdev}]) for vdev in (
        {"class": "cache"}, {"class": "LOG"}, {"class": "spare", "raid_level": "stripe"}, {"class": "log", "raid_level": "mirror"})),
    pool(raid_level="mirror", disks=disks(2), vdevs=[{"class": "data", "raid_level": "mirror", "disks": disks(4)[2:]},
                                                     {"class": "special", "raid_level": "mirror", "disks": disks(6)[4:]}]),
    pool(raid_level="raidz2", disks=disks(4), vdevs=[{"class": "special", "raid_level": "mirror", "disks": disks(7)[4:]}]), pool(vdevs=None),
    pool(raid_level="stripe", disks="/dev/disk/by-id/a, /dev/disk/by-id/b"), pool(raid_level="single", disks=["/dev/disk/by-id/spare-part"]),
    two({"name": "tank/a"}, {"name": "b", "pool": "tank"}, {"name": "tank/c", "pool": ""}),
    *(dataset(properties=given) for given in (
        "recordsize=128K,compression=lz4,quota=1.4T", "", "  ", " recordsize = 16K , quota = 0.4T ", "recordsize=16K quota=1T", None, {},
        {"recordsize": 131072, "compress": "zstd-19", "quota": " 1.4T", "atime": False, "copies": 2, "org:note": "x y"},
        "refreservation=.5T,quota=0.001Z,refquota=none,reservation=0", {" quota ": "1G", "snapshot_limit": 5, "dedup": "sha256,verify"},
        "acltype=posixacl,dnodesize=auto,filesystem_limit=none", "org:note=hello world,sync=always", {"mountpoint": "/srv"},
        "mountpoint=none")),
    pool(properties={"feature@block_cloning": "disabled", "feature@zstd_compress": "enabled"}),
    dataset(volume_size="20G"), dataset(volume_size=1048576, properties="volblocksize=64K,refreservation=none,snapdev=visible"),
    dataset(volume_size="1.5T", properties={"volblock": 16384, "org:note": "x", "copies": 2}, mountpoint="", proxmox_storage_type=" "),
    dataset(volume_size=None, mountpoint="/srv/a"), dataset(volume_size="1G", state="absent"),
    dataset(mountpoint="/srv//a/"), dataset(mountpoint="legacy"), dataset(mountpoint=""), dataset(state="present"),
    dataset(owner="heads", group=1000, mode="2770", recursive_owner="yes"), dataset(owner="1000", mode="0755"), dataset(acl=[]), dataset(acl=None),
    dataset(mode="2770", acl=["user:bob:r-x", "group:100:rwx", "group::r-x", "default:user::rwx", "default:mask::rwx"]), dataset(mode="750", acl="user:bob:r-x, group:ops:--x"),
    delivered({"path": "conf/app.conf", "content": ""}, {"path": "x", "content": "y", "owner": 0, "mode": "0600"}),
    *(made(encryption={"key": {"secret": name}, **more}) for made in (dataset, pool) for name, more in (
        ("zfs/secure", {}), ("backup", {"format": "hex", "algorithm": "aes-128-ccm"}), ("a.b/c_d-$", {"format": None, "algorithm": None}))),
    dataset(encryption=None), dataset(encryption={"key": {"secret": "zfs/a"}, "format": "raw"}, state="absent"),
    dataset(**STORAGE), dataset(proxmox_storage_type="dir", proxmox_content_type=["iso", "vztmpl", "import"]),
    *(dataset(**STORAGE, proxmox_storage_options=given) for given in (
        None, {}, "", {"sparse": True, "blocksize": "16k", "bwlimit": "clone=100"}, "sparse=yes, blocksize=16384", {"mountpoint": "/srv/a", "sparse": None})),
    *(dataset(proxmox_storage_type="dir", proxmox_content_type="backup", proxmox_storage_options=given) for given in (
        {"is_mountpoint": "/tank", "shared": 0, "max-protected-backups": 5}, "prune-backups=keep-last=3,keep-weekly=2,shared=0",
        {"prune-backups": "keep-all=1", "preallocation": "off", "content-dirs": "backup=b,iso=media/iso"})),
    dataset(proxmox_storage_type="", proxmox_content_type=""),
    dataset(proxmox_storage_type=" dir ", proxmox_content_type="iso; backup"), {"zfs": {"arc_max_gb": 16}},
    {"zfs": {"arc_max_gb": "16"}}, {"zfs": {"arc_max": "32212254720"}}, {"zfs": {"arc_max": 67108864}},
    {"zfs": {"settings": {"allow_destructive_operations": "true"}}}, {"zfs": {"settings": {"health": None}}},
    {"zfs": {"settings": {"health": {"max_wear_percent": 1}}}}, {"zfs": {"settings": {"health": {"max_wear_percent": "80"}}}},
    {"proxmox_storage_ids": {"quickos_vm": "x", "y": None}},
    {"zfs": {"datasets": [{"name": "t/a"}], "dataset_storage_types": [{"dataset": "t/a", "storage_type": "dir:iso,vztmpl"}]}},
    export(clients="10.0.0.1, nas.example.org fd00::/64 @group"), export(options="rw,async, no_subtree_check"),
    export(options=None),
    export(options=["sec=krb5:krb5p", "rw", "sec=sys", "ro", "fsid=0", "anonuid=4294967294", "mountpoint=/tank", "refer=/x@nas:/y@b"]),
    export(path="tank/a"),
    {"network": {"default_subnet": "10.0.0.13/24"}, "nfs": {"shares": [{"path": "tank/a", "options": "rw,async"}]}}, share(),
    share(name="All our data", valid_users="heads, @staff +wheel"), share(valid_users=[]), share(options=""),
    share(options="browseable=yes writable=yes"), share(options="read only = no create mask=0660 comment=All our data"),
    share(options={"comment": "Büro"}), share(options="comment=Büro"), share(valid_users=["heads", "@root"]),
    share(options={"writable": False, "max connections": 5, "create mask": "0660"}),
    share(browsable="no", browseable=False, guest_ok=None),
    share(previous_versions=False), share(previous_versions=None, acl=None), share(acl=""),
    {"samba": {"user": "u", "min_protocol": "SMB3_00", "signing": "auto", "netbios": "no"}},
    {"samba": {"user": "u", "min_protocol": None, "signing": "", "netbios": None}},
    *(two({"name": "tank/a", "properties": "acltype=posix,xattr=sa"},
          samba={"user": "heads", "shares": [{"path": "tank/a/below", "acl": acl, "previous_versions": versions, "options": "vfs objects=recycle"}]})
      for acl, versions in (("posix", True), ("windows", "yes"), ("posix", {}), ("windows", {"format": "autosnap_%F_%T_daily"}),
                            ("windows", {"format": "a.%y:%b-%d", "local_time": True}), ("posix", {"format": None, "local_time": "no"}))),
    {"samba": {"shares": [{"path": "/x", "valid_users": ["bob"]}, {"path": "/y", "options": "valid users=bob"}]}},
    {"network": {"nfs_server": "nas.example.org", "interfaces": {"address": "dhcp!"}, "workgroup": ""}},
    {"network": {"interfaces": {"address": "10.0.0.13/24"}}}, {"nodes": ["a"], "zfs": {}}, volume(mounts={"953": "/etc/nginx/ssl"}),
    {"shared_volumes": {"firewall": {"enabled": True}}}, {"shared_volumes": {"firewall": None}}, {"network": None, "behavior": None}, {"behavior": {"debug_mode": True}},
]

# What both refuse, by the rule of the loader's error.
BAD = {
    "unknown-cloud-init": [features(cloud_init="meta")],
    "wrong-type": [
        [], {"zfs": []}, {"nfs": "x"}, {"zfs": {"pools": {}}}, {"zfs": {"arc_max_gb": True}}, {"zfs": {"arc_max": "32G"}},
        pool(name=7), dataset(**STORAGE, proxmox_storage_options=["sparse"]), dataset(**STORAGE, proxmox_storage_options={"sparse": -1}),
        {"zfs": {"pools": ["tank"]}}, dataset(properties=["a=b"]), dataset(properties={"exec": []}),
        dataset(recursive_owner="yes please"), dataset(encryption=True), pool(encryption="on"), dataset(encryption={"key": "correct horse"}),
        dataset(encryption={"key": {"secret": 5}}), export(clients=[5]), share(guest_ok=1), share(options={"max connections": -5}),
        {"proxmox_storage_ids": {"tank_a": 5}}, {"shared_volumes": 5}, {"network": {"workgroup": 5}},
        {"zfs": {"settings": {"allow_destructive_operations": "maybe"}}}, {"zfs": {"settings": {"health": 90}}},
        {"zfs": {"settings": {"health": {"max_wear_percent": "90%"}}}}, {"network": []}, {"behavior": "x"}, {"mount_point_base": 5},
    ],
    "missing": [
        {"zfs": {"pools": [{"raid_level": "mirror"}]}}, pool(disks=disks(1)), two({"pool": "tank"}), two({"name": "a"}),
        two({"name": "a", "pool": None}), {"nfs": {"exports": [{"clients": "a"}]}}, {"nfs": {"exports": [{"path": "/a"}]}},
        export(clients=[]), {"samba": {"user": "u", "shares": [{"name": "a"}]}}, {"samba": {"shares": [{"path": "/a"}]}},
        dataset(proxmox_storage_type="zfspool"), dataset(proxmox_content_type="images"),
        dataset(proxmox_storage_type=" ", proxmox_content_type="images"), delivered({"path": "a"}),
        delivered({"content": "a"}), dataset(encryption={}), pool(encryption={"key": {}}), dataset(encryption={"key": None}),
        {"zfs": {"dataset_storage_types": [{"dataset": "tank/a"}]}},
        {"shared_volumes": {"v": None}}, {"shared_volumes": {"v": {}}},
    ],
    "unknown-raid-level": [
        pool(raid_level="raid5", disks=disks(3)), pool(raid_level=""), pool(raid_level="draid2:4x", disks=disks(8)),
    ],
    "disk-count": [
        pool(raid_level="mirror", disks=disks(1)), pool(raid_level="single", disks=disks(2)),
        pool(raid_level="RAIDZ2", disks=disks(2)),
    ],
    "invalid-disk": [pool(raid_level="single", disks=["sdb"]), pool(raid_level="single", disks=["/dev/../etc/passwd"]),
                     pool(raid_level="mirror", disks=[*disks(2), ""]), pool(raid_level="mirror", disks=["/dev/disk/by-id/a-part3", *disks(1)]),
                     pool(raid_level="stripe", disks="/dev/disk/by-id/a, /dev/disk/by-id/b-part1"),
                     pool(raid_level="single", disks=["/dev/disk/by-partuuid/a"])],
    "disk-path-not-stable": [pool(raid_level="single", disks=["/dev/sdb"]), pool(raid_level="mirror", disks="/dev/a,/dev/b")],
    "duplicate-disk": [pool(raid_level="mirror", disks=disks(1) * 2)],
    "invalid-name": [
        pool(name="raidz9"), pool(name="cache"), pool(name="special"), pool(name="dedup"), pool(name="a" * 240), share(name="Admin$"),
        share(valid_users=["Heads"]), share(valid_users="a.b"), share(valid_users=["root"]), {"samba": {"user": "Heads"}}, {"samba": {"user": "root"}},
        dataset(name="-a"), dataset(pool="mirror"), dataset(owner="a b"), share(name="IPC$"),
        dataset(encryption={"key": {"secret": "correct horse"}}), pool(encryption={"key": {"secret": "a//b"}}),
        share(valid_users=["a b"]), {"samba": {"user": "@staff"}}, {"network": {"workgroup": "a]b"}},
    ],
    "invalid-path": [
        dataset(mountpoint="srv"), dataset(properties={"mountpoint": "/"}), export(path="/a/../b"), export(path="/a\\b"), share(path="/home/%U"),
        delivered({"path": "../x", "content": ""}), volume(mounts={"953": "x"}),
    ],
    "invalid-size": [
        dataset(properties="quota=12Q"), dataset(properties={"recordsize": "100K"}),
        dataset(properties={"refreservation": "auto"}), dataset(properties="quota=1Z"),
        dataset(volume_size="0"), dataset(volume_size=""), dataset(volume_size=1000000), dataset(volume_size="10Q"),
        dataset(volume_size="1G", properties="volblocksize=20K"),
    ],
    "invalid-property": [
        dataset(properties="sync=sometimes"), dataset(properties={"compression": "lz5"}), dataset(properties="quota"),
        dataset(properties={"atime": "yes"}),
    ],
    "unsupported-property": [
        dataset(properties="userquota@heads=10G"), dataset(properties={"groupquota@staff": "10G"}), dataset(properties={"version": 5}),
        dataset(properties="encryption=on"), dataset(properties={"keyformat": "raw"}),
    ],
    "invalid-encryption": [
        dataset(encryption={"key": {"secret": "a"}, "format": "prompt"}), pool(encryption={"key": {"secret": "a"}, "algorithm": "on"}),
    ],
    "unknown-property": [dataset(properties="recordsiz=128K"), dataset(properties={"jailed": True})],
    "read-only-property": [dataset(properties="used=1G")],
    "volume-property": [dataset(properties={"volsize": "1G"}), dataset(properties="volsize=1G", volume_size="1G"),
                        dataset(properties={"volblocksize": "16K"}), dataset(properties="volthreading=off")],
    "file-system-property": [dataset(volume_size="1G", properties=given) for given in ("recordsize=128K", {"atime": False}, {"quota": "1G"})],
    "volume-key": [dataset(volume_size="1G", **more) for more in (
        {"mountpoint": "/srv/a"}, {"owner": "root"}, {"mode": "0755"}, {"files": []}, {"acl": []}, {"recursive_owner": True, "group": "root"}, STORAGE)],
    "reserved-property": [dataset(properties={"phoenix:run": "1"})],
    "invalid-mode": [dataset(mode=770), dataset(mode="rwx"), delivered({"path": "a", "content": "", "mode": "4755"})],
    "missing-owner": [dataset(recursive_owner=True)],
    "invalid-acl-entry": [dataset(mode="770", acl=[entry]) for entry in ("user:bob", "user:bob:rw", "user:bob:wrx", "people:bob:r-x", "mask:bob:r-x",
        "user::rwx", "other::r-x", "mask::rwx", "user:a b:r-x", "default:user:-x:r-x")],
    "acl-needs-mode": [dataset(acl=["user:bob:r-x"])],
    "contradicting-acl": [dataset(mode="770", acl=["user:bob:r-x"], recursive_owner=True)],
    "not-mounted": [dataset(mountpoint="none", files=[{"path": "a", "content": ""}])],
    "too-long": [delivered({"path": "a", "content": "x" * 65537})],
    "unknown-vdev-class": [pool(raid_level="single", disks=disks(1), vdevs=[{"class": "logs", "disks": disks(2)[1:]}])],
    "unknown-state": [export(state="gone"), dataset(state="abscent"), {"samba": {"users": [{"name": "a", "state": "x"}]}}],
    "arc-limit": [{"zfs": {"arc_max_gb": 0}}, {"zfs": {"arc_max": 1048576}}],
    "wear-limit": [{"zfs": {"settings": {"health": {"max_wear_percent": wear}}}} for wear in (0, 256, "300")],
    "unknown-storage-type": [dataset(proxmox_storage_type="lvm", proxmox_content_type="images")],
    "invalid-content": [
        dataset(proxmox_storage_type="zfspool", proxmox_content_type="images,iso"),
        dataset(proxmox_storage_type="dir", proxmox_content_type=["images,rootdir"]),
    ],
    "invalid-client": [
        export(clients=["*"]), export(clients="10.0.0.0/33"), export(clients=["0.0.0.0/0"]),
        {"network": {"default_subnet": "everyone else"}},
    ],
    "invalid-address": [{"network": {"nfs_server": "10.0.0.999"}}, {"network": {"nfs_server": "10.0.0.13/24"}}, {"network": {"nfs_server": "nas/srv"}},
                        {"network": {"interfaces": {"address": "dhcp!"}}}],
    "mount-option-in-export": [export(options="rw,noatime"), export(options=["vers=4"])],
    "unknown-export-option": [export(options=["rw,sync"])],
    "invalid-export-option": [
        export(options=["anonuid=heads"]), export(options="anonuid=-1"), export(options=["refer=/x"]), export(options="replicas=nas"),
        export(options=["sec=sys: krb5"]), export(options=["mountpoint=/a b"]),
    ],
    "unsupported-export-option": [export(options=["security_label"]), export(options="ro,xprtsec=tls"), export(options="reexport=auto-fsidnum")],
    "other-file": [{"samba": {"users": {"heads": "hunter2"}}}, {"samba": {"heads": "hunter2"}}],
    "invalid-samba-setting": [share(acl="nfsv4"), share(acl="Posix"), {"samba": {"user": "u", "min_protocol": "NT1"}}, {"samba": {"user": "u", "min_protocol": "smb2"}},
                              {"samba": {"user": "u", "signing": "disabled"}}],
    "invalid-snapshot-format": [share(previous_versions={"format": given}) for given in (
        "daily", "", "%H:%M", "%Y-%m", "@GMT-%F", "%F %T", "%F%Q", "%F%", "%s")],
    "refused-samba-option": [share(options="root preexec=/bin/sh"), share(options={"include": "/tmp/x"})],
    "invalid-samba-option": [share(options="browseable=maybe"), share(options="="), share(options={"": "x"}), share(options={"a=b": "x"}),
                             share(options={"comment": "a\nb"})],
    "invalid-container": [volume(mounts={"99": "/x"}), volume(mounts={"web": "/x"})],
}

# What only the loader sees, by the rule of its error: places that do not fit together.
BEYOND_SCHEMA = {
    "invalid-acl-entry": [dataset(mode="770", acl=["user:bob:r-x", "user:bob:rwx"])], "acl-beyond-mode": [dataset(mode="750", acl="group:ops:rwx")],
    "missing": [dataset(proxmox_storage_options="sparse=1")],
    "invalid-storage-option": [dataset(**STORAGE, proxmox_storage_options=given) for given in (
        {"nodes": "pve1"}, {"pool": "tank/b"}, {"content": "images"}, {"disable": True}, {"shared": True}, {"sparse": "maybe"}, {"spares": 1},
        {"blocksize": "3k"}, {"blocksize": 0}, {"mountpoint": "srv"}, {"sparse": ""}, {"bwlimit": "fast"}, "sparse", "sparse=1,spares=1")] + [
        dataset(proxmox_storage_type="dir", proxmox_content_type="iso", proxmox_storage_options=given) for given in (
            {"path": "/x"}, {"maxfiles": 3}, {"is_mountpoint": "banana"}, {"prune-backups": 3}, {"preallocation": "on"}, {"content-dirs": "iso=../x"},
            {"max-protected-backups": "many"})],
    "invalid-storage-user": [dataset(**STORAGE, proxmox_storage_user="heads"), dataset(proxmox_storage_user="heads")],
    "below-volume": [two({"name": "tank/a", "volume_size": "1G"}, {"name": "tank/a/b"})],
    "invalid-size": [dataset(volume_size=given, properties=properties) for given, properties in (
        ("1000000", None), ("1.5", None), ("512K", None), ("3M", "volblocksize=2M"), ("1G", "refreservation=2G"))],
    "unknown-storage": [features(snippets_storage="tank-none")],
    "exposed-features": [{**features(), "nfs": {"exports": [{"path": "/tank/vms", "clients": ["10.0.0.0/24"], "options": ["ro"]}]}}],
    "json-syntax": ["{"],
    "duplicate-name": [{"zfs": {"pools": [{"name": "a"}, {"name": "a"}]}}, two({"name": "tank/a"}, {"name": "tank/a"})],
    "duplicate-path": [delivered({"path": "a", "content": ""}, {"path": "a/b", "content": ""})],
    "duplicate-mountpoint": [two({"name": "tank/a", "mountpoint": "/m"}, {"name": "tank/b", "mountpoint": "/m"})],
    "duplicate-export": [{"nfs": {"exports": [NEIGHBOUR, NEIGHBOUR]}}],
    "duplicate-mount-point": [{"shared_volumes": {name: {"host_path": "/srv/" + name, "mounts": {"950": "/x"}} for name in "ab"}}],
    "duplicate-disk": [pool(raid_level="mirror", disks=["/dev/disk/by-id/a", "/dev/disk/by-id//a"])],
    "contradicting-clients": [{"nfs": {"exports": [
        {"path": "/a", "clients": "10.0.0.0/24", "options": "ro"}, {"path": "/a", "clients": "10.0.0.0/25", "options": "rw"}]}}],
    "invalid-client": [{"network": {"default_subnet": "nas"}, **share()}],
    "other-file": [fleet(), {"samba/users/heads": "hunter2"}, {"lxc_configs": {}}],
    "contradicting-mountpoint": [dataset(mountpoint="/a", properties="mountpoint=/b")],
    "contradicting-options": [export(options=["rw", "ro"]), share(read_only=True, options="writable=yes"),
                              export(options="anonuid=1,anonuid=2"), share(options="create mask=0660 create mode=0600"),
                              share(acl="posix", options="vfs objects=acl_xattr"), share(previous_versions=True, options={"shadow:format": "%F"})],
    "storage-without-place": [dataset(mountpoint="none", proxmox_storage_type="dir", proxmox_content_type="iso")],
    "unknown-dataset": [{"zfs": {"dataset_storage_types": [{"dataset": "tank/b", "storage_type": "dir:iso"}]}}],
    "ambiguous-storage-id": [two({"name": "tank/a-b"}, {"name": "tank/a_b"}, proxmox_storage_ids={"tank_a_b": "store"})],
    "disk-count": [
        pool(raid_level="raid10", disks=disks(5)), pool(raid_level="draid2:4d:1s", disks=disks(6)),
        pool(raid_level="draid:5c", disks=disks(4)),
    ],
    "vdev-raid-level": [pool(raid_level="mirror", disks=disks(2), vdevs=[{"class": vdev_class, "raid_level": level, "disks": disks(5)[2:]}])
                        for vdev_class, level in (("cache", "mirror"), ("spare", "raidz1"), ("log", "raidz1"), ("special", "draid1"))],
    "missing": [pool(raid_level="mirror", disks=disks(2), vdevs=[{"class": "data", "disks": disks(4)[2:]}]), pool(vdevs=[{"class": "log", "disks": disks(1)}])],
    "unsupported-property": [pool(properties="mountpoint=/srv")],
    "invalid-property": [pool(properties="ashift=8"), pool(properties={"failmode": "stop"}), pool(properties={"comment": "x" * 33})],
    "stands-on-absent": [{"zfs": {"pools": [{"name": "tank", "state": "absent"}], "datasets": [{"name": "tank/a"}]}}, two({"name": "tank/a", "state": "absent"}, {"name": "tank/a/b"})],
    "absent-user": [{"samba": {"user": "bob", "shares": [{"path": "/srv", "valid_users": "ann"}], "users": [{"name": "ann", "state": "absent"}]}}],
    "unknown-raid-level": [pool(raid_level="draid:0d", disks=disks(4)), pool(raid_level="draid2:4d:6c:1s", disks=disks(6))],
}

# What the loader only doubts, by the rule of the lint.
DOUBTFUL = {
    "mismatched-redundancy": [
        pool(raid_level="mirror", disks=disks(2), vdevs=[{"class": "special", "disks": disks(3)[2:]}]),
        pool(raid_level="mirror", disks=disks(2), vdevs=[{"class": "data", "raid_level": "mirror", "disks": disks(5)[2:]}]),
        pool(raid_level="raidz2", disks=disks(4), vdevs=[{"class": "dedup", "raid_level": "mirror", "disks": disks(6)[4:]}])],
    "duplicate-key": ['{"zfs": {"arc_max_gb": 8, "arc_max_gb": 16}}'],
    "wear-limit-late": [{"zfs": {"settings": {"health": {"max_wear_percent": 101}}}}],
    "arc-limit-twice": [{"zfs": {"arc_max_gb": 1, "arc_max": "32212254720"}}],
    "quota-past-parent": [two({"name": "tank/a", "properties": "quota=1G"}, {"name": "tank/a/b", "properties": "quota=2G"})],
    "overlapping-clients": [export(clients="10.0.0.0/24,10.0.0.7")],
    "qualified-name": [dataset(name="tank/a")],
    "pool-not-declared": [{"zfs": {"datasets": [{"name": "rpool/a"}]}}],
    "parent-not-declared": [dataset(name="a/b")],
    "property-repeated": [dataset(properties="quota=1G,quota=2G")],
    "recordsize-on-volumes": [two({**IMAGES, "properties": "recordsize=16K"})],
    "storage-id-unmatched": [{"proxmox_storage_ids": {"quickos_vm": "x"}}],
    "storage-id-case": [two({"name": "tank/a", **STORAGE}, {"name": "tank/A", **STORAGE})],
    "storage-type-overridden": [
        {"zfs": {"datasets": [IMAGES], "dataset_storage_types": [{"dataset": "tank/a", "storage_type": "dir:iso"}]}},
    ],
    "guest-cifs-storage": [
        {"network": {"nfs_server": "a"}, "samba": share()["samba"], "zfs": dataset(proxmox_storage_type="cifs", proxmox_content_type="iso")["zfs"]},
    ],
    "loopback-storage": [
        {"network": {"nfs_server": "a"}, **export(), "zfs": dataset(proxmox_storage_type="nfs", proxmox_content_type="iso")["zfs"]},
    ],
    "shared-guest-storage": [{**export(), "zfs": dataset(**STORAGE)["zfs"]}],
    "undeclared-path": [export(path="/srv")],
    "exported-and-shared": [{**export(), "samba": share()["samba"]}],
    "client-host-bits": [export(clients=["10.0.0.13/24"]), {"network": {"default_subnet": "10.0.0.13/24"}}],
    "client-repeated": [export(clients=["10.0.0.1", "10.0.0.1"])],
    "export-mode-open": [export(options=["sync"])],
    "parent-export-no-root-squash": [
        {"nfs": {"exports": [NEIGHBOUR, {"path": "/tank", "clients": "a", "options": "rw,no_root_squash"}]}},
    ],
    "sharenfs-and-export": [{**export(), "zfs": dataset(properties="sharenfs=on")["zfs"]}],
    "no-share-clients": [share()],
    "squashed-root-cannot-write": [export(options="rw")],
    "guest-and-valid-users": [share(guest_ok=True)],
    "unknown-samba-option": [share(options="brwoseable=yes")],
    "acl-not-kept": [share(acl="posix"), share(acl="windows"), dataset(mode="770", acl=["user:bob:r-x"])],
    "nested-exports": [two({"name": "tank/a"}, nfs={"exports": [{"path": "tank/a", "clients": "10.0.0.0/24", "options": "rw"},
                                                                {"path": "tank/a/b", "clients": "10.0.0.0/24", "options": "ro"}]})],
    "no-previous-versions": [{"samba": {"user": "u", "shares": [{"path": "/srv/x", "previous_versions": True}]}}],
    "rollback-always-on": [{"behavior": {"rollback_on_failure": False}}],
    "plaintext-password": [{"portainer_api": {"admin_password": "x"}}],
}

GOOD_FLEETS = [
    fleet(), {"$schema": "./s.json", **fleet()}, fleet(overrides={}),
    fleet(overrides={"zfs": {"pools": [], "arc_max_gb": None}}),
    *(fleet(address=address) for address in (
        "pve1.example.org", "pve1:7443", "10.0.0.1:65532", "[fd00::1]:7443", "[fd00::1]", "fd00::1", "unix:/run/phoenix/")),
]
BAD_FLEETS = [
    [], {}, {"nodes": []}, {"nodes": {}}, {"nodes": [{"name": "a"}]}, {"nodes": [{"address": "a"}]}, {"nodes": ["a"]},
    {"version": 1, **fleet()}, fleet(role="x"), fleet(name="a.b"), fleet(name="-a"), fleet(name=1), fleet(overrides=[]),
    fleet(overrides="x"),
    *(fleet(address=address) for address in (
        "", "pve1:", "pve1:0", "pve1:65536", "pve1:65533", "[fd00::1]:65535", "pve1:7443x", "10.0.0.300", "unix:run", "unix:/", "unix:/a/../b", "[pve1]:1", "a b",
        "http://pve1", None)),
]
GOOD_SECRETS = [
    {}, {"samba": {"users": {}}}, {"samba": {"users": {"heads": "hunter2"}}}, {"samba/users/heads": "hunter2"},
    {"samba": {"heads": "x y"}}, {"samba/heads": "hunter2"}, {"samba/users": {"heads": "hunter2"}}, {"$schema": "./s.json"},
    {"other": {"deep": {"er": "x"}}},
]
BAD_SECRETS = [
    [], {"samba": {"users": {"a": ""}}}, {"samba": {"users": {"a": "hunter2\nx"}}}, {"samba": {"users": {"a": 4711}}},
    {"a b": "x"}, {"samba": {"users": {"e f": "x"}}}, {"samba": {"users": {"g": None}}}, {"samba": {"users": {"a": ["x"]}}},
    {"samba/": "x"}, {"a": {"b/": "x"}}, {"": "x"}, {"samba": {"": "x"}}, {" samba": {}}, {"samba/ heads": "x"},
]

# What only the loader sees of a fleet, by the rule of its error.
FLEETS_BEYOND_SCHEMA = {
    "duplicate-name": [{"nodes": [{"name": "a", "address": "a"}, {"name": "A", "address": "b"}]}],
    "duplicate-address": [{"nodes": [{"name": "a", "address": "pve1"}, {"name": "b", "address": "PVE1:7441"}]}],
    "overlapping-ports": [{"nodes": [{"name": "a", "address": "pve1:7000"}, {"name": "b", "address": "pve1:7003"}]}],
}


def vm(**members):
    return {"vms": [{"vmid": 101, "name": "one", "ip": "10.0.0.9", "features": ["docker"], **members}]}


GOOD_VMS = [
    {"vms": []}, {"vms": [{"vmid": 100}, {"vmid": "999999999", "features": None}], "vm_defaults": {"cores": 4}},
    vm(), vm(ip=None, address="10.0.0.9/24"), vm(ip=None, network_config={"ip": " 10.0.0.9/24", "gw": "10.0.0.1"}), vm(ip="fd00::9"),
    vm(features="base_setup, docker"), vm(features=[]), vm(name=None), vm(name="a.b-c.example"), vm(node="pve1"), vm(is_template=False),
    vm(state="absent"), vm(volumes=[{"type": "nfs", "server": "10.0.0.13", "path": "/tank/a"}, {"type": "other"}]), vm(cores=4, user_config={"password": "x"}),
    {"vms": [{"vmid": 9000, "is_template": "yes", "network_config": {"ip": "dhcp"}}]},
]
BAD_VMS = [
    {}, {"vms": {}}, {"vms": [1]}, {"vms": [{}]}, vm(vmid=99), vm(vmid="x"), vm(vmid=1000000000), vm(vmid=101.5), vm(name="a b"), vm(name="-a"), vm(node="a/b"),
    vm(ip="10.0.0.256"), vm(ip="vm.example"), vm(ip="@vms"), vm(features=["a b"]), vm(features=["../a"]), vm(features="$(id)"), vm(features=5),
    vm(features=["a" * 65]), vm(state="gone"), vm(volumes={}), vm(volumes=[{"type": "nfs"}]), vm(is_template="maybe"),
]
VMS_BEYOND_SCHEMA = {
    "missing": [vm(ip=None), vm(ip="DHCP")], "invalid-address": [vm(ip=None, network_config={"ip": "10.0.0.0.1"})],
    "duplicate-name": [{"vms": [{"vmid": 101}, {"vmid": "101"}]}],
    "duplicate-address": [{"vms": [vm()["vms"][0], {**vm()["vms"][0], "vmid": 102}]}],
    "invalid-path": [vm(volumes=[{"type": "nfs", "path": "tank"}])],
}
DOUBTFUL_VMS = {"feature-repeated": [vm(features="a b a")], "template-features": [vm(is_template=True)]}

SCRIPTS = {"base_setup.sh": "#!/bin/sh\n", "feature_install_docker.sh": "#!/bin/sh\n", "twice": "#!/bin/sh\n", "twice.sh": "#!/bin/sh\n", "program": "\0"}
# What is found only where a configuration and VMs come together: {rule: [(configuration, VMs)]}. "" for none.
DELIVERIES = {
    "": [(features(), vm()), (features(cloud_init="vendor", server="10.0.0.2"), vm(node="pve1"))],
    "missing-script": [(features(), vm(features="unheard-of")), (features(common_files="none.sh"), vm())],
    "ambiguous-script": [(features(), vm(features=["twice"]))],
    "invalid-script": [(features(), vm(features=["program"]))],
    "volume-not-exported": [(features(), vm(volumes=[{"type": "nfs", "path": "/tank/data"}]))],
}


def lxc(volume=None, bind=None, **container):
    members = {"zfs_volumes": [{"name": "data", "pool": "st", "size_gb": 1, "mount_point": "/data", **(volume or {})}],
               "mount_points": [{"host_path": "/srv/a", "container_path": "/a", **(bind or {})}], **container}
    return {"lxc_configs": {"950": members}}


PERSISTENT = lxc({"pool": "tank-a", "persistent": True})
# What is found only where a configuration and containers come together: {rule: [(configuration, containers)]}. "" for none.
MEETINGS = {
    "": [(dataset(**STORAGE), PERSISTENT), (volume(mounts={"950": "/v"}), lxc())],
    "persistent-storage": [(dataset(), PERSISTENT), (dataset(proxmox_storage_type="dir", proxmox_content_type="backup"), PERSISTENT),
                           (dataset(properties={"mountpoint": "none"}, **STORAGE), PERSISTENT)],
    "duplicate-name": [(two({"name": "tank/a", **STORAGE}, {"name": "tank/a/persistent-950-data"}), PERSISTENT)],
    "duplicate-mount-point": [(volume(mounts={"950": "/data"}), lxc())],
    "undeclared-container": [(volume(mounts={"951": "/v"}), lxc())],
}

GOOD_LXC = [
    {"lxc_configs": {}}, {"lxc_configs": {"100": {}, "999999999": {"memory_mb": 1}}, "other": 1},
    lxc({"backup": True, "read_only": "no", "persistent": "no"}, {"owner_uid": 0, "owner_gid": "1000", "read_only": True}),
    lxc(bind={"state": "absent"}), lxc(bind={"state": None}),
    lxc({"size_gb": "50"}), lxc({"size_gb": "50 GiB"}), lxc({"pool": "local"}), lxc(volumes=[], net="x"), lxc(bind={"host_path": "/a b"}),
    lxc({"persistent": "TRUE"}), lxc({"persistent": True}, node="hv1", unprivileged="no"), lxc(node=7, unprivileged=1),
]
BAD_LXC = [
    {}, {"lxc_configs": []}, {"lxc_configs": {"99": {}}}, {"lxc_configs": {"0101": {}}}, {"lxc_configs": {"x": {}}},
    lxc({"name": "a/b"}), lxc({"pool": "-x"}), lxc({"size_gb": 0}), lxc({"size_gb": 1.5}), lxc({"size_gb": "many"}),
    lxc({"mount_point": "/"}), lxc({"mount_point": "data"}), lxc({"mount_point": "/a,b"}), lxc({"mount_point": "/a/../b"}),
    lxc({"backup": 2}), lxc({"invented": 1}), lxc(bind={"host_path": "/dev/sda"}), lxc(bind={"host_path": "a"}),
    lxc(bind={"owner_uid": -1}), lxc(bind={"owner_uid": "root"}), lxc(bind={"state": "gone"}), lxc(bind={"invented": 1}), lxc(zfs_volumes={}),
    lxc({"persistent": True}, unprivileged=1), lxc({"persistent": True}, node=7),
]
