package TestWorld;

# A world of its own for each test: a directory that the stand-in takes for the
# whole machine, and a way to run its tools there.

use strict;
use warnings;

use Cwd qw(realpath);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IPC::Open3 qw(open3);
use Symbol qw(gensym);

our $TOOLS = realpath(dirname(__FILE__) . '/../..');

sub new {
    my ($class, %how) = @_;
    my $root = tempdir(CLEANUP => 1);
    make_path("$root/etc", "$root/proc", "$root/bin", "$root/run",
        "$root/etc/pve/priv/lock", "$root/etc/pve/nodes/pve1/lxc");
    my $self = bless { root => $root, env => { STANDIN_NODE => 'pve1', STANDIN_LOCK_PAUSE => 0,
        %{ $how{env} // {} } } }, $class;
    $self->write('/proc/mounts', "/dev/sda1 / ext4 rw 0 0\n");
    my $fakes = dirname(__FILE__) . '/../fake';
    for my $pair ([zfs => 'zfs'], [zfs => 'zpool'], [mount => 'mount'],
        [showmount => 'showmount'], [showmount => 'rpcinfo'], [smbclient => 'smbclient'])
    {
        symlink realpath("$fakes/$pair->[0]"), "$root/bin/$pair->[1]" or die;
    }
    $self->write('/zfs', $how{zfs}) if $how{zfs};
    return $self;
}

sub path { return $_[0]->{root} . $_[1] }

sub write {
    my ($self, $path, $text) = @_;
    make_path(dirname($self->path($path)));
    open(my $out, '>', $self->path($path)) or die "$path: $!";
    print $out $text;
    close($out) or die;
}

sub read {
    my ($self, $path) = @_;
    open(my $in, '<', $self->path($path)) or return undef;
    local $/;
    return scalar <$in>;
}

sub cfg { return $_[0]->read('/etc/pve/storage.cfg') }
sub set_cfg { $_[0]->write('/etc/pve/storage.cfg', $_[1]) }
sub calls { return $_[0]->read('/calls') // '' }
sub forget_calls { unlink $_[0]->path('/calls') }

# The lines of one section, list values sorted so that they can be compared.
sub section {
    my ($self, $id) = @_;
    my ($text) = ($self->cfg // '') =~ /^(\S+: \Q$id\E\n(?:\t.*\n)*)/m or return undef;
    $text =~ s/^(\t(?:content|nodes) )(\S+)$/$1 . join ',', sort split m{,}, $2/gme;
    return $text;
}

# (stdout, stderr, exit code) of one of the tools.
sub run {
    my ($self, $tool, @args) = @_;
    local %ENV = (%ENV, STANDIN_ROOT => $self->{root}, %{ $self->{env} });
    my ($in, $out, $err) = (gensym, gensym, gensym);
    my $errors = File::Temp->new;
    my $pid = open3($in, $out, '>&' . fileno($errors), $^X, "$TOOLS/$tool", @args);
    print $in $self->{stdin} if defined $self->{stdin};
    close($in);
    my $stdout = do { local $/; <$out> } // '';
    waitpid($pid, 0);
    my $rc = $? >> 8;
    seek($errors, 0, 0);
    my $stderr = do { local $/; <$errors> } // '';
    return ($stdout, $stderr, $rc);
}

# Runs a tool that must succeed in silence.
sub ok {
    my ($self, @command) = @_;
    my ($out, $err, $rc) = $self->run(@command);
    Test::More::is("$rc|$err", '0|', "@command");
    return $out;
}

# Runs a tool and compares exit code and whole stderr.
sub says {
    my ($self, $rc, $text, @command) = @_;
    my ($out, $err, $got) = $self->run(@command);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::is("$got|$err", "$rc|$text", "@command");
    return $out;
}

1;
