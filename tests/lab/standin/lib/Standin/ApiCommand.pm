package Standin::ApiCommand;

# pvesh for the few paths the product reads and changes.

use strict;
use warnings;

use File::Glob ();

use Standin::Activation;
use Standin::ClusterFs;
use Standin::Failure;
use Standin::HostFirewall;
use Standin::Json;
use Standin::StorageCommand;
use Standin::StorageFile;
use Standin::StorageSchema;
use Standin::Value;
use Standin::World;

my %RELEASE = (
    8 => { version => '8.4.1', release => '8.4', repoid => '2a5fa54a8503f96d' },
    9 => { version => '9.1.1', release => '9.1', repoid => '42db4a6cf33dac83' },
);

# The package version that `pveversion` and the lab's version file show.
sub version { return $RELEASE{ Standin::World::release() } }

# [pattern, code(captures…, \%query)]; the first match answers.
my @PATHS = (
    [qr{^/version$} => sub { return version() }],
    [qr{^/storage$} => \&storages],
    [qr{^/storage/([^/]+)$} => \&one_storage],
    [qr{^/cluster/status$} => \&cluster_status],
    [qr{^/nodes$} => sub { return [map { { node => $_, status => 'online', type => 'node',
        id => "node/$_" } } nodes()] }],
    [qr{^/nodes/([^/]+)/version$} => sub { on_node($_[0]); return version() }],
    [qr{^/nodes/([^/]+)/storage$} => \&node_storages],
    [qr{^/nodes/([^/]+)/scan/zfs$} => sub { on_node($_[0]); return scan() }],
    [qr{^/nodes/([^/]+)/firewall/rules$} => sub { on_node($_[0]); return Standin::HostFirewall::list() }],
);

# Answers nothing.
my @CREATE = ([qr{^/nodes/([^/]+)/firewall/rules$} => sub {
    my ($node, $param) = @_;
    on_node($node);
    Standin::HostFirewall::create($param);
}]);
my @DELETE = ([qr{^/nodes/([^/]+)/firewall/rules/(\d+)$} => sub {
    my ($node, $position, $param) = @_;
    on_node($node);
    Standin::HostFirewall::delete($position, $param->{digest});
}]);

sub plain { return "/$_[0]" =~ s{/+}{/}gr =~ s{(?<=.)/$}{}r }

sub create { return change('create', \@CREATE, @_) }
sub remove { return change('delete', \@DELETE, @_) }

sub change {
    my ($verb, $paths, $path, $param) = @_;
    $path = plain($path);
    for my $entry (@$paths) {
        my ($pattern, $code) = @$entry;
        my @captured = $path =~ $pattern or next;
        $code->(@captured, $param);
        return;
    }
    Standin::Failure->throw("No '$verb' handler defined for '$path'\n", 1);
}

sub get {
    my ($path, $query) = @_;
    $path = plain($path);
    for my $entry (@PATHS) {
        my ($pattern, $code) = @$entry;
        my @captured = $path =~ $pattern or next;
        return $code->(defined $1 ? @captured : (), $query);
    }
    Standin::Failure->throw("No 'get' handler defined for '$path'\n", 1);
}

sub nodes {
    my @nodes = map { m{([^/]+)$} }
        File::Glob::bsd_glob(Standin::World::at('/etc/pve/nodes') . '/*');
    return @nodes ? @nodes : Standin::World::node();
}

# Another node is asked through ssh, which the lab does not set up between nodes.
sub on_node {
    my ($name) = @_;
    return if $name eq Standin::World::node() || $name eq 'localhost';
    Standin::Failure->throw("hostname lookup '$name' failed - failed to get address info for: "
        . "$name: Name or service not known\n", 2) if !grep { $_ eq $name } nodes();
    print STDERR "ssh: connect to host $name port 22: Connection refused\n";
    Standin::Failure->throw("proxy handler failed: exit code 255\n", 255);
}

my %NUMERIC = map { $_ => 1 } qw(shared priority disable);

# A section as the API shows it: lists as text in any order, numbers bare,
# content-dirs as the object that the genuine API forgets to join.
sub storage {
    my ($config, $id) = @_;
    my $section = Standin::StorageFile::section($config, $id);
    my %shown = (%$section, storage => $id, digest => $config->{digest});
    $shown{content} = Standin::StorageFile::encoded('content', $section->{content});
    $shown{nodes} = Standin::StorageFile::encoded('nodes', $section->{nodes}) if $section->{nodes};
    for my $key (keys %shown) {
        my $kind = (Standin::StorageSchema::property($key) // {})->{type} // 'string';
        $shown{$key} = Standin::Json::number($shown{$key})
            if $NUMERIC{$key} || $kind eq 'boolean' || $kind eq 'integer';
    }
    return \%shown;
}

sub one_storage {
    my ($id) = @_;
    my %errors;
    Standin::Value::check($id, { format => 'pve-storage-id' }, 'storage', \%errors);
    Standin::Failure->parameter(\%errors) if %errors;
    return storage(Standin::ClusterFs::storage_config(), $id);
}

sub storages {
    my ($query) = @_;
    my $config = Standin::ClusterFs::storage_config();
    my @shown = map { storage($config, $_) } keys %{ $config->{ids} };
    my $type = $query->{type};
    return [grep { !defined $type || $_->{type} eq $type } @shown];
}

sub node_storages {
    my ($node, $query) = @_;
    on_node($node);
    my $rows = Standin::StorageCommand::survey($query);
    my @shown;
    for my $id (keys %$rows) {
        my %row = (%{ $rows->{$id} }, storage => $id);
        $row{used_fraction} = Standin::Json::number($row{used} / $row{total}) if $row{total};
        $row{$_} = Standin::Json::number($row{$_}) for qw(active enabled shared total used avail);
        push @shown, \%row;
    }
    return \@shown;
}

sub scan {
    return [map {
        { pool => $_->{pool}, map { ($_->[0] => Standin::Json::number($_->[1])) }
            [size => $_->{size}], [free => $_->{free}] }
    } @{ Standin::StorageCommand::scan_zfs() }];
}

# From the hosts file alone: a lab node asks no name server.
sub address {
    my ($name) = @_;
    my $hosts = Standin::World::slurp('/etc/hosts') // '';
    return $hosts =~ /^\s*([0-9.]+)\s(?:[^#\n]*\s)?\Q$name\E(?:\s|$)/m ? $1 : '127.0.0.1';
}

# CLUSTER="name version" and MEMBERS="node:id:ip …" of the settings make a
# cluster; without them the node stands alone, as genuine single nodes do.
sub cluster_status {
    my $here = Standin::World::node();
    my ($name, $version) = split ' ', Standin::World::setting('CLUSTER', '');
    if (!defined $name) {
        return [{
            type => 'node', id => "node/$here", name => $here, level => '',
            ip => address($here),
            map { ($_->[0] => Standin::Json::number($_->[1])) }
                [local => 1], [nodeid => 0], [online => 1],
        }];
    }
    my $quorate = Standin::ClusterFs::quorate() ? 1 : 0;
    my %member = map { my ($node, @rest) = split /:/; ($node => \@rest) }
        split ' ', Standin::World::setting('MEMBERS', "$here:1:127.0.0.1");
    my @shown = {
        type => 'cluster', id => 'cluster', name => $name,
        map { ($_->[0] => Standin::Json::number($_->[1])) }
            [nodes => scalar keys %member], [version => $version // 1], [quorate => $quorate],
    };
    for my $node (keys %member) {
        my ($number, $ip) = @{ $member{$node} };
        my $local = $node eq $here ? 1 : 0;
        push @shown, {
            type => 'node', id => "node/$node", name => $node, ip => $ip, level => '',
            map { ($_->[0] => Standin::Json::number($_->[1])) }
                [local => $local], [nodeid => $number], [online => $local || $quorate],
        };
    }
    return \@shown;
}

1;
