package Standin::ContainerFile;

# A container's configuration: which keys there are and how the file is read
# and written, with what waits in it. Snapshot sections are kept as they are.

use strict;
use warnings;

use Standin::ClusterFs;
use Standin::Digest;
use Standin::Failure;
use Standin::Value;
use Standin::World;

my %OPTIONAL = (optional => 1);
my %FLAG = (type => 'boolean', %OPTIONAL);
my $MOUNT_OPTION = qr/(?:discard|lazytime|noatime|nodev|noexec|nosuid)/;

my %ROOTFS = (
    volume => { default_key => 1, format => 'pve-lxc-mp-string' },
    size => { format => 'disk-size', %OPTIONAL },
    mountoptions => { pattern => "$MOUNT_OPTION(?:;$MOUNT_OPTION)*", %OPTIONAL },
    map { ($_ => {%FLAG}) } qw(acl ro quota replicate shared),
);
my %MOUNT = (%ROOTFS, backup => {%FLAG}, mp => { format => 'pve-lxc-mp-string' });
my %UNUSED = (volume => { default_key => 1, format => 'pve-volume-id' });

my %KEY = (
    map({ $_ => {%FLAG} } qw(onboot template console protection unprivileged debug)),
    map({ $_ => {} } qw(startup tags description searchdomain nameserver timezone features
            hookscript arch ostype cmode lock parent)),
    map({ ("net$_" => {}) } 0 .. 31),
    map({ ("dev$_" => {}) } 0 .. 255),
    map({ ("mp$_" => { format => \%MOUNT }) } 0 .. 255),
    map({ ("unused$_" => { format => \%UNUSED }) } 0 .. 255),
    rootfs => { format => \%ROOTFS },
    hostname => { format => 'dns-name', maxLength => 255 },
    tty => { type => 'integer', minimum => 0, maximum => 6 },
    cores => { type => 'integer', minimum => 1, maximum => 8192 },
    memory => { type => 'integer', minimum => 16 },
    swap => { type => 'integer', minimum => 0 },
    cpuunits => { type => 'integer', minimum => 0, maximum => 500000 },
    cpulimit => { type => 'number', minimum => 0, maximum => 8192 },
    snaptime => { type => 'integer', minimum => 0 },
);
$_->{optional} = 1 for values %KEY;

sub known { return $KEY{ $_[0] } }

# What `pct set` accepts besides its own options.
sub settable { return map { ($_ => $KEY{$_}) } grep { !/^(?:parent|snaptime)$/ } keys %KEY }

sub volume_keys { return ('rootfs', map { "mp$_" } 0 .. 255) }

sub format_of {
    my ($key) = @_;
    return $key eq 'rootfs' ? \%ROOTFS : $key =~ /^mp/ ? \%MOUNT : \%UNUSED;
}

# A mount's properties; kind says bind, device or volume; size is in bytes.
sub parse_mount {
    my ($key, $text) = @_;
    my $mount = Standin::Value::parse_properties(format_of($key), $text);
    $mount->{size} = Standin::Value::parse_size($mount->{size}) if defined $mount->{size};
    $mount->{kind} = $mount->{volume} !~ m{^/} ? 'volume'
        : $mount->{volume} =~ m{^/dev/} ? 'device' : 'bind';
    return $mount;
}

sub print_mount {
    my ($key, $mount) = @_;
    return Standin::Value::print_properties(format_of($key), $mount, 'kind',
        $key eq 'rootfs' ? 'mp' : ());
}

sub relative { return "nodes/" . Standin::World::node() . "/lxc/$_[0].conf" }
sub file { return '/etc/pve/' . relative($_[0]) }

# { set => {key => value}, pending => {key => value, delete => keys}, description,
#   lxc => [[key, value]…], rest => text, digest }; dies where this node has no
#   such container.
sub load {
    my ($id) = @_;
    my $raw = Standin::World::slurp(file($id));
    Standin::Failure->throw("Configuration file '" . relative($id) . "' does not exist\n", 2)
        if !defined $raw;
    my %config = (set => {}, pending => {}, lxc => [], rest => '', description => '',
        digest => Standin::Digest::sha1_hex($raw));
    my ($current, $rest) = $raw =~ /^(.*?)(^\[.*)?\z/ms;
    if (defined $rest && $rest =~ /^\[pve:pending\]\s*\n(.*?)(^\[.*)?\z/msi) {
        my $waiting = $1;
        $rest = $2;
        $config{pending}{$1} = $2 while $waiting =~ /^([a-z][a-z_]*\d*):\s*(.+?)\s*$/mg;
    }
    $config{rest} = $rest // '';
    for my $line (split /\n/, $current) {
        next if $line =~ /^\s*$/;
        if ($line =~ /^#(.*)$/) {
            $config{description} .= decoded($1) . "\n";
        } elsif ($line =~ /^(lxc\.[a-z0-9_.-]+)(?::|\s*=)\s*(.*?)\s*$/) {
            push @{ $config{lxc} }, [$1, $2];
        } elsif ($line =~ /^([a-z][a-z_]*\d*):\s*(.+?)\s*$/) {
            my ($key, $value) = ($1, $2);
            my $complaint = unfit($key, \$value);
            warn "vm $id - unable to parse value of '$key' - $complaint\n" if defined $complaint;
            # The genuine reader warns and takes the value all the same.
            $config{set}{$key} = $value;
        } else {
            warn "vm $id - unable to parse config: $line\n";
        }
    }
    return \%config;
}

# Why a value cannot stand in the file; flags become 0 or 1.
sub unfit {
    my ($key, $value) = @_;
    my $schema = $KEY{$key} or return "unknown setting '$key'";
    my $type = $schema->{type} // 'string';
    if ($type eq 'boolean') {
        my $flag = Standin::Value::boolean($$value);
        return "type check ('boolean') failed - got '$$value'" if !defined $flag;
        $$value = $flag;
        return undef;
    }
    return "type check ('$type') failed - got '$$value'"
        if $type eq 'integer' && $$value !~ /^\d+$/
        || $type eq 'number' && $$value !~ /^\d+(?:\.\d+)?$/;
    return undef if !$schema->{format};
    return eval { Standin::Value::check_format($schema->{format}, $$value, ''); 1 }
        ? undef : $@ =~ s/\n\z//r;
}

sub decoded { return $_[0] =~ s/%([0-9a-fA-F]{2})/chr(hex $1)/ger }
sub encoded { return $_[0] =~ s/([\x00-\x1f%:\x7f-\xff])/sprintf('%%%02X', ord $1)/ger }

sub text {
    my ($config) = @_;
    my %used;
    for my $key (grep { /^(?:mp\d+|rootfs)$/ } keys %{ $config->{set} }) {
        my $mount = eval { parse_mount($key, $config->{set}{$key}) } or next;
        $used{ $mount->{volume} } = 1;
    }
    my $out = join '', map { '#' . encoded($_) . "\n" } split /\n/, $config->{description};
    for my $key (sort keys %{ $config->{set} }) {
        my $value = $config->{set}{$key};
        next if $key =~ /^unused/ && $used{$value};
        die "detected invalid newline inside property '$key'\n" if $value =~ /\n/;
        $out .= "$key: $value\n";
    }
    $out .= "$_->[0]: $_->[1]\n" for @{ $config->{lxc} };
    my $pending = $config->{pending};
    $out .= join '', "\n[pve:pending]\n", map { "$_: $pending->{$_}\n" } sort keys %$pending if %$pending;
    $out .= "\n$config->{rest}" if $config->{rest} ne '';
    return $out;
}

# The keys that go with the next stop.
sub waiting_removals { return grep { $_ ne '' } map { s/^!//r } split /[,;\s]+/, $_[0]{pending}{delete} // '' }

sub set_removals {
    my ($config, @keys) = @_;
    my %once = map { $_ => 1 } @keys;
    if (%once) {
        $config->{pending}{delete} = join ',', sort keys %once;
    } else {
        delete $config->{pending}{delete};
    }
}

sub save {
    my ($id, $config) = @_;
    Standin::ClusterFs::write_file(file($id), text($config));
}

1;
