package Standin::StorageCommand;

# add, set, remove, status, scan: what pvesm does to storage.cfg.

use strict;
use warnings;

use Standin::Activation;
use Standin::ClusterFs;
use Standin::Failure;
use Standin::StorageFile;
use Standin::StorageSchema;
use Standin::TypeZfspool;
use Standin::Value;
use Standin::World;

# Under the lock of storage.cfg, failures carrying the command's words.
sub change {
    my ($words, $code) = @_;
    eval { Standin::ClusterFs::locked('storage.cfg', $code); 1 }
        or Standin::Failure->prefixed("$words: ", $@, 255);
}

# Checks outside of the lock end with the left-over errno 2.
sub before_lock {
    my ($code) = @_;
    my $value = eval { $code->() };
    Standin::Failure->prefixed('', $@, 2) if $@;
    return $value;
}

# Takes password and the like out of the parameters; a deleted one is undef.
sub take_secrets {
    my ($type, $param, @deleted) = @_;
    my %secrets;
    for my $name (Standin::StorageSchema::sensitive($type)) {
        if (exists $param->{$name}) {
            $secrets{$name} = delete $param->{$name};
        } elsif (grep { $_ eq $name } @deleted) {
            $secrets{$name} = undef;
        }
    }
    return \%secrets;
}

sub note_mkdir {
    my ($id, $section) = @_;
    warn "NOTE: The 'mkdir' option set for '$id' is deprecated and will be removed"
        . " in Proxmox VE 9. Use 'create-base-path' or 'create-subdirs' instead.\n"
        if defined $section->{mkdir};
}

# The type's own hooks; types that cannot be activated have none.
sub hook {
    my ($type, $name, @args) = @_;
    my $handler = eval { Standin::Activation::handler($type) } or return;
    $handler->$name(@args);
}

sub add {
    my ($param) = @_;
    my $type = delete $param->{type};
    my $id = delete $param->{storage};
    delete $param->{nodes} if !$param->{nodes};
    my $secrets = take_secrets($type, $param);
    my $section = before_lock(
        sub { Standin::StorageFile::check_section($type, $id, $param, 1) });

    change('create storage failed', sub {
        my $config = Standin::ClusterFs::storage_config();
        die "storage ID '$id' already defined\n"
            if Standin::StorageFile::section($config, $id, 1);
        $config->{ids}{$id} = $section;
        hook($type, 'added', $id, $section, $secrets);
        note_mkdir($id, $section);
        my $active = eval {
            Standin::Activation::activate($config, $id)
                if Standin::Activation::enabled($config, $id, 1);
            1;
        };
        if (!$active) {
            my $error = $@;
            hook($type, 'removed', $id, $section);
            die $error;
        }
        Standin::ClusterFs::write_storage_config($config);
    });
}

sub set {
    my ($param) = @_;
    my $id = delete $param->{storage};
    my $digest = delete $param->{digest};
    my @deleted = Standin::Value::split_list(delete $param->{delete} // '');

    change('update storage failed', sub {
        my $config = Standin::ClusterFs::storage_config();
        die "detected modified configuration - file changed by other user? Try again.\n"
            if $digest && $digest ne $config->{digest};
        my $section = Standin::StorageFile::section($config, $id);
        my $type = $section->{type};
        my $secrets = take_secrets($type, $param, @deleted);
        my $change = Standin::StorageFile::check_section($type, $id, $param, 0);
        my $options = Standin::StorageSchema::options($type);
        for my $key (@deleted) {
            my $option = $options->{$key} or die "no such option '$key'\n";
            die "unable to delete required option '$key'\n" if !$option->{optional};
            die "unable to delete fixed option '$key'\n" if $option->{fixed};
            die "cannot set and delete property '$key' at the same time!\n"
                if defined $change->{$key};
            delete $section->{$key};
        }
        hook($type, 'updated', $id, $change, $secrets);
        $section->{$_} = $change->{$_} for keys %$change;
        note_mkdir($id, $section);
        Standin::ClusterFs::write_storage_config($config);
    });
}

sub remove {
    my ($param) = @_;
    my $id = $param->{storage};
    change('delete storage failed', sub {
        my $config = Standin::ClusterFs::storage_config();
        my $section = Standin::StorageFile::section($config, $id);
        for my $other (keys %{ $config->{ids} }) {
            my $base = Standin::StorageFile::section($config, $other)->{base};
            die "can't remove storage - storage is used as base of another storage\n"
                if defined $base && $base =~ /^\Q$id\E:/;
        }
        hook($section->{type}, 'removed', $id, $section);
        delete $config->{ids}{$id};
        Standin::ClusterFs::write_storage_config($config);
    });
}

# Rows for status: every storage, or the wanted one after activating them all.
sub survey {
    my ($param) = @_;
    my $config = Standin::ClusterFs::storage_config();
    my $info = Standin::Activation::survey($config, $param->{content});
    my $wanted = $param->{storage};
    Standin::Failure->parameter({ storage => 'No such storage.' }, 255)
        if defined $wanted && !$info->{$wanted};
    my $target = $param->{target};
    undef $target if defined $target && $target =~ /^(?:localhost|\Q${\ Standin::World::node()}\E)$/;
    my %rows;
    for my $id (keys %$info) {
        next if defined $wanted && $id ne $wanted;
        my $section = $config->{ids}{$id};
        next if $param->{enabled} && $section->{disable};
        next if defined $target && !($section->{shared} && reachable($section, $target));
        $rows{$id} = $info->{$id};
    }
    return \%rows;
}

# Whether a storage's node list holds this node and that one.
sub reachable {
    my ($section, $other) = @_;
    my $nodes = $section->{nodes} or return 1;
    return $nodes->{ Standin::World::node() } && $nodes->{$other};
}

sub status {
    my ($param) = @_;
    my $rows = survey($param);
    my $width = 1;
    for my $id (keys %$rows) { $width = length($id) + 1 if length $id >= $width }
    my @head = Standin::World::release() >= 9
        ? ('Total (KiB)', 'Used (KiB)', 'Available (KiB)') : qw(Total Used Available);
    printf "%-${width}s %10s %10s %15s %15s %15s %8s\n", 'Name', 'Type', 'Status', @head, '%';
    for my $id (sort keys %$rows) {
        my $row = $rows->{$id};
        my $share = !$row->{enabled} ? sprintf('% 8s', 'N/A')
            : sprintf('% 7.2f%%', $row->{total} > 0 ? $row->{used} * 100 / $row->{total} : 0);
        my $state = !$row->{enabled} ? 'disabled' : $row->{active} ? 'active' : 'inactive';
        printf "%-${width}s %10s %10s %15d %15d %15d %s\n", $id, $row->{type}, $state,
            map({ $row->{$_} / 1024 } qw(total used avail)), $share;
    }
}

# Datasets that could be a zfspool's pool: all but container volumes.
sub scan_zfs {
    my @found;
    my $text = Standin::Command::run(
        ['zfs', 'list', '-t', 'filesystem', '-Hp', '-o', 'name,avail,used'], errmsg => 'zfs error');
    for my $line (split /\n/, $text) {
        my ($name, $available, $used) = $line =~ /^(\S+)\s+(\S+)\s+(\S+)$/ or next;
        next if $name =~ m{/(?:subvol|basevol)-\d+-[^/]+$};
        # "free" is what the genuine arithmetic gives, odd as it is.
        push @found, { pool => $name, size => $available, free => $available - $used };
    }
    return \@found;
}

1;
