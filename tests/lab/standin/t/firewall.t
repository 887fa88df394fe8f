# The node's own rules in Proxmox VE's firewall, by pvesh.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TestWorld;

my $RULES = '/nodes/pve1/firewall/rules';
my $FILE = '/etc/pve/nodes/pve1/host.fw';

sub rules { return $_[0]->ok('pvesh', 'get', $RULES, '--output-format', 'json') }
sub digest { my ($digest) = rules($_[0]) =~ /"digest":"([0-9a-f]{40})"/; return $digest }
sub add { my ($w, @more) = @_; return $w->ok('pvesh', 'create', $RULES, '--type', 'in', '--action', 'ACCEPT', @more) }

my @NFS = ('--enable', '1', '--proto', 'tcp', '--dport', '2049', '--comment', 'phoenix x', '--source', '10.0.0.0/24');

subtest 'a rule comes first, and goes by its place' => sub {
    my $w = TestWorld->new;
    is(rules($w), "[]\n", 'none without a file');
    is(add($w, @NFS), '', 'pvesh says nothing');
    is($w->read($FILE), "[RULES]\n\nIN ACCEPT -source 10.0.0.0/24 -p tcp -dport 2049 # phoenix x\n\n");
    like(rules($w), qr/^\[\{"action":"ACCEPT","comment":"phoenix x","digest":"[0-9a-f]{40}","dport":"2049","enable":1,"ipversion":4,"pos":0,"proto":"tcp","source":"10\.0\.0\.0\/24","type":"in"\}\]$/);
    add($w, '--proto', 'udp', '--dport', '137:139,445', '--source', 'fd00::/64');
    is($w->read($FILE), "[RULES]\n\n|IN ACCEPT -source fd00::/64 -p udp -dport 137:139,445\n"
            . "IN ACCEPT -source 10.0.0.0/24 -p tcp -dport 2049 # phoenix x\n\n", 'off unless told otherwise');
    my $digest = digest($w);
    is($w->ok('pvesh', 'delete', "$RULES/0", '--digest', $digest), '');
    my ($out, $err, $rc) = $w->run('pvesh', 'delete', "$RULES/0", '--digest', $digest);
    isnt($rc, 0);
    is($err, "detected modified configuration - file changed by other user? Try again.\n", 'the digest is one of all rules');
    ($out, $err, $rc) = $w->run('pvesh', 'delete', "$RULES/1", '--digest', digest($w));
    is($err, "no rule at position 1\n");
    $w->ok('pvesh', 'delete', "$RULES/0");
    is($w->read($FILE), undef, 'an empty file is none');
};

subtest 'what a change keeps and loses' => sub {
    my $w = TestWorld->new;
    $w->write($FILE, "# mine\n[OPTIONS]\n\nenable: 1\n\n[rules]\n# ssh\nIN SSH(ACCEPT) -i vmbr0 -log nolog # admin\n"
            . "GROUP web -i vmbr0\nOUT REJECT -dest 10.0.0.1\nnonsense\n");
    my ($out, $err, $rc) = $w->run('pvesh', 'create', $RULES, '--type', 'in', '--action', 'DROP', '--enable', '1');
    is($rc, 0);
    is($err, "$FILE (line 11): unable to parse rule: nonsense\n");
    is($w->read($FILE), "[OPTIONS]\n\nenable: 1\n\n[RULES]\n\nIN DROP\nIN SSH(ACCEPT) -i vmbr0 -log nolog # admin\n"
            . "GROUP web -i vmbr0\nOUT REJECT -dest 10.0.0.1\n\n");
    my $before = digest($w);
    $w->write($FILE, $w->read($FILE) =~ s/enable: 1/enable: 0/r);
    is(digest($w), $before, 'options are not in the digest');
    $w->write($FILE, $w->read($FILE) =~ s/admin/root/r);
    isnt(digest($w), $before, 'comments of rules are');
};

subtest 'what is refused' => sub {
    my $w = TestWorld->new;
    for my $case (
        [['--proto', 'tcp', '--dport', '70000'], qr/^dport: invalid port '70000'$/m],
        [['--proto', 'tcp', '--dport', '9:7'], qr/^dport: backwards range '9:7' not allowed, did you mean '7:9'\?$/m],
        [['--dport', '7'], qr/^proto: missing property - 'dport' requires this property$/m],
        [['--proto', 'nosuch'], qr/^proto: unknown protocol 'nosuch'$/m],
        [['--source', '10.0.0.0/24,'], qr/^source: extraneous commas in list$/m],
        [['--source', '10.0.0.300'], qr/^source: invalid IP address: /m],
        [['--source', '10.0.0.1', '--dest', 'fd00::1'], qr/^dest: detected mixed ipv4\/ipv6 addresses in rule$/m],
        )
    {
        my ($out, $err, $rc) = $w->run('pvesh', 'create', $RULES, '--type', 'in', '--action', 'ACCEPT', @{ $case->[0] });
        isnt($rc, 0);
        like($err, $case->[1]);
        like($err, qr/^400 Parameter verification failed\.$/m);
    }
    my ($out, $err, $rc) = $w->run('pvesh', 'create', $RULES, '--type', 'in');
    like($err, qr/^action: property is missing and it is not optional$/m);
    ($out, $err, $rc) = $w->run('pvesh', 'create', '/nodes/pve9/firewall/rules', '--type', 'in', '--action', 'ACCEPT');
    like($err, qr/hostname lookup 'pve9' failed/, 'a node that is not there');
    ($out, $err, $rc) = $w->run('pvesh', 'create', '/version');
    is($err, "No 'create' handler defined for '/version'\n");
    is($w->read($FILE), undef, 'nothing was written');
    $w->write('/run/phoenix-lab-standin/noquorum', '');
    ($out, $err, $rc) = $w->run('pvesh', 'create', $RULES, '--type', 'in', '--action', 'ACCEPT');
    like($err, qr/cfs-lock 'firewall-host-pve1' error: no quorum!/);
};

done_testing;
