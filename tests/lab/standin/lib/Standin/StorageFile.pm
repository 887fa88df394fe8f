package Standin::StorageFile;

# storage.cfg: reading with all its forgiveness, writing with all its losses.
#
# A configuration is { ids => { ID => section }, order => { ID => n }, digest }.
# content, nodes and content-dirs of a section are hashes; hash order is what
# makes the genuine lists come out in a different order each time.

use strict;
use warnings;

use File::Spec ();

use Standin::Digest;
use Standin::StorageSchema;
use Standin::Value;

our $PATH = '/etc/pve/storage.cfg';

# Text of the file (undef: no file) to a configuration. Warns about everything
# it drops; a section that fails its check stays as an id without a section.
sub parse {
    my ($raw) = @_;
    $raw //= '';
    my %config = (ids => {}, order => {}, digest => Standin::Digest::sha1_hex($raw));
    my @lines = split /\n/, $raw;
    my ($number, $rank) = (0, 0);
    my $next = sub {
        while (defined(my $line = shift @lines)) {
            $number++;
            return $line if $line !~ /^\s*#/;
        }
        return undef;
    };

    while (@lines) {
        my $line = $next->() or next;
        my $at = "file $PATH line $number";
        if ($line !~ /^(\S+):\s*(\S+)\s*$/) {
            warn "$at - ignore config line: $line\n";
            next;
        }
        my ($type, $id) = (lc $1, $2);
        my $skipped = 1;
        if (!Standin::Value::is_storage_id($id)) {
            warn "$at (skip section '$id'): storage ID '$id' contains illegal characters\n";
        } elsif (!Standin::StorageSchema::options($type)) {
            warn "$at (skip section '$id'): unsupported type '$type'\n";
        } else {
            $skipped = 0;
        }

        my %section;
        while ($line = $next->()) {
            next if $skipped;
            $at = "file $PATH line $number";
            if ($line !~ /^\s+(\S+)(?:\s+(.*\S))?\s*$/) {
                warn "$at (section '$id') - ignore config line: $line\n";
                next;
            }
            my ($key, $value) = ($1, $2);
            eval {
                die "unknown property type\n" if !Standin::StorageSchema::property($key);
                die "duplicate attribute\n" if defined $section{$key};
                $section{$key} = Standin::StorageSchema::value($type, $key, $value);
            };
            warn "$at (section '$id') - unable to parse value of '$key': $@" if $@;
        }
        next if $skipped;

        my $checked = eval { check_section($type, $id, \%section, 1) };
        warn "$at (skip section '$id'): $@" if $@;
        $config{ids}{$id} = $checked;
        $config{order}{$id} = ++$rank;
    }
    complete($config{ids});
    return \%config;
}

# What every reader adds: the implicit `local`, default contents, shared types.
sub complete {
    my ($ids) = @_;
    my $local = $ids->{local};
    if (!$local || $local->{type} ne 'dir' || ($local->{path} // '') ne '/var/lib/vz') {
        $ids->{local} = {
            type => 'dir',
            priority => 0,
            path => '/var/lib/vz',
            'prune-backups' => 'keep-all=1',
            content => { map { $_ => 1 } qw(backup images iso rootdir snippets vztmpl) },
        };
    }
    delete $ids->{local}{nodes};

    for my $id (keys %$ids) {
        my $section = $ids->{$id};
        if (!$section) {
            # The genuine reader has no guard here and says so, once per use.
            print STDERR "Use of uninitialized value \$type in hash element at "
                . "/usr/share/perl5/PVE/Storage/Plugin.pm line 560.\n";
            $ids->{$id} = undef;
            next;
        }
        my $type = $section->{type};
        $section->{content} //= { Standin::StorageSchema::default_content($type) };
        $section->{shared} = 1 if Standin::StorageSchema::shared_type($type);
    }
}

# A section ready for use: values decoded, required ones present (create) or
# fixed ones absent (update). Dies with the first complaint.
sub check_section {
    my ($type, $id, $given, $create) = @_;
    my $options = Standin::StorageSchema::options($type);
    $given->{path} //= "/mnt/pve/$id"
        if $create && $options->{path} && $type =~ /^(?:nfs|cifs|cephfs|glusterfs)$/;

    my %section = (type => $type);
    for my $key (keys %$given) {
        die "can't change value of fixed parameter '$key'\n"
            if !$create && $options->{$key} && $options->{$key}{fixed};
        die "got undefined value for option '$key'\n" if !defined $given->{$key};
        my $value = Standin::StorageSchema::value($type, $key, $given->{$key}, 1);
        $value = decoded($type, $key, $value);
        $section{$key} = $value if defined $value;
    }
    return \%section if !$create;

    for my $key (keys %$options) {
        die "missing value for required option '$key'\n"
            if !$options->{$key}{optional} && !defined $given->{$key};
    }
    if ($type eq 'dir' || $type eq 'btrfs') {
        die "illegal path for directory storage: $section{path}\n"
            if $section{path} !~ m{^/[-/a-zA-Z0-9_.@]+$};
        $section{path} = File::Spec->canonpath($section{path});
    }
    return \%section;
}

# Lists become hashes; what the type cannot hold is dropped with a warning.
sub decoded {
    my ($type, $key, $value) = @_;
    my %valid = Standin::StorageSchema::valid_content($type);
    my %set;
    if ($key eq 'content') {
        for my $content (Standin::Value::split_list($value)) {
            if ($valid{$content}) { $set{$content} = 1; next }
            warn "storage does not support content type '$content'\n";
        }
        die "unable to combine 'none' with other content types\n" if $set{none} && keys %set > 1;
        die "storage does not support content type 'none'\n" if !%set && !$valid{none};
        return \%set;
    }
    if ($key eq 'nodes') {
        $set{$_} = 1 for Standin::Value::split_list($value);
        return \%set;
    }
    if ($key eq 'content-dirs') {
        for my $entry (Standin::Value::split_list($value)) {
            my ($content, $path) = split /=/, $entry, 2;
            if ($valid{$content}) { $set{$content} = $path; next }
            warn "storage does not support content type '$content'\n";
        }
        return \%set;
    }
    if ($key eq 'format' && !grep { $_ eq $value } Standin::StorageSchema::image_formats($type)) {
        warn "storage does not support format '$value'\n";
        return undef;
    }
    return $value;
}

# A section's value as text: list items in hash order, which is to say any.
sub encoded {
    my ($key, $value) = @_;
    return join ',', keys %$value if $key eq 'nodes';
    return join(',', grep { $value->{$_} } keys %$value) || 'none' if $key eq 'content';
    return join ',', map { "$_=$value->{$_}" } sort keys %$value if $key eq 'content-dirs';
    return $value;
}

# The whole file. Known order first, newcomers behind it in hash order.
sub text {
    my ($config) = @_;
    my ($ids, $order) = @$config{qw(ids order)};
    my $last = 0;
    for my $id (keys %$ids) {
        $last = $order->{$id} if ($order->{$id} // 0) > $last;
    }
    $order->{$_} //= ++$last for keys %$ids;

    my $out = '';
    for my $id (sort { $order->{$a} <=> $order->{$b} } keys %$ids) {
        my $section = $ids->{$id};
        my $type = $section->{type} // '';
        my $options = Standin::StorageSchema::options($type)
            or die "unknown section type '$type'\n";
        $out .= "$type: $id\n";
        $out .= "\tdisable\n" if $section->{disable};
        my @names = sort grep { $_ ne 'disable' } keys %$options;
        for my $key (grep({ !$options->{$_}{optional} } @names),
            grep { $options->{$_}{optional} } @names)
        {
            if (!defined $section->{$key}) {
                next if $options->{$key}{optional};
                die "section '$id' - missing value for required option '$key'\n";
            }
            my $value = encoded($key, $section->{$key});
            die "property '$key' contains a line feed\n" if $value =~ /[\n\r]/;
            my $boolean = (Standin::StorageSchema::property($key)->{type} // '') eq 'boolean';
            $value = $value ? 1 : 0 if $boolean;
            $out .= "\t$key $value\n" if $value ne '';
        }
        $out .= "\n";
    }
    return $out;
}

# The section of an id; dies where there is none. The outdated maxfiles turns
# into prune-backups as soon as anything looks at the section.
sub section {
    my ($config, $id, $missing_ok) = @_;
    my $section = $config->{ids}{$id};
    if (!$section) {
        return undef if $missing_ok;
        die "storage '$id' does not exist\n";
    }
    if (defined(my $most = delete $section->{maxfiles})) {
        $section->{'prune-backups'} //= $most ? "keep-last=$most" : 'keep-all=1';
    }
    return $section;
}

1;
