package Standin::VmCommand;

# qm set, config, list, cloudinit dump. Machines never run here, so every change
# applies at once and none stays pending.

use strict;
use warnings;

use Fcntl qw(:flock);

use Standin::ClusterFs;
use Standin::Failure;
use Standin::StorageFile;
use Standin::Value;
use Standin::VmFile;
use Standin::World;

sub locked {
    my ($id, $code) = @_;
    mkdir Standin::World::at($_) for '/var', '/var/lock', '/var/lock/qemu-server';
    my $path = "/var/lock/qemu-server/lock-$id.conf";
    open(my $lock, '>>', Standin::World::at($path)) or die "can't open file '$path' - $!\n";
    my $tries = Standin::World::setting('LOCK_PAUSE', 1) > 0 ? 10 : 1;
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

    locked($id, sub {
        my $config = Standin::VmFile::load($id);
        die "checksum mismatch (file change by other user?)\n"
            if $digest && $digest ne $config->{digest};
        my $set = $config->{set};
        die "VM is locked ($set->{lock})\n" if $set->{lock};
        for my $key (@deleted) {
            refuse("unknown option '$key'") if !Standin::VmFile::known($key);
            refuse("you can't use '-$key' and -delete $key' at the same time") if defined $param->{$key};
        }
        my @words = (map({ "-delete $_" } @deleted), map { "-$_ $param->{$_}" } sort keys %$param);
        print "update VM $id: @words\n";
        for my $key (@deleted) {
            warn "cannot delete '$key' - not set in current configuration!\n" if !defined $set->{$key};
            delete $set->{$key};
        }
        for my $key (sort keys %$param) {
            my $value = $param->{$key};
            if ($key eq 'description') {
                $config->{description} = "$value\n";
                next;
            }
            $value = Standin::Value::print_properties(Standin::VmFile::cicustom_format(),
                Standin::Value::parse_properties(Standin::VmFile::cicustom_format(), $value))
                if $key eq 'cicustom';
            $set->{$key} = $value;
        }
        Standin::VmFile::save($id, $config);
    });
}

sub refuse { Standin::Failure->parameter({ delete => $_[0] }, 255) }

sub config {
    my ($param) = @_;
    my $config = Standin::VmFile::load($param->{vmid});
    my %shown = %{ $config->{set} };
    $shown{description} = $config->{description} =~ s/\n/%0A/gr if $config->{description} ne '';
    $shown{cipassword} = '**********' if defined $shown{cipassword};
    print "$_: $shown{$_}\n" for sort keys %shown;
}

sub list {
    my $guests = Standin::ClusterFs::guests();
    my $node = Standin::World::node();
    my @ids = sort { $a <=> $b }
        grep { $guests->{$_}{type} eq 'qemu' && $guests->{$_}{node} eq $node } keys %$guests;
    return if !@ids;
    my $shape = "%10s %-20s %-10s %-10s %12s %-10s\n";
    printf $shape, qw(VMID NAME STATUS MEM(MB) BOOTDISK(GB) PID);
    for my $id (@ids) {
        my $set = Standin::VmFile::load($id)->{set};
        printf $shape, $id, $set->{name} // "VM $id", 'stopped', $set->{memory} // 512, '0.00', 0;
    }
}

# What the machine would be given; only data of its own are known here.
sub dump {
    my ($param) = @_;
    my $id = $param->{vmid};
    my $kind = $param->{type};
    my $text = Standin::VmFile::load($id)->{set}{cicustom} // '';
    my $custom = Standin::Value::parse_properties(Standin::VmFile::cicustom_format(), $text)->{$kind};
    die "stand-in: VM $id has no $kind data of its own, and none are made up here\n" if !defined $custom;
    my ($storage, $name) = $custom =~ /^([^:]+):(.+)$/;
    my $section = Standin::StorageFile::section(Standin::ClusterFs::storage_config(), $storage);
    die "unable to parse directory volume name '$name'\n" if $name !~ m{^snippets/[^/]+$};
    my $content = Standin::World::slurp("$section->{path}/$name");
    Standin::Failure->throw("can't open '$section->{path}/$name' - No such file or directory\n", 2)
        if !defined $content;
    print $content;
}

1;
