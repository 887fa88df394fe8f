package Standin::Command;

# Runs an external command under the rules of the genuine tools: C locale, a
# time limit, stderr held back by one line so that the last one becomes the
# error's text.

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use IPC::Open3 qw(open3);
use POSIX ();
use Symbol qw(gensym);

use Standin::Failure;
use Standin::World;

# run(['zfs', …], errmsg => 'zfs error', timeout => 10) returns stdout.
# A failure's exit code is the command's own, as with the genuine tools.
# quiet => 1 throws stderr away instead of passing it on; said => \$text keeps
# stdout of a failure as well.
sub run {
    my ($argv, %how) = @_;
    my ($name, @args) = @$argv;
    my $words = $how{errmsg} // "command '@$argv' failed";

    my $program = Standin::World::command($name);
    Standin::Failure->throw("$words: failed to execute: No such file or directory\n", 2)
        if !defined $program;

    my ($out, @complaints, $partial) = ('');
    my $pid;
    my $ran = eval {
        local $SIG{ALRM} = sub { die "got timeout\n" };
        local $ENV{LC_ALL} = 'C';
        my ($in, $reader, $errors) = (gensym, gensym, gensym);
        $pid = open3($in, $reader, $errors, $program, @args);
        close($in);
        alarm($how{timeout}) if $how{timeout};
        my $select = IO::Select->new($reader, $errors);
        while ($select->count) {
            for my $handle ($select->can_read(1)) {
                my $got = sysread($handle, my $chunk, 65536);
                if (!$got) { $select->remove($handle); next }
                if ($handle == $reader) { $out .= $chunk; next }
                $partial .= $chunk;
                push @complaints, $1 while $partial =~ s/^([^\n]*)\n//;
            }
        }
        push @complaints, $partial if defined $partial && $partial ne '';
        waitpid($pid, 0);
        1;
    };
    my $status = $?;
    my $error = $@;
    alarm(0);

    if (!$ran) {
        kill('KILL', $pid) && waitpid($pid, 0) if $pid;
        Standin::Failure->throw("$words: $error", 255);
    }

    my $last = @complaints ? pop @complaints : undef;
    if (!$how{quiet}) { print STDERR "$_\n" for @complaints }
    ${ $how{said} } = $out if $how{said};
    if ($status == 0) {
        print STDERR "$last\n" if defined $last && !$how{quiet};
        return $out;
    }
    my $rc = $status & 127 ? 255 : $status >> 8;
    my $why = $status & 127 ? 'got signal ' . ($status & 127)
        : $how{errmsg} && defined $last ? $last : "exit code $rc";
    Standin::Failure->throw("$words: $why\n", $rc);
}

1;
