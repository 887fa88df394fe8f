package Standin::Value;

# What a value must look like: types, named formats, property strings, with the
# wording of the genuine complaints.
#
# A schema is a hash: type (string unless said), format (a name, a name ending
# in -list, or a hash = property string), whole (a check of all properties
# together), enum, pattern, minimum, maximum, maxLength, optional.

use strict;
use warnings;

# Comma, semicolon and white space all separate; empty items vanish.
sub split_list {
    my ($text) = @_;
    $text =~ s/[,;]/ /g;
    return grep { $_ ne '' } split /\s+/, $text;
}

sub boolean {
    my ($text) = @_;
    return 1 if $text =~ /^(?:1|on|yes|true)$/i;
    return 0 if $text =~ /^(?:0|off|no|false)$/i;
    return undef;
}

my $OCTET = qr/(?:25[0-5]|(?:2[0-4]|1[0-9]|[1-9])?[0-9])/;
my $IPV4 = qr/(?:$OCTET\.){3}$OCTET/;
my $LABEL = qr/[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?/;

sub is_ipv6 {
    my ($text) = @_;
    return 0 if $text !~ /:/ || $text !~ /^[0-9a-fA-F:]+(?:$IPV4)?$/;
    require Socket;
    return defined Socket::inet_pton(Socket::AF_INET6(), $text) ? 1 : 0;
}

sub is_ip { return $_[0] =~ /^$IPV4$/ || is_ipv6($_[0]) ? 1 : 0 }
sub is_host { return is_ip($_[0]) || $_[0] =~ /^(?:$LABEL\.)*$LABEL$/ ? 1 : 0 }

my %CONTENT = map { $_ => 1 } qw(images rootdir vztmpl iso backup snippets none import);

# Each answers nothing and dies with the complaint (without newline).
my %FORMAT = (
    'pve-storage-id' => sub {
        die "storage ID '$_[0]' contains illegal characters" if !is_storage_id($_[0]);
    },
    'pve-node' => sub {
        die 'value does not look like a valid node name' if !is_node_name($_[0]);
    },
    'pve-storage-content' => sub { die "invalid content type '$_[0]'" if !$CONTENT{ $_[0] } },
    'pve-storage-path' => sub {
        die 'value does not look like a valid absolute path' if !is_absolute_path($_[0]);
    },
    'pve-storage-server' => sub {
        die 'value does not look like a valid server name or IP address' if !is_host($_[0]);
    },
    'pve-storage-options' => sub { die "invalid options '$_[0]'" if $_[0] !~ /^\S+$/ },
    'pve-storage-vgname' => sub {
        die "lvm name '$_[0]' contains illegal characters"
            if $_[0] !~ /^[a-z0-9][a-z0-9_.-]*[a-z0-9]$/i;
    },
    'pve-storage-portal-dns' => sub {
        my ($host) = $_[0] =~ /^\[?(.*?)\]?(?::\d+)?$/;
        die 'value does not look like a valid portal address' if !is_host($host);
    },
    'pve-volume-id' => sub {
        die "unable to parse volume ID '$_[0]'"
            if $_[0] !~ /^[a-z][a-z0-9_.-]*[a-z0-9]:.+$/i;
    },
    'pve-configid' => sub {
        die "invalid configuration ID '$_[0]'" if $_[0] !~ /^[a-z][a-z0-9_-]+$/i;
    },
    'pve-vmid' => sub {
        die 'value does not look like a valid VM ID' if $_[0] !~ /^[1-9][0-9]{2,8}$/;
    },
    'pve-dir-override' => sub {
        my ($type, $path) = $_[0] =~ /^([a-z]+)=([^.]*(?:\.?[^.]+)+)$/;
        die "invalid override '$_[0]'" if !defined $path
            || length $path >= 1023 || grep { length $_ >= 255 } split m{/}, $path;
        die "invalid content type '$type'" if !$CONTENT{$type};
    },
    'pve-storage-zfs-blocksize' => sub {
        my ($text) = @_;
        return if $text eq '';
        $text =~ /^([1-9][0-9]*)([km])?$/i
            or die "invalid ZFS blocksize format '$text'. Use a positive number "
            . "(no leading zeros) with an optional 'k' or 'm' suffix.";
        my $bytes = $1 * { '' => 1, k => 1024, m => 1048576 }->{ lc($2 // '') };
        die "value '$text' is not a valid ZFS blocksize. Must be a power of 2 "
            . 'between 512B and 16MiB (e.g., 4k, 8k, 16k, 64k, 1m).'
            if $bytes < 512 || $bytes > 16 * 1048576 || $bytes & ($bytes - 1);
    },
    'pve-lxc-mp-string' => sub {
        die "$_[0] contains illegal character sequences"
            if $_[0] =~ m{/\.\.?(?:/|$)} || $_[0] =~ m{^\.\./};
    },
    'disk-size' => sub {
        die "value does not look like a valid disk size: $_[0]" if !defined parse_size($_[0]);
    },
    'dns-name' => sub {
        die 'value does not look like a valid DNS name' if $_[0] !~ /^(?:$LABEL\.)*$LABEL$/;
    },
    'address' => sub { die 'value does not look like a valid IP address' if !is_ip($_[0]) },
);

sub is_storage_id { return $_[0] =~ /^[a-z][a-z0-9_.-]*[a-z0-9]$/i }
sub is_node_name { return $_[0] =~ /^$LABEL$/ }
sub is_absolute_path { return $_[0] =~ m{^/[^;()]+} }

my %UNIT = ('' => 1, K => 1024, M => 1024**2, G => 1024**3, T => 1024**4);

sub parse_size {
    return $_[0] =~ /^(\d+(?:\.\d+)?)([KMGT])?$/ ? int($1 * $UNIT{ $2 // '' }) : undef;
}

# The largest unit that divides the size exactly.
sub format_size {
    my ($bytes) = @_;
    for my $unit (qw(T G M K)) {
        return $bytes / $UNIT{$unit} . $unit if $bytes % $UNIT{$unit} == 0 && $bytes;
    }
    return $bytes;
}

# Dies with a complete line where the value breaks the format. The answer is
# what a property string holds.
sub check_format {
    my ($format, $value, $path) = @_;
    return parse_properties($format, $value, $path) if ref $format;
    my ($name, $list) = $format =~ /^(.*?)(-list)?$/;
    my $check = $FORMAT{$name} or die "undefined format '$format'\n";
    for my $item ($list ? split_list($value) : $value) {
        eval { $check->($item); 1 } or die complaint($@);
    }
    return undef;
}

sub complaint {
    my ($error) = @_;
    $error =~ s/ at \S+ line \d+\.\n\z/\n/;
    return $error;
}

sub note {
    my ($errors, $path, $text) = @_;
    $path = '_root' if $path eq '';
    $errors->{$path} = defined $errors->{$path} ? "$errors->{$path}\\n$text" : $text;
}

# Collects complaints about one value into %$errors, path => text.
sub check {
    my ($value, $schema, $path, $errors) = @_;
    my $type = $schema->{type} // 'string';
    if (!defined $value) {
        note($errors, $path, 'property is missing and it is not optional')
            if !$schema->{optional};
        return;
    }
    if ($type eq 'boolean' && $value !~ /^[01]$/
        || $type eq 'integer' && $value !~ /^[+-]?\d+$/
        || $type eq 'number' && $value !~ /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/)
    {
        return note($errors, $path, "type check ('$type') failed - got '$value'");
    }
    if (defined(my $format = $schema->{format})) {
        my $whole = $schema->{whole} // sub { };
        eval { $whole->(check_format($format, $value, $path)); 1 }
            or return note($errors, $path, "invalid format - $@");
    }
    if (my $pattern = $schema->{pattern}) {
        return note($errors, $path, 'value does not match the regex pattern')
            if $value !~ /^$pattern$/;
    }
    if (defined(my $most = $schema->{maxLength})) {
        return note($errors, $path, "value may only be $most characters long")
            if length $value > $most;
    }
    if ($type eq 'integer' || $type eq 'number') {
        my ($most, $least) = @$schema{qw(maximum minimum)};
        return note($errors, $path, "value must have a maximum value of $most")
            if defined $most && $value > $most;
        return note($errors, $path, "value must have a minimum value of $least")
            if defined $least && $value < $least;
    }
    if (my $allowed = $schema->{enum}) {
        note($errors, $path, "value '$value' does not have a value in the enumeration '"
                . join(', ', @$allowed) . "'")
            if !grep { $_ eq $value } @$allowed;
    }
}

# key => value of "a,b=c" where one key of the format is the default one.
sub parse_properties {
    my ($format, $text, $path) = @_;
    my ($default) = grep { $format->{$_}{default_key} } sort keys %$format;
    my (%got, $bare);
    for my $part (split /,/, $text) {
        next if $part =~ /^\s*$/;
        if ($part =~ /^([^=]+)=(.+)$/) {
            my ($key, $value) = ($1, $2);
            die "duplicate key in comma-separated list property: $key\n" if defined $got{$key};
            $value = boolean($value) // $value
                if $format->{$key} && ($format->{$key}{type} // '') eq 'boolean';
            $got{$key} = $value;
        } elsif ($part !~ /=/) {
            die "value without key, but schema does not define a default key\n"
                if !defined $default;
            die "duplicate key in comma-separated list property: $default\n"
                if $bare || $got{$default};
            ($got{$default}, $bare) = ($part, 1);
        } else {
            die "missing key in comma-separated list property\n";
        }
    }
    my %errors;
    my $prefix = defined $path && $path ne '' ? "$path." : '';
    check($got{$_}, $format->{$_}, "$prefix$_", \%errors) for keys %$format;
    note(\%errors, "$prefix$_", 'property is not defined in schema '
            . 'and the schema does not allow additional properties')
        for grep { !$format->{$_} } keys %got;
    die join('', "format error\n", map { "$_: $errors{$_}\n" } keys %errors) if %errors;
    return \%got;
}

# The inverse: default key first, then required ones, then the rest by name.
sub print_properties {
    my ($format, $data, @skip) = @_;
    my %done = map { $_ => 1 } @skip;
    my ($default) = grep { $format->{$_}{default_key} } sort keys %$format;
    my @sorted = sort keys %$data;
    my @order = (grep({ defined } $default), grep({ $format->{$_} && !$format->{$_}{optional} } @sorted), @sorted);
    my @out;
    for my $key (@order) {
        next if $done{$key}++ || !defined $data->{$key};
        my $schema = $format->{$key} or die "invalid key '$key'\n";
        my $value = $data->{$key};
        if (($schema->{format} // '') eq 'disk-size') {
            $value = format_size($value);
        } elsif ($value =~ /,/) {
            die "illegal value with commas for $key\n";
        }
        push @out, defined $default && $key eq $default ? $value : "$key=$value";
    }
    return join ',', @out;
}

1;
