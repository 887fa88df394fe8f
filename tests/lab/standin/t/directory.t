# dir: what activation creates, mount point checks, paths, options.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TestWorld;

sub below {
    my ($w, $path) = @_;
    my $root = $w->path($path);
    return join ' ', sort map { s{^\Q$root\E/?}{}r || () } split /\n/, `find \Q$root\E -type d`;
}

subtest 'add creates the path and a directory per content' => sub {
    my $w = TestWorld->new;
    $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/srv/d/', '--content',
        'iso vztmpl;backup,images,snippets,import');
    like($w->section('dd'), qr{^\tpath /srv/d$}m, 'trailing slash stripped; comma, blank, semicolon separate');
    is(below($w, '/srv/d'), 'dump images import snippets template template/cache template/iso', 'all of them');
    $w->ok('pvesm', 'add', 'dir', 'ee', '--path', '/srv/e', '--content', 'iso', '--content-dirs', 'iso=media/iso');
    is(below($w, '/srv/e'), 'media media/iso', 'content-dirs');
    $w->ok('pvesm', 'add', 'dir', 'ff', '--path', '/srv/f', '--content', 'iso', '--create-subdirs', '0');
    is(below($w, '/srv/f'), '', 'create-subdirs 0');
    my ($out, $err, $rc) = $w->run('pvesm', 'add', 'dir', 'gg', '--path', '/srv/g', '--content', 'iso', '--create-base-path', '0');
    isnt($rc, 0, 'create-base-path 0');
    is($err, "create storage failed: unable to activate storage 'gg' - directory '/srv/g' does not exist or is unreachable\n", 'in these words');
    ok(!-e $w->path('/srv/g'), 'nothing created');
};

subtest 'activation recreates what is gone' => sub {
    my $w = TestWorld->new;
    $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/srv/d', '--content', 'iso');
    system('rm', '-r', $w->path('/srv/d'));
    $w->ok('pvesm', 'status');
    is(below($w, '/srv/d'), 'template template/iso', 'by status');
    system('rm', '-r', $w->path('/srv/d'));
    $w->ok('pvestatd', '--once');
    is(below($w, '/srv/d'), 'template template/iso', 'by pvestatd');
    system('rm', '-r', $w->path('/srv/d'));
    $w->{env}{STANDIN_NODE} = 'pve2';
    $w->ok('pvesm', 'status');
    is(below($w, '/srv/d'), 'template template/iso', 'on every node without --nodes');
    $w->ok('pvesm', 'set', 'dd', '--nodes', 'pve1');
    system('rm', '-r', $w->path('/srv/d'));
    like($w->ok('pvesm', 'status'), qr/^dd +dir +disabled +0 +0 +0 +N\/A$/m, 'excluded node: disabled');
    ok(!-e $w->path('/srv/d'), 'and left alone');
};

subtest 'is_mountpoint' => sub {
    my $w = TestWorld->new;
    my $refusal = "unable to activate storage 'd4' - directory is expected to be a mount point but is not mounted: '/srv/mp'\n";
    for my $yes ('1', 'yes', '/srv/mp') {
        my ($out, $err, $rc) = $w->run('pvesm', 'add', 'dir', 'd4', '--path', '/srv/mp', '--is_mountpoint', $yes);
        isnt($rc, 0, "is_mountpoint $yes");
        is($err, "create storage failed: $refusal", 'in these words');
        ok(!-e $w->path('/srv/mp'), 'nothing is created');
    }
    $w->write('/srv/mp/there', '');
    $w->write('/proc/mounts', "/dev/sdb1 /srv/mp ext4 rw 0 0\n");
    $w->ok('pvesm', 'add', 'dir', 'd4', '--path', '/srv/mp', '--is_mountpoint', '1', '--content', 'iso');
    is($w->section('d4'), "dir: d4\n\tpath /srv/mp\n\tcontent iso\n\tis_mountpoint 1\n", 'written as given');
    like($w->ok('pvesm', 'status'), qr/^d4 +dir +active /m, 'mounted: active');
    $w->write('/proc/mounts', '');
    my ($out, $err, $rc) = $w->run('pvesm', 'status');
    is("$rc|$err", "0|$refusal", 'unmounted: complaint, rc 0');
    like($out, qr/^d4 +dir +inactive /m, 'inactive');
    ($out, $err, $rc) = $w->run('pvesm', 'add', 'dir', 'd5', '--path', '/x', '--is_mountpoint', 'banana');
    like($err, qr/is not mounted: 'banana'$/, 'any string is taken for a path');
    $w->ok('pvesm', 'add', 'dir', 'd6', '--path', '/y', '--is_mountpoint', 'no');
};

subtest 'paths' => sub {
    my $w = TestWorld->new;
    for my $bad ('/a b', '/a:b', "/a\xc3\xa4") {
        my ($out, $err, $rc) = $w->run('pvesm', 'add', 'dir', 'dd', '--path', $bad);
        is("$rc|$err", "2|illegal path for directory storage: $bad\n", "'$bad'");
    }
    my ($out, $err, $rc) = $w->run('pvesm', 'add', 'dir', 'dd', '--path', 'relative');
    is($rc, 2);
    like($err, qr/^path: invalid format - value does not look like a valid absolute path$/m, 'relative');
    $w->ok('pvesm', 'add', 'dir', 'd1', '--path', '/same');
    $w->ok('pvesm', 'add', 'dir', 'd2', '--path', '/same');
};

subtest 'content none' => sub {
    my $w = TestWorld->new;
    my ($out, $err, $rc) = $w->run('pvesm', 'add', 'dir', 'dd', '--path', '/d', '--content', 'none');
    isnt($rc, 0);
    is($err, "create storage failed: unknown vtype 'none'\n", 'not at add of an enabled storage');
    $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/d', '--content', 'none', '--disable', '1');
    is($w->section('dd'), "dir: dd\n\tdisable\n\tpath /d\n\tcontent none\n", 'but of a disabled one');
};

subtest 'shared, maxfiles, mkdir' => sub {
    my $w = TestWorld->new;
    $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/d', '--shared', '1', '--maxfiles', '3');
    like($w->ok('pvesh', 'get', '/storage', '--type', 'dir', '--output-format', 'json'),
        qr/"path":"\/d","prune-backups":"keep-last=3","shared":1,/, 'shared is a number, maxfiles turns into prune-backups');
    my $note = "NOTE: The 'mkdir' option set for 'ee' is deprecated and will be removed in Proxmox VE 9. Use 'create-base-path' or 'create-subdirs' instead.\n";
    $w->says(0, $note, 'pvesm', 'add', 'dir', 'ee', '--path', '/e', '--mkdir', '1');
    $w->says(0, $note, 'pvesm', 'set', 'ee');
};

subtest 'files' => sub {
    my $w = TestWorld->new;
    $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/d', '--content', 'iso,images,backup');
    $w->write('/d/template/iso/debian.iso', 'x' x 10);
    $w->write('/d/dump/vzdump-lxc-101-2025_01_01-00_00_00.tar.zst', 'x');
    is($w->ok('pvesm', 'alloc', 'dd', '104', '', '1M'),
        "Formatting '/d/images/104/vm-104-disk-0.raw', fmt=raw size=1048576 preallocation=off\n"
            . "successfully created 'dd:104/vm-104-disk-0.raw'\n", 'alloc');
    is(-s $w->path('/d/images/104/vm-104-disk-0.raw'), 1 << 20, 'a raw file');
    is($w->ok('pvesm', 'path', 'dd:104/vm-104-disk-0.raw'), "/d/images/104/vm-104-disk-0.raw\n", 'path');
    is($w->ok('pvesm', 'path', 'dd:iso/debian.iso'), "/d/template/iso/debian.iso\n", 'path of an iso');
    is($w->ok('pvesm', 'list', 'dd'), <<'LIST', 'list');
Volid                                                Format  Type         Size VMID
dd:104/vm-104-disk-0.raw                             raw     images    1048576 104
dd:backup/vzdump-lxc-101-2025_01_01-00_00_00.tar.zst tar.zst backup          1 101
dd:iso/debian.iso                                    iso     iso            10
LIST
    $w->ok('pvesm', 'free', 'dd:104/vm-104-disk-0.raw');
    ok(!-e $w->path('/d/images/104'), 'free removes file and empty directory');
};

done_testing;
