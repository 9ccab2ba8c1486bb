package value

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"

	"github.com/cockroachdb/apd/v3"
)

// powersOfTen are those that fit 64 bits.
var powersOfTen = [...]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// exact adds without rounding: a precision of zero is unlimited, and every
// condition under which a digit could be lost is an error.
var exact = apd.Context{
	MaxExponent: apd.MaxExponent,
	MinExponent: apd.MinExponent,
	Traps:       apd.DefaultTraps | apd.Inexact | apd.Rounded | apd.Clamped,
}

// addExact sets sum to x + y. An error is impossible for sums of numbers within
// Limits, see MaxDigits.
func addExact(sum, x, y *apd.Decimal) {
	if _, err := exact.Add(sum, x, y); err != nil {
		panic(fmt.Sprintf("value: adding %d digits with exponent %d to %d digits with exponent %d: %v",
			x.NumDigits(), x.Exponent, y.NumDigits(), y.Exponent, err))
	}
}

// smallDecimal returns coef / 10^scale for 0 <= scale <= maxSmallScale.
func smallDecimal(coef int64, scale int) Number {
	if coef == 0 {
		return Number{}
	}
	for scale > 0 && coef%10 == 0 {
		coef /= 10
		scale--
	}
	return Number{coef: coef, scale: int8(scale)}
}

// addSmallDecimal adds two small decimals when the sum, and the operands
// brought to the same scale, fit 64 bits.
func addSmallDecimal(n, m Number) (sum Number, ok bool) {
	if n.scale < 0 || m.scale < 0 {
		return Number{}, false
	}
	a, b, scale := n.coef, m.coef, n.scale
	switch {
	case n.scale < m.scale:
		a, ok = scaleUp(a, m.scale-n.scale)
		scale = m.scale
	case n.scale > m.scale:
		b, ok = scaleUp(b, n.scale-m.scale)
	default:
		ok = true
	}
	s := a + b
	if !ok || (s > a) != (b > 0) {
		return Number{}, false
	}
	return smallDecimal(s, int(scale)), true
}

// scaleUp returns coef * 10^by unless it overflows.
func scaleUp(coef int64, by int8) (int64, bool) {
	if int(by) >= len(powersOfTen)-1 {
		return 0, coef == 0
	}
	hi, lo := bits.Mul64(magnitude(coef), powersOfTen[by])
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	if coef < 0 {
		return -int64(lo), true
	}
	return int64(lo), true
}

func cmpSmallDecimal(n, m Number) int {
	sign := signOf(n.coef)
	if other := signOf(m.coef); sign != other || sign == 0 {
		return cmpInt64(int64(sign), int64(other))
	}
	a, b := magnitude(n.coef), magnitude(m.coef)
	if n.scale < m.scale {
		return sign * cmpScaled(a, m.scale-n.scale, b)
	}
	return -sign * cmpScaled(b, n.scale-m.scale, a)
}

// cmpScaled compares a * 10^by with b, for a above zero.
func cmpScaled(a uint64, by int8, b uint64) int {
	if int(by) >= len(powersOfTen) {
		return 1
	}
	hi, lo := bits.Mul64(a, powersOfTen[by])
	return cmpWide(hi, lo, 0, b)
}

// cmpWide compares two unsigned numbers of 128 bits.
func cmpWide(aHi, aLo, bHi, bLo uint64) int {
	switch {
	case aHi < bHi || aHi == bHi && aLo < bLo:
		return -1
	case aHi == bHi && aLo == bLo:
		return 0
	}
	return 1
}

// decimal returns n as apd has it, built in tmp when n is small. The result
// must not be changed.
func (n Number) decimal(k Kind, tmp *apd.Decimal) *apd.Decimal {
	if n.large != nil {
		if n.large.ratio != nil || !k.valid() || k == Integer && n.large.decimal.Exponent != 0 {
			panic(fmt.Sprintf("value: number of another kind used as %v", k))
		}
		return &n.large.decimal
	}
	if n.scale < 0 || !k.valid() || k == Integer && n.scale != 0 {
		panic(fmt.Sprintf("value: number with scale %d used as %v", n.scale, k))
	}
	tmp.Coeff.SetUint64(magnitude(n.coef))
	tmp.Negative = n.coef < 0
	tmp.Exponent = -int32(n.scale)
	return tmp
}

// normal returns l's decimal as a Number, in small form if that holds it. It
// takes l over, and changes it.
func (l *large) normal() Number {
	d := &l.decimal
	if d.Exponent > 0 || d.Form != apd.Finite {
		panic(fmt.Sprintf("value: decimal of form %v with exponent %d", d.Form, d.Exponent))
	}
	if d.Coeff.Sign() == 0 {
		return Number{}
	}
	stripZeros(d)
	if scale := -d.Exponent; scale <= maxSmallScale && d.Coeff.IsUint64() {
		u := d.Coeff.Uint64()
		if u <= math.MaxInt64 || d.Negative && u == 1<<63 {
			coef := int64(u)
			if d.Negative {
				coef = -coef
			}
			return Number{coef: coef, scale: int8(scale)}
		}
	}
	return Number{large: l}
}

// stripZeros removes trailing zeros after the decimal point. (Decimal.Reduce
// also removes those before it.) A multiple of 10^z is one of 2^z, which bounds
// the divisions to be tried.
func stripZeros(d *apd.Decimal) {
	var quotient, rest, ten apd.BigInt
	ten.SetInt64(10)
	for zeros := d.Coeff.TrailingZeroBits(); zeros > 0 && d.Exponent < 0; zeros-- {
		quotient.QuoRem(&d.Coeff, &ten, &rest)
		if rest.Sign() != 0 {
			return
		}
		d.Coeff.Set(&quotient)
		d.Exponent++
	}
}

// fromInteger returns x / 10^scale, taking x over.
func fromInteger(x *big.Int, scale int) Number {
	l := new(large)
	l.decimal.Negative = x.Sign() < 0
	l.decimal.Coeff.SetMathBigInt(x.Abs(x))
	l.decimal.Exponent = -int32(scale)
	return l.normal()
}
