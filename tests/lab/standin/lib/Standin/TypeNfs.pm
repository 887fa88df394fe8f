package Standin::TypeNfs;

# nfs: probed, mounted below /mnt/pve unless told otherwise, never unmounted.

use strict;
use warnings;

use Standin::Command;
use Standin::FileStore;
use Standin::Value;
use Standin::World;

our @ISA = ('Standin::FileStore');

sub source {
    my ($section) = @_;
    my $server = $section->{server};
    $server = "[$server]" if Standin::Value::is_ipv6($server);
    return "$server:$section->{export}";
}

sub mounted {
    my ($section) = @_;
    my $source = source($section);
    return scalar grep {
        $_->[2] =~ /^nfs/ && $_->[0] =~ m{^\Q$source\E/?$} && $_->[1] eq $section->{path}
    } @{ Standin::World::mounts() };
}

# rpcinfo where the options ask for version 4, showmount otherwise.
sub online {
    my ($class, $id, $section) = @_;
    my $server = $section->{server};
    my $probe = ['showmount', '--no-headers', '--exports', $server];
    if (($section->{options} // '') =~ /vers=4/) {
        my $transport = Standin::Value::is_ipv6($server) ? 'tcp6' : 'tcp';
        $probe = ['rpcinfo', '-T', $transport, $server, 'nfs', '4'];
    }
    return eval { Standin::Command::run($probe, timeout => 10, quiet => 1); 1 } ? 1 : 0;
}

sub activate {
    my ($class, $id, $section) = @_;
    if (!mounted($section)) {
        my $path = $section->{path};
        $class->make_base($section);
        die "unable to activate storage '$id' - directory '$path' does not exist\n"
            if !-d Standin::World::at($path);
        Standin::Command::run(
            ['mount', '-t', 'nfs', source($section), Standin::World::at($path),
                $section->{options} ? ('-o', $section->{options}) : ()],
            errmsg => 'mount error');
    }
    $class->populate($id, $section);
}

sub usage {
    my ($class, $id, $section) = @_;
    return if !mounted($section);
    return $class->SUPER::usage($id, $section);
}

1;
