# pct: mount points in a container's configuration.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TestWorld;

my $ZFS = "pool tank imported\nset tank filesystem /tank yes 0 -\n"
    . "set tank/guests filesystem /tank/guests yes 0 -\n"
    . "set tank/guests/subvol-101-disk-0 filesystem /tank/guests/subvol-101-disk-0 yes 8589934592 -\n";
my $CONF = '/etc/pve/nodes/pve1/lxc/101.conf';
my $BASE = "arch: amd64\nhostname: web\nmemory: 512\nrootfs: tg:subvol-101-disk-0,size=8G\n";
my $USAGE = "pct set <vmid> [OPTIONS]\n";

sub world {
    my ($text) = @_;
    my $w = TestWorld->new(zfs => $ZFS);
    $w->write($CONF, $text // $BASE);
    $w->ok('pvesm', 'add', 'zfspool', 'tg', '--pool', 'tank/guests');
    return $w;
}

sub mounts { my ($w) = @_; return join '', $w->read($CONF) =~ /^((?:mp|unused)\d+: .*\n)/mg }

subtest 'set' => sub {
    my $w = world();
    is($w->ok('pct', 'set', '101', '-mp0', '/tank/data/media,mp=/mnt/media'), '', 'bind mount');
    $w->ok('pct', 'set', '101', '--mp1', '/x,mp=/y,ro=1,backup=0');
    $w->ok('pct', 'set', '101', '--mp255=/z,mp=/z,shared=1,acl=yes');
    is(mounts($w), "mp0: /tank/data/media,mp=/mnt/media\nmp1: /x,mp=/y,backup=0,ro=1\n"
            . "mp255: /z,mp=/z,acl=1,shared=1\n", 'volume, mp, the rest by name');
    is($w->ok('pct', 'config', '101'), "arch: amd64\nhostname: web\nmemory: 512\n" . mounts($w)
            . "rootfs: tg:subvol-101-disk-0,size=8G\n", 'config');
    is((stat $w->path($CONF))[2] & 07777, 0640, 'mode 0640');
};

subtest 'not checked' => sub {
    my $w = world();
    for my $odd ('/nowhere/at/all,mp=/a', '/b,mp=/a', '/with space,mp=/sp ace', '/c,mp=rel/path') {
        $w->ok('pct', 'set', '101', '-mp3', $odd);
        is(mounts($w), "mp3: $odd\n", $odd);
    }
};

subtest 'rejected' => sub {
    my $w = world();
    my $before = $w->read($CONF);
    my $bad = "400 Parameter verification failed.\nmp4: invalid format - ";
    for my $row (
        [255, "unable to parse volume ID 'relative'\n", '-mp4', 'relative,mp=/x'],
        [2, "${bad}format error\nmp4.mp: property is missing and it is not optional\n\n$USAGE", '-mp4', '/a'],
        [2, "${bad}format error\nmp4.mp: invalid format - /a/../b contains illegal character sequences\n\n\n$USAGE",
            '-mp4', '/a,mp=/a/../b'],
        [2, "${bad}format error\nmp4.foo: property is not defined in schema and the schema does not allow additional properties\n\n$USAGE", '-mp4', '/a,mp=/x,foo=1'],
        [2, "${bad}duplicate key in comma-separated list property: volume\n\n$USAGE", '-mp4', '/a,b,mp=/x'],
        [2, "Unknown option: mp256\n400 unable to parse option\n$USAGE", '-mp256', '/a,mp=/x'],
        [255, "storage 'nosuch' does not exist\n", '-mp4', 'nosuch:1,mp=/x'],
    ) {
        my ($rc, $text, @args) = @$row;
        $w->says($rc, $text, 'pct', 'set', '101', @args);
        is($w->read($CONF), $before, 'file unchanged');
    }
    $w->ok('pvesm', 'set', 'tg', '--content', 'images');
    my ($out, $err, $rc) = $w->run('pct', 'set', '101', '-mp4', 'tg:1,mp=/x');
    is($err, "storage 'tg' does not allow content type 'rootdir' (Container)\n", 'content');
    isnt($rc, 0);
};

subtest 'overwriting and deleting' => sub {
    my $w = world("${BASE}mp0: /a,mp=/a\nmp1: tg:subvol-101-disk-7,mp=/v,size=1G\nmp2: tg:subvol-101-disk-8,mp=/w\n");
    $w->ok('pct', 'set', '101', '-mp0', '/b,mp=/b', '-mp1', '/c,mp=/c');
    is(mounts($w), "mp0: /b,mp=/b\nmp1: /c,mp=/c\nmp2: tg:subvol-101-disk-8,mp=/w\nunused0: tg:subvol-101-disk-7\n",
        'a replaced bind mount vanishes, a replaced volume turns unused');
    $w->ok('pct', 'set', '101', '--delete', 'mp1,mp2');
    is(mounts($w), "mp0: /b,mp=/b\nunused0: tg:subvol-101-disk-7\nunused1: tg:subvol-101-disk-8\n", 'delete');
    $w->says(0, "cannot delete 'mp9' - not set in current configuration!\n", 'pct', 'set', '101', '--delete', 'mp9,mp0');
    is(mounts($w), "unused0: tg:subvol-101-disk-7\nunused1: tg:subvol-101-disk-8\n", 'an unset key warns, the others go');
    my ($out, $err, $rc) = $w->run('pct', 'set', '101', '--delete', 'nonsense');
    isnt($rc, 0);
    like($err, qr/^400 Parameter verification failed\.\ndelete: unknown option 'nonsense'\n/, 'unknown key');
    $w->says(255, "unable to delete required option 'rootfs'\n", 'pct', 'set', '101', '--delete', 'rootfs');
};

subtest 'volumes' => sub {
    my $w = world();
    $w->ok('pct', 'set', '101', '-mp2', 'tg:1,mp=/x');
    is(mounts($w), "mp2: tg:subvol-101-disk-1,mp=/x,size=1G\n", 'STORAGE:GiB allocates');
    like($w->calls, qr{^zfs create .* -o refquota=1048576k tank/guests/subvol-101-disk-1$}m, 'a dataset');
    $w->ok('pct', 'set', '101', '--delete', 'mp2');
    is(mounts($w), "unused0: tg:subvol-101-disk-1\n", 'unused');
    unlike($w->calls, qr/destroy/, 'still there');
    $w->ok('pct', 'set', '101', '-mp2', 'tg:subvol-101-disk-1,mp=/x');
    is(mounts($w), "mp2: tg:subvol-101-disk-1,mp=/x,size=1G\n", 'used again: no longer unused, size read anew');
    $w->ok('pct', 'set', '101', '--delete', 'mp2');
    $w->ok('pct', 'set', '101', '--delete', 'unused0');
    is(mounts($w), '', 'gone');
    like($w->calls, qr{^zfs destroy -r tank/guests/subvol-101-disk-1$}m, '--delete unusedN destroys');

    $w->says(0, "Could not rescan volume size - zfs error: cannot open 'tank/guests/subvol-999-disk-0': dataset does not exist\n\n",
        'pct', 'set', '101', '-mp4', 'tg:subvol-999-disk-0,mp=/x');
    is(mounts($w), "mp4: tg:subvol-999-disk-0,mp=/x\n", 'a volume that does not exist only warns');
    $w->ok('pct', 'set', '101', '--delete', 'mp4');
    $w->says(0, "ignore deletion of 'tg:subvol-999-disk-0', CT 101 isn't the owner!\n", 'pct', 'set', '101', '--delete', 'unused0');
};

subtest 'resize' => sub {
    my $w = world();
    $w->ok('pct', 'set', '101', '-mp2', 'tg:1,mp=/x');
    $w->ok('pct', 'resize', '101', 'mp2', '2G');
    is(mounts($w), "mp2: tg:subvol-101-disk-1,mp=/x,size=2G\n", 'the file says it');
    like($w->calls, qr{^zfs set refquota=2097152k tank/guests/subvol-101-disk-1$}m, 'the dataset has it');
    $w->ok('pct', 'resize', '101', 'mp2', '+1G');
    is(mounts($w), "mp2: tg:subvol-101-disk-1,mp=/x,size=3G\n", 'so much more');
    my $before = $w->read($CONF);
    for my $row (
        ["unable to shrink disk size\n", 'mp2', '1G'],
        ["disk is already at specified size\n", 'mp2', '3221225472'],
        ["detected modified configuration - file changed by other user? Try again.\n", 'mp2', '4G', '--digest', 'a' x 40],
    ) {
        my ($text, @args) = @$row;
        my ($out, $err, $rc) = $w->run('pct', 'resize', '101', @args);
        isnt($rc, 0);
        is($err, $text, "@args");
        is($w->read($CONF), $before, 'file unchanged');
    }
    # Where somebody else gave the dataset another size, that one counts.
    $w->ok('pct', 'set', '101', '-mp3', 'tg:4,mp=/y');
    my ($out, $err, $rc) = $w->run('pct', 'resize', '101', 'mp256', '4G');
    isnt($rc, 0, 'an unknown mount point');
    $w->write($CONF, $w->read($CONF) =~ s/size=4G/size=8G/r);
    $w->ok('pct', 'resize', '101', 'mp3', '8G');
    like($w->calls, qr{^zfs set refquota=8388608k tank/guests/subvol-101-disk-2$}m, 'the storage is asked');
};

subtest 'digest, lock, description, low-level lines, snapshots' => sub {
    my $rest = "\n[before]\narch: amd64\nmp0: /old,mp=/old\n";
    my $w = world("#first%3A line\n${BASE}lxc.cap.drop: mknod\n$rest");
    my ($sum) = split ' ', `sha1sum \Q${\ $w->path($CONF)}\E`;
    $w->ok('pct', 'set', '101', '-mp0', '/a,mp=/a', '--digest', $sum);
    is($w->read($CONF), "#first%3A line\n" . ($BASE =~ s/^(?=rootfs)/mp0: \/a,mp=\/a\n/mr)
            . "lxc.cap.drop: mknod\n$rest", 'the rest of the file is kept');
    my $after = $w->read($CONF);
    my ($out, $err, $rc) = $w->run('pct', 'set', '101', '-mp0', '/b,mp=/b', '--digest', $sum);
    isnt($rc, 0);
    is($err, "detected modified configuration - file changed by other user? Try again.\n", 'digest');
    is($w->read($CONF), $after, 'unchanged');
    $w->write($CONF, "${BASE}lock: backup\n");
    ($out, $err, $rc) = $w->run('pct', 'set', '101', '-mp0', '/b,mp=/b');
    isnt($rc, 0);
    is($err, "CT is locked (backup)\n", 'a locked container');
};

my $SOCKETS = "Num RefCount Protocol Flags Type St Inode Path\n0: 2 0 10000 0001 01 7 \@/var/lib/lxc/101/command\n";

subtest 'a container that runs' => sub {
    my $w = world("${BASE}\n[before]\narch: amd64\n");
    $w->write('/proc/1/net/unix', $SOCKETS =~ s/101/1011/r);
    like($w->ok('pct', 'list'), qr/^101 +stopped/m, 'another one runs');
    $w->write('/proc/1/net/unix', $SOCKETS);
    like($w->ok('pct', 'list'), qr/^101 +running/m, 'list');
    mkdir $w->path('/srv') or die;
    $w->ok('pct', 'set', '101', '-mp0', 'tg:1,mp=/x', '-mp1', '/srv,mp=/y');
    is(mounts($w), "mp0: tg:subvol-101-disk-1,mp=/x,size=1G\nmp1: /srv,mp=/y\n", 'what is new is there at once');
    is($w->read('/run/standin-live/101/mp1'), "/y\n", 'in the container, too');

    my $before = $w->read($CONF);
    my ($out, $err, $rc) = $w->run('pct', 'set', '101', '-mp2', '/srv,mp=/z', '-mp3', '/nowhere,mp=/w');
    isnt($rc, 0);
    like($err, qr/mp3: unable to hotplug mp3: directory '\/nowhere' does not exist/, 'one of a call fails');
    is($w->read($CONF), $before, 'none has a line');
    is($w->read('/run/standin-live/101/mp2'), "/z\n", 'and what came before it is in the container all the same');
    $w->write('/run/standin-refuse-101-mp4', '');
    ($out, $err, $rc) = $w->run('pct', 'set', '101', '-mp4', 'tg:1,mp=/v');
    isnt($rc, 0);
    like($w->calls, qr{^zfs destroy -r tank/guests/subvol-101-disk-2$}m, 'its own volume goes again');

    $w->ok('pct', 'set', '101', '--delete', 'mp1,mp0');
    is($w->read($CONF), $before =~ s/\n\n\[before\]/\n\n[pve:pending]\ndelete: mp0,mp1\n\n[before]/r, 'nothing goes before it stops');
    $w->ok('pct', 'set', '101', '--revert', 'mp0');
    like($w->read($CONF), qr/^\[pve:pending\]\ndelete: mp1\n/m, 'taken back');
    $w->ok('pct', 'set', '101', '-mp1', '/tank,mp=/y');
    like($w->read($CONF), qr/^mp1: \/srv,mp=\/y\n/m, 'what is in force does not change');
    like($w->read($CONF), qr/^\[pve:pending\]\nmp1: \/tank,mp=\/y\n\n\[before\]/m, 'the change waits');
    $w->ok('pct', 'set', '101', '--revert', 'mp1');
    is($w->read($CONF), $before, 'as before');

    $w->ok('pct', 'set', '101', '--delete', 'mp0');
    $w->write('/proc/1/net/unix', '');
    $w->ok('pct', 'set', '101', '--delete', 'mp0,mp1');
    is(mounts($w), "unused0: tg:subvol-101-disk-1\n", 'of one that stands still everything goes at once');
    unlike($w->read($CONF), qr/pending/, 'and waits no more');
};

subtest 'a file with mistakes' => sub {
    my $w = world("arch: amd64\nbogus: 1\nonboot: maybe\nstrange line\n");
    my $said = "vm 101 - unable to parse value of 'bogus' - unknown setting 'bogus'\n"
        . "vm 101 - unable to parse value of 'onboot' - type check ('boolean') failed - got 'maybe'\n";
    my $strange = "vm 101 - unable to parse config: strange line\n";
    $w->says(255, "$said${strange}400 Result verification failed\n"
            . "onboot: type check ('boolean') failed - got 'maybe'\npct config <vmid> [OPTIONS]\n",
        'pct', 'config', '101');
    $w->says(0, "$said$strange$said", 'pct', 'set', '101', '-mp0', '/a,mp=/a');
    is($w->read($CONF), "arch: amd64\nbogus: 1\nmp0: /a,mp=/a\nonboot: maybe\n", 'unknown keys stay, unreadable lines go');
};

subtest 'which containers there are' => sub {
    my $w = world();
    $w->write('/etc/pve/nodes/pve1/lxc/100.conf', "memory: 512\n");
    $w->write('/etc/pve/nodes/pve2/lxc/102.conf', "hostname: other\n");
    is($w->ok('pct', 'list'), "VMID       Status     Lock         Name                \n"
            . "100        stopped                 CT100               \n"
            . "101        stopped                 web                 \n", 'list: of this node, by number');
    for my $command (['config', '102'], ['set', '102', '-mp0', '/a,mp=/a']) {
        my ($out, $err, $rc) = $w->run('pct', @$command);
        isnt($rc, 0);
        is($err, "Configuration file 'nodes/pve1/lxc/102.conf' does not exist\n", "@$command");
    }
    my ($out, $err, $rc) = $w->run('pct', 'set', '101');
    is($err, "no options specified\n", 'set without options');
    isnt($rc, 0);
};

done_testing;
