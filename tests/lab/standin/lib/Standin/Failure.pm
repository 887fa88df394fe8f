package Standin::Failure;

# How the stand-in's tools fail: a text for stderr and the exit code that the
# genuine tool was seen to give for it. The genuine codes are left-over errno
# values of a Perl die, so each place that fails knows its own.

use strict;
use warnings;

use overload '""' => sub { $_[0]->text }, bool => sub { 1 }, fallback => 1;

# Ends the command with this text (a complete line) and exit code.
sub throw {
    my ($class, $text, $rc) = @_;
    die bless { text => $text, rc => $rc }, $class;
}

# A refused parameter: field => why. The usage line is added on the way out.
sub parameter {
    my ($class, $fields, $rc) = @_;
    die bless { text => "400 Parameter verification failed.\n", rc => $rc // 2,
        fields => {%$fields}, parameter => 1 }, $class;
}

# An answer that breaks its own description, as the genuine tools check it.
sub result {
    my ($class, $fields) = @_;
    die bless { text => "400 Result verification failed\n", rc => 255,
        fields => {%$fields}, parameter => 1 }, $class;
}

# A command line that cannot be read at all.
sub request {
    my ($class, $text) = @_;
    die bless { text => "400 $text\n", rc => 2, parameter => 1 }, $class;
}

sub is_parameter { return $_[0]->{parameter} }
sub usage { $_[0]->{usage} = $_[1]; return $_[0] }

sub text {
    my ($self) = @_;
    my $text = $self->{text};
    $text .= "$_: $self->{fields}{$_}\n" for keys %{ $self->{fields} // {} };
    $text .= $self->{usage} if defined $self->{usage};
    return $text;
}

sub rc { return $_[0]->{rc} }

# Exit code of anything caught: a Failure's own, else the given one.
sub rc_of {
    my ($error, $otherwise) = @_;
    return ref $error && $error->isa(__PACKAGE__) ? $error->rc : $otherwise;
}

# The same failure with words in front, as "create storage failed: …".
sub prefixed {
    my ($class, $words, $error, $otherwise) = @_;
    $class->throw("$words$error", rc_of($error, $otherwise));
}

# Runs a tool's main function and ends the process as the genuine tool would.
sub finish {
    my ($class, $main) = @_;
    my $done = eval { $main->(); 1 };
    exit 0 if $done;
    my $error = $@;
    print STDERR "$error";
    exit(rc_of($error, 255));
}

1;
