package Standin::VolumeCommand;

# alloc, free, list, path: what pvesm does to volumes.

use strict;
use warnings;

use Fcntl qw(:flock);

use Standin::Activation;
use Standin::ClusterFs;
use Standin::Failure;
use Standin::StorageFile;
use Standin::StorageSchema;
use Standin::World;

# (storage id, name) of "storage:name".
sub parse_id {
    my ($volume) = @_;
    $volume =~ /^([a-z][a-z0-9_.-]*[a-z0-9]):(.+)$/i
        or die "unable to parse volume ID '$volume'\n";
    return ($1, $2);
}

sub handler_of {
    my ($section) = @_;
    return Standin::Activation::handler($section->{type});
}

# One change of a storage's volumes at a time on this node.
sub exclusive {
    my ($id, $code) = @_;
    my $dir = Standin::World::at('/run/lock/pve-manager');
    mkdir $_ for map { Standin::World::at($_) } '/run', '/run/lock', '/run/lock/pve-manager';
    open(my $lock, '>>', "$dir/pve-storage-$id") or die "can't open lock file - $!\n";
    flock($lock, LOCK_EX) or die "can't lock file - $!\n";
    return $code->();
}

sub allocate {
    my ($config, $id, $vmid, $format, $name, $kib) = @_;
    my $section = Standin::StorageFile::section($config, $id);
    $format //= $section->{format}
        // Standin::StorageSchema::default_image_format($section->{type});
    Standin::Activation::activate($config, $id);
    return "$id:" . exclusive($id, sub {
        handler_of($section)->allocate($id, $section, $vmid, $format, $name // '', $kib);
    });
}

sub release {
    my ($config, $volume) = @_;
    my ($id, $name) = parse_id($volume);
    my $section = Standin::StorageFile::section($config, $id);
    Standin::Activation::activate($config, $id);
    exclusive($id, sub { handler_of($section)->release($id, $section, $name) });
}

sub alloc {
    my ($param) = @_;
    my ($size, $unit) = $param->{size} =~ /^(\d+)([MG]?)$/;
    my $kib = $size * { '' => 1, M => 1024, G => 1024 * 1024 }->{$unit};
    my $name = $param->{filename};
    if ($name =~ /\.(raw|qcow2|vmdk)$/) {
        Standin::Failure->parameter(
            { format => "different storage formats ($param->{format} != $1)" })
            if $param->{format} && $param->{format} ne $1;
        $param->{format} = $1;
    }
    my $config = Standin::ClusterFs::storage_config();
    my $volume = allocate($config, @$param{qw(storage vmid format)}, $name, $kib);
    print "successfully created '$volume'\n";
}

sub free {
    my ($param) = @_;
    my ($volume, $storage) = @$param{qw(volume storage)};
    if ($volume !~ /:/) {
        Standin::Failure->parameter({ volume => 'no storage specified - incomplete volume ID' })
            if !defined $storage;
        $volume = "$storage:$volume";
    }
    my $config = Standin::ClusterFs::storage_config();
    my ($id, $name) = parse_id($volume);
    Standin::Failure->parameter({ volume => "storage ID mismatch ($id != $storage)\n" })
        if defined $storage && $storage ne $id;
    my $section = Standin::StorageFile::section($config, $id);
    handler_of($section)->path($section, $name);
    release($config, $volume);
    print "Removed volume '$volume'\n";
}

sub path {
    my ($param) = @_;
    my $config = Standin::ClusterFs::storage_config();
    my ($id, $name) = parse_id($param->{volume});
    my $section = Standin::StorageFile::section($config, $id);
    print handler_of($section)->path($section, $name), "\n";
}

# Every volume of a storage: rows of volid, format, content, size, vmid.
sub volumes {
    my ($config, $id, $vmid, $content) = @_;
    my $section = Standin::StorageFile::section($config, $id);
    my @wanted = grep { $section->{content}{$_} } $content // (),
        defined $content ? () : qw(rootdir images vztmpl iso backup snippets import);
    Standin::Activation::activate($config, $id);
    my $handler = handler_of($section);
    my $guests = Standin::ClusterFs::guests();
    my @rows;
    for my $kind (@wanted) {
        my $guest = $kind eq 'images' || $kind eq 'rootdir';
        next if defined $vmid && ($kind eq 'iso' || $kind eq 'vztmpl');
        my $found = $guest ? $handler->volumes($section) : $handler->files($section, $kind);
        for my $name (keys %$found) {
            my %row = (%{ $found->{$name} }, volid => "$id:$name", content => $kind);
            if ($guest) {
                my $type = ($guests->{ $row{vmid} } // {})->{type} // '';
                next if $kind ne ($type eq 'lxc' ? 'rootdir' : 'images');
            }
            next if defined $vmid && ($row{vmid} // '') ne $vmid && $kind ne 'snippets';
            push @rows, \%row;
        }
    }
    return sort { lc $a->{volid} cmp lc $b->{volid} } @rows;
}

sub list {
    my ($param) = @_;
    my $config = Standin::ClusterFs::storage_config();
    my @rows = volumes($config, @$param{qw(storage vmid content)});
    my ($width, $largest) = (0, 0);
    for my $row (@rows) {
        $width = length $row->{volid} if length $row->{volid} > $width;
        $largest = $row->{size} if $row->{size} > $largest;
    }
    my $shape = "%-${width}s %-7s %-9s %" . length($largest) . 's';
    printf "$shape %s\n", qw(Volid Format Type Size VMID);
    my @fields = qw(volid format content size);
    printf "$shape %d\n", @$_{ @fields, 'vmid' } for grep { $_->{vmid} } @rows;
    printf "$shape\n", @$_{@fields}
        for sort { $a->{format} cmp $b->{format} } grep { !$_->{vmid} } @rows;
}

1;
