package value

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
)

// A small fraction is packed into the coefficient: the numerator in the upper 32
// bits, signed, and the denominator in the lower 32, in lowest terms, the
// denominator at least 2. Both magnitudes are below 2^31, so that the terms of
// a sum stay below 2^63; the packed coefficient has the sign of the fraction.
const (
	packedScale = -1
	maxPacked   = math.MaxInt32
)

func pack(num, den int64) int64          { return num<<32 | den }
func unpack(coef int64) (num, den int64) { return coef >> 32, coef & math.MaxUint32 }
func packs(num int64, den uint64) bool   { return magnitude(num) <= maxPacked && den <= maxPacked }
func (n Number) terms() (num, den int64) {
	if n.scale == packedScale {
		return unpack(n.coef)
	}
	return n.coef, 1
}

// reduced returns num / den in lowest terms; den is above zero, and both are
// below 2^63 in magnitude.
func reduced(num int64, den uint64) Number {
	if num == 0 {
		return Number{}
	}
	common := gcd(magnitude(num), den)
	num /= int64(common)
	den /= common
	if den == 1 {
		return Number{coef: num}
	}
	if packs(num, den) {
		return Number{coef: pack(num, int64(den)), scale: packedScale}
	}
	r := new(big.Rat).SetFrac(big.NewInt(num), new(big.Int).SetUint64(den))
	return fromRatio(r)
}

// gcd is the greatest common divisor, by Euclid; b is above zero.
func gcd(a, b uint64) uint64 {
	for a != 0 {
		a, b = b%a, a
	}
	return b
}

// addSmallRatio adds two small rationals over the least common denominator,
// when each has terms below 2^31.
func addSmallRatio(n, m Number) (sum Number, ok bool) {
	a, b := n.terms()
	c, d := m.terms()
	if !packs(a, uint64(b)) || !packs(c, uint64(d)) || n.scale > 0 || m.scale > 0 {
		return Number{}, false
	}
	common := int64(gcd(uint64(b), uint64(d)))
	return reduced(a*(d/common)+c*(b/common), uint64(b/common*d)), true
}

func cmpSmallRatio(n, m Number) int {
	sign := signOf(n.coef)
	if other := signOf(m.coef); sign != other || sign == 0 {
		return cmpInt64(int64(sign), int64(other))
	}
	a, b := n.terms()
	c, d := m.terms()
	leftHi, leftLo := bits.Mul64(magnitude(a), uint64(d))
	rightHi, rightLo := bits.Mul64(magnitude(c), uint64(b))
	return sign * cmpWide(leftHi, leftLo, rightHi, rightLo)
}

// ratio returns n as a big.Rat, built in tmp when n is small. The result must
// not be changed.
func (n Number) ratio(tmp *big.Rat) *big.Rat {
	if n.large != nil {
		if n.large.ratio == nil {
			panic(fmt.Sprintf("value: number of another kind used as %v", Rational))
		}
		return n.large.ratio
	}
	if n.scale > 0 {
		panic(fmt.Sprintf("value: number with scale %d used as %v", n.scale, Rational))
	}
	return tmp.SetFrac64(n.terms())
}

// fromRatio returns r as a Number, in small form if that holds it. It takes r
// over.
func fromRatio(r *big.Rat) Number {
	if num, den := r.Num(), r.Denom(); num.IsInt64() && den.IsUint64() {
		num, den := num.Int64(), den.Uint64()
		switch {
		case den == 1:
			return Number{coef: num}
		case packs(num, den):
			return Number{coef: pack(num, int64(den)), scale: packedScale}
		}
	}
	return Number{large: &large{ratio: r}}
}
