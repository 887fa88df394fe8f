package Standin::VmFile;

# A virtual machine's configuration: the keys that a lab needs, how the file is
# read and written. Sections of snapshots and pending changes are kept as they are.

use strict;
use warnings;

use Standin::ClusterFs;
use Standin::Digest;
use Standin::Failure;
use Standin::Value;
use Standin::World;

my %OPTIONAL = (optional => 1);
my %VOLUME = (format => 'pve-volume-id', %OPTIONAL);
my %CICUSTOM = map { ($_ => {%VOLUME}) } qw(meta network user vendor);

my %KEY = (
    map({ $_ => { type => 'boolean' } } qw(onboot protection template ciupgrade)),
    map({ $_ => {} } qw(name description tags boot lock ostype citype ciuser cipassword sshkeys searchdomain
            nameserver agent cpu scsihw serial0 vga smbios1 vmgenid meta parent)),
    map({ ("net$_" => {}, "ipconfig$_" => {}) } 0 .. 31),
    map({ ("ide$_" => {}) } 0 .. 3),
    map({ ("sata$_" => {}) } 0 .. 5),
    map({ ("scsi$_" => {}) } 0 .. 30),
    map({ ("virtio$_" => {}) } 0 .. 15),
    cicustom => { format => \%CICUSTOM },
    cores => { type => 'integer', minimum => 1 },
    sockets => { type => 'integer', minimum => 1 },
    memory => {},
    snaptime => { type => 'integer', minimum => 0 },
);
$_->{optional} = 1 for values %KEY;

sub known { return $KEY{ $_[0] } }
sub cicustom_format { return \%CICUSTOM }

# What `qm set` accepts besides its own options.
sub settable { return map { ($_ => $KEY{$_}) } grep { !/^(?:parent|snaptime|lock|meta)$/ } keys %KEY }

sub relative { return "nodes/" . Standin::World::node() . "/qemu-server/$_[0].conf" }
sub file { return '/etc/pve/' . relative($_[0]) }

# { set => {key => value}, description, rest => text, digest }; dies where this
# node has no such machine.
sub load {
    my ($id) = @_;
    my $raw = Standin::World::slurp(file($id));
    Standin::Failure->throw("Configuration file '" . relative($id) . "' does not exist\n", 2)
        if !defined $raw;
    my %config = (set => {}, description => '', digest => Standin::Digest::sha1_hex($raw));
    my ($current, $rest) = $raw =~ /^(.*?)(^\[.*)?\z/ms;
    $config{rest} = $rest // '';
    for my $line (split /\n/, $current) {
        next if $line =~ /^\s*$/;
        if ($line =~ /^#(.*)$/) {
            $config{description} .= "$1\n";
        } elsif ($line =~ /^([a-z][a-z_\d]*):\s*(.+?)\s*$/) {
            warn "vm $id - unable to parse value of '$1' - unknown setting '$1'\n" if !$KEY{$1};
            $config{set}{$1} = $2;
        } else {
            warn "vm $id - unable to parse config: $line\n";
        }
    }
    return \%config;
}

sub save {
    my ($id, $config) = @_;
    my $out = join '', map { "#$_\n" } split /\n/, $config->{description};
    $out .= "$_: $config->{set}{$_}\n" for sort keys %{ $config->{set} };
    $out .= "\n$config->{rest}" if $config->{rest} ne '';
    Standin::ClusterFs::write_file(file($id), $out);
}

1;
