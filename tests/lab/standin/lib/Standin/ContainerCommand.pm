package Standin::ContainerCommand;

# pct set, resize, config, list. A container runs where the table of sockets says so. Then a
# mount point is mounted at once, which here only leaves a mark, and what is in force neither
# goes nor changes before the next stop.

use strict;
use warnings;

use Fcntl qw(:flock);

use Standin::Activation;
use Standin::ClusterFs;
use Standin::ContainerFile;
use Standin::Failure;
use Standin::StorageFile;
use Standin::Value;
use Standin::VolumeCommand;
use Standin::World;

my $NEW_VOLUME = qr/^([^:\s]+):(\d+(?:\.\d+)?)$/;
my $NEW_VOLUME_LINE = qr/^(?:volume=)?[^:\s,]+:\d+(?:\.\d+)?(?:,|$)/;

sub locked {
    my ($id, $code) = @_;
    mkdir Standin::World::at($_) for '/run', '/run/lock', '/run/lock/lxc';
    my $path = "/run/lock/lxc/pve-config-$id.lock";
    open(my $lock, '>>', Standin::World::at($path)) or die "can't open file '$path' - $!\n";
    my $tries = 10;
    until (flock($lock, LOCK_EX | LOCK_NB)) {
        die "can't lock file '$path' - got timeout\n" if !$tries--;
        sleep 1;
    }
    return $code->();
}

sub set {
    my ($param) = @_;
    my $id = delete $param->{vmid};
    my $digest = delete $param->{digest};
    die "no options specified\n" if !%$param;
    my @deleted = Standin::Value::split_list(delete $param->{delete} // '');
    my @reverted = Standin::Value::split_list(delete $param->{revert} // '');

    locked($id, sub {
        my $config = Standin::ContainerFile::load($id);
        die "CT is locked ($config->{set}{lock})\n" if $config->{set}{lock};
        die "detected modified configuration - file changed by other user? Try again.\n"
            if $digest && $digest ne $config->{digest};
        for my $key (@deleted) {
            refuse('delete', "unknown option '$key'") if !Standin::ContainerFile::known($key);
            refuse('delete', "you can't use '-$key' and -delete $key' at the same time")
                if defined $param->{$key};
        }
        for my $key (@reverted) {
            refuse('revert', "unknown option '$key'") if !Standin::ContainerFile::known($key);
            delete $config->{pending}{$key};
            forget_removal($config, $key);
        }
        change($id, $config, $param, \@deleted);
        Standin::ContainerFile::save($id, $config);
        # Read once more, as there: what is wrong with the file is said again.
        Standin::ContainerFile::load($id);
    });
}

sub refuse {
    my ($field, $why) = @_;
    Standin::Failure->parameter({ $field => $why }, 255);
}

sub runs {
    my ($id) = @_;
    return (Standin::World::slurp('/proc/1/net/unix') // '') =~ m{\@/var/lib/lxc/\Q$id\E/command$}m;
}

sub forget_removal {
    my ($config, $key) = @_;
    Standin::ContainerFile::set_removals($config,
        grep { $_ ne $key } Standin::ContainerFile::waiting_removals($config));
}

# Everything is checked before anything is done; what then fails undoes nothing
# and keeps the file as it was.
sub change {
    my ($id, $config, $param, $deleted) = @_;
    my $set = $config->{set};
    my $storages = Standin::ClusterFs::storage_config();

    my @gone;
    for my $key (@$deleted) {
        if (!defined $set->{$key} && !defined $config->{pending}{$key}) {
            warn "cannot delete '$key' - not set in current configuration!\n";
            next;
        }
        die "unable to delete required option '$key'\n" if $key =~ /^(?:memory|rootfs|ostype)$/;
        die "unable to delete read-only option: '$key'\n" if $key eq 'unprivileged';
        protected($id, $set, "can't remove CT $id drive '$key'") if $key =~ /^(?:unused|mp)\d+$/;
        push @gone, $key;
    }
    for my $key (sort keys %$param) {
        die "unable to modify read-only option: '$key'\n" if $key eq 'unprivileged';
        next if $key !~ /^(?:mp\d+|rootfs)$/;
        protected($id, $set, "can't update CT $id drive '$key'");
        my $mount = Standin::ContainerFile::parse_mount($key, $param->{$key});
        next if $mount->{kind} ne 'volume';
        my ($storage) = Standin::VolumeCommand::parse_id($mount->{volume});
        my $section = Standin::StorageFile::section($storages, $storage);
        die "storage '$storage' does not allow content type 'rootdir' (Container)\n"
            if !$section->{content}{rootdir};
    }

    my %errors;
    my $running = runs($id);
    my $attempt = sub {
        my ($key, $code) = @_;
        return if eval { $code->(); 1 };
        $errors{$key} = $running ? "unable to hotplug $key: $@" : "unable to apply pending change $key : $@";
        print STDERR $errors{$key} if !$running;
    };
    for my $key (sort @gone) {
        delete $config->{pending}{$key};
        if ($running && $key =~ /^mp/) {
            Standin::ContainerFile::set_removals($config, Standin::ContainerFile::waiting_removals($config), $key)
                if defined $set->{$key};
            next;
        }
        forget_removal($config, $key);
        $attempt->($key, sub { drop($id, $set, $storages, $key) }) if defined $set->{$key};
    }
    for my $key (sort keys %$param) {
        forget_removal($config, $key);
        if ($running && $key =~ /^mp/ && defined $set->{$key}) {
            $config->{pending}{$key} = $param->{$key};
            next;
        }
        delete $config->{pending}{$key};
        $attempt->($key, sub { put($id, $set, $storages, $key, $param->{$key}, $running) });
    }
    Standin::Failure->parameter(\%errors, 255) if %errors;
    if (defined(my $text = delete $set->{description})) {
        $config->{description} = $text eq '' ? '' : "$text\n";
    }
}

sub protected {
    my ($id, $set, $words) = @_;
    die "$words - protection mode enabled\n" if $set->{protection};
}

# A bind mount just goes; a volume turns unused; an unused one is destroyed.
sub drop {
    my ($id, $set, $storages, $key) = @_;
    my $value = $set->{$key};
    if ($key =~ /^mp/) {
        my $mount = Standin::ContainerFile::parse_mount($key, $value);
        park($set, $mount->{volume}) if $mount->{kind} eq 'volume';
    } elsif ($key =~ /^unused/ && !in_use($set, $value, $key)) {
        my ($storage, $name) = Standin::VolumeCommand::parse_id($value);
        my $section = Standin::StorageFile::section($storages, $storage);
        my ($owner) = Standin::Activation::handler($section->{type})->parse_volume($name);
        if (($owner // '') eq $id) {
            Standin::VolumeCommand::release($storages, $value);
        } else {
            warn "ignore deletion of '$value', CT $id isn't the owner!\n";
        }
    }
    delete $set->{$key};
}

# Overwrites what is there; a storage volume that loses its place turns unused.
sub put {
    my ($id, $set, $storages, $key, $value, $running) = @_;
    if ($key =~ /^mp/) {
        my $mount = Standin::ContainerFile::parse_mount($key, $value);
        if ($mount->{kind} eq 'volume' && $mount->{volume} =~ $NEW_VOLUME) {
            create($id, $set, $storages, $mount, $1, $2);
        } elsif ($mount->{kind} eq 'volume') {
            measure($storages, $mount);
        }
        hotplug($id, $storages, $key, $mount, $value) if $running;
        $value = Standin::ContainerFile::print_mount($key, $mount);
    }
    my $old = $set->{$key};
    $set->{$key} = $value;
    return if $key !~ /^mp/ || !defined $old;
    my $mount = Standin::ContainerFile::parse_mount($key, $old);
    park($set, $mount->{volume}) if $mount->{kind} eq 'volume' && !in_use($set, $mount->{volume}, '');
}

# The mark is what the container would see from now on, whatever becomes of the call's other mount points.
# One that cannot be mounted takes its own new volume away.
sub hotplug {
    my ($id, $storages, $key, $mount, $given) = @_;
    if ($mount->{kind} eq 'bind' && !-d Standin::World::at($mount->{volume})) {
        die "directory '$mount->{volume}' does not exist\n";
    }
    if (-e Standin::World::at("/run/standin-refuse-$id-$key")) {
        Standin::VolumeCommand::release($storages, $mount->{volume})
            if $mount->{kind} eq 'volume' && $given =~ $NEW_VOLUME_LINE;
        die "failed to move '$key' into container hierarchy: No such file or directory\n";
    }
    mkdir Standin::World::at($_) for '/run', '/run/standin-live', "/run/standin-live/$id";
    open(my $mark, '>', Standin::World::at("/run/standin-live/$id/$key")) or die "$key: $!\n";
    print $mark "$mount->{mp}\n";
    close($mark) or die "$key: $!\n";
}

sub in_use {
    my ($set, $volume, $besides) = @_;
    for my $key (grep { /^(?:mp\d+|rootfs)$/ && $_ ne $besides } keys %$set) {
        my $mount = eval { Standin::ContainerFile::parse_mount($key, $set->{$key}) } or next;
        return 1 if $mount->{volume} eq $volume;
    }
    return 0;
}

# The first free unusedN; nothing where the volume stands there already.
sub park {
    my ($set, $volume) = @_;
    return if grep { /^unused\d+$/ && $set->{$_} eq $volume } keys %$set;
    for my $number (0 .. 255) {
        next if defined $set->{"unused$number"};
        $set->{"unused$number"} = $volume;
        return;
    }
    die "Too many unused volumes - please delete them first.\n";
}

# storage:GiB becomes a new volume, owned by the container's root.
sub create {
    my ($id, $set, $storages, $mount, $storage, $gib) = @_;
    my $section = Standin::StorageFile::section($storages, $storage);
    my $kib = int($gib * 1024) * 1024;
    my $quota = $section->{type} eq 'zfspool' || $kib == 0;
    my $volume = Standin::VolumeCommand::allocate($storages, $storage, $id,
        $quota ? 'subvol' : 'raw', undef, $kib);
    $mount->{volume} = $volume;
    $mount->{size} = $kib * 1024;
    return if !$quota;
    my (undef, $name) = Standin::VolumeCommand::parse_id($volume);
    my $handler = Standin::Activation::handler($section->{type});
    $handler->mount_volume($section, $name);
    my $owner = $set->{unprivileged} ? 100_000 : 0;
    chown($owner, $owner, Standin::World::at($handler->path($section, $name)));
}

# The size is read anew; where that fails the mount is taken all the same.
sub measure {
    my ($storages, $mount) = @_;
    eval {
        my ($storage, $name) = Standin::VolumeCommand::parse_id($mount->{volume});
        my $section = Standin::StorageFile::section($storages, $storage);
        $mount->{size} = Standin::Activation::handler($section->{type})
            ->volume_size($section, $name);
    };
    warn "Could not rescan volume size - $@\n" if $@;
}

# The size counts that the storage tells, whatever the file says.
sub resize {
    my ($param) = @_;
    my ($id, $key, $text) = @$param{qw(vmid disk size)};
    my $more = $text =~ s/^\+//;
    my $request = Standin::Value::parse_size($text);
    locked($id, sub {
        my $config = Standin::ContainerFile::load($id);
        my $set = $config->{set};
        die "CT is locked ($set->{lock})\n" if $set->{lock};
        die "detected modified configuration - file changed by other user? Try again.\n"
            if $param->{digest} && $param->{digest} ne $config->{digest};
        my $mount = Standin::ContainerFile::parse_mount($key, $set->{$key} // '');
        my $storages = Standin::ClusterFs::storage_config();
        my ($storage, $name) = Standin::VolumeCommand::parse_id($mount->{volume});
        my $section = Standin::StorageFile::section($storages, $storage);
        my $handler = Standin::Activation::handler($section->{type});
        my ($owner) = $handler->parse_volume($name);
        die "can't resize mount point owned by another container ($owner)" if $owner ne $id;
        Standin::Activation::activate($storages, $storage);
        my $size = $handler->volume_size($section, $name);
        my $wanted = $more ? $size + $request : $request;
        die "unable to shrink disk size\n" if $wanted < $size;
        die "disk is already at specified size\n" if $wanted == $size;
        die "the stand-in resizes volumes of zfspool only\n" if !$handler->can('resize');
        $handler->resize($section, $name, $wanted);
        $mount->{size} = $wanted;
        $set->{$key} = Standin::ContainerFile::print_mount($key, $mount);
        Standin::ContainerFile::save($id, $config);
    });
}

sub config {
    my ($param) = @_;
    my $config = Standin::ContainerFile::load($param->{vmid});
    my %shown = %{ $config->{set} };
    my %errors;
    Standin::Value::check($shown{$_}, Standin::ContainerFile::known($_) // {}, $_, \%errors)
        for keys %shown;
    Standin::Failure->result(\%errors) if %errors;
    $shown{description} = Standin::ContainerFile::encoded($config->{description})
        if $config->{description} ne '';
    print "$_: $shown{$_}\n" for sort keys %shown;
    print "$_->[0]: $_->[1]\n" for @{ $config->{lxc} };
}

sub list {
    my $guests = Standin::ClusterFs::guests();
    my $node = Standin::World::node();
    my @ids = sort { $a <=> $b }
        grep { $guests->{$_}{type} eq 'lxc' && $guests->{$_}{node} eq $node } keys %$guests;
    return if !@ids;
    my $shape = "%-10s %-10s %-12s %-20s\n";
    printf $shape, 'VMID', 'Status', 'Lock', 'Name';
    for my $id (@ids) {
        my $set = Standin::ContainerFile::load($id)->{set};
        printf $shape, $id, runs($id) ? 'running' : 'stopped', $set->{lock} // '', $set->{hostname} // "CT$id";
    }
}

1;
