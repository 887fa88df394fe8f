package Standin::FileStore;

# What dir, nfs and cifs have in common: a directory with one subdirectory per
# content, volumes that are files.

use strict;
use warnings;

use Cwd ();
use File::Glob ();
use File::Path ();

use Standin::Command;
use Standin::StorageSchema;
use Standin::World;

my %SUBDIR = (
    images => 'images', rootdir => 'private', iso => 'template/iso', vztmpl => 'template/cache',
    backup => 'dump', snippets => 'snippets', import => 'import',
);

my %PATTERN = (
    iso => qr/\.(?:iso|img)$/i,
    vztmpl => qr/\.tar\.(gz|xz|zst|bz2)$/,
    backup => qr/\.(tgz|(?:tar|vma)(?:\.(?:gz|lzo|zst|bz2))?)$/,
    snippets => qr/./,
    import => qr/\.(ova|ovf|qcow2|raw|vmdk)$/,
);

# What happens to a storage while its section is written: nothing here.
sub added { }
sub updated { }
sub removed { }

# Inside the world: where a content lies.
sub subdir {
    my ($section, $content) = @_;
    my $below = $SUBDIR{$content} // die "unknown vtype '$content'\n";
    return "$section->{path}/" . ($section->{'content-dirs'}{$content} // $below);
}

sub make_path {
    my ($path) = @_;
    File::Path::make_path(Standin::World::at($path), { error => \my $problems });
    return if !@$problems;
    my ($made, $why) = %{ $problems->[0] };
    die 'mkdir ' . Standin::World::inside($made) . ": $why\n";
}

sub make_base {
    my ($class, $section) = @_;
    make_path($section->{path}) if $section->{'create-base-path'} // $section->{mkdir} // 1;
}

sub populate {
    my ($class, $id, $section) = @_;
    my $path = $section->{path};
    die "unable to activate storage '$id' - "
        . "directory '$path' does not exist or is unreachable\n"
        if !-d Standin::World::at($path);
    my $content = $section->{content} or return;

    if (($section->{'create-subdirs'} // 1) && ($section->{mkdir} // 1)) {
        for my $kind (sort keys %SUBDIR) {
            next if !$content->{$kind} && !($kind eq 'backup' && $content->{rootdir});
            my $dir = subdir($section, $kind);
            make_path($dir) if $dir ne $path;
        }
    }
    my %seen;
    for my $kind (sort keys %$content) {
        my $real = Standin::World::realpath(subdir($section, $kind)) // next;
        die "storage '$id' uses directory $real for multiple content types\n" if $seen{$real}++;
    }
}

sub usage {
    my ($class, $id, $section) = @_;
    my $path = Standin::World::at($section->{path});
    # df is the machine's own also in a test: it only reads.
    open(my $df, '-|', 'df', '--block-size=1', '--output=size,used,avail', $path) or return;
    my ($total, $used, $available) = (join('', <$df>) =~ /(\d+)\s+(\d+)\s+(\d+)\s*$/);
    close($df);
    return $total ? ($total, $available, $used) : ();
}

# (owner, file name, format, is base) of a volume's name after the colon.
sub parse_volume {
    my ($class, $volume) = @_;
    if (my ($guest, $image, $format)
        = $volume =~ m{^(?:\d+/\S+/)?(\d+)/([^/\s]+\.(raw|qcow2|vmdk|subvol))$})
    {
        return ($guest, $image, $format, $image =~ /^base-/ ? 1 : 0, 'images');
    }
    my ($content, $name) = $volume =~ m{^(iso|vztmpl|backup|snippets|import)/([^/]+)$};
    if (defined $content && $name =~ $PATTERN{$content}) {
        my ($owner) = $name =~ /^vzdump-(?:openvz|lxc|qemu)-(\d+)-/;
        return ($content eq 'backup' ? $owner : undef, $name, 'raw', 0, $content);
    }
    die "unable to parse directory volume name '$volume'\n";
}

sub path {
    my ($class, $section, $volume) = @_;
    my ($owner, $name, undef, undef, $content) = $class->parse_volume($volume);
    my $dir = subdir($section, $content);
    return $content eq 'images' ? "$dir/$owner/$name" : "$dir/$name";
}

# Guest images: name below the storage => { size, format, vmid }.
sub volumes {
    my ($class, $section) = @_;
    my $dir = subdir($section, 'images');
    my $formats = join '|', Standin::StorageSchema::image_formats($section->{type});
    my %volumes;
    for my $file (File::Glob::bsd_glob(Standin::World::at($dir) . '/[0-9]*/*')) {
        my ($owner, $name, $format) = $file =~ m{/(\d+)/([^/]+\.($formats))$} or next;
        $volumes{"$owner/$name"} = {
            vmid => $owner, format => $format, size => -d $file ? 0 : -s _,
        };
    }
    return \%volumes;
}

# Other files of one content, as volumes() gives them.
sub files {
    my ($class, $section, $content) = @_;
    my %files;
    for my $file (File::Glob::bsd_glob(Standin::World::at(subdir($section, $content)) . '/*')) {
        next if -d $file;
        my ($name) = $file =~ m{([^/]+)$};
        $name =~ $PATTERN{$content} or next;
        my $format = $content eq 'iso' ? 'iso' : $content eq 'snippets' ? 'snippet'
            : $content eq 'vztmpl' ? "t$1" : $1;
        $files{"$content/$name"} = { format => $format, size => -s $file };
        $files{"$content/$name"}{vmid} = $1
            if $content eq 'backup' && $name =~ /-([1-9][0-9]{2,8})-[^\/]+$/;
    }
    return \%files;
}

sub allocate {
    my ($class, $id, $section, $vmid, $format, $name, $kib) = @_;
    my $dir = subdir($section, 'images') . "/$vmid";
    make_path($dir);
    if ($name eq '') {
        my $number = 0;
        my $prefix = $format eq 'subvol' ? 'subvol' : 'vm';
        $number++ while -e Standin::World::at("$dir/$prefix-$vmid-disk-$number.$format");
        $name = "$prefix-$vmid-disk-$number.$format";
    }
    my ($extension) = $name =~ /^[^\/\s]+\.(raw|qcow2|vmdk|subvol)$/
        or die "unable to parse volume filename '$name'\n";
    die "illegal name '$name' - wrong extension for format ('$extension != '$format')\n"
        if $extension ne $format;
    my $path = "$dir/$name";
    my $file = Standin::World::at($path);
    die "disk image '$path' already exists\n" if -e $file;
    if ($format eq 'subvol') {
        die "storage does not support subvol quotas\n" if $kib != 0;
        mkdir $file or die "unable to create subvol '$path' - $!\n";
    } elsif ($format eq 'raw') {
        # A sparse file and this line are what qemu-img leaves as well.
        print "Formatting '$path', fmt=raw size=", $kib * 1024, " preallocation=off\n";
        open(my $image, '>', $file) or die "unable to create image: $!\n";
        truncate($image, $kib * 1024) or die "unable to create image: $!\n";
        close($image);
    } else {
        Standin::Command::run(['qemu-img', 'create', '-f', $format, $file, "${kib}K"],
            errmsg => 'unable to create image');
    }
    return "$vmid/$name";
}

sub release {
    my ($class, $id, $section, $volume) = @_;
    my (undef, undef, $format) = $class->parse_volume($volume);
    my $path = $class->path($section, $volume);
    my $file = Standin::World::at($path);
    if ($format eq 'subvol') {
        File::Path::remove_tree($file);
    } elsif (!-f $file && !-l $file) {
        warn "disk image '$path' does not exist\n";
        return;
    } else {
        unlink $file or die "unlink '$path' failed - $!\n";
    }
    rmdir $file =~ s{/[^/]*$}{}r if $volume =~ m{^\d+/};
}

sub volume_size {
    my ($class, $section, $volume) = @_;
    my $path = $class->path($section, $volume);
    my $file = Standin::World::at($path);
    die "failed to stat '$path'\n" if !-e $file;
    return -d _ ? 0 : -s _;
}

sub mount_volume { }

1;
