package value

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"regexp"
	"testing"

	"github.com/cockroachdb/apd/v3"
)

var fuzzLimits = Limits{Digits: 400, Exponent: 300}

// jsonNumber is the grammar of RFC 8259 for numbers without a sign.
var jsonNumber = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// FuzzParse compares what Parse accepts with its own slow path, and with apd,
// math/big and encoding/json, which all accept more.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"0", "-0", "1", "-12.50", "1e3", "1E-300", "1e301", "0.000", "1/3", "-6/4", "1/0", "007", "NaN", "-Infinity",
		"1_000", "0x1p-2", "9223372036854775808", "-9223372036854775808", "922337203685477580.80", "1e999999999",
		"0.9223372036854775807", "12345678901234567890.5", "4294967296/2147483649", " 1", "1 ", "+1", "", "1.", ".1",
	} {
		for k := range kinds {
			f.Add(uint8(k), text)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		k := kinds[int(kind)%len(kinds)]
		n, err := Parse(k, text, fuzzLimits)
		fromBytes, errBytes := Parse(k, []byte(text), fuzzLimits)
		if (err == nil) != (errBytes == nil) || !n.Equal(k, fromBytes) {
			t.Fatalf("%q: %v, %v as string, %v, %v as bytes", text, n, err, fromBytes, errBytes)
		}
		if err != nil {
			if !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrRange) || len(err.Error()) > 400 || !n.IsZero() {
				t.Fatalf("%q: %v, %v", text, n, err)
			}
			if k == Decimal && errors.Is(err, ErrSyntax) && jsonNumber.MatchString(text) {
				t.Fatalf("%q is a JSON number: %v", text, err)
			}
			return
		}
		checkForm(t, k, n)
		slow, err := parseChecked(k, text, fuzzLimits)
		if err != nil || !slow.Equal(k, n) {
			t.Fatalf("%q: fast %s, slow %s, %v", text, n.String(k), slow.String(k), err)
		}
		judge, ok := new(big.Rat).SetString(text)
		if !ok || judge.Cmp(exactly(t, k, n)) != 0 {
			t.Fatalf("%q is %v, not %s", text, judge, n.String(k))
		}
		if k == Decimal {
			d, _, err := apd.NewFromString(text)
			printed, _, errPrinted := apd.NewFromString(n.String(k))
			if err != nil || errPrinted != nil || d.Cmp(printed) != 0 || !json.Valid([]byte(text)) {
				t.Fatalf("%q is %v, not %s (%v, %v)", text, d, n.String(k), err, errPrinted)
			}
		}
		if n.Digits(k) > fuzzLimits.Digits {
			t.Fatalf("%q has %d digits", text, n.Digits(k))
		}
		if again, err := Parse(k, n.String(k), roomy); err != nil || !again.Equal(k, n) {
			t.Fatalf("%q printed as %s: %v", text, n.String(k), err)
		}
	})
}

// FuzzAddFastEqualsSlow adds, compares and negates compact numbers by the fast
// and the slow ways.
func FuzzAddFastEqualsSlow(f *testing.F) {
	for _, seed := range [][4]int64{
		{1, 2, 0, 0},
		{1<<63 - 1, 1, 0, 0},
		{-1 << 63, -1, 0, 0},
		{-1 << 63, -1 << 63, 0, 0},
		{922337203685477581, -9, 0, 1},
		{5, 5, 1, 1},
		{1, -1, 127, 127},
		{1, 1, 0, 127},
		{1, 1, 19, 0},
		{1<<31 - 1, 1<<31 - 2, 3, 5},
		{-(1<<31 - 1), 1<<31 - 1, 1<<31 - 1, 1<<31 - 2},
	} {
		for k := range kinds {
			f.Add(uint8(k), seed[0], seed[1], seed[2], seed[3])
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, x, y, belowX, belowY int64) {
		k := kinds[int(kind)%len(kinds)]
		a, b := compactOf(k, x, belowX), compactOf(k, y, belowY)
		checkForm(t, k, a)
		checkForm(t, k, b)
		fast, slow := a.Add(k, b), addLarge(k, a, b)
		checkForm(t, k, fast)
		if !fast.Equal(k, slow) || !bytes.Equal(fast.AppendBinary(nil, k), slow.AppendBinary(nil, k)) {
			t.Fatalf("%s + %s: fast %s, slow %s", a.String(k), b.String(k), fast.String(k), slow.String(k))
		}
		wantSum := new(big.Rat).Add(exactly(t, k, a), exactly(t, k, b))
		if exactly(t, k, fast).Cmp(wantSum) != 0 {
			t.Fatalf("%s + %s = %s", a.String(k), b.String(k), fast.String(k))
		}
		if got, want := a.Cmp(k, b), exactly(t, k, a).Cmp(exactly(t, k, b)); got != want || got != a.Sub(k, b).Sign() {
			t.Fatalf("Cmp(%s, %s) = %d", a.String(k), b.String(k), got)
		}
		if !fast.Sub(k, b).Equal(k, a) {
			t.Fatalf("%s + %s - %s is another number", a.String(k), b.String(k), b.String(k))
		}
	})
}

// compactOf makes a number of kind k from any two integers, mostly a small one.
func compactOf(k Kind, x, below int64) Number {
	switch k {
	case Decimal:
		return FromCompact(x, int8(below&0x7f))
	case Rational:
		return fromRatio(big.NewRat(x, max(1, below&(1<<33-1))))
	}
	return FromInt64(x)
}

func FuzzDecodeBinary(f *testing.F) {
	for k, kind := range kinds {
		for _, text := range []string{"0", "1", "-64", "9223372036854775808", "-340282366920938463463374607431768211457"} {
			f.Add(uint8(k), parse(f, kind, text).AppendBinary(nil, kind))
		}
		f.Add(uint8(k), bytes.Repeat([]byte{0xff}, 300))
		f.Add(uint8(k), []byte{0x80, 0x00})
	}
	f.Add(uint8(1), parse(f, Decimal, "-12345678901234567890.0625").AppendBinary(nil, Decimal))
	f.Add(uint8(2), parse(f, Rational, "-6/35").AppendBinary(nil, Rational))
	f.Add(uint8(2), parse(f, Rational, "1/18446744073709551616").AppendBinary(nil, Rational))
	f.Fuzz(func(t *testing.T, kind uint8, src []byte) {
		k := kinds[int(kind)%len(kinds)]
		n, rest, err := DecodeBinary(k, src, fuzzLimits)
		if err != nil {
			if !errors.Is(err, ErrEncoding) && !errors.Is(err, ErrRange) || rest != nil || !n.IsZero() {
				t.Fatalf("%x: %v, %x, %v", src, n, rest, err)
			}
			return
		}
		checkForm(t, k, n)
		used := src[:len(src)-len(rest)]
		if again := n.AppendBinary(nil, k); !bytes.Equal(again, used) {
			t.Fatalf("%x reads %s, which is %x", used, n.String(k), again)
		}
		if n.Digits(k) > fuzzLimits.Digits {
			t.Fatalf("%x has %d digits", used, n.Digits(k))
		}
		if back, err := Parse(k, n.String(k), roomy); err != nil || !back.Equal(k, n) {
			t.Fatalf("%s: %v", n.String(k), err)
		}
	})
}
