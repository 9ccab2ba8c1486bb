package value

import (
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/cockroachdb/apd/v3"
)

// The binary form. A varint is unsigned LEB128: groups of seven bits, the lowest
// first, the top bit set in all bytes but the last. It may be of any length and
// is the shortest possible. Zigzag maps 0, -1, 1, -2, 2 to 0, 1, 2, 3, 4.
//
//	Integer    varint zigzag(number)
//	Decimal    varint scale, varint zigzag(coefficient)
//	Rational   varint zigzag(numerator), varint denominator-1
//
// A decimal is coefficient / 10^scale with the least scale that is not negative;
// a rational is in lowest terms with a denominator above zero. So each number has
// exactly one form, which does not depend on how it is held in memory, and equal
// bytes mean equal numbers. The form is frozen by testdata/binary.txt.

// AppendBinary appends the binary form of n, which is 1 to 11 bytes for a small
// number; equal numbers give equal bytes.
func (n Number) AppendBinary(dst []byte, k Kind) []byte {
	if k == Rational {
		return n.appendRatio(dst)
	}
	if n.large != nil {
		return appendLargeDecimal(dst, k, n.decimal(k, nil))
	}
	if k == Decimal {
		dst = binary.AppendUvarint(dst, uint64(n.scale))
	}
	return binary.AppendUvarint(dst, zigzag(n.coef))
}

func appendLargeDecimal(dst []byte, k Kind, d *apd.Decimal) []byte {
	if k == Decimal {
		dst = binary.AppendUvarint(dst, uint64(-d.Exponent))
	}
	x := d.Coeff.MathBigInt()
	if d.Negative {
		x.Neg(x)
	}
	return appendBig(dst, zigzagBig(x))
}

func (n Number) appendRatio(dst []byte) []byte {
	if n.large == nil {
		num, den := n.terms()
		dst = binary.AppendUvarint(dst, zigzag(num))
		return binary.AppendUvarint(dst, uint64(den-1))
	}
	r := n.ratio(nil)
	dst = appendBig(dst, zigzagBig(new(big.Int).Set(r.Num())))
	den := new(big.Int).Set(r.Denom())
	return appendBig(dst, den.Sub(den, one))
}

// DecodeBinary reads a number of kind k from the start of src and returns what
// follows it. Bytes that AppendBinary does not make give an error that is
// ErrEncoding, a number beyond lim one that is ErrRange, an unknown kind ErrKind.
// Lengths are checked before anything is allocated; small numbers allocate
// nothing. It keeps no reference to src.
func DecodeBinary(k Kind, src []byte, lim Limits) (n Number, rest []byte, err error) {
	lim = lim.effective()
	switch k {
	case Integer:
		var x varint
		if x, rest, err = readVarint(k, src, lim); err != nil {
			return Number{}, nil, err
		}
		n = decodeScaled(x, 0)
	case Decimal:
		n, rest, err = decodeDecimal(src, lim)
	case Rational:
		n, rest, err = decodeRatio(src, lim)
	default:
		err = kindError(k)
	}
	if err != nil {
		return Number{}, nil, err
	}
	if (n.large != nil || lim.Digits < smallText) && n.Digits(k) > lim.Digits {
		return Number{}, nil, encodedTooLarge(k, lim)
	}
	return n, rest, nil
}

// encodedInput stands for the bytes in a RangeError.
const encodedInput = "encoded number"

func encodedTooLarge(k Kind, lim Limits) error {
	return &RangeError{Kind: k, Input: encodedInput,
		Reason: fmt.Sprintf("it has more than %d digits", lim.Digits)}
}

func encodingError(reason string) error { return fmt.Errorf("%w: %s", ErrEncoding, reason) }

func decodeScaled(x varint, scale int) Number {
	if x.wide == nil && scale <= maxSmallScale {
		return Number{coef: unzigzag(x.narrow), scale: int8(scale)}
	}
	return fromInteger(unzigzagBig(x.big()), scale)
}

func decodeDecimal(src []byte, lim Limits) (Number, []byte, error) {
	scale, rest, err := readVarint(Decimal, src, lim)
	if err != nil {
		return Number{}, nil, err
	}
	if scale.wide != nil || scale.narrow > uint64(lim.Exponent) {
		return Number{}, nil, &RangeError{Kind: Decimal, Input: encodedInput,
			Reason: fmt.Sprintf("it has more than %d digits after the point", lim.Exponent)}
	}
	coef, rest, err := readVarint(Decimal, rest, lim)
	if err != nil {
		return Number{}, nil, err
	}
	want := int(scale.narrow)
	if want > 0 && coef.divisibleByTen() {
		return Number{}, nil, encodingError("the decimal has trailing zeros")
	}
	return decodeScaled(coef, want), rest, nil
}

func decodeRatio(src []byte, lim Limits) (Number, []byte, error) {
	top, rest, err := readVarint(Rational, src, lim)
	if err != nil {
		return Number{}, nil, err
	}
	bottom, rest, err := readVarint(Rational, rest, lim)
	if err != nil {
		return Number{}, nil, err
	}
	if top.wide == nil && bottom.wide == nil {
		num, den := unzigzag(top.narrow), bottom.narrow
		switch {
		case den == 0:
			return Number{coef: num}, rest, nil
		case den < maxPacked && packs(num, den+1):
			if gcd(magnitude(num), den+1) != 1 {
				return Number{}, nil, errNotLowest
			}
			return Number{coef: pack(num, int64(den+1)), scale: packedScale}, rest, nil
		}
	}
	num, den := unzigzagBig(top.big()), bottom.big()
	den.Add(den, one)
	if new(big.Int).GCD(nil, nil, new(big.Int).Abs(num), den).Cmp(one) != 0 {
		return Number{}, nil, errNotLowest
	}
	return fromRatio(new(big.Rat).SetFrac(num, den)), rest, nil
}

var (
	one          = big.NewInt(1) // never changed
	errNotLowest = encodingError("the rational is not in lowest terms")
)

// varint is an unsigned number of any size: wide if that is set, else narrow.
type varint struct {
	narrow uint64
	wide   *big.Int
}

func (v varint) big() *big.Int {
	if v.wide != nil {
		return v.wide
	}
	return new(big.Int).SetUint64(v.narrow)
}

// divisibleByTen reports whether the number that v is the zigzag of can be
// divided by ten.
func (v varint) divisibleByTen() bool {
	if v.wide == nil {
		return unzigzag(v.narrow)%10 == 0
	}
	x := unzigzagBig(new(big.Int).Set(v.wide))
	return x.Bit(0) == 0 && x.Rem(x, big.NewInt(10)).Sign() == 0
}

// readVarint reads a varint whose value is in the range that lim leaves to the
// zigzag of a number, or to a denominator.
func readVarint(k Kind, src []byte, lim Limits) (varint, []byte, error) {
	u, size := binary.Uvarint(src)
	switch {
	case size == 0:
		return varint{}, nil, encodingError("it is cut short")
	case size < 0:
		return readWide(k, src, lim)
	case size > 1 && src[size-1] == 0:
		return varint{}, nil, errNotShortest
	}
	return varint{narrow: u}, src[size:], nil
}

var errNotShortest = encodingError("it has leading zeros")

// readWide reads a varint of more than 64 bits.
func readWide(k Kind, src []byte, lim Limits) (varint, []byte, error) {
	// A digit is less than 10/3 bits; one more bit is the sign.
	longest := (lim.Digits*10/3 + 1 + 1 + 6) / 7
	size := 1
	for size <= longest && size <= len(src) && src[size-1] >= 0x80 {
		size++
	}
	switch {
	case size > longest:
		return varint{}, nil, encodedTooLarge(k, lim)
	case size > len(src):
		return varint{}, nil, encodingError("it is cut short")
	case src[size-1] == 0:
		return varint{}, nil, errNotShortest
	}
	// Seven-bit groups, lowest first, become bytes, highest first.
	bytes := make([]byte, (size*7+7)/8)
	var pending, held uint
	at := len(bytes)
	for _, group := range src[:size] {
		pending |= uint(group&0x7f) << held
		if held += 7; held >= 8 {
			at--
			bytes[at] = byte(pending)
			pending, held = pending>>8, held-8
		}
	}
	if held > 0 {
		at--
		bytes[at] = byte(pending)
	}
	return varint{wide: new(big.Int).SetBytes(bytes)}, src[size:], nil
}

// appendBig appends x, which is not negative, as a varint.
func appendBig(dst []byte, x *big.Int) []byte {
	if x.IsUint64() {
		return binary.AppendUvarint(dst, x.Uint64())
	}
	var pending, held uint
	groups := (x.BitLen() + 6) / 7
	bytes := x.Bytes()
	at := len(bytes)
	for i := range groups {
		if held < 7 && at > 0 {
			at--
			pending |= uint(bytes[at]) << held
			held += 8
		}
		group := byte(pending & 0x7f)
		pending >>= 7
		held -= min(held, 7)
		if i < groups-1 {
			group |= 0x80
		}
		dst = append(dst, group)
	}
	return dst
}

func zigzag(i int64) uint64   { return uint64(i<<1) ^ uint64(i>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// zigzagBig changes x into its zigzag: 2x, or -2x-1 if x is negative.
func zigzagBig(x *big.Int) *big.Int {
	if x.Sign() < 0 {
		return x.Not(x.Lsh(x, 1)) // Not(y) is -y-1
	}
	return x.Lsh(x, 1)
}

// unzigzagBig undoes zigzagBig, changing u.
func unzigzagBig(u *big.Int) *big.Int {
	negative := u.Bit(0) == 1
	if u.Rsh(u, 1); negative {
		u.Not(u)
	}
	return u
}
