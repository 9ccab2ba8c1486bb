package value

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var kinds = []Kind{Integer, Decimal, Rational}

// roomy holds every number that the generators and a few sums of theirs make.
var roomy = Limits{Digits: 5000, Exponent: 5000}

// edges are where forms change: the ends of 64 and 32 bits, and their neighbours.
var edges = []string{
	"0", "1", "9", "10", "2147483646", "2147483647", "2147483648", "4294967295", "4294967296", "4611686018427387904",
	"922337203685477580", "922337203685477581", "9223372036854775807", "9223372036854775808", "9223372036854775809",
	"10000000000000000000", "18446744073709551615", "18446744073709551616", "18446744073709551617",
	"340282366920938463463374607431768211455", "340282366920938463463374607431768211456",
}

func magnitudes() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom(edges),
		rapid.StringMatching(`[1-9][0-9]{0,3}`),
		rapid.StringMatching(`[1-9][0-9]{8,20}`),
		rapid.StringMatching(`[1-9][0-9]{30,60}`),
		rapid.StringMatching(`[1-9]0{1,25}`),
	)
}

func numbers(k Kind) *rapid.Generator[Number] {
	return rapid.Custom(func(t *rapid.T) Number {
		text := magnitudes().Draw(t, "magnitude")
		switch k {
		case Decimal:
			shift := rapid.SampledFrom([]string{
				"", "", "e-1", "e-2", "e-3", "e-17", "e-18", "e-19", "e-20", "e-126", "e-127", "e-128", "e-300", "e1", "e40",
			}).Draw(t, "shift")
			text += shift
		case Rational:
			if rapid.Bool().Draw(t, "fraction") {
				text += "/" + magnitudes().Filter(func(s string) bool { return s != "0" }).Draw(t, "denominator")
			}
		}
		n, err := Parse(k, text, roomy)
		if err != nil {
			t.Fatalf("Parse(%v, %q): %v", k, text, err)
		}
		if rapid.Bool().Draw(t, "negative") {
			n = n.Neg(k)
		}
		return n
	})
}

// exactly returns n as a big.Rat, by way of its text: a judge that shares no
// arithmetic with this package.
func exactly(t rapid.TB, k Kind, n Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String(k))
	if !ok {
		t.Fatalf("big.Rat cannot read %q", n.String(k))
	}
	return r
}

// checkForm fails unless n has the form, small or large, that its value demands.
func checkForm(t rapid.TB, k Kind, n Number) {
	switch {
	case n.large == nil && n.scale == packedScale:
		num, den := unpack(n.coef)
		if k != Rational || den < 2 || !packs(num, uint64(den)) || gcd(magnitude(num), uint64(den)) != 1 {
			t.Fatalf("bad packed fraction %d/%d of kind %v", num, den, k)
		}
	case n.large == nil:
		if n.scale != 0 && (k != Decimal || n.scale < 0 || n.coef%10 == 0) {
			t.Fatalf("bad small %v: %d, scale %d", k, n.coef, n.scale)
		}
	case n.coef != 0 || n.scale != 0:
		t.Fatalf("large number with small parts %d, %d", n.coef, n.scale)
	case k == Rational:
		if again := fromRatio(new(big.Rat).Set(n.large.ratio)); again.large == nil {
			t.Fatalf("%v fits the small form", n.large.ratio)
		}
	default:
		d := &n.large.decimal
		if k == Integer && d.Exponent != 0 || d.Exponent > 0 || d.Coeff.Sign() <= 0 {
			t.Fatalf("bad large %v: %v", k, d)
		}
		l := new(large)
		l.decimal.Set(d)
		if again := l.normal(); again.large == nil || again.large.decimal.Exponent != d.Exponent {
			t.Fatalf("%v is not in normal form", d)
		}
	}
}

func TestLaws(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				a, b, c := numbers(k).Draw(rt, "a"), numbers(k).Draw(rt, "b"), numbers(k).Draw(rt, "c")
				checkSums(rt, k, a, b, c)
				checkOrder(rt, k, a, b, c)
				checkEncodings(rt, k, a, b)
			})
		})
	}
}

func checkSums(t rapid.TB, k Kind, a, b, c Number) {
	sum := a.Add(k, b)
	checkForm(t, k, sum)
	if want := new(big.Rat).Add(exactly(t, k, a), exactly(t, k, b)); exactly(t, k, sum).Cmp(want) != 0 {
		t.Fatalf("%s + %s = %s", a.String(k), b.String(k), sum.String(k))
	}
	if slow := addLarge(k, a, b); !slow.Equal(k, sum) {
		t.Fatalf("%s + %s = %s, the slow way %s", a.String(k), b.String(k), sum.String(k), slow.String(k))
	}
	if !sum.Equal(k, b.Add(k, a)) {
		t.Fatalf("%s + %s does not commute", a.String(k), b.String(k))
	}
	if !sum.Add(k, c).Equal(k, a.Add(k, b.Add(k, c))) {
		t.Fatalf("%s + %s + %s is not associative", a.String(k), b.String(k), c.String(k))
	}
	if !a.Add(k, a.Neg(k)).IsZero() || !a.Sub(k, a).IsZero() || a.Add(k, Number{}).Cmp(k, a) != 0 {
		t.Fatalf("%s and its inverse do not cancel", a.String(k))
	}
	if !sum.Sub(k, b).Equal(k, a) || !a.Neg(k).Neg(k).Equal(k, a) {
		t.Fatalf("%s + %s - %s is another number", a.String(k), b.String(k), b.String(k))
	}
	checkForm(t, k, a.Neg(k))
}

func checkOrder(t rapid.TB, k Kind, a, b, c Number) {
	order := a.Cmp(k, b)
	if want := exactly(t, k, a).Cmp(exactly(t, k, b)); order != want || b.Cmp(k, a) != -want {
		t.Fatalf("Cmp(%s, %s) = %d", a.String(k), b.String(k), order)
	}
	if (order == 0) != a.Equal(k, b) || order != a.Sub(k, b).Sign() {
		t.Fatalf("Cmp, Equal and Sub disagree on %s and %s", a.String(k), b.String(k))
	}
	if order <= 0 && b.Cmp(k, c) <= 0 && a.Cmp(k, c) > 0 {
		t.Fatalf("%s <= %s <= %s is not transitive", a.String(k), b.String(k), c.String(k))
	}
	if a.Sign() != a.Cmp(k, Number{}) || a.IsZero() != (a.Sign() == 0) {
		t.Fatalf("the sign of %s is wrong", a.String(k))
	}
}

func checkEncodings(t rapid.TB, k Kind, a, b Number) {
	text, bin := a.String(k), a.AppendBinary(nil, k)
	if strings.ContainsAny(text, "eE+") || text == "-0" {
		t.Fatalf("%q is not plain", text)
	}
	if n, err := Parse(k, text, roomy); err != nil || !n.Equal(k, a) {
		t.Fatalf("Parse(%q) = %v, %v", text, n, err)
	}
	n, rest, err := DecodeBinary(k, append(bin, 0xaa), roomy)
	if err != nil || !n.Equal(k, a) || !bytes.Equal(rest, []byte{0xaa}) {
		t.Fatalf("DecodeBinary(%x) of %s = %v, %x, %v", bin, text, n, rest, err)
	}
	checkForm(t, k, n)
	equal := a.Equal(k, b)
	if bytes.Equal(bin, b.AppendBinary(nil, k)) != equal || (text == b.String(k)) != equal {
		t.Fatalf("%s and %s: the encodings are not canonical", text, b.String(k))
	}
	digits := 0
	for _, side := range strings.Split(strings.TrimPrefix(text, "-"), "/") {
		digits = max(digits, len(strings.TrimLeft(strings.Replace(side, ".", "", 1), "0")), 1)
	}
	if a.Digits(k) != digits {
		t.Fatalf("%s has %d digits, Digits says %d", text, digits, a.Digits(k))
	}
	if _, _, err := DecodeBinary(k, bin, Limits{Digits: digits, Exponent: roomy.Exponent}); err != nil {
		t.Fatalf("%s refused with as many digits as it has: %v", text, err)
	}
	if _, _, err := DecodeBinary(k, bin, Limits{Digits: digits - 1, Exponent: roomy.Exponent}); digits > 1 && err == nil {
		t.Fatalf("%s accepted with fewer digits than it has", text)
	}
	if coef, scale, ok := a.Compact(); ok && FromCompact(coef, scale) != a {
		t.Fatalf("%s does not survive Compact", text)
	}
}

// TestSumsDoNotDependOnOrder adds large and small amounts in two orders, which
// limited precision would round differently.
func TestSumsDoNotDependOnOrder(t *testing.T) {
	for _, k := range kinds {
		rapid.Check(t, func(rt *rapid.T) {
			amounts := rapid.SliceOfN(numbers(k), 1, 12).Draw(rt, "amounts")
			shuffled := rapid.Permutation(amounts).Draw(rt, "shuffled")
			var one, other Number
			for i := range amounts {
				one, other = one.Add(k, amounts[i]), other.Add(k, shuffled[i])
			}
			if one.String(k) != other.String(k) {
				rt.Fatalf("%s and %s", one.String(k), other.String(k))
			}
		})
	}
}

// TestLargestNumbersAdd checks the promise by which Add needs no error.
func TestLargestNumbersAdd(t *testing.T) {
	lim := Limits{Digits: MaxDigits, Exponent: MaxExponent}
	high, low := strings.Repeat("9", MaxDigits), "1e-30000"
	sum := parse(t, Decimal, high).Add(Decimal, parse(t, Decimal, low))
	if got, want := sum.String(Decimal), high+"."+strings.Repeat("0", MaxExponent-1)+"1"; got != want {
		t.Error("the sum of the largest and the smallest number is wrong")
	}
	if sum.Digits(Decimal) != MaxDigits+MaxExponent {
		t.Errorf("it has %d digits", sum.Digits(Decimal))
	}
	if _, _, err := DecodeBinary(Decimal, sum.AppendBinary(nil, Decimal), lim); err == nil {
		t.Error("a number beyond the limits was decoded")
	}
}

func TestOperandsStayAsTheyAre(t *testing.T) {
	for _, k := range kinds {
		rapid.Check(t, func(rt *rapid.T) {
			a, b := numbers(k).Draw(rt, "a"), numbers(k).Draw(rt, "b")
			wasA, wasB := a.String(k), b.String(k)
			sum := a.Add(k, b)
			was := sum.String(k)
			sum.Sub(k, a).Add(k, sum).Neg(k).AppendBinary(nil, k)
			if a.String(k) != wasA || b.String(k) != wasB || sum.String(k) != was {
				rt.Fatalf("%s + %s = %s changed", wasA, wasB, was)
			}
		})
	}
}

func TestKindsDoNotMix(t *testing.T) {
	third, half := parse(t, Rational, "1/3"), parse(t, Decimal, "0.5")
	huge, hugeRatio := parse(t, Decimal, "1e30"), parse(t, Rational, "1/1000000000000000000000")
	for name, mix := range map[string]func(){
		"fraction as decimal":       func() { third.Add(Decimal, half) },
		"fraction as integer":       func() { third.Add(Integer, FromInt64(1)) },
		"decimal as integer":        func() { half.Add(Integer, half) },
		"decimal as rational":       func() { half.Add(Rational, third) },
		"large decimal as rational": func() { huge.Add(Rational, third) },
		"large rational as decimal": func() { hugeRatio.Cmp(Decimal, half) },
		"no kind":                   func() { huge.Add(0, huge) },
		"bad compact":               func() { FromCompact(1, -2) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			mix()
		}()
	}
}
