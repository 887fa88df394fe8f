# storage.cfg: what is written, what a reader accepts, what a rewrite loses.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TestWorld;

my $ZFS = "pool tank imported\nset tank filesystem /tank yes 0 -\n"
    . "set tank/guests filesystem /tank/guests yes 0 -\n";

subtest 'the documented sections, key by key' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    is($w->cfg, undef, 'no file before the first add');
    $w->ok('pvesm', 'add', 'zfspool', 'tg', '--pool', 'tank/guests', '--sparse', '1',
        '--content', 'images,rootdir', '--nodes', 'pve1');
    $w->ok('pvesm', 'add', 'dir', 'd8', '--path', '/srv/plain', '--content', 'iso,backup',
        '--prune-backups', 'keep-last=3,keep-weekly=2',
        '--content-dirs', 'iso=media/iso,backup=b');
    $w->ok('pvesm', 'add', 'nfs', 'n6', '--server', '127.0.0.1', '--export', '/srv/nfs/a',
        '--path', '/mnt/custom', '--options', 'vers=3', '--disable', '1');
    $w->ok('pvesm', 'set', 'n6', '--content', 'images');
    $w->ok('pvesm', 'add', 'cifs', 'c1', '--server', '127.0.0.1', '--share', 'media',
        '--username', 'smbu', '--content', 'iso,backup');
    is($w->section('tg'), "zfspool: tg\n\tpool tank/guests\n\tcontent images,rootdir\n"
            . "\tmountpoint /tank/guests\n\tnodes pve1\n\tsparse 1\n", 'zfspool');
    is($w->section('d8'), "dir: d8\n\tpath /srv/plain\n\tcontent backup,iso\n"
            . "\tcontent-dirs backup=b,iso=media/iso\n"
            . "\tprune-backups keep-last=3,keep-weekly=2\n", 'dir');
    is($w->section('n6'), "nfs: n6\n\tdisable\n\texport /srv/nfs/a\n\tpath /mnt/custom\n"
            . "\tserver 127.0.0.1\n\tcontent images\n\toptions vers=3\n",
        'nfs: bare disable, required keys, optional keys');
    is($w->section('c1'), "cifs: c1\n\tpath /mnt/pve/c1\n\tserver 127.0.0.1\n\tshare media\n"
            . "\tcontent backup,iso\n\tusername smbu\n", 'cifs');
    unlike($w->cfg, qr/\n\n\n/, 'one blank line between sections');
    is((stat $w->path('/etc/pve/storage.cfg'))[2] & 07777, 0640, 'mode 0640');
    is_deeply([glob $w->path('/etc/pve/storage.cfg.tmp.*')], [], 'no temporary file stays');
};

subtest 'list order is random, in the file and in the API' => sub {
    my $w = TestWorld->new;
    $w->set_cfg("dir: dd\n\tpath /d\n\tcontent iso,backup,vztmpl,images\n\tnodes a,b,c,d,pve1\n");
    my (%content, %nodes, %api, %sections);
    for (1 .. 12) {
        $w->run('pvesm', 'set', 'dd');
        $content{$1}++ if $w->cfg =~ /^dir: dd\n(?:\t.*\n)*?\tcontent (.*)\n/m;
        $nodes{$1}++ if $w->cfg =~ /^\tnodes (.*)$/m;
        my ($json) = $w->run('pvesh', 'get', '/storage', '--output-format', 'json');
        $api{$1}++ if $json =~ /"content":"([^"]*backup[^"]*iso[^"]*|[^"]*iso[^"]*backup[^"]*)"/;
        $sections{ join ' ', $json =~ /"storage":"(\w+)"/g }++;
    }
    cmp_ok(scalar keys %content, '>=', 2, 'content: several orders');
    cmp_ok(scalar keys %nodes, '>=', 2, 'nodes: several orders');
    cmp_ok(scalar keys %api, '>=', 2, 'content in the API: several orders');
    cmp_ok(scalar keys %sections, '>=', 2, 'sections in the API: several orders');
    my %first;
    for (1 .. 24) {
        my $fresh = TestWorld->new;
        $fresh->run('pvesm', 'add', 'dir', 'zz', '--path', '/zz');
        $first{$1}++ if $fresh->cfg =~ /^dir: (\w+)/;
        last if keys %first == 2;
    }
    is(join(' ', sort keys %first), 'local zz', 'local and a new first storage in either order');
};

subtest 'readers accept white space, CRLF, no final newline, bare booleans' => sub {
    my $w = TestWorld->new;
    $w->set_cfg("zfspool: tg\r\n    pool tank\r\n\t \tsparse\r\n\tdisable");
    my ($out, $err, $rc) = $w->run('pvesm', 'set', 'tg', '--nodes', 'a');
    is("$rc|$err", '0|', 'taken without a word');
    is($w->section('tg'),
        "zfspool: tg\n\tdisable\n\tpool tank\n\tcontent images,rootdir\n\tnodes a\n\tsparse 1\n",
        'bare words turned into values');
};

subtest 'what a rewrite loses' => sub {
    my $w = TestWorld->new;
    $w->set_cfg("# hand-made\ndir: dd\n\t# inside\n\tpath /d\n\tbogus 1\n\tshared yes\n"
            . "\tcontent iso,nonsense\n\ncustomtype: cc\n\tfoo 1\n\nlvm: ll\n\tvgname vg0\n");
    $w->says(0, <<'SAID', 'pvesm', 'set', 'dd');
file /etc/pve/storage.cfg line 5 (section 'dd') - unable to parse value of 'bogus': unknown property type
file /etc/pve/storage.cfg line 6 (section 'dd') - unable to parse value of 'shared': type check ('boolean') failed - got 'yes'
file /etc/pve/storage.cfg line 7 (section 'dd') - unable to parse value of 'content': invalid format - invalid content type 'nonsense'

file /etc/pve/storage.cfg line 9 (skip section 'cc'): unsupported type 'customtype'
SAID
    unlike($w->cfg, qr/#|bogus|shared|customtype|nonsense/, 'gone');
    is($w->section('dd'), "dir: dd\n\tpath /d\n\tcontent images,rootdir\n", 'default content instead');
    is($w->section('ll'), "lvm: ll\n\tvgname vg0\n\tcontent images\n", 'a type that is only known stays');
};

subtest 'duplicates: the last one wins, type included' => sub {
    my $w = TestWorld->new;
    $w->set_cfg("dir: xx\n\tpath /one\n\nzfspool: xx\n\tpool tank\n\tdisable\n");
    $w->ok('pvesm', 'set', 'xx');
    is($w->section('xx'), "zfspool: xx\n\tdisable\n\tpool tank\n\tcontent images,rootdir\n", 'last');
    my @all = $w->cfg =~ /: xx$/mg;
    is(@all, 1, 'only one');
};

subtest 'a header without a blank line before it is swallowed' => sub {
    my $w = TestWorld->new;
    $w->set_cfg("dir: dup1\n\tpath /one\ndir: dup1x\n\tcontent iso\n");
    $w->says(0, "file /etc/pve/storage.cfg line 3 (section 'dup1') - ignore config line: dir: dup1x\n",
        'pvesm', 'set', 'dup1');
    is($w->section('dup1'), "dir: dup1\n\tpath /one\n\tcontent iso\n", 'its lines go to the one before');
    is($w->section('dup1x'), undef, 'it is gone');
};

subtest 'a section without a required option breaks everything' => sub {
    my $w = TestWorld->new;
    my $broken = "zfspool: xx\n\tsparse 1\n\ndir: dd\n\tpath /d\n";
    $w->set_cfg($broken);
    my $skipped = qr/^file \/etc\/pve\/storage.cfg line 2 \(skip section 'xx'\): missing value for required option 'pool'\n/;
    for my $case (
        [qr/\nstorage 'xx' does not exist\n\z/, 'pvesm', 'status'],
        [qr/\ncreate storage failed: unknown section type ''\n\z/, 'pvesm', 'add', 'dir', 'nn', '--path', '/n', '--disable', '1'],
        [qr/\nupdate storage failed: unknown section type ''\n\z/, 'pvesm', 'set', 'dd'],
        [qr/\ndelete storage failed: storage 'xx' does not exist\n\z/, 'pvesm', 'remove', 'xx'],
        [qr/\nstorage 'xx' does not exist\n\z/, 'pvesh', 'get', '/storage', '--output-format', 'json'],
    ) {
        my ($said, @command) = @$case;
        my ($out, $err, $rc) = $w->run(@command);
        isnt($rc, 0, "@command fails");
        like($err, $skipped, 'says which section');
        like($err, $said, 'and dies of it');
    }
    is($w->cfg, $broken, 'the file is untouched');
};

subtest 'local' => sub {
    my $w = TestWorld->new;
    like($w->ok('pvesm', 'status'), qr/^local +dir +active /m, 'shown without a file');
    $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/d');
    like($w->section('local'), qr{^dir: local\n\tpath /var/lib/vz\n\tcontent backup,images,iso,rootdir,snippets,vztmpl\n\tprune-backups keep-all=1\n$}, 'written along');
    $w->ok('pvesm', 'remove', 'local');
    is($w->section('local'), undef, 'removed from the file');
    like($w->ok('pvesm', 'status'), qr/^local +dir +active /m, 'and still there');
    for my $odd ("zfspool: local\n\tpool tank\n", "dir: local\n\tpath /elsewhere\n") {
        $w->set_cfg($odd);
        $w->ok('pvesm', 'set', 'local', '--shared', '0');
        like($w->section('local'), qr{^dir: local\n\tpath /var/lib/vz\n}, 'another type or path is overridden');
    }
    $w->set_cfg("dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\tnodes other\n");
    like($w->ok('pvesm', 'status'), qr/^local +dir +active /m, 'nodes is ignored');
};

subtest 'default content is written by the next rewrite only' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    my %default = (zfspool => 'images,rootdir', dir => 'images,rootdir', nfs => 'images', cifs => 'images');
    my %needs = (zfspool => ['--pool', 'tank'], dir => ['--path', '/d'],
        nfs => ['--server', '127.0.0.1', '--export', '/e'], cifs => ['--server', '127.0.0.1', '--share', 's']);
    for my $type (sort keys %default) {
        $w->ok('pvesm', 'add', $type, "x-$type", @{ $needs{$type} });
        unlike($w->section("x-$type"), qr/content/, "$type: none at add");
        $w->ok('pvesm', 'set', "x-$type");
        like($w->section("x-$type"), qr/^\tcontent $default{$type}$/m, "$type: default afterwards");
    }
};

subtest 'storage ids' => sub {
    my $w = TestWorld->new;
    my $long = 'a' . 'b' x 299;
    for my $good ('y1', 'Y1', 'a.b_c-d', $long) {
        $w->ok('pvesm', 'add', 'dir', $good, '--path', "/$good", '--disable', '1');
    }
    is(scalar(() = $w->cfg =~ /^dir: y1$/mgi), 2, 'case tells ids apart');
    for my $bad ('y', '1abc', 'abc-', 'a b', 'a/b') {
        my ($out, $err, $rc) = $w->run('pvesm', 'add', 'dir', $bad, '--path', '/p');
        is($rc, 2, "'$bad' is refused");
        like($err, qr/^400 Parameter verification failed\.\nstorage: invalid format - storage ID '\Q$bad\E' contains illegal characters\n/, 'in these words');
    }
};

subtest 'node names' => sub {
    my $w = TestWorld->new;
    $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/d', '--nodes', 'pve9');
    like($w->ok('pvesm', 'status'), qr/^dd +dir +disabled +0 +0 +0 +N\/A$/m, 'existence is not checked');
    for my $bad ('-a', 'a_b', 'a.b') {
        my ($out, $err, $rc) = $w->run('pvesm', 'set', 'dd', "--nodes=$bad");
        is($rc, 2, "'$bad' is refused");
        like($err, qr/^nodes: invalid format - value does not look like a valid node name$/m, 'in these words');
    }
};

subtest 'digest' => sub {
    my $w = TestWorld->new;
    $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/d', '--disable', '1');
    my ($sum) = split ' ', `sha1sum \Q${\ $w->path('/etc/pve/storage.cfg')}\E`;
    my $json = $w->ok('pvesh', 'get', '/storage', '--output-format', 'json');
    is_deeply({ map { $_ => 1 } $json =~ /"digest":"(\w+)"/g }, { $sum => 1 }, 'sha1 of the raw bytes');
    $w->ok('pvesm', 'set', 'dd', '--digest', $sum, '--nodes', 'a');
    $w->says(255, "update storage failed: detected modified configuration - file changed by other user? Try again.\n",
        'pvesm', 'set', 'dd', '--digest', $sum);
    for my $verb (['add', 'dir', 'ee', '--path', '/e'], ['remove', 'dd']) {
        my ($out, $err, $rc) = $w->run('pvesm', @$verb, '--digest', $sum);
        like($err, qr/^Unknown option: digest\n400 unable to parse option\n/, "$verb->[0] takes no digest");
    }
};

subtest 'set without options rewrites, a file over 1 MiB is refused' => sub {
    my $w = TestWorld->new;
    $w->set_cfg("# note\ndir: dd\n\tpath /d\n");
    $w->ok('pvesm', 'set', 'dd');
    unlike($w->cfg, qr/note/, 'rewritten');
    my $before = join '', map { "dir: d$_\n\tpath /" . 'p' x 900 . "\n\tdisable\n\tcontent iso\n\n" } 1000 .. 2200;
    $w->set_cfg($before);
    my ($out, $err, $rc) = $w->run('pvesm', 'set', 'd1000');
    isnt($rc, 0, 'fails');
    like($err, qr/^update storage failed: .*File too large$/m, 'in these words');
    is($w->cfg, $before, 'the file stays');
};

done_testing;
