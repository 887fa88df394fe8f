# What PVE 9 does differently, as far as it is imitated.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TestWorld;

for my $how ('environment', 'settings file') {
    my $w = TestWorld->new;
    $w->{env}{STANDIN_PVE_MAJOR} = 9 if $how eq 'environment';
    $w->write('/etc/default/phoenix-lab-standin', "PVE_MAJOR=9\n") if $how eq 'settings file';
    my $out = $w->ok('pvesm', 'status');
    like((split /\n/, $out)[0], qr/^Name +Type +Status +Total \(KiB\) +Used \(KiB\) +Available \(KiB\) +%$/, "head of status ($how)");
}

my $w = TestWorld->new(env => { STANDIN_PVE_MAJOR => 9 },
    zfs => "pool tank imported\nset tank filesystem /tank yes 0 -\n");
$w->says(2, "Unknown option: maxfiles\n400 unable to parse option\npvesm add <type> <storage> [OPTIONS]\n",
    'pvesm', 'add', 'dir', 'dd', '--path', '/d', '--maxfiles', '3');
for my $good (qw(512 4k 16K 1m 16M)) {
    $w->ok('pvesm', 'add', 'zfspool', "b$good", '--pool', 'tank', '--blocksize', $good);
}
for my $bad (qw(256 5k 32m 08k 4kb)) {
    my ($out, $err, $rc) = $w->run('pvesm', 'set', 'b4k', '--blocksize', $bad);
    is($rc, 2, "blocksize $bad");
    like($err, qr/^blocksize: invalid format - (?:value '$bad' is not a valid ZFS blocksize|invalid ZFS blocksize format '$bad')/m, 'is refused');
}
is($w->ok('pvesm', 'apiinfo'), "APIVER 15\nAPIAGE 6\n", 'apiinfo');
like($w->ok('pvesh', 'get', '/version', '--output-format', 'json'), qr/"release":"9\.1"/, 'version');
my ($out, $err, $rc) = $w->run('pvesm', 'add', 'glusterfs', 'gg', '--server', 'x');
like($err, qr/does not have a value in the enumeration 'btrfs, cephfs, cifs, dir, esxi, iscsi,/, 'no glusterfs');
$w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/d', '--snapshot-as-volume-chain', '1');
like($w->section('dd'), qr/^\tsnapshot-as-volume-chain 1$/m, 'snapshot-as-volume-chain');

my $eight = TestWorld->new;
$eight->ok('pvesm', 'add', 'zfspool', 'zz', '--pool', 'tank', '--disable', '1', '--blocksize', '5k');
like($eight->ok('pvesh', 'get', '/version', '--output-format', 'json'), qr/"release":"8\.4"/, 'PVE 8 is the default');

done_testing;
