package Standin::TypeDirectory;

# dir: a path of this node, made where it is missing - on whatever file system
# is there, unless is_mountpoint forbids that.

use strict;
use warnings;

use Standin::FileStore;
use Standin::Value;
use Standin::World;

our @ISA = ('Standin::FileStore');

sub online { return 1 }

# The path that must be a mount point, undef where none must be.
sub required_mount {
    my ($section) = @_;
    my $value = $section->{is_mountpoint};
    return undef if !defined $value;
    my $boolean = Standin::Value::boolean($value);
    return $value if !defined $boolean;
    return $boolean ? $section->{path} : undef;
}

sub mounted {
    my ($path) = @_;
    my $real = Standin::World::realpath($path);
    return defined $real && grep { $_->[1] eq $real } @{ Standin::World::mounts() };
}

sub activate {
    my ($class, $id, $section) = @_;
    my $mount = required_mount($section);
    die "unable to activate storage '$id' - "
        . "directory is expected to be a mount point but is not mounted: '$mount'\n"
        if defined $mount && !mounted($mount);
    $class->make_base($section);
    $class->populate($id, $section);
}

sub usage {
    my ($class, $id, $section) = @_;
    my $mount = required_mount($section);
    return if defined $mount && !mounted($mount);
    return $class->SUPER::usage($id, $section);
}

1;
