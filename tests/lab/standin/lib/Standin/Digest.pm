package Standin::Digest;

# SHA-1 in plain Perl: perl-base carries no Digest::SHA.

use strict;
use warnings;

my $MASK = 0xffffffff;

sub rotate {
    my ($word, $bits) = @_;
    return (($word << $bits) | ($word >> (32 - $bits))) & $MASK;
}

# Hexadecimal SHA-1 of a byte string.
sub sha1_hex {
    my ($bytes) = @_;
    my @state = (0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);
    my $bits = 8 * length $bytes;
    $bytes .= "\x80";
    $bytes .= "\0" x ((56 - length($bytes)) % 64);
    $bytes .= pack('NN', $bits >> 32, $bits & $MASK);

    for (my $at = 0; $at < length $bytes; $at += 64) {
        my @w = unpack('N16', substr($bytes, $at, 64));
        push @w, rotate($w[-3] ^ $w[-8] ^ $w[-14] ^ $w[-16], 1) for 16 .. 79;
        my ($a, $b, $c, $d, $e) = @state;
        for my $round (0 .. 79) {
            my ($mix, $constant)
                = $round < 20 ? (($b & $c) | (~$b & $MASK & $d), 0x5a827999)
                : $round < 40 ? ($b ^ $c ^ $d, 0x6ed9eba1)
                : $round < 60 ? (($b & $c) | ($b & $d) | ($c & $d), 0x8f1bbcdc)
                :               ($b ^ $c ^ $d, 0xca62c1d6);
            my $next = (rotate($a, 5) + $mix + $e + $constant + $w[$round]) & $MASK;
            ($a, $b, $c, $d, $e) = ($next, $a, rotate($b, 30), $c, $d);
        }
        my @round = ($a, $b, $c, $d, $e);
        $state[$_] = ($state[$_] + $round[$_]) & $MASK for 0 .. 4;
    }
    return join '', map { sprintf '%08x', $_ } @state;
}

1;
