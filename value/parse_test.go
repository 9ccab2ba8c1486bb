package value

import (
	"errors"
	"strings"
	"testing"
)

func parse(t testing.TB, k Kind, text string) Number {
	t.Helper()
	n, err := Parse(k, text, Limits{Digits: MaxDigits, Exponent: MaxExponent})
	if err != nil {
		t.Fatalf("Parse(%v, %.40q): %v", k, text, err)
	}
	return n
}

func TestParsePrintsPlain(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		text, want string
	}{
		{Integer, "0", "0"},
		{Integer, "-3", "-3"},
		{Integer, "9223372036854775807", "9223372036854775807"},
		{Integer, "9223372036854775808", "9223372036854775808"},
		{Integer, "-9223372036854775808", "-9223372036854775808"},
		{Integer, "-9223372036854775809", "-9223372036854775809"},
		{Integer, "123456789012345678901234567890", "123456789012345678901234567890"},
		{Decimal, "12.50", "12.5"},
		{Decimal, "0.0", "0"},
		{Decimal, "0e5", "0"},
		{Decimal, "1.00", "1"},
		{Decimal, "100", "100"},
		{Decimal, "1e3", "1000"},
		{Decimal, "1E+3", "1000"},
		{Decimal, "1e-3", "0.001"},
		{Decimal, "1e003", "1000"},
		{Decimal, "-12.5e-1", "-1.25"},
		{Decimal, "12.5e1", "125"},
		{Decimal, "100e-1", "10"},
		{Decimal, "100e-4", "0.01"},
		{Decimal, "1.5e30", "1500000000000000000000000000000"},
		{Decimal, "0.00000000000000000000000000000001", "0.00000000000000000000000000000001"},
		{Decimal, "1e-127", "0." + strings.Repeat("0", 126) + "1"},
		{Decimal, "1e-128", "0." + strings.Repeat("0", 127) + "1"},
		{Decimal, "-922337203685477580.8", "-922337203685477580.8"},
		{Decimal, "922337203685477580.8", "922337203685477580.8"},
		{Decimal, "12345678901234567890.1234567890", "12345678901234567890.123456789"},
		{Rational, "1/3", "1/3"},
		{Rational, "2/4", "1/2"},
		{Rational, "-6/3", "-2"},
		{Rational, "0/7", "0"},
		{Rational, "0.5", "1/2"},
		{Rational, "-1.250", "-5/4"},
		{Rational, "3.0", "3"},
		{Rational, "7", "7"},
		{Rational, "2147483647/2147483646", "2147483647/2147483646"},
		{Rational, "1/2147483648", "1/2147483648"},
		{Rational, "9223372036854775807/9223372036854775806", "9223372036854775807/9223372036854775806"},
		{Rational, "-9223372036854775808/3", "-9223372036854775808/3"},
		{Rational, "9223372036854775808/9223372036854775808", "1"},
		{Rational, "-9223372036854775808/9223372036854775808", "-1"},
	} {
		n := parse(t, c.kind, c.text)
		if got := n.String(c.kind); got != c.want {
			t.Errorf("%v %q prints %q, want %q", c.kind, c.text, got, c.want)
		}
		again := parse(t, c.kind, c.want)
		if !n.Equal(c.kind, again) || n.large == nil && n != again {
			t.Errorf("%v %q and %q differ", c.kind, c.text, c.want)
		}
	}
}

func TestParseTakesAnyTextType(t *testing.T) {
	type text string
	type raw []byte
	want := FromInt64(42)
	if n, err := Parse(Integer, text("42"), Limits{}); err != nil || n != want {
		t.Errorf("named string: %v, %v", n, err)
	}
	if n, err := Parse(Integer, raw("42"), Limits{}); err != nil || n != want {
		t.Errorf("named bytes: %v, %v", n, err)
	}
}

func TestParseRefuses(t *testing.T) {
	everywhere := []string{
		"", " ", " 1", "1 ", "1\n", "+1", "-", "--1", "-+1", "NaN", "nan", "-NaN", "sNaN", "Inf", "Infinity", "-inf",
		"0x10", "0b1", "0o7", "1_000", "1,5", "-0", "00", "007", "-01", "1-", "1.", ".5", "-.5", "1..2", "1.2.3", ".",
		"e5", "1e", "1e+", "1e-", "1e1.5", "1e1e1", "/", "1/", "/2", "1/0", "1/-2", "1/+2", "1/02", "1/2/3", "1//2",
		"1\x00", "\x00", "\u0661", "\uff11", "1\xff", "0.5/2", "1/0.5", "1.5/1", "true", "null", "\"1\"", "--0", "-0/5",
	}
	only := map[Kind][]string{
		Integer:  {"1e3", "5.0", "1/2", "-0.0"},
		Decimal:  {"-0.0", "-0e3", "-0.000e-2", "1/2", "01e2", "1.e2"},
		Rational: {"1e3", "-0.0", "-0/1", "1/00", "5e-1"},
	}
	for k := Integer; k <= Rational; k++ {
		for _, text := range append(everywhere, only[k]...) {
			n, err := Parse(k, text, Limits{})
			var syntax *SyntaxError
			if !errors.Is(err, ErrSyntax) || !errors.As(err, &syntax) || syntax.Kind != k || syntax.Reason == "" {
				t.Errorf("Parse(%v, %q) = %v, %v; want a SyntaxError", k, text, n, err)
			}
		}
	}
}

func TestParseLimits(t *testing.T) {
	tight := Limits{Digits: 5, Exponent: 4}
	for _, c := range []struct {
		kind Kind
		lim  Limits
		text string
		ok   bool
	}{
		{Integer, tight, "12345", true},
		{Integer, tight, "-12345", true},
		{Integer, tight, "123456", false},
		{Decimal, tight, "1.2345", true},
		{Decimal, tight, "12.345", true},
		{Decimal, tight, "123.456", false},
		{Decimal, tight, "0.0001", true},
		{Decimal, tight, "0.00010", true},
		{Decimal, tight, "0.00001", false},
		{Decimal, tight, "1e4", true},
		{Decimal, tight, "10e4", false},
		{Decimal, tight, "1e5", false},
		{Decimal, tight, "1e-4", true},
		{Decimal, tight, "10e-4", true},
		{Decimal, tight, "100e-5", false},
		{Decimal, tight, "0e5", false},
		{Decimal, tight, "1.0000", true},
		{Rational, tight, "12345/98765", true},
		{Rational, tight, "-12345/98765", true},
		{Rational, tight, "123456/7", false},
		{Rational, tight, "7/123456", false},
		{Rational, tight, "0.0001", true},
		{Rational, tight, "0.00001", false},
		{Integer, Limits{}, strings.Repeat("9", 1000), true},
		{Integer, Limits{}, strings.Repeat("9", 1001), false},
		{Decimal, Limits{}, "1e999", true},
		{Decimal, Limits{}, "1e1000", false},
		{Decimal, Limits{}, "1e-1000", true},
		{Decimal, Limits{}, "1e-1001", false},
		{Decimal, Limits{}, "1e999999999", false},
		{Decimal, Limits{}, "1e-999999999", false},
		{Decimal, Limits{}, "0e999999999", false},
		{Decimal, Limits{}, "1e99999999999999999999999999", false},
		{Integer, Limits{Digits: 1 << 40}, strings.Repeat("9", MaxDigits+1), false},
		{Integer, Limits{}, strings.Repeat("9", 1_000_000), false},
		{Decimal, Limits{}, "0." + strings.Repeat("0", 1_000_000), false},
		{Rational, Limits{}, "1/" + strings.Repeat("3", 1_000_000), false},
	} {
		_, err := Parse(c.kind, c.text, c.lim)
		var beyond *RangeError
		if c.ok && err != nil || !c.ok && (!errors.Is(err, ErrRange) || !errors.As(err, &beyond)) {
			t.Errorf("Parse(%v, %.40q, %+v): %v", c.kind, c.text, c.lim, err)
		}
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		text, want string
	}{
		{Decimal, "NaN", `"NaN" is no decimal: it does not start with a digit, or a minus sign and a digit`},
		{Integer, "1.5", `"1.5" is no integer: an integer has no decimal point`},
		{Decimal, "-0", `"-0" is no decimal: zero has no sign`},
		{Decimal, "1 €\n", `"1 \u20ac\n" is no decimal: it goes on with " "`},
		{Decimal, "1e999999999", `decimal "1e999999999" is beyond the limits: its exponent is outside -1000 to 1000`},
		{
			Integer, strings.Repeat("1", 2000), `integer "` + strings.Repeat("1", 32) +
				`"... is beyond the limits: it is 2000 bytes long, a number within the limits at most 1001`,
		},
	} {
		if _, err := Parse(c.kind, c.text, Limits{}); err == nil || err.Error() != c.want {
			t.Errorf("Parse(%v, %.40q):\n got %v\nwant %v", c.kind, c.text, err, c.want)
		}
	}
	if _, err := Parse(Integer, strings.Repeat("\x00", 100), Limits{}); len(err.Error()) > 300 {
		t.Errorf("the message repeats too much: %v", err)
	}
}

func TestKinds(t *testing.T) {
	for k := Integer; k <= Rational; k++ {
		if got, err := ParseKind(k.String()); err != nil || got != k {
			t.Errorf("ParseKind(%q) = %v, %v", k.String(), got, err)
		}
	}
	for _, name := range []string{"", "Integer", "float", "kind(0)", "kind(4)"} {
		if k, err := ParseKind(name); !errors.Is(err, ErrKind) {
			t.Errorf("ParseKind(%q) = %v, %v", name, k, err)
		}
	}
	for _, k := range []Kind{0, 4, 255} {
		if _, err := Parse(k, strings.Repeat("1", 1<<20), Limits{}); !errors.Is(err, ErrKind) {
			t.Errorf("Parse with %v: %v", k, err)
		}
		if _, _, err := DecodeBinary(k, []byte{0, 0}, Limits{}); !errors.Is(err, ErrKind) {
			t.Errorf("DecodeBinary with %v: %v", k, err)
		}
	}
}
