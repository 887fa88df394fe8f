# zfspool: adding, activation and its side effects, volumes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TestWorld;

my $ZFS = <<'STATE';
pool tank imported
set tank filesystem /tank yes 0 -
set tank/guests filesystem /tank/guests yes 0 -
set tank/guests/manual filesystem /tank/guests/manual yes 0 -
set tank/guests/subvol-103-media filesystem /tank/guests/subvol-103-media yes 0 -
set tank/hidden filesystem none no 0 -
STATE

subtest 'what add checks and what it does not' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    $w->says(1, "zfs error: cannot open 'nosuch': no such pool\n\n" x 2
            . "create storage failed: could not activate storage 'nopool', "
            . "zfs error: cannot import 'nosuch': no such pool available\n\n",
        'pvesm', 'add', 'zfspool', 'nopool', '--pool', 'nosuch');
    is($w->cfg, undef, 'nothing is written');

    $w->ok('pvesm', 'add', 'zfspool', 'nods', '--pool', 'tank/nosuch');
    my ($out, $err, $rc) = $w->run('pvesm', 'status');
    is("$rc|$err", "0|zfs error: cannot open 'tank/nosuch': dataset does not exist\n",
        'unknown dataset: every status complains, rc 0');
    like($out, qr/^nods +zfspool +inactive +0 +0 +0 +0\.00%$/m, 'and shows it inactive');

    $w->ok('pvesm', 'add', 'zfspool', 'off', '--pool', 'bad pool', '--disable', '1');
    $w->ok('pvesm', 'add', 'zfspool', 'away', '--pool', '/tank', '--nodes', 'other');
    like($w->section('off'), qr/^zfspool: off\n\tdisable\n\tpool bad pool\n/, 'pool has no syntax');
};

subtest 'mountpoint is captured at add time' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    $w->ok('pvesm', 'add', 'zfspool', 'tg', '--pool', 'tank/guests');
    like($w->section('tg'), qr{^\tmountpoint /tank/guests$}m, 'stored');
    $w->write('/zfs', $ZFS =~ s{guests filesystem /tank/guests }{guests filesystem /else }r);
    is($w->ok('pvesm', 'path', 'tg:subvol-103-media'), "/tank/guests/subvol-103-media\n", 'not refreshed');
    $w->ok('pvesm', 'set', 'tg', '--mountpoint', '/else');
    is($w->ok('pvesm', 'path', 'tg:subvol-103-media'), "/else/subvol-103-media\n", 'until it is set');
    is($w->ok('pvesm', 'path', 'tg:vm-104-disk-0'), "/dev/zvol/tank/guests/vm-104-disk-0\n", 'a zvol');
    $w->write('/zfs', $ZFS);
    $w->says(0, "warning for t2 - mountpoint: /wrong does not match current mount point: /tank/guests\n",
        'pvesm', 'add', 'zfspool', 't2', '--pool', 'tank/guests', '--mountpoint', '/wrong');
    like($w->section('t2'), qr{^\tmountpoint /wrong$}m, 'a mismatch only warns');
    $w->ok('pvesm', 'add', 'zfspool', 'hid', '--pool', 'tank/hidden');
    unlike($w->section('hid'), qr/mountpoint/, 'mountpoint=none is not stored');
};

subtest 'activation imports and mounts' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    $w->ok('pvesm', 'add', 'zfspool', 'tg', '--pool', 'tank/guests');
    $w->write('/zfs', $ZFS =~ s/tank imported/tank exported/r);
    $w->write('/proc/mounts', "/dev/sda1 / ext4 rw 0 0\n");
    $w->forget_calls;
    my ($out, $err, $rc) = $w->run('pvesm', 'status');
    like($w->calls, qr{^zpool import -d /dev/disk/by-id/ -o cachefile=none tank\nzfs mount -a\n}m,
        'an exported pool comes back, without a cache file');
    like($out, qr/^tg +zfspool +active /m, 'active');
    is($err, "zfs error: cannot open 'tank': no such pool\n\n", 'the look before is heard');

    $w->forget_calls;
    $w->run('pvesm', 'status');
    unlike($w->calls, qr/import|mount -a/, 'nothing to do while anything of it is mounted');

    $w->write('/zfs', $ZFS =~ s/ yes / no /gr);
    $w->write('/proc/mounts', "/dev/sda1 / ext4 rw 0 0\n");
    $w->forget_calls;
    $w->run('pvesm', 'status');
    like($w->calls, qr/^zfs mount -a$/m, 'a dataset unmounted by hand is mounted again');
    unlike($w->calls, qr/import/, 'without an import');

    $w->write('/proc/mounts', "tank/guests/manual /tank/guests/manual zfs rw 0 0\n");
    $w->forget_calls;
    $w->run('pvesm', 'status');
    unlike($w->calls, qr/mount -a/, 'a mounted child is enough');

    $w->ok('pvesm', 'set', 'tg', '--disable', '1');
    $w->write('/proc/mounts', '');
    $w->forget_calls;
    $w->run('pvestatd', '--once');
    is($w->calls, '', 'disabled: left alone');
};

subtest 'capacity' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    $w->ok('pvesm', 'add', 'zfspool', 'tg', '--pool', 'tank');
    my $json = $w->ok('pvesh', 'get', '/nodes/pve1/storage', '--output-format', 'json');
    like($json, qr/"active":1,"avail":6000,"content":"[a-z,]+","enabled":1,"shared":0,"storage":"tg","total":10000,"type":"zfspool","used":4000,"used_fraction":0\.4\}/, 'bytes in the API');
    like($w->ok('pvesm', 'status'), qr/^tg +zfspool +active +9 +3 +5 +40\.00%$/m, 'KiB in pvesm');
};

subtest 'volumes' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    $w->write('/etc/pve/nodes/pve1/lxc/101.conf', "arch: amd64\n");
    $w->write('/etc/pve/nodes/pve1/lxc/103.conf', "arch: amd64\n");
    $w->ok('pvesm', 'add', 'zfspool', 'tg', '--pool', 'tank/guests', '--blocksize', '16k');
    $w->forget_calls;
    is($w->ok('pvesm', 'alloc', 'tg', '101', '', '1G', '--format', 'subvol'),
        "successfully created 'tg:subvol-101-disk-0'\n", 'alloc a subvol');
    like($w->calls, qr{^zfs create -o acltype=posixacl -o xattr=sa -o refquota=1048576k tank/guests/subvol-101-disk-0$}m, 'as zfs');
    is($w->ok('pvesm', 'alloc', 'tg', '104', '', '512M'), "successfully created 'tg:vm-104-disk-0'\n", 'raw is the default');
    like($w->calls, qr{^zfs create -b 16k -V 524288k tank/guests/vm-104-disk-0$}m, 'a zvol');
    $w->ok('pvesm', 'set', 'tg', '--sparse', '1');
    $w->ok('pvesm', 'alloc', 'tg', '104', 'vm-104-cloud', '1000');
    like($w->calls, qr{^zfs create -s -b 16k -V 1024k tank/guests/vm-104-cloud$}m, 'sparse, size rounded up to a MiB');
    is($w->ok('pvesm', 'alloc', 'tg', '101', '', '1G', '--format', 'subvol'),
        "successfully created 'tg:subvol-101-disk-1'\n", 'the next number');

    $w->says(25, "illegal name 'foo' - should be 'vm-101-*'\n", 'pvesm', 'alloc', 'tg', '101', 'foo', '1G');
    $w->says(25, "illegal name 'foo' - should be 'subvol-101-*'\n",
        'pvesm', 'alloc', 'tg', '101', 'foo', '1G', '--format', 'subvol');

    my $list = $w->ok('pvesm', 'list', 'tg');
    is((split /\n/, $list)[0], 'Volid                Format  Type            Size VMID', 'head of the list');
    like($list, qr/^tg:subvol-103-media  subvol  rootdir            0 103$/m, 'a hand-made name counts as a volume');
    like($list, qr/^tg:subvol-101-disk-0 subvol  rootdir   1073741824 101$/m, 'an allocated one');
    like($list, qr/^tg:vm-104-disk-0     raw     images     536870912 104$/m, 'a zvol');
    unlike($list, qr/manual/, 'other names are invisible');
    unlike($w->ok('pvesm', 'list', 'tg', '--vmid', '104'), qr/101|103/, 'by guest');
    unlike($w->ok('pvesm', 'list', 'tg', '--content', 'images'), qr/subvol/, 'by content');

    is($w->ok('pvesm', 'free', 'tg:subvol-101-disk-0'), "Removed volume 'tg:subvol-101-disk-0'\n", 'free');
    like($w->calls, qr{^zfs destroy -r tank/guests/subvol-101-disk-0$}m, 'destroys with everything below');
    is($w->ok('pvesm', 'free', 'tg:subvol-101-disk-0'), "Removed volume 'tg:subvol-101-disk-0'\n", 'also where nothing is');
    is($w->ok('pvesm', 'scan', 'zfs'), "tank\ntank/guests\ntank/guests/manual\ntank/hidden\n", 'scan hides container volumes of its naming');
};

subtest 'removing a storage that a container uses' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    $w->ok('pvesm', 'add', 'zfspool', 'tg', '--pool', 'tank/guests');
    $w->write('/etc/pve/nodes/pve1/lxc/101.conf', "rootfs: tg:subvol-101-disk-0,size=1G\n");
    $w->ok('pvesm', 'remove', 'tg');
    is($w->read('/etc/pve/nodes/pve1/lxc/101.conf'), "rootfs: tg:subvol-101-disk-0,size=1G\n", 'the reference dangles');
    is($w->section('tg'), undef, 'gone');
};

done_testing;
