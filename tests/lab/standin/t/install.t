# What lands in a root filesystem, and that it needs no more Perl than
# perl-base: that is all the lab's image has.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use Test::More;
use TestWorld;

my $root = tempdir(CLEANUP => 1);
is(system("$TestWorld::TOOLS/install", $root), 0, 'install');
for my $tool (qw(/usr/sbin/pvesm /usr/sbin/pct /usr/sbin/qm /usr/sbin/pveum /usr/bin/pvesh /usr/bin/pvedaemon /usr/sbin/standin-pmxcfs)) {
    ok(-x "$root$tool", $tool);
}
ok(-d "$root/etc/pve" && !glob("$root/etc/pve/*"), '/etc/pve is an empty mount point');
ok(-l "$root/etc/systemd/system/multi-user.target.wants/pve-cluster.service", 'comes up at boot');
is(system("$TestWorld::TOOLS/install", $root, '9'), 0, 'again, as PVE 9');
open(my $settings, '<', "$root/etc/default/phoenix-lab-standin") or die;
is(join('', <$settings>), "PVE_MAJOR=9\n", 'release');

my ($base) = glob '/usr/lib/*/perl-base';
SKIP: {
    skip 'no perl-base directory here', 1 if !$base || !-d $base;
    my $program = 'BEGIN { @INC = (shift, shift) } for (@ARGV) { require $_ } print "all\n"';
    my @modules = map { m{(Standin/[^/]+)$} } glob "$TestWorld::TOOLS/lib/Standin/*.pm";
    open(my $out, '-|', $^X, '-e', $program, "$TestWorld::TOOLS/lib", $base, @modules) or die;
    is(join('', <$out>), "all\n", scalar(@modules) . ' modules load with perl-base alone');
}
for my $tool (qw(pvesm pct qm pveum pvesh pvestatd pvedaemon pveversion standin-pmxcfs)) {
    open(my $in, '<', "$TestWorld::TOOLS/$tool") or die;
    my @used = grep { !/^(?:strict|warnings|lib|Standin::.*)$/ } map { /^use ([\w:]+)/ } <$in>;
    my @missing = grep { my $file = s{::}{/}gr . '.pm'; !-e "$base/$file" } @used;
    is("@missing", '', "$tool uses perl-base only") if $base;
}

# SHA-1 is our own there; it has to agree with coreutils.
use lib "$FindBin::Bin/../lib";
require Standin::Digest;
require Standin::Json;
for my $text ('', 'abc', 'x' x 55, 'x' x 56, 'x' x 64, join('', map { chr } 0 .. 255) x 9) {
    my $file = File::Temp->new;
    print $file $text;
    close($file);
    my ($sum) = split ' ', `sha1sum $file`;
    is(Standin::Digest::sha1_hex($text), $sum, 'sha1 of ' . length($text) . ' bytes');
}
is(Standin::Json::encode({ b => [], a => [Standin::Json::number(1), '1', undef, qq("\n\\\x01)], c => {} }),
    '{"a":[1,"1",null,"\"\n\\\\\u0001"],"b":[],"c":{}}', 'JSON');

done_testing;
