package Standin::TypeCifs;

# cifs: the password lies beside storage.cfg, never in it; without one the
# share is mounted as a guest. Never unmounted.

use strict;
use warnings;

use Standin::ClusterFs;
use Standin::Command;
use Standin::FileStore;
use Standin::Value;
use Standin::World;

our @ISA = ('Standin::FileStore');

sub password_file { return "/etc/pve/priv/storage/$_[0].pw" }
sub has_password { return -e Standin::World::at(password_file($_[0])) }

sub forget_password {
    my ($id) = @_;
    return if !has_password($id);
    my $file = password_file($id);
    unlink Standin::World::at($file) or warn "removing cifs credientials '$file' failed: $!\n";
}

# secrets: { password => text or undef }, as far as it was named.
sub added {
    my ($class, $id, $section, $secrets) = @_;
    return forget_password($id) if !defined $secrets->{password};
    mkdir Standin::World::at('/etc/pve/priv/storage');
    Standin::ClusterFs::write_file(password_file($id), "password=$secrets->{password}\n");
    warn "storage $id: ignoring password parameter, no user set\n"
        if !exists $section->{username};
}

# As with the genuine tool, "no user set" looks at the change, not at the storage.
sub updated {
    my ($class, $id, $change, $secrets) = @_;
    $class->added($id, $change, $secrets) if exists $secrets->{password};
}

sub removed { forget_password($_[1]) }

sub source {
    my ($section) = @_;
    my $server = $section->{server};
    $server = "[$server]" if Standin::Value::is_ipv6($server);
    return "//$server/$section->{share}" . ($section->{subdir} // '');
}

sub mounted {
    my ($section) = @_;
    my $source = source($section);
    return scalar grep {
        $_->[2] =~ /^cifs/ && $_->[0] =~ m{^\Q$source\E/?$} && $_->[1] eq $section->{path}
    } @{ Standin::World::mounts() };
}

# A refused login is an error; anything else only means "not online".
sub online {
    my ($class, $id, $section) = @_;
    my @ask = ('smbclient', "//$section->{server}/$section->{share}", '-d', '0');
    my $version = $section->{smbversion};
    push @ask, '-m', 'smb' . int($version) if defined $version && $version ne 'default';
    if (has_password($id)) {
        push @ask, '-U', $section->{username} // '', '-A', Standin::World::at(password_file($id));
        push @ask, '-W', $section->{domain} if $section->{domain};
    } else {
        push @ask, '-U', 'Guest', '-N';
    }
    push @ask, '-c', 'echo 1 0';
    my $said = '';
    my $answered = eval {
        Standin::Command::run(\@ask, timeout => 10, quiet => 1, said => \$said);
        1;
    };
    return 1 if $answered;
    chomp $said;
    die "$said\n" if $said =~ /NT_STATUS_(?:ACCESS_DENIED|INVALID_PARAMETER|LOGON_FAILURE)/;
    return 0;
}

sub activate {
    my ($class, $id, $section) = @_;
    if (!mounted($section)) {
        my $path = $section->{path};
        $class->make_base($section);
        die "unable to activate storage '$id' - directory '$path' does not exist\n"
            if !-d Standin::World::at($path);
        my @options = ('-o', 'soft');
        if (has_password($id)) {
            push @options, '-o', 'username=' . ($section->{username} // ''),
                '-o', 'credentials=' . Standin::World::at(password_file($id));
            push @options, '-o', "domain=$section->{domain}" if defined $section->{domain};
        } else {
            push @options, '-o', 'guest,username=guest';
        }
        push @options, '-o', 'vers=' . ($section->{smbversion} // 'default');
        push @options, '-o', $section->{options} if $section->{options};
        Standin::Command::run(
            ['mount', '-t', 'cifs', source($section), Standin::World::at($path), @options],
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
