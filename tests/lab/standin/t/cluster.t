# The cluster: lock, quorum, pmxcfs down, nodes, users.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::More;
use TestWorld;

my $TRYING = "trying to acquire cfs lock 'file-storage_cfg' ...\n" x 9;
my %CHANGE = (
    create => ['add', 'dir', 'ee', '--path', '/e'],
    update => ['set', 'dd'],
    delete => ['remove', 'dd'],
);

sub world {
    my $w = TestWorld->new;
    $w->ok('pvesm', 'add', 'dir', 'dd', '--path', '/d', '--content', 'iso');
    return $w;
}

subtest 'a held lock' => sub {
    my $w = world();
    my $before = $w->cfg;
    mkdir $w->path('/etc/pve/priv/lock/file-storage_cfg') or die;
    for my $word (sort keys %CHANGE) {
        $w->says(17, "${TRYING}$word storage failed: cfs-lock 'file-storage_cfg' error: got lock request timeout\n",
            'pvesm', @{ $CHANGE{$word} });
    }
    is($w->cfg, $before, 'nothing written');
    $w->ok('pvesm', 'status');
    utime(time - 1000, time - 1000, $w->path('/etc/pve/priv/lock/file-storage_cfg'));
    $w->says(0, "trying to acquire cfs lock 'file-storage_cfg' ...\n", 'pvesm', 'set', 'dd');
    ok(!-e $w->path('/etc/pve/priv/lock/file-storage_cfg'), 'an old lock is forgotten, ours released');
};

subtest 'the lock is released after a failure' => sub {
    my $w = world();
    $w->run('pvesm', 'add', 'dir', 'dd', '--path', '/d');
    ok(!-e $w->path('/etc/pve/priv/lock/file-storage_cfg'));
};

subtest 'parallel adds all survive' => sub {
    my $w = TestWorld->new(env => { STANDIN_LOCK_PAUSE => 1 });
    my @children;
    for my $number (1 .. 4) {
        my $child = fork // die;
        if (!$child) {
            my (undef, undef, $rc) = $w->run('pvesm', 'add', 'dir', "p$number", '--path', "/p$number");
            POSIX::_exit($rc);
        }
        push @children, $child;
    }
    my $failed = 0;
    for my $child (@children) { waitpid($child, 0); $failed++ if $? }
    is($failed, 0, 'each succeeds');
    is(join(' ', sort $w->cfg =~ /^dir: (p\d)$/mg), 'p1 p2 p3 p4', 'all are there');
};

subtest 'no quorum' => sub {
    my $w = world();
    my $before = $w->cfg;
    $w->ok('standin-pmxcfs', 'noquorum');
    is((stat $w->path('/etc/pve/storage.cfg'))[2] & 07777, 0440, 'storage.cfg turns r--r-----');
    for my $word (sort keys %CHANGE) {
        $w->says(13, "${TRYING}$word storage failed: cfs-lock 'file-storage_cfg' error: no quorum!\n",
            'pvesm', @{ $CHANGE{$word} });
    }
    is($w->cfg, $before, 'nothing written');
    like($w->ok('pvesm', 'status'), qr/^dd +dir +active /m, 'reads work');
    $w->ok('pct', 'list');
    $w->ok('standin-pmxcfs', 'quorum');
    $w->ok('pvesm', 'set', 'dd');
    is((stat $w->path('/etc/pve/storage.cfg'))[2] & 07777, 0640, 'works again');
};

subtest 'pmxcfs down' => sub {
    my $w = world();
    my $refused = join('', map { "ipcc_send_rec[$_] failed: Connection refused\n" } 1 .. 3)
        . "Unable to load access control list: Connection refused\n";
    my $before = $w->cfg;
    $w->ok('standin-pmxcfs', 'stop');
    is_deeply([glob $w->path('/etc/pve') . '/*'], [], '/etc/pve is an empty directory');
    for my $command (['pvesm', 'status'], ['pvesm', 'set', 'dd'], ['pct', 'list'],
        ['pvesh', 'get', '/storage', '--output-format', 'json'])
    {
        $w->says(111, $refused, @$command);
    }
    is_deeply([glob $w->path('/etc/pve') . '/*'], [], 'and stays empty');
    $w->ok('standin-pmxcfs', 'start');
    is($w->cfg, $before, 'back again');
    $w->ok('pvesm', 'set', 'dd');
};

subtest 'a node without /etc/pve/priv' => sub {
    my $w = world();
    system('rm', '-r', $w->path('/etc/pve/priv'));
    my ($out, $err, $rc) = $w->run('pvesm', 'set', 'dd');
    isnt($rc, 0);
    is($err, "update storage failed: cfs-lock 'file-storage_cfg' error: pve cluster filesystem not online.\n");
};

subtest 'a user who is not root' => sub {
    plan skip_all => 'needs root' if $> != 0;
    my $w = world();
    my $root = $w->{root};
    chmod 0755, $root;
    my $text = qx{env STANDIN_ROOT=$root setpriv --reuid=65534 --clear-groups $^X $TestWorld::TOOLS/pvesm status 2>&1};
    SKIP: {
        skip 'the tools are not readable for others here', 2 if $text =~ /Can't open perl script/;
        is($? >> 8, 255);
        like($text, qr/^(ipcc_send_rec\[\d\] failed: .*\n){3}Unable to load access control list: /);
    }
};

subtest 'nodes' => sub {
    my $w = TestWorld->new;
    $w->ok('pvesm', 'add', 'dir', 'p2only', '--path', '/p', '--nodes', 'pve2');
    ok(!-e $w->path('/p'), 'an entry for another node is not activated here');
    $w->says(255, "create storage failed: storage ID 'p2only' already defined\n",
        'pvesm', 'add', 'dir', 'p2only', '--path', '/p', '--nodes', 'pve1');
    my ($out, $err, $rc) = $w->run('pvesm', 'list', 'p2only');
    isnt($rc, 0);
    is($err, "storage 'p2only' is not available on node 'pve1'\n", 'use where it is not');
    $w->ok('pvesm', 'set', 'p2only', '--nodes', 'pve1');
    like($w->section('p2only'), qr/^\tnodes pve1$/m, 'nodes replaces, it does not add');
    $w->ok('pvesm', 'set', 'p2only', '--nodes', 'pve1,pve2');
    like($w->section('p2only'), qr/^\tnodes pve1,pve2$/m, 'both');
    $w->ok('pvesm', 'set', 'p2only', '--delete', 'nodes');
    unlike($w->section('p2only'), qr/nodes/, 'all');
    $w->ok('pvesm', 'set', 'p2only', '--disable', '1');
    ($out, $err, $rc) = $w->run('pvesm', 'list', 'p2only');
    is($err, "storage 'p2only' is disabled\n", 'use while disabled');
    ($out, $err, $rc) = $w->run('pvesm', 'add', 'zfspool', 'zz', '--pool', 'tank', '--shared', '1');
    is("$rc|$err", "2|unexpected property 'shared'\n", 'a zfspool is never shared');
};

subtest 'cluster status' => sub {
    my $w = TestWorld->new;
    $w->write('/etc/hosts', "127.0.0.1 localhost\n10.9.8.7 pve1.lab pve1\n");
    is($w->ok('pvesh', 'get', '/cluster/status', '--output-format', 'json'),
        qq([{"id":"node/pve1","ip":"10.9.8.7","level":"","local":1,"name":"pve1","nodeid":0,"online":1,"type":"node"}]\n), 'alone');
    $w->write('/etc/default/phoenix-lab-standin', qq(CLUSTER="lab 2"\nMEMBERS="pve1:1:10.9.8.7 pve2:2:10.9.8.6"\n));
    my %orders;
    for (1 .. 16) {
        my $json = $w->ok('pvesh', 'get', '/cluster/status', '--output-format', 'json');
        like($json, qr/\{"id":"cluster","name":"lab","nodes":2,"quorate":1,"type":"cluster","version":2\}/, 'cluster');
        like($json, qr/\{"id":"node\/pve2","ip":"10\.9\.8\.6","level":"","local":0,"name":"pve2","nodeid":2,"online":1,"type":"node"\}/, 'other node');
        $orders{ join ' ', $json =~ /"id":"node\/(\w+)"/g }++;
    }
    is(keys %orders, 2, 'nodes in any order');
    $w->ok('standin-pmxcfs', 'noquorum');
    like($w->ok('pvesh', 'get', '/cluster/status', '--output-format', 'json'), qr/"quorate":0/, 'no quorum');
    mkdir $w->path('/etc/pve/nodes/pve2');
    my ($out, $err, $rc) = $w->run('pvesh', 'get', '/nodes/pve2/storage', '--output-format', 'json');
    isnt($rc, 0);
    like($err, qr/^proxy handler failed: /m, 'another node is asked through ssh');
};

done_testing;
