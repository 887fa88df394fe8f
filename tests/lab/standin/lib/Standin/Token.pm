package Standin::Token;

# API tokens: made by pveum, checked by pvedaemon. Their values lie in priv/token.cfg, what they may do in
# user.cfg. The only user is root@pam.

use strict;
use warnings;

use Standin::ClusterFs;
use Standin::Failure;
use Standin::Json;
use Standin::World;

my $USERS = '/etc/pve/user.cfg';
my $VALUES = '/etc/pve/priv/token.cfg';
my $USER = 'root@pam';

my $UUID = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/i;
our $TOKENID = '[A-Za-z][A-Za-z0-9\.\-_]+';

# Full id => { expire, privsep, comment, value }.
sub all {
    my %tokens;
    for my $line (split /\n/, Standin::World::slurp($USERS) // '') {
        my ($kind, $id, $expire, $privsep, $comment) = split /:/, $line, 6;
        next if ($kind // '') ne 'token';
        $tokens{$id} = { expire => $expire, privsep => $privsep, comment => $comment // '' };
    }
    for my $line (split /\n/, Standin::World::slurp($VALUES) // '') {
        my ($id, $value) = split / /, $line, 2;
        $tokens{$id}{value} = $value if defined $value && $tokens{$id};
    }
    return \%tokens;
}

sub store {
    my ($tokens) = @_;
    my $others = join '', map { "$_\n" }
        grep { !/^token:/ } split /\n/, Standin::World::slurp($USERS) // "user:$USER:1:0::::::\n";
    Standin::ClusterFs::write_file($USERS, $others . join '', map {
        my $token = $tokens->{$_};
        "token:$_:$token->{expire}:$token->{privsep}:$token->{comment}:\n"
    } sort keys %$tokens);
    Standin::ClusterFs::write_file($VALUES,
        join '', map { "$_ $tokens->{$_}{value}\n" } sort keys %$tokens);
}

sub known_user {
    my ($user) = @_;
    Standin::Failure->throw("no such user ('$user')\n", 2) if $user ne $USER;
}

sub new_value {
    open(my $random, '<:raw', '/dev/urandom') or die "urandom: $!\n";
    read($random, my $bytes, 16) == 16 or die "urandom: $!\n";
    return join '-', unpack 'H8 H4 H4 H4 H12', $bytes;
}

sub add {
    my ($param) = @_;
    known_user($param->{userid});
    my $id = "$param->{userid}!$param->{tokenid}";
    my $token = { expire => $param->{expire} // 0, privsep => $param->{privsep} // 1,
        comment => $param->{comment} // '', value => new_value() };
    Standin::ClusterFs::locked('user.cfg', sub {
        my $tokens = all();
        Standin::Failure->parameter({ tokenid => 'Token already exists.' }, 255) if $tokens->{$id};
        $tokens->{$id} = $token;
        store($tokens);
    });
    return { 'full-tokenid' => $id, value => $token->{value},
        info => { privsep => "$token->{privsep}" } };
}

sub remove {
    my ($param) = @_;
    known_user($param->{userid});
    my $id = "$param->{userid}!$param->{tokenid}";
    Standin::ClusterFs::locked('user.cfg', sub {
        my $tokens = all();
        delete $tokens->{$id}
            or Standin::Failure->throw("no such token '$param->{tokenid}' for user '$param->{userid}'\n", 2);
        store($tokens);
    });
    return undef;
}

sub list {
    my ($param) = @_;
    known_user($param->{userid});
    my $tokens = all();
    return [map {
        my ($tokenid) = /!(.*)$/;
        { tokenid => $tokenid, map { ($_ => Standin::Json::number($tokens->{"$param->{userid}!$tokenid"}{$_})) }
            qw(expire privsep) }
    } grep { /^\Q$param->{userid}\E!/ } sort keys %$tokens];
}

# What may the sender of this header do? Dies with the words of a refusal.
sub verify {
    my ($authorization) = @_;
    my ($user, $tokenid, $value)
        = ($authorization // '') =~ /^PVEAPIToken[= ](\S+?)!($TOKENID)=($UUID)$/;
    die "No ticket\n" if !defined $value;
    die "no such user ('$user')\n" if $user ne $USER;
    my $token = all()->{"$user!$tokenid"} or die "no such token '$tokenid' for user '$user'\n";
    die "token '$tokenid' access expired\n" if $token->{expire} && $token->{expire} < time;
    die "invalid token value!\n" if ($token->{value} // '') ne $value;
    return $token;
}

1;
