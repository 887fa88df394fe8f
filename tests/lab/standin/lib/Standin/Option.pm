package Standin::Option;

# Reads a sub-command's command line: -x v, --x v, --x=v, in any order with the
# positionals; unknown options are reported by Getopt::Long itself, as there.

use strict;
use warnings;

use Getopt::Long ();

use Standin::Failure;
use Standin::Value;

# read(\%schema, \@argv, \@positional) gives checked parameters or throws.
# schema: name => value schema; 'interactive' marks the password option.
sub read {
    my ($schema, $argv, $positional) = @_;
    my @options;
    for my $name (keys %$schema) {
        my $property = $schema->{$name};
        my $optional_value = $property->{interactive} || ($property->{type} // '') eq 'boolean';
        my $list = !ref($property->{format} // '') && ($property->{format} // '') =~ /-list$/;
        push @options, $name . ($optional_value ? ':s' : $list ? '=s@' : '=s');
    }
    my @rest = @$argv;
    my %given;
    Getopt::Long::Configure('default', 'prefix_pattern=(--|-)');
    Getopt::Long::GetOptionsFromArray(\@rest, \%given, @options)
        or Standin::Failure->request('unable to parse option');

    for my $name (@$positional) {
        if (@rest) { $given{$name} = shift @rest; next }
        Standin::Failure->request('not enough arguments') if !$schema->{$name}{optional};
    }
    Standin::Failure->request('too many arguments') if @rest;

    for my $name (keys %given) {
        my $property = $schema->{$name};
        $given{$name} = join ',', @{ $given{$name} } if ref $given{$name};
        if ($property->{interactive} && $given{$name} eq '') {
            $given{$name} = password();
        } elsif (($property->{type} // '') eq 'boolean') {
            $given{$name} = $given{$name} eq '' ? 1 : Standin::Value::boolean($given{$name})
                // Standin::Failure->request('unable to parse boolean option');
        }
    }
    check(\%given, $schema);
    return \%given;
}

sub check {
    my ($given, $schema) = @_;
    my %errors;
    Standin::Value::check($given->{$_}, $schema->{$_}, $_, \%errors) for keys %$schema;
    for my $name (keys %$given) {
        my $needed = $schema->{$name}{requires};
        Standin::Value::note(\%errors, $needed,
            "missing property - '$name' requires this property")
            if defined $needed && !defined $given->{$needed};
    }
    Standin::Failure->parameter(\%errors) if %errors;
}

# A line of standard input where it is no terminal.
sub password {
    if (-t STDIN) { print 'Enter Password: '; system('stty', '-echo') }
    my $line = <STDIN>;
    if (-t STDIN) { system('stty', 'echo'); print "\n" }
    die "EOF while reading password\n" if !defined $line;
    chomp $line;
    return $line;
}

# The one usage line that follows a refused command.
sub usage {
    my ($prefix, $schema, $positional) = @_;
    my %placed = map { $_ => 1 } @$positional;
    my $args = join ' ', map { $schema->{$_}{optional} ? "[<$_>]" : "<$_>" } @$positional;
    my $options = grep { !$placed{$_} } keys %$schema;
    return "$prefix $args" . ($options ? ' [OPTIONS]' : '')
        . ($schema->{'output-format'} ? ' [FORMAT_OPTIONS]' : '') . "\n";
}

# Picks a sub-command by name or by an unambiguous beginning of it.
# commands: name => { schema => sub, positional => [...], run => sub }.
sub dispatch {
    my ($tool, $commands, $order, $argv) = @_;
    my ($word, @rest) = @$argv;
    my $overview = sub {
        my ($complaint) = @_;
        print STDERR "ERROR: $complaint\n";
        print STDERR "USAGE: $tool <COMMAND> [ARGS] [OPTIONS]\n\n";
        for my $name (@$order) {
            my $command = $commands->{$name};
            print STDERR ' ' x 7,
                usage("$tool $name", $command->{schema}->(), $command->{positional});
        }
        exit 255;
    };
    $overview->('no command specified') if !defined $word;
    my @match = $commands->{$word} ? $word : grep { /^\Q$word\E/ } keys %$commands;
    $overview->("unknown command '$tool $word'") if @match != 1;

    my $command = $commands->{ $match[0] };
    my $schema = $command->{schema}->();
    my $done = eval {
        $command->{run}->(Standin::Option::read($schema, \@rest, $command->{positional}));
        1;
    };
    return if $done;
    my $error = $@;
    $error->usage(usage("$tool $match[0]", $schema, $command->{positional}))
        if ref $error && $error->isa('Standin::Failure') && $error->is_parameter;
    die $error;
}

1;
