// Package value holds exact numbers: what a ticket's amount and a counter's
// value are made of.
//
// A ring counts in one Kind, chosen once, and every operation is told it. Sums
// never round, so they do not depend on the order in which tickets arrive;
// nothing in this package is a float.
//
// A Number has a small form, which costs no allocation, and a large form behind
// a pointer. Each value has exactly one of the two: whatever fits the small form
// is in it. That makes equality cheap and the encodings canonical.
package value

import (
	"fmt"
	"math"
	"math/big"

	"github.com/cockroachdb/apd/v3"
)

// Number is an immutable exact number; the zero Number is zero of any kind. It
// is 24 bytes, may be copied and shared freely, and is compared by Equal, never
// by ==. A Number means something only together with the Kind it was made for;
// numbers of two kinds must not meet. Where the mix-up shows, the operation
// panics.
type Number struct {
	// The small form, valid when large is nil:
	//
	//	scale = 0       coef
	//	1 <= scale      coef / 10^scale, coef not divisible by ten (Decimal)
	//	scale = -1      the fraction packed in coef, see ratio.go (Rational)
	coef  int64
	large *large
	scale int8
}

// large is the form of what the small form cannot hold, never changed once a
// Number points to it.
//
// Integer and Decimal use decimal: always finite and with an exponent of at
// most zero; when the exponent is below zero, the coefficient is not divisible
// by ten. Rational uses ratio, in lowest terms.
type large struct {
	decimal apd.Decimal
	ratio   *big.Rat
}

// maxSmallScale is the largest scale of the small form.
const maxSmallScale = math.MaxInt8

// FromInt64 returns i, which is a number of any kind.
func FromInt64(i int64) Number { return Number{coef: i} }

// Compact returns the small form for a table without pointers; ok is false when
// the number does not fit it. Integers, and rationals that are integers, have
// scale 0; a scale below zero marks a packed fraction whose coef means nothing
// to anyone but FromCompact.
func (n Number) Compact() (coef int64, scale int8, ok bool) {
	return n.coef, n.scale, n.large == nil
}

// FromCompact is the inverse of Compact. It also takes a coef with trailing
// zeros, coef / 10^scale, but no fraction that Compact did not make: it panics
// on a scale below -1.
func FromCompact(coef int64, scale int8) Number {
	switch {
	case scale > 0:
		return smallDecimal(coef, int(scale))
	case scale < packedScale:
		panic(fmt.Sprintf("value: compact number %d with scale %d", coef, scale))
	}
	return Number{coef: coef, scale: scale}
}

// IsZero reports whether n is zero.
func (n Number) IsZero() bool { return n.coef == 0 && n.large == nil }

// Sign returns -1, 0 or 1.
func (n Number) Sign() int {
	switch {
	case n.large == nil:
		return signOf(n.coef)
	case n.large.ratio != nil:
		return n.large.ratio.Sign()
	}
	return n.large.decimal.Sign()
}

func signOf(i int64) int {
	switch {
	case i > 0:
		return 1
	case i < 0:
		return -1
	}
	return 0
}

// Add returns n + m, exactly.
func (n Number) Add(k Kind, m Number) Number {
	if n.large == nil && m.large == nil && n.scale|m.scale == 0 {
		if sum := n.coef + m.coef; (sum > n.coef) == (m.coef > 0) {
			return Number{coef: sum}
		}
	}
	return n.addScaled(k, m)
}

// addScaled adds what is not a pair of small integers.
func (n Number) addScaled(k Kind, m Number) Number {
	if n.large == nil && m.large == nil {
		var sum Number
		ok := false
		switch k {
		case Decimal:
			sum, ok = addSmallDecimal(n, m)
		case Rational:
			sum, ok = addSmallRatio(n, m)
		}
		if ok {
			return sum
		}
	}
	return addLarge(k, n, m)
}

// addLarge adds numbers of any form the slow way; the fast ways must agree with it.
func addLarge(k Kind, n, m Number) Number {
	if k == Rational {
		var x, y big.Rat
		return fromRatio(new(big.Rat).Add(n.ratio(&x), m.ratio(&y)))
	}
	var x, y apd.Decimal
	sum := new(large)
	addExact(&sum.decimal, n.decimal(k, &x), m.decimal(k, &y))
	return sum.normal()
}

// Sub returns n - m, exactly.
func (n Number) Sub(k Kind, m Number) Number {
	return n.Add(k, m.Neg(k))
}

// Neg returns -n.
func (n Number) Neg(k Kind) Number {
	switch {
	case n.large == nil && n.scale == packedScale:
		num, den := unpack(n.coef)
		return Number{coef: pack(-num, den), scale: packedScale}
	case n.large == nil && n.coef != math.MinInt64:
		return Number{coef: -n.coef, scale: n.scale}
	case k == Rational:
		var x big.Rat
		return fromRatio(new(big.Rat).Neg(n.ratio(&x)))
	}
	var x apd.Decimal
	neg := new(large)
	neg.decimal.Neg(n.decimal(k, &x))
	return neg.normal()
}

// Equal reports whether n and m are the same number.
func (n Number) Equal(k Kind, m Number) bool {
	if n.large == nil || m.large == nil {
		return n == m
	}
	return n.large == m.large || n.Cmp(k, m) == 0
}

// Cmp returns -1 when n < m, 0 when they are equal, and 1 when n > m.
func (n Number) Cmp(k Kind, m Number) int {
	if n.large == nil && m.large == nil {
		switch {
		case n.scale == m.scale && n.scale >= 0:
			return cmpInt64(n.coef, m.coef)
		case k == Decimal:
			return cmpSmallDecimal(n, m)
		case k == Rational:
			return cmpSmallRatio(n, m)
		}
	}
	if k == Rational {
		var x, y big.Rat
		return n.ratio(&x).Cmp(m.ratio(&y))
	}
	var x, y apd.Decimal
	return n.decimal(k, &x).Cmp(m.decimal(k, &y))
}

func cmpInt64(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Digits returns how many decimal digits n has when written out in plain
// notation, leading zeros not counted: 12.5 has 3, 1000 has 4, 0.001 and 0 have
// 1. For a rational it is the longer of numerator and denominator. It is the
// measure that Limits.Digits bounds.
func (n Number) Digits(k Kind) int {
	switch {
	case n.large == nil && n.scale == packedScale:
		num, den := unpack(n.coef)
		return max(digitsOf(magnitude(num)), digitsOf(uint64(den)))
	case n.large == nil:
		return digitsOf(magnitude(n.coef))
	case k == Rational:
		r := n.ratio(nil)
		return max(bigDigits(r.Num()), bigDigits(r.Denom()))
	}
	return int(n.decimal(k, nil).NumDigits())
}

// magnitude returns |i|, also for the smallest int64.
func magnitude(i int64) uint64 {
	if i < 0 {
		return -uint64(i)
	}
	return uint64(i)
}

func digitsOf(u uint64) int {
	d := 1
	for d < len(powersOfTen) && u >= powersOfTen[d] {
		d++
	}
	return d
}

func bigDigits(x *big.Int) int {
	return int(apd.NumDigits(new(apd.BigInt).SetMathBigInt(x)))
}
