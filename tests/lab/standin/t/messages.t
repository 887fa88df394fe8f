# Option syntax and the table of messages and exit codes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TestWorld;

my $ZFS = "pool tank imported\nset tank filesystem /tank yes 0 -\n"
    . "set tank/guests filesystem /tank/guests yes 0 -\n";
my $ADD = "pvesm add <type> <storage> [OPTIONS]\n";
my $SET = "pvesm set <storage> [OPTIONS]\n";
my $TYPES = 'btrfs, cephfs, cifs, dir, esxi, glusterfs, iscsi, iscsidirect, lvm, lvmthin, nfs, pbs, rbd, zfs, zfspool';

my $w = TestWorld->new(zfs => $ZFS);
is($w->ok('pvesm', 'add', 'zfspool', 'tg', '--pool', 'tank/guests'), '', 'success of add prints nothing');
is($w->ok('pvesm', 'set', 'tg', '--sparse', '1'), '', 'nor does set');
$w->ok('pvesm', 'add', 'dir', 'bye', '--path', '/bye');
is($w->ok('pvesm', 'remove', 'bye'), '', 'nor remove');
my $before = $w->cfg;

my @TABLE = (
    [255, "create storage failed: storage ID 'tg' already defined\n", qw(add dir tg --path /x)],
    [1, "zfs error: cannot open 'nosuch': no such pool\n\n" x 2
            . "create storage failed: could not activate storage 'nopool', zfs error: cannot import 'nosuch': no such pool available\n\n",
        qw(add zfspool nopool --pool nosuch)],
    [2, "missing value for required option 'pool'\n", qw(add zfspool xx)],
    [2, "storage does not support content type 'iso'\nstorage does not support content type 'none'\n",
        qw(add zfspool xx --pool tank --content iso)],
    [2, "400 Parameter verification failed.\ncontent: invalid format - invalid content type 'foo'\n\n$ADD",
        qw(add zfspool xx --pool tank --content foo)],
    [2, "400 Parameter verification failed.\nstorage: invalid format - storage ID '1abc' contains illegal characters\n\n$ADD",
        qw(add dir 1abc --path /x)],
    [2, "unexpected property 'shared'\n", qw(add zfspool xx --pool tank --shared 1)],
    [2, "400 Parameter verification failed.\ntype: value 'nosuchtype' does not have a value in the enumeration '$TYPES'\n$ADD",
        qw(add nosuchtype xx)],
    [2, "400 Parameter verification failed.\nnodes: invalid format - value does not look like a valid node name\n\n$ADD",
        qw(add dir xx --path /x --nodes a_b)],
    [255, "update storage failed: can't change value of fixed parameter 'pool'\n", qw(set tg --pool tank)],
    map({ [2, "Unknown option: $_\n400 unable to parse option\n$SET", 'set', 'tg', "--$_", '/x'] }
        qw(path export type)),
    # Getopt::Long abbreviates: --share is --shared here.
    [2, "400 unable to parse boolean option\n$SET", qw(set tg --share x)],
    [255, "update storage failed: storage 'xx' does not exist\n", qw(set xx)],
    [255, "delete storage failed: storage 'xx' does not exist\n", qw(remove xx)],
    [255, "update storage failed: unable to delete required option 'pool'\n", qw(set tg --delete pool)],
    [255, "update storage failed: no such option 'bogus'\n", qw(set tg --delete bogus)],
    [255, "update storage failed: cannot set and delete property 'nodes' at the same time!\n",
        qw(set tg --delete nodes --nodes a)],
    [255, "storage 'nosuch' does not exist\n", qw(list nosuch)],
    [255, "400 Parameter verification failed.\nstorage: No such storage.\npvesm status  [OPTIONS]\n",
        qw(status --storage nosuch)],
    [25, "illegal name 'foo' - should be 'vm-101-*'\n", qw(alloc tg 101 foo 1G)],
);
for my $row (@TABLE) {
    my ($rc, $text, @args) = @$row;
    is($w->says($rc, $text, 'pvesm', @args), '', 'with nothing on stdout');
    is($w->cfg, $before, 'and nothing changed');
}
$w->says(255, "storage 'nosuch' does not exist\n", 'pvesh', 'get', '/storage/nosuch', '--output-format', 'json');

subtest 'warnings with rc 0' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    $w->ok('pvesm', 'add', 'zfspool', 'nods', '--pool', 'tank/nosuch');
    $w->says(0, "storage does not support content type 'iso'\n",
        'pvesm', 'add', 'zfspool', 'part', '--pool', 'tank', '--content', 'images,iso');
    like($w->section('part'), qr/^\tcontent images$/m, 'added with the rest');
    $w->ok('pvesm', 'set', 'part', '--delete', 'nodes');
    my ($out, $err, $rc) = $w->run('pvesm', 'status', '--storage', 'part');
    is("$rc|$err", "0|zfs error: cannot open 'tank/nosuch': dataset does not exist\n", '--storage activates all storages');
    unlike($out, qr/nods|local/, 'and shows one');
};

subtest 'option syntax' => sub {
    my @forms = (['-pool', 'tank'], ['--pool', 'tank'], ['--pool=tank'], ['-pool=tank']);
    for my $form (@forms) {
        for my $command (['add', 'zfspool', 'xx', @$form], ['add', @$form, 'zfspool', 'xx']) {
            my $w = TestWorld->new(zfs => $ZFS);
            $w->ok('pvesm', @$command);
            like($w->section('xx'), qr/^\tpool tank$/m, "@$command");
        }
    }
    for my $list ('a,b', 'a b', 'a;b', 'a, b') {
        my $w = TestWorld->new;
        $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/d', '--nodes', $list);
        like($w->section('dd'), qr/^\tnodes a,b$/m, "nodes '$list'");
    }
    my $w = TestWorld->new;
    $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/d', '--nodes', 'a', '--nodes', 'b', '--disable');
    like($w->section('dd'), qr/^dir: dd\n\tdisable\n.*\tnodes a,b$/ms, 'repeated list option, bare flag');
    $w->ok('pvesm', 'set', 'dd', '--disable', 'off');
    unlike($w->section('dd'), qr/disable/, 'flag words');
    $w->says(2, "400 not enough arguments\n$ADD", 'pvesm', 'add', 'dir');
    $w->says(2, "400 too many arguments\n$ADD", 'pvesm', 'add', 'dir', 'dd', 'ee');
    my ($out, $err, $rc) = $w->run('pvesm');
    is($rc, 255);
    like($err, qr/^ERROR: no command specified\nUSAGE: pvesm <COMMAND> \[ARGS\] \[OPTIONS\]\n/, 'no command');
    ($out, $err, $rc) = $w->run('pvesm', 'frob');
    is($rc, 255);
    like($err, qr/^ERROR: unknown command 'pvesm frob'\n/, 'unknown command');
    $w->ok('pvesm', 'stat');
};

subtest 'status' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    $w->ok('pvesm', 'add', 'zfspool', 'tg', '--pool', 'tank');
    $w->ok('pvesm', 'add', 'dir', 'aaa', '--path', '/a', '--disable', '1', '--content', 'iso');
    my $out = $w->ok('pvesm', 'status');
    is(join(' ', split ' ', (split /\n/, $out)[0]), 'Name Type Status Total Used Available %', 'head of PVE 8');
    is(join(' ', $out =~ /^(\S+)/mg), 'Name aaa local tg', 'sorted by name');
    like($out, qr/^aaa +dir +disabled +0 +0 +0 +N\/A$/m, 'a disabled row');
    is(join(' ', $w->ok('pvesm', 'status', '--content', 'iso') =~ /^(\S+)/mg), 'Name local', 'by content: enabled ones only');
    is($w->ok('pvesm', 'apiinfo'), "APIVER 11\nAPIAGE 2\n", 'apiinfo');
};

subtest '--help says what this is' => sub {
    my $w = TestWorld->new;
    for my $tool (qw(pvesm pct pveum pvesh pvestatd pvedaemon pveversion standin-pmxcfs)) {
        like($w->ok($tool, '--help'), qr/lab stand-in .* not Proxmox software/, $tool);
    }
};

done_testing;
