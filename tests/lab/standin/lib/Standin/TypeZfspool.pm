package Standin::TypeZfspool;

# zfspool: what activation does to pools and mounts is the genuine behaviour,
# side effects included. section->{pool} is a pool or a dataset of one.

use strict;
use warnings;

use Standin::Command;
use Standin::Failure;
use Standin::Value;
use Standin::World;

sub zfs {
    my (@args) = @_;
    return Standin::Command::run(['zfs', @args], errmsg => 'zfs error', timeout => 10);
}

sub get {
    my ($properties, $dataset) = @_;
    return split /\n/, zfs('get', '-o', 'value', '-Hp', $properties, $dataset);
}

# Records the mount point of this moment in a new section.
sub added {
    my ($class, $id, $section) = @_;
    my ($mountpoint) = eval { get('mountpoint', $section->{pool}) };
    undef $mountpoint if defined $mountpoint && !Standin::Value::is_absolute_path($mountpoint);
    my $wanted = $section->{mountpoint};
    if (!defined $wanted) {
        $section->{mountpoint} = $mountpoint if defined $mountpoint;
    } elsif (defined $mountpoint && $wanted !~ m{^\Q$mountpoint\E/?$}) {
        warn "warning for $id - mountpoint: $wanted "
            . "does not match current mount point: $mountpoint\n";
    }
}

sub updated { }
sub removed { }
sub online { return 1 }

sub anything_mounted {
    my ($dataset) = @_;
    return scalar grep { $_->[2] eq 'zfs' && $_->[0] =~ m{^\Q$dataset\E(?:/|$)} }
        @{ Standin::World::mounts() };
}

sub imported {
    my ($pool) = @_;
    my $answer = eval {
        Standin::Command::run(['zpool', 'list', '-o', 'name', '-H', $pool],
            errmsg => 'zfs error', timeout => 10);
    };
    warn "$@\n" if $@;
    return defined $answer && $answer =~ /\Q$pool\E/;
}

sub activate {
    my ($class, $id, $section) = @_;
    my ($pool) = $section->{pool} =~ m{^([^/]*)};
    return if anything_mounted($section->{pool});

    if (!imported($pool)) {
        my $import = ['zpool', 'import', '-d', '/dev/disk/by-id/', '-o', 'cachefile=none', $pool];
        my $done = eval {
            Standin::Command::run($import, errmsg => 'zfs error', timeout => 15);
            1;
        };
        if (!$done) {
            my $error = $@;
            refuse($id, $error) if !imported($pool);
        }
    }
    my $mounted = eval { zfs('mount', '-a'); 1 };
    refuse($id, $@) if !$mounted;
}

sub refuse {
    my ($id, $error) = @_;
    Standin::Failure->throw("could not activate storage '$id', $error\n",
        Standin::Failure::rc_of($error, 255));
}

sub usage {
    my ($class, $id, $section) = @_;
    my ($available, $used) = get('available,used', $section->{pool});
    $_ = /^(\d+)$/ ? $1 : 0 for $available, $used;
    return ($available + $used, $available, $used);
}

# Direct children that carry a guest's name: name => { size, format, vmid, parent }.
sub volumes {
    my ($class, $section) = @_;
    my $pool = $section->{pool};
    my $text = zfs('list', '-o', 'name,volsize,origin,type,refquota', '-t', 'volume,filesystem',
        '-d1', '-Hp', $pool);
    my %volumes;
    for my $line (split /\n/, $text) {
        my ($dataset, $volsize, $origin, $type, $refquota) = split /\s+/, $line;
        next if $dataset !~ m{^\Q$pool\E/([^/]+)$};
        my $name = $1;
        next if $name !~ /^(?:vm|base|subvol|basevol)-(\d+)-\S+$/;
        my $owner = $1;
        my $subvol = $type eq 'filesystem';
        my $size = $subvol ? $refquota : $volsize;
        $volumes{$name} = {
            vmid => $owner,
            format => $subvol ? 'subvol' : 'raw',
            size => $size =~ /^\d+$/ ? $size : 0,
        };
        $volumes{$name}{parent} = $1 if $origin =~ m{^(?:\Q$pool\E/)?(\S+)$} && $1 ne '-';
    }
    return \%volumes;
}

# (owner, name, format, is base) of a volume's name after the colon.
sub parse_volume {
    my ($class, $volume) = @_;
    my ($name, $kind, $owner)
        = $volume =~ m{^(?:(?:base|basevol)-\d+-\S+/)?((base|basevol|vm|subvol)-(\d+)-\S+)$}
        or die "unable to parse zfs volume name '$volume'\n";
    return ($owner, $name, $kind =~ /vol$/ ? 'subvol' : 'raw', $kind =~ /^base/ ? 1 : 0);
}

sub path {
    my ($class, $section, $volume) = @_;
    my (undef, $name, $format) = $class->parse_volume($volume);
    my $mountpoint = $section->{mountpoint} // "/$section->{pool}";
    return $format eq 'subvol' ? "$mountpoint/$name" : "/dev/zvol/$section->{pool}/$name";
}

# Creates a volume of so many KiB; the answer is its name.
sub allocate {
    my ($class, $id, $section, $vmid, $format, $name, $kib) = @_;
    die "unsupported format '$format'\n" if $format !~ /^(?:raw|subvol)$/;
    my $kind = $format eq 'raw' ? 'vm' : 'subvol';
    Standin::Failure->throw("illegal name '$name' - should be '$kind-$vmid-*'\n", 25)
        if $name ne '' && $name !~ /^$kind-$vmid-/;
    if ($name eq '') {
        my $taken = $class->volumes($section);
        my %number = map { /^(?:vm|base|subvol|basevol)-\Q$vmid\E-disk-(\d+)/ ? ($1 => 1) : () }
            keys %$taken;
        my $free = 0;
        $free++ while $number{$free};
        $name = "$kind-$vmid-disk-$free";
    }
    my $dataset = "$section->{pool}/$name";
    if ($format eq 'subvol') {
        my $quota = $kib ? "${kib}k" : 'none';
        zfs('create', '-o', 'acltype=posixacl', '-o', 'xattr=sa', '-o', "refquota=$quota", $dataset);
        return $name;
    }
    $kib += (1024 - $kib % 1024) % 1024;
    zfs('create', $section->{sparse} ? '-s' : (),
        $section->{blocksize} ? ('-b', $section->{blocksize}) : (),
        '-V', "${kib}k", $dataset);
    await_device($name, Standin::World::at("/dev/zvol/$dataset"));
    return $name;
}

sub await_device {
    my ($name, $device) = @_;
    return if Standin::World::root() ne '';    # a test's world has no udev
    for my $second (1 .. 10) {
        return if -b $device;
        sleep 1;
    }
    die "timeout: no zvol device link for '$name' found after 10 sec.\n";
}

# Destroys with everything below. What is not there counts as destroyed.
sub release {
    my ($class, $id, $section, $volume) = @_;
    my (undef, $name) = $class->parse_volume($volume);
    for my $try (1 .. 6) {
        return if eval { zfs('destroy', '-r', "$section->{pool}/$name"); 1 };
        my $error = $@;
        return if $error =~ /: dataset does not exist/;
        die $error if $error !~ /: dataset is busy/ || $try == 6;
        sleep 1;
    }
}

# Bytes of a volume, complaint of zfs where there is none.
sub volume_size {
    my ($class, $section, $volume) = @_;
    my (undef, $name, $format) = $class->parse_volume($volume);
    my ($size) = get(($format eq 'subvol' ? 'refquota' : 'volsize') . ',usedbydataset',
        "$section->{pool}/$name");
    die "Could not get zfs volume size\n" if $size !~ /^\d+$/;
    return $size;
}

sub resize {
    my ($class, $section, $volume, $bytes) = @_;
    my (undef, $name, $format) = $class->parse_volume($volume);
    my $kib = int($bytes / 1024);
    $kib += (1024 - $kib % 1024) % 1024 if $format eq 'raw';
    my $attribute = $format eq 'subvol' ? 'refquota' : 'volsize';
    zfs('set', "$attribute=${kib}k", "$section->{pool}/$name");
}

sub mount_volume {
    my ($class, $section, $volume) = @_;
    my (undef, $name, $format) = $class->parse_volume($volume);
    return if $format ne 'subvol';
    my ($mounted) = get('mounted', "$section->{pool}/$name");
    zfs('mount', "$section->{pool}/$name") if $mounted ne 'yes';
}

1;
