package Standin::HostFirewall;

# The node's own rules in Proxmox VE's firewall: host.fw as the genuine API reads and writes it, and the three
# methods on its rules that the product uses. Nothing is ever filtered.

use strict;
use warnings;

use Standin::ClusterFs;
use Standin::Digest;
use Standin::Failure;
use Standin::Json;
use Standin::Value;
use Standin::World;

my @LEVELS = qw(emerg alert crit err warning notice info debug nolog);
my %OPTIONAL = (optional => 1);

# What a rule may have, as the API takes it; `ipversion` is derived.
sub schema {
    return {
        type => { enum => [qw(in out forward group)], %OPTIONAL },
        action => { pattern => qr/[A-Za-z][A-Za-z0-9\-_]+/, maxLength => 20, %OPTIONAL },
        macro => { maxLength => 128, %OPTIONAL },
        iface => { pattern => qr/[a-zA-Z][a-zA-Z0-9_]{1,20}(?:[:.]\d+)?/, %OPTIONAL },
        source => { maxLength => 512, %OPTIONAL },
        dest => { maxLength => 512, %OPTIONAL },
        proto => {%OPTIONAL},
        enable => { type => 'integer', minimum => 0, %OPTIONAL },
        log => { enum => [@LEVELS], %OPTIONAL },
        sport => {%OPTIONAL},
        dport => {%OPTIONAL},
        comment => {%OPTIONAL},
        'icmp-type' => {%OPTIONAL},
        pos => { type => 'integer', minimum => 0, %OPTIONAL },
        digest => { maxLength => 64, %OPTIONAL },
    };
}

sub path { return '/etc/pve/nodes/' . Standin::World::node() . '/host.fw' }

# What the file says: options by name, rules in order. Whatever is not understood is complained about, and lost
# with the next change, as comments of their own are without a word.
sub load {
    my $file = path();
    my (%options, @rules, $section);
    my $number = 0;
    for my $line (split /\n/, Standin::World::slurp($file) // '') {
        $number++;
        $line =~ s/^\h+|\h+$//g;
        next if $line eq '' || $line =~ /^#/;
        if ($line =~ /^\[(options|rules)\]$/i) { $section = lc $1; next }
        my $said = eval {
            if (!$section) { die "skip line - no section\n" }
            elsif ($section eq 'rules') { push @rules, parse_rule($line) }
            elsif ($line =~ /^([a-z_]+):\s*(.*)$/i) { $options{ lc $1 } = $2 }
            else { die "can't parse option '$line'\n" }
            1;
        };
        print STDERR "$file (line $number): $@" if !$said;
    }
    return (\%options, \@rules);
}

sub parse_rule {
    my ($line) = @_;
    my %rule;
    $rule{comment} = $1 if $line =~ s/#\s*(.*?)\s*$//;
    $rule{enable} = $line =~ s/^\|// ? 0 : 1;
    $line =~ s/^(\S+)\s+(\S+)\s*// or die "unable to parse rule: $line\n";
    @rule{qw(type action)} = (lc $1, $2);
    @rule{qw(macro action)} = ($1, $2)
        if $rule{type} ne 'group' && $rule{action} =~ /^(\S+)\((ACCEPT|DROP|REJECT)\)$/;
    while (length $line) {
        if ($line =~ s/^-i (\S+)\s*//) { $rule{iface} = $1 }
        elsif ($rule{type} eq 'group') { last }
        elsif ($line =~ s/^(?:-p|--?proto) (\S+)\s*//) { $rule{proto} = $1 }
        elsif ($line =~ s/^--?(dport|sport|source|dest|icmp-type) (\S+)\s*//) { $rule{$1} = $2 }
        elsif ($line =~ s/^--?log (\S+)\s*// && grep { $_ eq $1 } @LEVELS) { $rule{log} = $1 }
        else { last }
    }
    die "unable to parse rule parameters: $line\n" if length $line;
    my %errors;
    verify(\%rule, \%errors);
    $rule{errors} = {%errors} if %errors;
    return \%rule;
}

# The address family of a list of addresses, networks or one range; undef for names of sets and aliases.
sub family {
    my ($list) = @_;
    return undef if $list =~ /^\+\S+$/ || $list =~ m{^(?:dc/|guest/)?[A-Za-z][A-Za-z0-9\-_]+$};
    my @elements = split /,/, $list;
    die "extraneous commas in list\n" if $list ne join ',', @elements;
    my $family;
    for my $element (@elements) {
        my @ends = split /-/, $element =~ s{/\d+$}{}r;
        die "invalid IP address: Invalid chars in IP $element\n" if !@ends || grep { !Standin::Value::is_ip($_) } @ends;
        my $this = Standin::Value::is_ipv6($ends[0]) ? 6 : 4;
        die "detected mixed ipv4/ipv6 addresses in address list '$list'\n" if defined $family && $family != $this;
        $family = $this;
    }
    return $family;
}

sub check_ports {
    my ($list) = @_;
    my $count = 0;
    my @elements = split /,/, $list;
    die "extraneous commas in list\n" if $list ne join ',', @elements;
    for my $item (@elements) {
        my ($first, $last) = $item =~ /^(\d+)(?::(\d+))?$/ or die "invalid port '$item'\n";
        for (grep { defined } $first, $last) { die "invalid port '$_'\n" if $_ > 65535 }
        die "backwards range '$item' not allowed, did you mean '$last:$first'?\n" if defined $last && $first > $last;
        $count += defined $last ? 2 : 1;
    }
    die "too many entries in port list (> 15 numbers)\n" if $count > 15;
}

# Adds what is derived, and what is wrong as field => why.
sub verify {
    my ($rule, $errors) = @_;
    my $wrong = sub { my ($field, $why) = @_; chomp $why; $errors->{$field} //= $why };
    $wrong->(type => "invalid rule type '$rule->{type}' for rule_env 'host'")
        if !grep { $_ eq $rule->{type} } qw(in out forward group);
    $wrong->(action => "unknown action '$rule->{action}'")
        if $rule->{type} ne 'group' && $rule->{action} !~ /^(?:ACCEPT|DROP|REJECT)$/;
    my $proto = $rule->{proto};
    $wrong->(proto => "unknown protocol '$proto'") if defined $proto && $proto !~ /^(?:tcp|udp|sctp|icmp|icmpv6|ipv6-icmp|esp|gre|\d+)$/;
    for my $port (qw(dport sport)) {
        my $value = $rule->{$port} // next;
        eval { check_ports($value); 1 } or $wrong->($port => $@);
        $wrong->(proto => "missing property - '$port' requires this property") if !defined $proto;
        $wrong->($port => "protocol '" . ($proto // '') . "' does not support ports") if ($proto // '') !~ /^(?:tcp|udp|sctp)$/;
    }
    my $version;
    for my $end (qw(source dest)) {
        my $value = $rule->{$end} // next;
        eval {
            my $family = family($value);
            die "detected mixed ipv4/ipv6 addresses in rule\n" if defined $version && defined $family && $version != $family;
            $version //= $family;
            1;
        } or $wrong->($end => $@);
    }
    $rule->{ipversion} = $version if defined $version;
}

sub text {
    my ($options, $rules) = @_;
    my $text = '';
    $text .= "[OPTIONS]\n\n" . join('', map { "$_: $options->{$_}\n" } keys %$options) . "\n" if %$options;
    return $text if !@$rules;
    $text .= "[RULES]\n\n";
    for my $rule (@$rules) {
        $text .= ($rule->{enable} ? '' : '|') . uc $rule->{type};
        $text .= defined $rule->{macro} ? " $rule->{macro}($rule->{action})" : " $rule->{action}";
        $text .= " -i $rule->{iface}" if $rule->{iface};
        if ($rule->{type} ne 'group') {
            $text .= " -$_->[1] $rule->{$_->[0]}" for grep { $rule->{ $_->[0] } } [source => 'source'], [dest => 'dest'],
                [proto => 'p'], [dport => 'dport'], [sport => 'sport'], [log => 'log'], ['icmp-type' => 'icmp-type'];
        }
        $text .= " # $rule->{comment}" if ($rule->{comment} // '') =~ /\S/;
        $text .= "\n";
    }
    return "$text\n";
}

sub save {
    my ($options, $rules) = @_;
    my $text = text($options, $rules);
    return Standin::ClusterFs::write_file(path(), $text) if $text ne '';
    unlink Standin::World::at(path());
}

# One digest of all rules, whatever else the file holds.
sub digest {
    my ($rules) = @_;
    my $said = '';
    for my $rule (@$rules) {
        $said .= "$_:$rule->{$_}\n" for grep { defined $rule->{$_} && !ref $rule->{$_} } sort keys %$rule;
    }
    return Standin::Digest::sha1_hex($said);
}

sub list {
    my (undef, $rules) = load();
    my $digest = digest($rules);
    my $position = 0;
    return [map {
        my %shown = (%$_, digest => $digest, pos => $position++);
        $shown{$_} = Standin::Json::number($shown{$_}) for grep { defined $shown{$_} } qw(enable ipversion pos);
        \%shown;
    } @$rules];
}

sub locked { return Standin::ClusterFs::locked_as('firewall-host-' . Standin::World::node(), $_[0]) }

# Puts a rule first; it is off unless told otherwise. No digest is looked at.
sub create {
    my ($param) = @_;
    my %missing = map { ($_ => 'property is missing and it is not optional') } grep { !defined $param->{$_} } qw(type action);
    Standin::Failure->parameter(\%missing) if %missing;
    locked(sub {
        my ($options, $rules) = load();
        my %rule;
        for my $field (keys %{ schema() }) {
            my $value = $param->{$field};
            $rule{$field} = $value if defined $value && $value ne '' && $value ne '-' && $field !~ /^(?:pos|digest)$/;
        }
        my %errors;
        verify(\%rule, \%errors);
        Standin::Failure->parameter(\%errors, 255) if %errors;
        $rule{enable} //= 0;
        save($options, [\%rule, @$rules]);
    });
}

# Takes the rule at a place away, where the digest still is that of all rules.
sub delete {
    my ($position, $digest) = @_;
    locked(sub {
        my ($options, $rules) = load();
        die "detected modified configuration - file changed by other user? Try again.\n"
            if defined $digest && $digest ne '' && $digest ne digest($rules);
        die "no rule at position $position\n" if $position >= @$rules;
        splice @$rules, $position, 1;
        save($options, $rules);
    });
}

1;
