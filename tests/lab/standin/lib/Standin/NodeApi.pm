package Standin::NodeApi;

# What the node's own API answers: who may ask, which method it is, the checks of its parameters, and failures
# as status lines and JSON. Connections are pvedaemon's business.

use strict;
use warnings;

use Standin::ApiCommand;
use Standin::ClusterFs;
use Standin::Failure;
use Standin::Json;
use Standin::Option;
use Standin::StorageCommand;
use Standin::StorageSchema;
use Standin::Token;
use Standin::Value;
use Standin::World;

# The genuine API makes whoever it refuses wait.
my $REFUSAL_PAUSES = 3;

my $STORAGE = { format => 'pve-storage-id' };
# [method, pattern of the path, schema, code(\%parameters), names of what the pattern captures]
my @METHODS = (
    [POST => qr{^/storage$}, \&Standin::StorageSchema::create_schema, \&create],
    [PUT => qr{^/storage/([^/]+)$}, \&Standin::StorageSchema::update_schema, \&update, 'storage'],
    [DELETE => qr{^/storage/([^/]+)$}, sub { { storage => $STORAGE } }, \&remove, 'storage'],
);

# answer(method, path with query, \%headers in lower case, body) gives (code, reason, body).
sub answer {
    my ($method, $uri, $headers, $body) = @_;
    my ($path, $query) = split /\?/, $uri, 2;
    $path = decoded($path);
    return failure(400, 'bad request') if $path !~ s{^/api2/json(?=/|$)}{};

    my $token;
    if (!eval { Standin::ClusterFs::connect(); $token = Standin::Token::verify($headers->{authorization}) }) {
        my @lines = split /\n/, "$@";
        my $reason = pop @lines;
        print STDERR "$_\n" for @lines;
        select(undef, undef, undef, $REFUSAL_PAUSES * Standin::World::setting('LOCK_PAUSE', 1));
        # Without a word in the body.
        return (401, $reason, '');
    }

    my $data;
    my $done = eval { $data = handle($method, $path, $token, form($query), form($body)); 1 };
    return (200, 'OK', Standin::Json::encode({ data => $data })) if $done;
    my $error = $@;
    return failure($error->{status}, $error->{text}) if ref $error eq 'HASH';
    if (ref $error && $error->isa('Standin::Failure') && $error->is_parameter) {
        return failure(400, "Parameter verification failed.\n", $error->{fields});
    }
    return failure(500, "$error");
}

# The status line holds the first line, the body all of them.
sub failure {
    my ($code, $text, $errors) = @_;
    my ($reason) = $text =~ /^(.*)$/m;
    return ($code, $reason, Standin::Json::encode({ data => undef, message => $text,
        $errors ? (errors => $errors) : () }));
}

sub decoded {
    my ($text) = @_;
    $text =~ s/%([0-9a-fA-F]{2})/chr hex $1/ge;
    return $text;
}

# name=value&… as a form is encoded.
sub form {
    my ($text) = @_;
    my %fields;
    for my $field (split /&/, ($text // '') =~ tr/+/ /r) {
        my ($name, $value) = split /=/, $field, 2;
        $fields{ decoded($name) } = decoded($value // '') if defined $name;
    }
    return \%fields;
}

sub refuse { die { status => $_[0], text => $_[1] } }

sub handle {
    my ($method, $path, $token, $query, $body) = @_;
    if ($method eq 'GET' && $path eq '/access/permissions') {
        my $at = $query->{path} // '/';
        # A token with separate rights has none of its own here; root@pam has all of them.
        return { $at => $token->{privsep} ? {} : { map { $_ => Standin::Json::number(1) } qw(Datastore.Allocate Datastore.AllocateSpace
            Datastore.AllocateTemplate Datastore.Audit Sys.Audit Sys.Modify) } };
    }
    if ($method eq 'GET') {
        my $data;
        return $data if eval { $data = Standin::ApiCommand::get($path, $query); 1 };
        my $error = $@;
        refuse(501, "Method 'GET $path' not implemented\n") if "$error" =~ /^No 'get' handler/;
        die $error;
    }
    for my $entry (@METHODS) {
        my ($wanted, $pattern, $schema, $code, @names) = @$entry;
        next if $method ne $wanted;
        my @captured = $path =~ $pattern or next;
        my %param = (%$query, %$body);
        @param{@names} = @captured if @names;
        check(\%param, $schema->());
        # A token with separate rights has none of its own here.
        refuse(403, 'Permission check failed (/storage'
            . (@names ? "/$param{storage}" : '') . ", Datastore.Allocate)\n") if $token->{privsep};
        return $code->(\%param);
    }
    refuse(501, "Method '$method $path' not implemented\n");
}

sub check {
    my ($param, $schema) = @_;
    my %errors;
    Standin::Value::note(\%errors, $_,
        'property is not defined in schema and the schema does not allow additional properties')
        for grep { !$schema->{$_} } keys %$param;
    Standin::Failure->parameter(\%errors) if %errors;
    Standin::Option::check($param, $schema);
}

sub create {
    my ($param) = @_;
    my %answer = (type => $param->{type}, storage => $param->{storage});
    Standin::StorageCommand::add($param);
    return \%answer;
}

sub update {
    my ($param) = @_;
    my $id = $param->{storage};
    Standin::StorageCommand::set($param);
    return { storage => $id,
        type => Standin::StorageFile::section(Standin::ClusterFs::storage_config(), $id)->{type} };
}

sub remove {
    Standin::StorageCommand::remove($_[0]);
    return undef;
}

1;
