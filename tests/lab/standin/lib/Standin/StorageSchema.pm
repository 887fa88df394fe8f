package Standin::StorageSchema;

# Which storage types there are, which options each has, and what the options'
# values must look like. Types beyond zfspool, dir, nfs and cifs are known only
# so that their sections survive a rewrite; they cannot be activated.

use strict;
use warnings;

use Standin::Value;
use Standin::World;

# A mark after the option: ! required and fixed, + required, ~ fixed.
my $DIRLIKE = 'nodes disable maxfiles prune-backups max-protected-backups '
    . 'content format mkdir create-base-path create-subdirs bwlimit preallocation';
my %OPTIONS = (
    zfspool => 'pool! blocksize sparse nodes disable content bwlimit mountpoint',
    dir => "path! shared is_mountpoint content-dirs $DIRLIKE",
    nfs => "path! server! export! options content-dirs $DIRLIKE",
    cifs => "path! server! share! subdir username password domain smbversion options content-dirs $DIRLIKE",
    btrfs => 'path! nodes shared disable maxfiles prune-backups max-protected-backups content '
        . 'format is_mountpoint nocow mkdir create-base-path create-subdirs preallocation',
    cephfs => 'path! content-dirs monhost nodes subdir disable options username content format '
        . 'mkdir create-base-path create-subdirs fuse bwlimit maxfiles keyring prune-backups '
        . 'max-protected-backups fs-name',
    esxi => 'nodes shared disable content server+ username+ password skip-cert-verification port',
    glusterfs => "path! server server2 volume! transport $DIRLIKE",
    iscsi => 'portal! target! nodes disable content bwlimit',
    iscsidirect => 'portal! target! nodes disable content bwlimit',
    lvm => 'vgname! nodes shared disable saferemove saferemove_throughput content base~ '
        . 'tagged_only bwlimit',
    lvmthin => 'thinpool! vgname! nodes disable content bwlimit',
    pbs => 'server! datastore! namespace port nodes disable content username password '
        . 'encryption-key master-pubkey maxfiles prune-backups max-protected-backups fingerprint',
    rbd => 'nodes disable monhost pool data-pool namespace username content krbd keyring bwlimit',
    zfs => 'nodes disable portal! target! pool! blocksize! iscsiprovider! nowritecache sparse '
        . 'comstar_hg comstar_tg lio_tpg content bwlimit',
);

# Allowed contents | contents where none are named.
my $FILES = 'images rootdir vztmpl iso backup snippets import';
my %CONTENT = (
    zfspool => 'images rootdir|images rootdir',
    dir => "$FILES none|images rootdir",
    nfs => "$FILES|images",
    cifs => "$FILES|images",
    btrfs => "$FILES none|images rootdir",
    cephfs => 'vztmpl iso backup snippets import|backup',
    esxi => 'import|import',
    glusterfs => 'images vztmpl iso backup snippets import|images',
    iscsi => 'images none|images',
    iscsidirect => 'images none|images',
    lvm => 'images rootdir|images',
    lvmthin => 'images rootdir|images rootdir',
    pbs => 'backup none|backup',
    rbd => 'images rootdir|images',
    zfs => 'images|images',
);

# Image formats of a type | its default one.
my %IMAGE = (
    zfspool => 'raw subvol|raw',
    dir => 'raw qcow2 vmdk subvol|raw',
    btrfs => 'raw subvol|raw',
    map({ $_ => 'raw qcow2 vmdk|raw' } qw(nfs cifs glusterfs esxi)),
);

my %SHARED = map { $_ => 1 } qw(iscsi nfs cifs rbd cephfs iscsidirect glusterfs zfs pbs);

my %SENSITIVE = (
    cifs => ['password'],
    esxi => ['password'],
    pbs => [qw(encryption-key master-pubkey password)],
    rbd => ['keyring'],
    cephfs => ['keyring'],
);

my %keep = (optional => 1, type => 'integer', minimum => 0);
my %limit = (optional => 1, type => 'number', minimum => 0);
my $BOOLEAN = { type => 'boolean' };
my %PROPERTY = (
    map({ $_ => {} } qw(pool data-pool namespace username authsupported keyring
            share iscsiprovider comstar_tg comstar_hg lio_tpg saferemove_throughput
            target volume datastore encryption-key master-pubkey is_mountpoint)),
    map({ $_ => $BOOLEAN } qw(disable shared sparse mkdir create-base-path create-subdirs
            nocow fuse krbd nowritecache saferemove tagged_only skip-cert-verification)),
    map({ $_ => { format => 'pve-storage-path' } } qw(path mountpoint export subdir)),
    server => { format => 'pve-storage-server' },
    server2 => { format => 'pve-storage-server', requires => 'server' },
    map({ $_ => { format => 'pve-storage-vgname' } } qw(vgname thinpool)),
    nodes => { format => 'pve-node-list' },
    content => { format => 'pve-storage-content-list' },
    'content-dirs' => { format => 'pve-dir-override-list' },
    options => { format => 'pve-storage-options' },
    monhost => { format => 'pve-storage-portal-dns-list' },
    portal => { format => 'pve-storage-portal-dns' },
    'fs-name' => { format => 'pve-configid' },
    base => { format => 'pve-volume-id' },
    blocksize => {},
    maxfiles => { type => 'integer', minimum => 0 },
    'max-protected-backups' => { type => 'integer', minimum => -1 },
    'prune-backups' => {
        format => {
            'keep-all' => { type => 'boolean', optional => 1 },
            map { ("keep-$_" => {%keep}) } qw(last hourly daily weekly monthly yearly),
        },
        whole => sub {
            my %kept = %{ $_[0] };
            die "keep-all cannot be set together with other options.\n"
                if delete $kept{'keep-all'} && grep { $_ > 0 } values %kept;
        },
    },
    bwlimit => { format => { map { ($_ => {%limit}) } qw(default restore migration clone move) } },
    format => { enum => [qw(raw qcow2 subvol vmdk)] },
    preallocation => { enum => [qw(off metadata falloc full)] },
    port => { type => 'integer', minimum => 1, maximum => 65535 },
    transport => { enum => [qw(tcp rdma unix)] },
    fingerprint => { pattern => '(?:[A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}' },
    password => { maxLength => 256, interactive => 1 },
    domain => { maxLength => 256 },
    smbversion => { enum => ['default', '2.0', '2.1', '3', '3.0', '3.11'] },
);

my %parsed;

if (Standin::World::release() >= 9) {
    delete $OPTIONS{glusterfs};
    delete @PROPERTY{qw(maxfiles volume server2 transport)};
    s/ maxfiles// for values %OPTIONS;
    $OPTIONS{$_} .= ' snapshot-as-volume-chain~' for qw(dir nfs cifs);
    $OPTIONS{lvm} .= ' snapshot-as-volume-chain saferemove-stepsize';
    $OPTIONS{zfs} .= ' zfs-base-path';
    $IMAGE{lvm} = 'raw qcow2|raw';
    $PROPERTY{'snapshot-as-volume-chain'} = $BOOLEAN;
    $PROPERTY{'saferemove-stepsize'} = { type => 'integer', enum => [1, 2, 4, 8, 16, 32] };
    $PROPERTY{'zfs-base-path'} = { format => 'pve-storage-path' };
    $PROPERTY{blocksize} = { format => 'pve-storage-zfs-blocksize' };
}
$_->{optional} = 1 for values %PROPERTY;

sub types { return sort keys %OPTIONS }
sub property { return $PROPERTY{ $_[0] } }
sub shared_type { return $SHARED{ $_[0] } }
sub sensitive { return @{ $SENSITIVE{ $_[0] } // [] } }

# Option name => { optional, fixed } of one type, undef for an unknown type.
sub options {
    my ($type) = @_;
    return undef if !defined $OPTIONS{$type};
    return $parsed{$type} //= {
        map {
            my ($name, $mark) = /^(.*?)([!+~]?)$/;
            ($name => { optional => $mark =~ /[!+]/ ? 0 : 1,
                    fixed => $mark =~ /[!~]/ ? 1 : 0 });
        } split ' ', $OPTIONS{$type}
    };
}

sub half {
    my ($text, $which) = @_;
    return split ' ', (split /\|/, $text // '|')[$which] // '';
}

sub valid_content { return map { $_ => 1 } half($CONTENT{ $_[0] }, 0) }
sub default_content { return map { $_ => 1 } half($CONTENT{ $_[0] }, 1) }
sub image_formats { return half($IMAGE{ $_[0] }, 0) }
sub default_image_format { return (half($IMAGE{ $_[0] }, 1))[0] // 'raw' }

# What `pvesm add` accepts: every property of every type.
sub create_schema {
    return {
        %PROPERTY,
        type => { enum => [types()] },
        storage => { format => 'pve-storage-id' },
    };
}

# What `pvesm set` accepts: what at least one type lets be changed.
sub update_schema {
    my %modifiable;
    for my $type (types()) {
        my $options = options($type);
        $modifiable{$_} = $PROPERTY{$_} for grep { !$options->{$_}{fixed} } keys %$options;
    }
    return {
        %modifiable,
        storage => { format => 'pve-storage-id' },
        digest => { optional => 1, maxLength => 64 },
        delete => { optional => 1, format => 'pve-configid-list', maxLength => 4096 },
    };
}

# Checks and converts one value of a section; dies with the complaint.
sub value {
    my ($type, $key, $value, $unchecked) = @_;
    my $options = options($type) or die "unknown section type '$type'\n";
    die "unexpected property '$key'\n" if !$options->{$key};
    my $schema = $PROPERTY{$key};
    my $kind = $schema->{type} // 'string';
    $value = 1 if $kind eq 'boolean' && !defined $value;
    die "got undefined value\n" if !defined $value;
    die "property contains a line feed\n" if $value =~ /[\n\r]/;
    if (!$unchecked) {
        my %errors;
        Standin::Value::check($value, $schema, '', \%errors);
        die "$errors{_root}\n" if defined $errors{_root};
        die "unknown error\n" if %errors;
    }
    return $kind eq 'boolean' || $kind eq 'integer' ? $value + 0 : $value;
}

1;
