package Standin::ClusterFs;

# /etc/pve as the tools use it: being online, the quorum, the lock directory,
# reading and replacing files.

use strict;
use warnings;

use Errno qw(EACCES EEXIST);
use File::Glob ();

use Standin::Failure;
use Standin::StorageFile;
use Standin::World;

my $LOCKS = '/etc/pve/priv/lock';
my $LARGEST = 1024 * 1024;
my $LOCK_AGE = 120;    # pmxcfs forgets a lock this old

# What every tool does first: ask pmxcfs for the access rules.
sub connect {
    my ($problem, $rc);
    if (!online()) {
        ($problem, $rc) = ('Connection refused', 111);
    } elsif (!Standin::World::privileged()) {
        ($problem, $rc) = ('Unknown error -1', 255);
    } else {
        return;
    }
    my $text = join '', map { "ipcc_send_rec[$_] failed: $problem\n" } 1 .. 3;
    Standin::Failure->throw("${text}Unable to load access control list: $problem\n", $rc);
}

# Down where a test says so, and where /etc/pve is the bare mount point.
sub online {
    return 0 if Standin::World::switched('pmxcfs-down');
    opendir(my $dir, Standin::World::at('/etc/pve')) or return 0;
    my $entries = grep { !/^\.\.?$/ } readdir $dir;
    return $entries > 0;
}

sub quorate { return !Standin::World::switched('noquorum') }

sub storage_config {
    return Standin::StorageFile::parse(Standin::World::slurp($Standin::StorageFile::PATH));
}

sub write_storage_config {
    my ($config) = @_;
    write_file($Standin::StorageFile::PATH, Standin::StorageFile::text($config));
}

# pmxcfs keeps everything root:www-data 0640, and 0600 below priv.
sub write_file {
    my ($path, $text) = @_;
    Standin::Failure->throw("unable to open file '$path.tmp.$$' - Permission denied\n", EACCES)
        if !quorate();
    Standin::Failure->throw("closing file '$path.tmp.$$' failed - File too large\n", 27)
        if length $text > $LARGEST;
    my $private = $path =~ m{^/etc/pve/priv/};
    Standin::World::replace($path, $text, $private ? 0600 : 0640);
    my $group = getgrnam('www-data');
    chown(0, $group, Standin::World::at($path)) if $> == 0 && defined $group && !$private;
}

# Runs the code under the cluster-wide lock of one file of /etc/pve.
# STANDIN_LOCK_PAUSE shortens the second between two attempts in tests.
sub locked {
    my ($name, $code) = @_;
    return locked_as('file-' . ($name =~ s{[./]}{_}gr), $code);
}

# The same under a lock's own name.
sub locked_as {
    my ($lock, $code) = @_;
    take_lock($lock);
    my @result;
    my $done = eval {
        local $SIG{ALRM} = sub { die "'$lock'-locked command timed out - aborting\n" };
        @result = $code->();
        1;
    };
    my $error = $@;
    rmdir Standin::World::at("$LOCKS/$lock");
    die $error if !$done;
    return wantarray ? @result : $result[0];
}

sub take_lock {
    my ($lock) = @_;
    my $refused = sub {
        my ($why, $rc) = @_;
        Standin::Failure->throw("cfs-lock '$lock' error: $why\n", $rc);
    };
    mkdir Standin::World::at($LOCKS) if quorate() && -d Standin::World::at('/etc/pve/priv');
    $refused->('pve cluster filesystem not online.', 2) if !-d Standin::World::at($LOCKS);

    my $directory = Standin::World::at("$LOCKS/$lock");
    my $pause = Standin::World::setting('LOCK_PAUSE', 1);
    for my $left (reverse 0 .. 9) {
        return if quorate() && mkdir $directory;
        if (!$left) {
            $refused->('no quorum!', EACCES) if !quorate();
            $refused->('got lock request timeout', EEXIST);
        }
        print STDERR "trying to acquire cfs lock '$lock' ...\n";
        my $since = (stat $directory)[9];
        rmdir $directory if defined $since && time - $since > $LOCK_AGE && quorate();
        select(undef, undef, undef, $pause);
    }
}

# Guests of the whole cluster: id => { type, node }.
sub guests {
    my %guests;
    my $pattern = Standin::World::at('/etc/pve/nodes') . '/*/{lxc,qemu-server}/*.conf';
    for my $file (File::Glob::bsd_glob($pattern)) {
        my ($node, $kind, $id) = $file =~ m{/nodes/([^/]+)/(lxc|qemu-server)/(\d+)\.conf$} or next;
        $guests{$id} = { type => $kind eq 'lxc' ? 'lxc' : 'qemu', node => $node };
    }
    return \%guests;
}

1;
