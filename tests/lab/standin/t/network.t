# nfs and cifs: probing, mounting, passwords, what remove leaves.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TestWorld;

subtest 'nfs' => sub {
    my $w = TestWorld->new;
    $w->ok('pvesm', 'add', 'nfs', 'n1', '--server', '127.0.0.1', '--export', '/srv/a', '--content', 'iso');
    is($w->section('n1'), "nfs: n1\n\texport /srv/a\n\tpath /mnt/pve/n1\n\tserver 127.0.0.1\n\tcontent iso\n", 'default path');
    my $root = $w->{root};
    is($w->calls, "showmount --no-headers --exports 127.0.0.1\nmount -t nfs 127.0.0.1:/srv/a $root/mnt/pve/n1\n", 'probed, mounted');
    ok(-d $w->path('/mnt/pve/n1/template/iso'), 'subdirectories made');
    like($w->ok('pvesh', 'get', '/storage/n1', '--output-format', 'json'), qr/"shared":1/, 'implicitly shared');

    $w->forget_calls;
    $w->ok('pvesm', 'add', 'nfs', 'n4', '--server', '127.0.0.1', '--export', '/srv/b', '--options', 'vers=4.2');
    is($w->calls, "rpcinfo -T tcp 127.0.0.1 nfs 4\nmount -t nfs 127.0.0.1:/srv/b $root/mnt/pve/n4 -o vers=4.2\n", 'version 4 is probed with rpcinfo');

    $w->forget_calls;
    $w->ok('pvesm', 'set', 'n1', '--options', 'vers=3');
    is($w->calls, '', 'set --options does not remount');
    $w->ok('pvesm', 'remove', 'n1');
    is($w->calls, '', 'remove does not unmount');
    ok(-d $w->path('/mnt/pve/n1/template/iso'), 'and deletes no data');

    my ($out, $err, $rc) = $w->run('pvesm', 'add', 'nfs', 'n3', '--server', '192.0.2.9', '--export', '/srv/a');
    isnt($rc, 0);
    is($err, "create storage failed: storage 'n3' is not online\n", 'offline server');
    $w->says(32, "create storage failed: mount error: mount.nfs: access denied by server while mounting 127.0.0.1:/srv/denied\n",
        'pvesm', 'add', 'nfs', 'n5', '--server', '127.0.0.1', '--export', '/srv/denied');
    ok(-d $w->path('/mnt/pve/n5'), 'bad export leaves an empty directory');
    is($w->section('n5'), undef, 'and no section');
    ($out, $err, $rc) = $w->run('pvesm', 'add', 'nfs', 'n6', '--server', '127.0.0.1', '--export', '/a', '--options', 'a b');
    like($err, qr/^options: invalid format - invalid options 'a b'$/m, 'options is one word');

    my ($cfg) = $w->cfg;
    $w->set_cfg("$cfg\nnfs: off\n\tserver 192.0.2.9\n\texport /x\n");
    ($out, $err, $rc) = $w->run('pvesm', 'status');
    is("$rc|$err", "0|storage 'off' is not online\n", 'status of an offline server');
    like($out, qr/^off +nfs +inactive /m, 'inactive');
};

subtest 'cifs' => sub {
    my $w = TestWorld->new;
    my $root = $w->{root};
    my $file = '/etc/pve/priv/storage/c1.pw';
    $w->ok('pvesm', 'add', 'cifs', 'c1', '--server', '127.0.0.1', '--share', 'media', '--username', 'u', '--password', 'right');
    is($w->read($file), "password=right\n", 'password file');
    is((stat $w->path($file))[2] & 07777, 0600, 'mode 0600');
    unlike($w->cfg, qr/right|password/, 'never in storage.cfg');
    like($w->calls, qr{^mount -t cifs //127\.0\.0\.1/media \Q$root\E/mnt/pve/c1 -o soft -o username=u -o credentials=\Q$root$file\E -o vers=default$}m, 'mounted with it');
    $w->says(0, "storage c1: ignoring password parameter, no user set\n", 'pvesm', 'set', 'c1', '--password', 'other');
    is($w->read($file), "password=other\n", 'changed');
    $w->ok('pvesm', 'set', 'c1', '--delete', 'password');
    is($w->read($file), undef, 'deleted');
    $w->{stdin} = "typed\n";
    my ($out, $err, $rc) = $w->run('pvesm', 'set', 'c1', '--password');
    is($w->read($file), "password=typed\n", 'read from standard input where no value is given');
    $w->forget_calls;
    $w->ok('pvesm', 'remove', 'c1');
    is($w->read($file), undef, 'removed along');
    is($w->calls, '', 'without an unmount');

    my $refused = "create storage failed: connection check for storage 'c2' failed - session setup failed: NT_STATUS_LOGON_FAILURE\n";
    ($out, $err, $rc) = $w->run('pvesm', 'add', 'cifs', 'c2', '--server', '127.0.0.1', '--share', 's', '--username', 'u', '--password', 'wrong');
    isnt($rc, 0);
    is($err, $refused, 'wrong password');
    is($w->read('/etc/pve/priv/storage/c2.pw'), undef, 'its file is cleaned up');

    $w->forget_calls;
    $w->ok('pvesm', 'add', 'cifs', 'c3', '--server', '127.0.0.1', '--share', 's', '--smbversion', '3.0');
    like($w->calls, qr{ -m smb3 -U Guest -N .*\nmount .* -o guest,username=guest -o vers=3\.0$}m, 'no password: guest');
    ($out, $err, $rc) = $w->run('pvesm', 'add', 'cifs', 'c4', '--server', '127.0.0.1', '--share', 's', '--smbversion', '1');
    like($err, qr/^smbversion: value '1' does not have a value in the enumeration 'default, 2\.0, 2\.1, 3, 3\.0, 3\.11'$/m, 'smbversion');
    ($out, $err, $rc) = $w->run('pvesm', 'add', 'cifs', 'c5', '--server', '192.0.2.9', '--share', 's');
    is($err, "create storage failed: storage 'c5' is not online\n", 'offline server');
};

done_testing;
