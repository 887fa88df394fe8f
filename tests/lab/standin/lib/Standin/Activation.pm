package Standin::Activation;

# Bringing a storage into use on this node, and how full it is then. Each type
# has a package with activate(id, section), online(id, section), usage(id,
# section) = (total, available, used) or nothing where it is not usable.

use strict;
use warnings;

use Standin::StorageFile;
use Standin::TypeCifs;
use Standin::TypeDirectory;
use Standin::TypeNfs;
use Standin::TypeZfspool;
use Standin::World;

my %HANDLER = (
    zfspool => 'Standin::TypeZfspool',
    dir => 'Standin::TypeDirectory',
    nfs => 'Standin::TypeNfs',
    cifs => 'Standin::TypeCifs',
);

# Package of a type; the other types exist in the configuration only.
sub handler {
    my ($type) = @_;
    return $HANDLER{$type} // die "the lab stand-in cannot activate storage type '$type'\n";
}

# The section where this node may use the storage now. Dies, or answers undef.
sub enabled {
    my ($config, $id, $missing_ok, $node) = @_;
    my $section = Standin::StorageFile::section($config, $id);
    if ($section->{disable}) {
        die "storage '$id' is disabled\n" if !$missing_ok;
        return undef;
    }
    $node //= Standin::World::node();
    if ($section->{nodes} && !$section->{nodes}{$node}) {
        die "storage '$id' is not available on node '$node'\n" if !$missing_ok;
        return undef;
    }
    return $section;
}

sub activate {
    my ($config, $id) = @_;
    my $section = enabled($config, $id);
    my $handler = handler($section->{type});
    my $online = eval { $handler->online($id, $section) };
    if (!$online) {
        my $error = $@;
        Standin::Failure->prefixed("connection check for storage '$id' failed - ", $error, 1)
            if $error;
        Standin::Failure->throw("storage '$id' is not online\n", 1);
    }
    $handler->activate($id, $section);
}

# Like `pvesm status`: activates every enabled storage (of a content, if given)
# and complains on stderr about those that cannot be.
sub survey {
    my ($config, $content) = @_;
    my $ids = $config->{ids};
    my @wanted = Standin::Value::split_list($content // '');
    my %info;
    for my $id (keys %$ids) {
        my $enabled = enabled($config, $id, 1) ? 1 : 0;
        next if defined $content
            && (!$enabled || !grep { $ids->{$id}{content}{$_} } @wanted);
        $info{$id} = {
            type => $ids->{$id}{type},
            content => join(',', grep { $ids->{$id}{content}{$_} } keys %{ $ids->{$id}{content} }),
            shared => $ids->{$id}{shared} ? 1 : 0,
            enabled => $enabled,
            active => 0, total => 0, avail => 0, used => 0,
        };
    }
    for my $id (keys %info) {
        next if !$info{$id}{enabled};
        eval { activate($config, $id); 1 } or do { warn "$@"; next };
        my ($total, $available, $used) = eval {
            handler($ids->{$id}{type})->usage($id, $ids->{$id});
        };
        warn "$@" if $@;
        next if !defined $total;
        @{ $info{$id} }{qw(active total avail used)}
            = (1, int $total, int $available, int $used);
    }
    return \%info;
}

1;
