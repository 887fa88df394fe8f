package Standin::World;

# Where the stand-in lives: every path, switch and identity comes through here,
# so that STANDIN_ROOT turns the whole machine into one directory for a test.

use strict;
use warnings;

use Cwd ();
use Fcntl qw(O_CREAT O_EXCL O_WRONLY);
use IO::Handle ();
use POSIX ();

our $NOTICE = 'This is a lab stand-in for the Proxmox VE tool of the same name, '
    . 'written for the tests of Phoenix. It is not Proxmox software.';

my $root = $ENV{STANDIN_ROOT} // '';
$root =~ s{/+$}{};

sub root { return $root }

# A path of the stand-in's world as a path of this machine.
sub at { return $root . $_[0] }

# The opposite: what realpath() gave, seen from inside the world.
sub inside {
    my ($path) = @_;
    return $path if $root eq '' || !defined $path;
    my $real_root = Cwd::realpath($root);
    $path =~ s{^(?:\Q$root\E|\Q$real_root\E)(?=/|$)}{};
    return $path eq '' ? '/' : $path;
}

# Canonical path inside the world, undef where nothing is there.
sub realpath {
    my ($path) = @_;
    return undef if !-e at($path);
    my $real = Cwd::realpath(at($path));
    return defined $real && -e $real ? inside($real) : undef;
}

my $settings;

# KEY=VALUE lines of the stand-in's own settings file; the environment wins.
sub setting {
    my ($key, $default) = @_;
    if (!$settings) {
        $settings = {};
        my $text = slurp('/etc/default/phoenix-lab-standin') // '';
        while ($text =~ /^\s*([A-Z_]+)\s*=\s*(["']?)(.*?)\2\s*$/mg) {
            $settings->{$1} = $3;
        }
    }
    return $ENV{"STANDIN_$key"} // $settings->{$key} // $default;
}

# 8 (default) or 9: the release of Proxmox VE that is imitated.
sub release { return setting('PVE_MAJOR', 8) >= 9 ? 9 : 8 }

sub node {
    my $name = $ENV{STANDIN_NODE};
    $name //= $1 if $root ne '' && (slurp('/etc/hostname') // '') =~ /^(\S+)/;
    $name //= (POSIX::uname())[1];
    $name =~ s/\..*$//s;
    return $name;
}

# Root of the world: uid 0, or whoever owns the directory a test made its world.
sub privileged {
    return 1 if $> == 0;
    return $root ne '' && ((stat $root)[4] // -1) == $>;
}

# Faults that a test switches on: a file of that name, outside of /etc/pve
# because the genuine faults are not visible as files either.
sub switched {
    my ($fault) = @_;
    return -e at("/run/phoenix-lab-standin/$fault") ? 1 : 0;
}

sub slurp {
    my ($path) = @_;
    open(my $in, '<:raw', at($path)) or return undef;
    local $/;
    my $text = <$in>;
    close($in);
    return $text // '';
}

# Replaces a file the way the genuine tools do: temporary file, then rename. pmxcfs keeps its files in a database
# that a power cut leaves whole, and this folder lies on ext4, which without fsync may show zeroes under the new
# name afterwards.
sub replace {
    my ($path, $text, $mode) = @_;
    my $temporary = "$path.tmp.$$";
    unlink at($temporary);
    sysopen(my $out, at($temporary), O_WRONLY | O_CREAT | O_EXCL, $mode)
        or die "unable to open file '$temporary' - $!\n";
    my $written = eval {
        local $SIG{PIPE} = 'IGNORE';
        my $done = 0;
        while ($done < length $text) {
            my $now = syswrite($out, $text, length($text) - $done, $done);
            die "unable to write '$temporary' - $!\n" if !defined $now;
            $done += $now;
        }
        $out->sync or die "syncing file '$temporary' failed - $!\n";
        close($out) or die "closing file '$temporary' failed - $!\n";
        chmod($mode, at($temporary));
        rename(at($temporary), at($path))
            or die "close (rename) atomic file '$path' failed: $!\n";
        1;
    };
    return if $written;
    my $error = $@;
    unlink at($temporary);
    die $error;
}

# [what, where, type, options] of every mount, escapes resolved.
sub mounts {
    my $text = slurp('/proc/mounts') // '';
    my @mounts;
    for my $line (split /\n/, $text) {
        my @field = map { s/\\([0-7]{3})/chr(oct $1)/ger } split /\s+/, $line;
        push @mounts, [@field[0 .. 3]] if @field >= 4;
    }
    return \@mounts;
}

# Full path of an external command. A test's world has only the commands in its
# own bin directory: nothing of the real machine is ever reached from there.
sub command {
    my ($name) = @_;
    if ($root ne '') {
        return -x "$root/bin/$name" ? "$root/bin/$name" : undef;
    }
    for my $dir (qw(/usr/sbin /usr/bin /sbin /bin)) {
        return "$dir/$name" if -x "$dir/$name";
    }
    return undef;
}

1;
