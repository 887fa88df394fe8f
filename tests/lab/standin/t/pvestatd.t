# pvestatd: what it does to pools, mounts and folders as long as it runs, which nobody asks for.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TestWorld;

my $ZFS = <<'STATE';
pool tank exported
set tank filesystem /tank no 0 -
set tank/guests filesystem /tank/guests no 0 -
STATE
my $CFG = "zfspool: tg\n\tpool tank/guests\n\tcontent images\n\n";
my $MOUNTED = "tank/guests /tank/guests zfs rw 0 0\n";
my %daemon;    # pid => 1

# Starts it in a world, restless, with its words in /statd.log.
sub start {
    my ($w) = @_;
    my $pid = fork // die;
    if (!$pid) {
        %ENV = (%ENV, STANDIN_ROOT => $w->{root}, STANDIN_STAT_PAUSE => 0.05, %{ $w->{env} });
        open(STDERR, '>>', $w->path('/statd.log')) or die;
        exec $^X, "$TestWorld::TOOLS/pvestatd" or die;
    }
    $daemon{$pid} = 1;
    return $pid;
}

sub stop {
    my ($pid) = @_;
    kill 'TERM', $pid;
    waitpid $pid, 0;
    delete $daemon{$pid};
}
END {
    # What ends here is the daemons' own result, not theirs.
    my $status = $?;
    stop($_) for keys %daemon;
    $? = $status;
}

# Waits for what must come in the end.
sub comes {
    my ($what, $name) = @_;
    for (1 .. 1200) {
        return pass($name) if $what->();
        select(undef, undef, undef, 0.05);
    }
    fail($name);
}

# Waits until it has looked at everything once more: at a storage that is looked at in any case.
sub another_pass {
    my ($w, $name) = @_;
    my $marker = $w->path('/srv/marker/template/iso');
    for (1 .. 3) {    # the first may have begun before, and the last need not be through
        rmdir $marker;
        comes(sub { -d $marker }, $name);
    }
}

sub world {
    my ($cfg, %how) = @_;
    my $w = TestWorld->new(%how);
    $w->set_cfg($cfg . "dir: marker\n\tpath /srv/marker\n\tcontent iso\n\n");
    return $w;
}

subtest 'a pool that was exported comes back, and what was unmounted is mounted' => sub {
    my $w = world($CFG, zfs => $ZFS);
    my $pid = start($w);
    comes(sub { $w->calls =~ m{^zpool import -d /dev/disk/by-id/ -o cachefile=none tank$}m }, 'imported without a cache file');
    comes(sub { ($w->read('/proc/mounts') // '') =~ /\Q$MOUNTED/ }, 'mounted');
    $w->forget_calls;
    another_pass($w, 'nothing while it is mounted');
    unlike($w->calls, qr/import|mount -a/, 'neither import nor mount');
    for my $time (1, 2) {
        $w->write('/proc/mounts', "/dev/sda1 / ext4 rw 0 0\n");
        comes(sub { ($w->read('/proc/mounts') // '') =~ /\Q$MOUNTED/ }, "mounted again, $time");
    }
    stop($pid);
};

subtest 'what is not for it is left alone' => sub {
    my $w = world("zfspool: off\n\tpool tank\n\tcontent images\n\tdisable\n\n"
        . "zfspool: other\n\tpool tank/guests\n\tcontent images\n\tnodes pve2\n\n", zfs => $ZFS);
    my $pid = start($w);
    another_pass($w, 'disabled, and of another node');
    is($w->calls, '', 'no command');
    stop($pid);
    $w = world("zfspool: tg\n\tpool tank\n\tcontent images\n\n", zfs => $ZFS =~ s/exported/imported/r);
    $w->write('/proc/mounts', $MOUNTED);
    $pid = start($w);
    another_pass($w, 'a child is mounted');
    unlike($w->calls, qr/mount -a/, 'that is enough');
    stop($pid);
};

subtest 'folders of a dir storage come on whatever is there, unless it insists on a mount' => sub {
    my $w = world("dir: dd\n\tpath /srv/d\n\tcontent backup\n\n"
        . "dir: mp\n\tpath /srv/mp\n\tcontent backup\n\tis_mountpoint 1\n\n");
    my $pid = start($w);
    comes(sub { -d $w->path('/srv/d/dump') }, 'they come');
    rmdir $w->path('/srv/d/dump');
    comes(sub { -d $w->path('/srv/d/dump') }, 'and come again');
    another_pass($w, 'once more');
    ok(!-e $w->path('/srv/mp'), 'but not where nothing is mounted');
    $w->write('/srv/mp/there', '');
    $w->write('/proc/mounts', "/dev/sdb1 /srv/mp ext4 rw 0 0\n");
    comes(sub { -d $w->path('/srv/mp/dump') }, 'only once it is');
    stop($pid);
};

subtest 'what goes wrong does not end it' => sub {
    my $w = world("zfspool: lost\n\tpool nowhere\n\tcontent images\n\n", zfs => $ZFS);
    my $pid = start($w);
    another_pass($w, 'a pool that is nowhere');
    comes(sub { ($w->read('/statd.log') // '') =~ /could not activate storage 'lost'/ }, 'is complained of');
    $w->set_cfg("zfspool: broken\n\tcontent images\n\n");
    comes(sub { ($w->read('/statd.log') // '') =~ /missing value for required option 'pool'/ }, 'a broken file, too');
    $w->set_cfg("dir: marker\n\tpath /srv/marker\n\tcontent iso\n\n");
    another_pass($w, 'and it goes on');
    stop($pid);
};

my $w = TestWorld->new(env => { STANDIN_STAT_PAUSE => 'soon' });
$w->says(255, "STAT_PAUSE is no number of seconds: soon\n", 'pvestatd', '--once');

done_testing;
