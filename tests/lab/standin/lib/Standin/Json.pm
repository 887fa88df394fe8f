package Standin::Json;

# JSON as `pvesh --output-format json` prints it: keys sorted, numbers bare.
# A scalar is a number only where the code made it one (number below); text
# that happens to look like a number stays text.

use strict;
use warnings;

sub number { return bless \(my $value = $_[0] + 0), 'Standin::Json::Number' }

my %ESCAPE = ("\n" => '\n', "\r" => '\r', "\t" => '\t', "\f" => '\f',
    "\b" => '\b', '"' => '\"', '\\' => '\\\\');

sub quoted {
    my ($text) = @_;
    $text =~ s{(["\\\x00-\x1f\x7f])}{$ESCAPE{$1} // sprintf('\\u%04x', ord $1)}ge;
    return qq("$text");
}

# pretty => indentation of three, as the genuine json-pretty.
sub encode {
    my ($value, $pretty, $depth) = @_;
    $depth //= 0;
    return 'null' if !defined $value;
    my $kind = ref $value;
    return "$$value" if $kind eq 'Standin::Json::Number';
    return quoted($value) if $kind eq '';

    my ($open, $close, @items);
    if ($kind eq 'HASH') {
        ($open, $close) = ('{', '}');
        my $colon = $pretty ? ' : ' : ':';
        @items = map { quoted($_) . $colon . encode($value->{$_}, $pretty, $depth + 1) }
            sort keys %$value;
    } else {
        ($open, $close) = ('[', ']');
        @items = map { encode($_, $pretty, $depth + 1) } @$value;
    }
    return $open . join(',', @items) . $close if !$pretty || !@items;
    my ($outer, $inner) = ('   ' x $depth, '   ' x ($depth + 1));
    return "$open\n" . join(",\n", map { "$inner$_" } @items) . "\n$outer$close";
}

1;
