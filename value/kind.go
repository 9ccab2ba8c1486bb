package value

import (
	"fmt"
	"strconv"
)

// Kind is the sort of number a ring counts in, chosen once per ring. Its values
// are part of the wire and disk formats.
type Kind uint8

const (
	// Integer is a whole number of any size.
	Integer Kind = 1 + iota
	// Decimal is a whole number divided by a power of ten.
	Decimal
	// Rational is the quotient of two whole numbers.
	Rational
)

// ParseKind returns the kind called s: integer, decimal or rational. Any other
// name gives an error that is ErrKind.
func ParseKind(s string) (Kind, error) {
	for k := Integer; k <= Rational; k++ {
		if k.String() == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("%w: %s is none of integer, decimal, rational", ErrKind, quote(s))
}

// String returns the name that ParseKind takes.
func (k Kind) String() string {
	switch k {
	case Integer:
		return "integer"
	case Decimal:
		return "decimal"
	case Rational:
		return "rational"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

func (k Kind) valid() bool { return k-1 < Rational }

// Limits bounds what Parse and DecodeBinary take in. A field of zero or less
// means its value in DefaultLimits; one above MaxDigits or MaxExponent is taken
// as that.
type Limits struct {
	// Digits is the most digits a number may have in plain notation, see
	// Number.Digits; a rational may have as many on either side of the slash.
	Digits int
	// Exponent is the most digits after the decimal point, and the largest
	// exponent, up or down, that text may carry.
	Exponent int
}

// DefaultLimits is far beyond any amount of money, and small enough that a
// number at the limits costs microseconds.
var DefaultLimits = Limits{Digits: 1000, Exponent: 1000}

// MaxDigits and MaxExponent are the most that Limits can allow. The sum of 2^64
// such numbers stays within the exponents that apd can represent, 100,000 up or
// down; this is why adding has no error to return.
const (
	MaxDigits   = 30_000
	MaxExponent = 30_000
)

func (l Limits) effective() Limits {
	if l.Digits <= 0 {
		l.Digits = DefaultLimits.Digits
	}
	if l.Exponent <= 0 {
		l.Exponent = DefaultLimits.Exponent
	}
	return Limits{Digits: min(l.Digits, MaxDigits), Exponent: min(l.Exponent, MaxExponent)}
}
