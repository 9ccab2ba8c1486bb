package value

import (
	"strconv"

	"github.com/cockroachdb/apd/v3"
)

// String returns n in plain notation, see AppendText.
func (n Number) String(k Kind) string {
	var buf [48]byte
	return string(n.AppendText(buf[:0], k))
}

// AppendText appends n in plain notation: no exponent, no leading plus, no
// trailing zeros after a decimal point; zero is "0". A rational is "a/b" in
// lowest terms, or "a" when it is an integer. Equal numbers give equal text,
// and Parse reads it back.
func (n Number) AppendText(dst []byte, k Kind) []byte {
	switch {
	case n.large == nil && n.scale == 0:
		return strconv.AppendInt(dst, n.coef, 10)
	case n.large == nil && n.scale == packedScale:
		num, den := unpack(n.coef)
		dst = strconv.AppendInt(dst, num, 10)
		return strconv.AppendInt(append(dst, '/'), den, 10)
	case n.large == nil:
		var digits [20]byte
		if n.coef < 0 {
			dst = append(dst, '-')
		}
		return appendScaled(dst, strconv.AppendUint(digits[:0], magnitude(n.coef), 10), int(n.scale))
	case k == Rational:
		r := n.ratio(nil)
		dst = r.Num().Append(dst, 10)
		if !r.IsInt() {
			dst = r.Denom().Append(append(dst, '/'), 10)
		}
		return dst
	}
	return appendDecimal(dst, n.decimal(k, nil))
}

// appendDecimal appends a large decimal: one whose exponent is at most zero.
func appendDecimal(dst []byte, d *apd.Decimal) []byte {
	if d.Negative {
		dst = append(dst, '-')
	}
	if d.Exponent == 0 {
		return d.Coeff.Append(dst, 10)
	}
	return appendScaled(dst, d.Coeff.Append(nil, 10), -int(d.Exponent))
}

// appendScaled appends digits with the last scale of them after a decimal point;
// scale is above zero.
func appendScaled(dst, digits []byte, scale int) []byte {
	if whole := len(digits) - scale; whole > 0 {
		dst = append(dst, digits[:whole]...)
		digits = digits[whole:]
	} else {
		dst = append(dst, '0')
	}
	dst = append(dst, '.')
	for range scale - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}
