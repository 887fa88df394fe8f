# The node's own API: tokens, connections, methods, errors. Each test speaks to a pvedaemon of its own.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use Test::More;
use TestWorld;

my $ZFS = <<'STATE';
pool tank imported
set tank filesystem /tank yes 0 -
set tank/guests filesystem /tank/guests yes 0 -
STATE

my $UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
my %daemon;    # pid => 1

# Starts it in a world and answers its port.
sub start {
    my ($w) = @_;
    pipe(my $out, my $in) or die;
    my $pid = fork;
    if (!$pid) {
        close($out);
        open(STDERR, '>&', $in);
        %ENV = (%ENV, STANDIN_ROOT => $w->{root}, STANDIN_API_PORT => 0, %{ $w->{env} });
        exec $^X, "$TestWorld::TOOLS/pvedaemon" or die;
    }
    close($in);
    $daemon{$pid} = $out;    # kept open: it is the daemon's stderr
    my $line = <$out>;
    return $line =~ /^listening on 127\.0\.0\.1:(\d+)$/ ? $1 : die "pvedaemon said: $line";
}
END {
    # What ends here is the daemons' own result, not theirs.
    my $status = $?;
    kill 'TERM', $_ for keys %daemon;
    waitpid $_, 0 for keys %daemon;
    $? = $status;
}

# [code, reason, body] of one request.
sub ask {
    my ($port, $method, $path, $token, $body, $connection) = @_;
    $connection //= IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
    $body //= '';
    print $connection "$method /api2/json$path HTTP/1.1\r\nHost: 127.0.0.1:$port\r\n",
        defined $token ? "Authorization: PVEAPIToken=$token\r\n" : '',
        $method =~ /^P/ ? "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " . length($body) . "\r\n" : '',
        "\r\n", $body;
    my ($code, $reason) = (<$connection> // '') =~ m{^HTTP/1\.1 (\d+) (.*)\r\n$} or return [0, '', ''];
    my $length = 0;
    while ((my $line = <$connection>) ne "\r\n") {
        $length = $1 if $line =~ /^Content-Length: (\d+)/;
    }
    read($connection, my $text, $length);
    return [$code, $reason, $text // ''];
}

sub token {
    my ($w, @more) = @_;
    my $said = $w->ok('pveum', 'user', 'token', 'add', 'root@pam', 'phoenix', @more, '--output-format', 'json');
    my ($value) = $said =~ /"value":"($UUID)"/ or die "pveum said: $said";
    return "root\@pam!phoenix=$value";
}

subtest 'pveum makes tokens' => sub {
    my $w = TestWorld->new;
    my $token = token($w, '--privsep', '0');
    my ($value) = $token =~ /=(.*)/;
    is($w->read('/etc/pve/priv/token.cfg'), "root\@pam!phoenix $value\n", 'the value lies in priv');
    is((stat $w->path('/etc/pve/priv/token.cfg'))[2] & 07777, 0600, 'for root only');
    like($w->read('/etc/pve/user.cfg'), qr/^token:root\@pam!phoenix:0:0::$/m, 'the token is in user.cfg');
    unlike($w->read('/etc/pve/user.cfg'), qr/$value/, 'without its value');
    like($w->ok(qw(pveum user token list root@pam --output-format json)), qr/^\[\{"expire":0,"privsep":0,"tokenid":"phoenix"\}\]$/, 'listed');
    my ($out, $err, $rc) = $w->run(qw(pveum user token add root@pam phoenix --output-format json));
    isnt($rc, 0);
    like($err, qr/^tokenid: Token already exists\.$/m, 'once');
    is($w->ok(qw(pveum user token remove root@pam phoenix)), '', 'removed');
    is($w->read('/etc/pve/priv/token.cfg'), '', 'with its value');
    isnt(token($w), $token, 'the next one has another value');
    like($w->read('/etc/pve/user.cfg'), qr/^token:root\@pam!phoenix:0:1::$/m, 'separate rights unless told otherwise');
};

subtest 'who may ask' => sub {
    my $w = TestWorld->new;
    my $port = start($w);
    my $token = token($w, '--privsep', '0');
    is_deeply(ask($port, 'GET', '/version'), [401, 'No ticket', ''], 'nobody without a token');
    is_deeply(ask($port, 'GET', '/version', 'root@pam!other=' . ('0' x 8) . '-0000-0000-0000-' . '0' x 12),
        [401, "no such token 'other' for user 'root\@pam'", ''], 'an unknown one');
    is_deeply(ask($port, 'GET', '/version', $token =~ s/=.*//r . '=' . ('0' x 8) . '-0000-0000-0000-' . '0' x 12),
        [401, 'invalid token value!', ''], 'another value');
    my $answer = ask($port, 'GET', '/version', $token);
    is("$answer->[0] $answer->[1]", '200 OK', 'with the token');
    like($answer->[2], qr/^\{"data":\{.*"version":"8\.4\.1"\}\}$/, 'as pvesh says it');

    like(ask($port, 'GET', '/access/permissions?path=/storage', $token)->[2], qr/"Datastore.Allocate":1/, 'rights of root');

    $w->write('/run/phoenix-lab-standin/pmxcfs-down', '');
    is_deeply(ask($port, 'GET', '/version', $token),
        [401, 'Unable to load access control list: Connection refused', ''], 'without pmxcfs nobody is known');
    unlink $w->path('/run/phoenix-lab-standin/pmxcfs-down');

    $w->ok(qw(pveum user token remove root@pam phoenix));
    my $weak = token($w);
    is(ask($port, 'GET', '/version', $weak)->[0], 200, 'a token with separate rights is known');
    unlike(ask($port, 'GET', '/access/permissions?path=/storage', $weak)->[2], qr/Datastore/, 'and of the other one');
    $answer = ask($port, 'POST', '/storage', $weak, 'storage=d1&type=dir&path=/d1');
    is("$answer->[0] $answer->[1]", '403 Permission check failed (/storage, Datastore.Allocate)', 'and may nothing');
    is($w->cfg, undef);
};

subtest 'storages are added, changed and removed as pvesm does it' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    my $port = start($w);
    my $token = token($w, '--privsep', '0');
    is_deeply(ask($port, 'POST', '/storage', $token, 'storage=tg&type=zfspool&pool=tank%2Fguests&content=images%2Crootdir&nodes=pve1'),
        [200, 'OK', '{"data":{"storage":"tg","type":"zfspool"}}'], 'add');
    is($w->section('tg'), "zfspool: tg\n\tpool tank/guests\n\tcontent images,rootdir\n\tmountpoint /tank/guests\n\tnodes pve1\n",
        'with the mount point that ZFS has');
    my ($digest) = ask($port, 'GET', '/storage/tg', $token)->[2] =~ /"digest":"([0-9a-f]{40})"/;
    is_deeply(ask($port, 'PUT', '/storage/tg', $token, "nodes=pve1,pve2&digest=$digest"),
        [200, 'OK', '{"data":{"storage":"tg","type":"zfspool"}}'], 'set with the digest');
    like($w->section('tg'), qr/^\tnodes pve1,pve2$/m);
    my $answer = ask($port, 'PUT', '/storage/tg', $token, "nodes=pve1&digest=$digest");
    is($answer->[0], 500, 'the digest is another by now');
    like($answer->[1], qr/^update storage failed: detected modified configuration - file changed by other user\? Try again\.$/, 'in the status line');
    like($answer->[2], qr/"message":"update storage failed: detected modified/, 'and in the body');
    like($w->section('tg'), qr/^\tnodes pve1,pve2$/m, 'nothing changed');
    is_deeply(ask($port, 'DELETE', '/storage/tg', $token), [200, 'OK', '{"data":null}'], 'remove');
    is($w->section('tg'), undef);
    like(ask($port, 'DELETE', '/storage/tg', $token)->[1], qr/^delete storage failed: storage 'tg' does not exist$/, 'once');
};

subtest 'what is refused' => sub {
    my $w = TestWorld->new;
    my $port = start($w);
    my $token = token($w, '--privsep', '0');
    $w->ok('pvesm', 'add', 'dir', 'd1', '--path', '/d1');
    my $before = $w->cfg;
    my $bad = sub {
        my ($words, $method, $path, $body, $code, $pattern) = @_;
        my $answer = ask($port, $method, $path, $token, $body);
        is($answer->[0], $code, $words);
        like("$answer->[1]\n$answer->[2]", $pattern, $words);
        is($w->cfg, $before, 'and nothing changed');
    };
    my $parameter = sub { my ($field, $why) = @_; return qr/^Parameter verification failed\.\n\{"data":null,"errors":\{"$field":"$why/ };
    $bad->('bad id', 'POST', '/storage', 'storage=1abc&type=dir&path=/x', 400,
        $parameter->('storage', "invalid format - storage ID '1abc' contains illegal characters"));
    $bad->('unknown content', 'POST', '/storage', 'storage=xx&type=dir&path=/x&content=foo', 400, $parameter->('content', "invalid format - invalid content type 'foo'"));
    $bad->('no type', 'POST', '/storage', 'storage=xx', 400, $parameter->('type', 'property is missing and it is not optional'));
    $bad->('fixed option', 'PUT', '/storage/d1', 'path=/x', 400,
        $parameter->('path', 'property is not defined in schema and the schema does not allow additional properties'));
    $bad->('two at once', 'POST', '/storage', 'storage=1abc&type=nosuch', 400, qr/"errors":\{"storage":".*","type":"/);
    $bad->('required option', 'POST', '/storage', 'storage=xx&type=zfspool', 500, qr/^missing value for required option 'pool'$/m);
    $bad->('taken id', 'POST', '/storage', 'storage=d1&type=dir&path=/x', 500, qr/^create storage failed: storage ID 'd1' already defined$/m);
    $bad->('unknown id', 'PUT', '/storage/xx', 'content=iso', 500, qr/^update storage failed: storage 'xx' does not exist$/m);
    $bad->('unknown method', 'POST', '/nodes', '', 501, qr/^Method 'POST \/nodes' not implemented$/m);
    $bad->('unknown path', 'GET', '/nosuch', '', 501, qr/^Method 'GET \/nosuch' not implemented$/m);
    $bad->('a path that climbs', 'DELETE', '/storage/..%2Fstorage%2Fd1', '', 501, qr/not implemented/);
    $w->write('/run/phoenix-lab-standin/noquorum', '');
    $bad->('no quorum', 'POST', '/storage', 'storage=d2&type=dir&path=/d2', 500, qr/^create storage failed: cfs-lock 'file-storage_cfg' error: no quorum!$/m);
};

subtest 'what pvesm warns of is not in the answer' => sub {
    my $w = TestWorld->new(zfs => $ZFS);
    my $port = start($w);
    my $token = token($w, '--privsep', '0');
    is_deeply(ask($port, 'POST', '/storage', $token, 'storage=tg&type=zfspool&pool=tank&content=images%2Ciso'),
        [200, 'OK', '{"data":{"storage":"tg","type":"zfspool"}}'], 'added');
    like($w->section('tg'), qr/^\tcontent images$/m, 'with the rest');
};

subtest 'connections' => sub {
    my $w = TestWorld->new;
    my $port = start($w);
    my $token = token($w, '--privsep', '0');
    my $kept = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
    is(ask($port, 'GET', '/version', $token, undef, $kept)->[0], 200, 'first request of a connection');
    is(ask($port, 'GET', '/version', $token, undef, $kept)->[0], 200, 'second one');

    # A client that does not wait for the answer does not end what it asked for.
    my $gone = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
    my $body = 'storage=d1&type=dir&path=/d1';
    print $gone "POST /api2/json/storage HTTP/1.1\r\nAuthorization: PVEAPIToken=$token\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    close($gone);
    for (1 .. 100) { last if $w->cfg; select(undef, undef, undef, 0.05) }
    like($w->cfg // '', qr/^dir: d1$/m, 'the storage is there');
    # Half a request does nothing.
    my $half = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
    print $half "DELETE /api2/json/storage/d1 HTTP/1.1\r\nAuthorization: PVEAPIToken=$token\r\n";
    close($half);
    is(ask($port, 'GET', '/storage/d1', $token)->[0], 200, 'and is there still');
};

done_testing;
