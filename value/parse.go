package value

import (
	"math"
	"math/big"
	"strings"
)

// Parse reads a number of kind k.
//
//	Integer   -?digits
//	Decimal   -?digits, then optionally .digits, then optionally e or E and an
//	          exponent with an optional sign: the number grammar of JSON (RFC 8259)
//	Rational  -?digits, then optionally .digits or /digits
//
// As in JSON, digits before a point or slash have no leading zeros, and there is
// no leading plus; there are no spaces, underscores, infinities or NaN. Negative
// zero is refused, in whatever form. The terms of a fraction need not be lowest.
//
// A number beyond lim gives a *RangeError, any other refusal a *SyntaxError, an
// unknown kind ErrKind. Length and shape are checked before digits are turned
// into a number, so that refusing costs no more than reading the text once; a
// text longer than any number within lim is not even read. Up to 18 digits are
// read without allocation.
func Parse[T ~string | ~[]byte](k Kind, text T, lim Limits) (Number, error) {
	if n, ok := parseSmall(k, text, lim); ok {
		return n, nil
	}
	if !k.valid() {
		return Number{}, kindError(k)
	}
	lim = lim.effective()
	if longest := lim.longestText(k); len(text) > longest {
		return Number{}, rangeError(k, string(text[:min(len(text), maxQuoted+1)]),
			"it is %d bytes long, a number within the limits at most %d", len(text), longest)
	}
	return parseChecked(k, string(text), lim)
}

// smallText is the longest text that parseSmall reads: at most 19 digits, which
// fit 64 bits unsigned.
const smallText = 19

// parseSmall reads the common short texts: plain digits, with a point if k is
// Decimal. It leaves the others, and all that may be wrong, to parseChecked.
func parseSmall[T ~string | ~[]byte](k Kind, text T, lim Limits) (Number, bool) {
	if len(text) == 0 || len(text) > smallText || !k.valid() || !lim.allowSmall() {
		return Number{}, false
	}
	start := 0
	if text[0] == '-' {
		start = 1
	}
	var coef uint64
	point := 0 // where the decimal point is; never at 0
	for i := start; i < len(text); i++ {
		digit := text[i] - '0'
		if digit > 9 {
			if text[i] == '.' && k == Decimal && point == 0 && i > start {
				point = i
				continue
			}
			return Number{}, false
		}
		coef = coef*10 + uint64(digit)
	}
	whole, scale := len(text)-start, 0
	if point > 0 {
		whole, scale = point-start, len(text)-1-point
		if scale == 0 {
			return Number{}, false
		}
	}
	if whole == 0 || whole > 1 && text[start] == '0' || coef > math.MaxInt64 || start == 1 && coef == 0 {
		return Number{}, false
	}
	signed := int64(coef)
	if start == 1 {
		signed = -signed
	}
	if scale == 0 {
		return Number{coef: signed}, true
	}
	return smallDecimal(signed, scale), true
}

// allowSmall reports whether no text that parseSmall reads can be beyond l.
func (l Limits) allowSmall() bool {
	return (l.Digits <= 0 || l.Digits >= smallText) && (l.Exponent <= 0 || l.Exponent >= smallText)
}

// longestText is the length of the longest text of kind k that can be within l:
// a sign, the digits, and for a decimal its leading "0.", as many zeros to drop
// as digits to keep, and an exponent.
func (l Limits) longestText(k Kind) int {
	switch k {
	case Integer:
		return 1 + l.Digits
	case Rational:
		return 2 + 2*l.Digits
	}
	return len("-0.e-") + 2*(l.Digits+l.Exponent) + maxExponentText
}

// maxExponentText bounds the digits of a written exponent; more are refused even
// if they are zeros.
const maxExponentText = 8

// parseChecked reads a text whose length is within bounds; k is valid and lim
// effective.
func parseChecked(k Kind, text string, lim Limits) (Number, error) {
	s, reason := scan(k, text)
	if reason != "" {
		return Number{}, &SyntaxError{Kind: k, Input: quote(text), Reason: reason}
	}
	if k == Rational {
		return s.rational(text, lim)
	}
	return s.decimal(k, text, lim)
}

// decimal turns a scanned integer or decimal into a number.
func (s scanned) decimal(k Kind, text string, lim Limits) (Number, error) {
	if s.hugeExponent || s.exponent > lim.Exponent || s.exponent < -lim.Exponent {
		return Number{}, rangeError(k, text, "its exponent is outside -%d to %d", lim.Exponent, lim.Exponent)
	}
	fraction := strings.TrimRight(s.fraction, "0")
	scale := len(fraction) - s.exponent
	digits := strings.TrimLeft(s.whole+fraction, "0")
	if digits == "" {
		return Number{}, nil
	}
	if scale > 0 {
		kept := strings.TrimRight(digits, "0")
		dropped := min(len(digits)-len(kept), scale)
		digits, scale = digits[:len(digits)-dropped], scale-dropped
	}
	if written := len(digits) + max(0, -scale); written > lim.Digits {
		return Number{}, rangeError(k, text, "it has %d digits, at most %d are allowed", written, lim.Digits)
	}
	if scale > lim.Exponent {
		return Number{}, rangeError(k, text, "it has %d digits after the point, at most %d are allowed",
			scale, lim.Exponent)
	}
	if scale < 0 {
		digits, scale = digits+strings.Repeat("0", -scale), 0
	}
	return fromInteger(s.integer(digits), scale), nil
}

// rational turns a scanned rational into a number.
func (s scanned) rational(text string, lim Limits) (Number, error) {
	top, bottom := s.whole, s.denominator
	if fraction := strings.TrimRight(s.fraction, "0"); fraction != "" {
		top = strings.TrimLeft(s.whole+fraction, "0")
		bottom = "1" + strings.Repeat("0", len(fraction))
		if len(fraction) > lim.Exponent {
			return Number{}, rangeError(Rational, text, "it has %d digits after the point, at most %d are allowed",
				len(fraction), lim.Exponent)
		}
	}
	if written := max(len(top), len(bottom)); written > lim.Digits {
		return Number{}, rangeError(Rational, text, "it has %d digits on one side of the fraction, at most %d are allowed",
			written, lim.Digits)
	}
	if bottom == "" {
		bottom = "1"
	}
	num, den := s.integer(top), digitsToInt(bottom)
	if num.IsInt64() && den.IsInt64() && num.Int64() != math.MinInt64 {
		return reduced(num.Int64(), den.Uint64()), nil
	}
	return fromRatio(new(big.Rat).SetFrac(num, den)), nil
}

// integer returns digits with the sign of s.
func (s scanned) integer(digits string) *big.Int {
	x := digitsToInt(digits)
	if s.negative {
		x.Neg(x)
	}
	return x
}

func digitsToInt(digits string) *big.Int {
	x, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		panic("value: not digits: " + quote(digits))
	}
	return x
}
