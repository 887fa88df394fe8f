# Two runs of the judge on two stand-in worlds must read the same: whatever
# differs by chance is settled, so that a difference to the genuine tools shows.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use TestWorld;

my @transcripts;
for (1 .. 2) {
    my $w = TestWorld->new(zfs => "pool tank imported\nset tank filesystem /tank yes 0 -\n"
            . "set tank/judge filesystem /tank/judge yes 0 -\n");
    local $ENV{PATH} = "$TestWorld::TOOLS:$ENV{PATH}";
    push @transcripts, $w->run('judge', 'tank/judge');
    is($transcripts[-2], '', 'judge itself says nothing on stderr');
    is($transcripts[-1], 0, 'and ends well');
}
my ($first, $second) = @transcripts[0, 3];
is($first, $second, 'the same transcript');
cmp_ok(scalar(() = $first =~ /^\$ /mg), '>=', 60, 'of all commands');
like($first, qr/^\$ pvesm add zfspool jjz --pool tank\/judge\n! create storage failed: storage ID 'jjz' already defined\nfailed\n    zfspool: jjz\n    \tpool tank\/judge\n    \tcontent images,rootdir\n    \tmountpoint \/tank\/judge\n    \tsparse 1\n\n/m, 'with complaint, outcome and file');

done_testing;
