# qm: the cloud-init data in a virtual machine's configuration.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha1_hex);
use Test::More;
use TestWorld;

my $CONF = '/etc/pve/nodes/pve1/qemu-server/1001.conf';
my $BASE = "#by hand\nide2: local:vm-1001-cloudinit,media=cdrom\nmemory: 512\nname: web\n";

sub world {
    my $w = TestWorld->new;
    $w->write($CONF, $_[0] // $BASE);
    return $w;
}

subtest 'set' => sub {
    my $w = world();
    is($w->ok('qm', 'set', '1001', '--cicustom', 'user=st:snippets/u.yaml,network=st:snippets/n.yaml'),
        "update VM 1001: -cicustom user=st:snippets/u.yaml,network=st:snippets/n.yaml\n", 'said');
    is($w->read($CONF), "#by hand\ncicustom: network=st:snippets/n.yaml,user=st:snippets/u.yaml\n"
            . "ide2: local:vm-1001-cloudinit,media=cdrom\nmemory: 512\nname: web\n", 'keys by name');
    is((stat $w->path($CONF))[2] & 07777, 0640, 'mode 0640');
    is($w->ok('qm', 'set', '1001', '--delete', 'cicustom'), "update VM 1001: -delete cicustom\n", 'said');
    is($w->read($CONF), $BASE, 'gone');
    $w->says(0, "cannot delete 'cicustom' - not set in current configuration!\n", 'qm', 'set', '1001', '--delete', 'cicustom');
    $w->says(255, "no options specified\n", 'qm', 'set', '1001');
};

subtest 'digest' => sub {
    my $w = world();
    $w->says(255, "checksum mismatch (file change by other user?)\n", 'qm', 'set', '1001',
        '--cicustom', 'user=st:snippets/u.yaml', '--digest', '0' x 40);
    is($w->read($CONF), $BASE, 'as before');
    $w->ok('qm', 'set', '1001', '--cicustom', 'user=st:snippets/u.yaml', '--digest', sha1_hex($BASE));
    like($w->read($CONF), qr/^cicustom: user=st:snippets\/u\.yaml$/m, 'the right one');
};

subtest 'rejected' => sub {
    my $w = world("lock: backup\nmemory: 512\n");
    $w->says(2, "Configuration file 'nodes/pve1/qemu-server/1002.conf' does not exist\n", 'qm', 'set', '1002',
        '--cicustom', 'user=st:snippets/u.yaml');
    $w->says(255, "VM is locked (backup)\n", 'qm', 'set', '1001', '--cicustom', 'user=st:snippets/u.yaml');
    my $bad = "400 Parameter verification failed.\ncicustom: invalid format - ";
    my $usage = "qm set <vmid> [OPTIONS]\n";
    for my $row (
        ["${bad}format error\ncicustom.user: invalid format - unable to parse volume ID '/etc/passwd'\n\n\n$usage", 'user=/etc/passwd'],
        ["${bad}value without key, but schema does not define a default key\n\n$usage", 'st:snippets/u.yaml'],
        ["${bad}format error\ncicustom.other: property is not defined in schema and the schema does not allow additional properties\n\n$usage",
            'other=st:snippets/u.yaml'],
    ) {
        $w->says(2, $row->[0], 'qm', 'set', '1001', '--cicustom', $row->[1]);
    }
    is($w->read($CONF), "lock: backup\nmemory: 512\n", 'as before');
};

subtest 'shown' => sub {
    my $w = world();
    $w->set_cfg("dir: st\n\tpath /srv/st\n\tcontent snippets\n\n");
    $w->write('/srv/st/snippets/u.yaml', "#cloud-config\n");
    $w->ok('qm', 'set', '1001', '--cicustom', 'user=st:snippets/u.yaml');
    is($w->ok('qm', 'config', '1001'), "cicustom: user=st:snippets/u.yaml\ndescription: by hand%0A\n"
            . "ide2: local:vm-1001-cloudinit,media=cdrom\nmemory: 512\nname: web\n", 'config');
    is($w->ok('qm', 'cloudinit', 'dump', '1001', 'user'), "#cloud-config\n", 'what the machine is given');
    unlink $w->path('/srv/st/snippets/u.yaml');
    $w->says(2, "can't open '/srv/st/snippets/u.yaml' - No such file or directory\n", 'qm', 'cloudinit', 'dump', '1001', 'user');
    like($w->ok('qm', 'list'), qr/^ +1001 web +stopped /m, 'list');
};

subtest 'without quorum' => sub {
    my $w = world();
    $w->write('/run/phoenix-lab-standin/noquorum', '');
    my (undef, $err, $rc) = $w->run('qm', 'set', '1001', '--cicustom', 'user=st:snippets/u.yaml');
    isnt($rc, 0, 'refused');
    like($err, qr/Permission denied/, 'as a read-only file');
    is($w->read($CONF), $BASE, 'as before');
};

done_testing;
