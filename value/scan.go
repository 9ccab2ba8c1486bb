package value

// scanned is the shape of a number's text: parts that are plain digits.
type scanned struct {
	negative     bool
	whole        string // without leading zeros, never empty
	fraction     string // after the point, empty if there is none
	denominator  string // after the slash, empty if there is none
	exponent     int    // of ten, 0 if there is none
	hugeExponent bool   // more digits than an exponent may have
}

// scan takes text apart by the grammar of k. It returns in words what is wrong
// with the text, or an empty reason.
func scan(k Kind, text string) (s scanned, reason string) {
	if text == "" {
		return s, "it is empty"
	}
	rest := text
	if rest[0] == '-' {
		s.negative, rest = true, rest[1:]
	}
	s.whole, rest = leadingDigits(rest)
	switch {
	case s.whole == "":
		return s, "it does not start with a digit, or a minus sign and a digit"
	case len(s.whole) > 1 && s.whole[0] == '0':
		return s, "it has a leading zero"
	}
	if k != Integer && rest != "" && rest[0] == '.' {
		if s.fraction, rest = leadingDigits(rest[1:]); s.fraction == "" {
			return s, "no digit follows the decimal point"
		}
	}
	if k == Decimal && rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		digits, negative := exponentSign(rest[1:])
		if digits, rest = leadingDigits(digits); digits == "" {
			return s, "no digit follows the e of the exponent"
		}
		s.setExponent(digits, negative)
	}
	if k == Rational && s.fraction == "" && rest != "" && rest[0] == '/' {
		s.denominator, rest = leadingDigits(rest[1:])
		switch {
		case s.denominator == "":
			return s, "no digit follows the slash"
		case s.denominator == "0":
			return s, "its denominator is zero"
		case s.denominator[0] == '0':
			return s, "its denominator has a leading zero"
		}
	}
	switch {
	case rest != "":
		return s, unexpected(k, rest[0])
	case s.negative && allZeros(s.whole) && allZeros(s.fraction):
		return s, "zero has no sign"
	}
	return s, ""
}

func exponentSign(text string) (rest string, negative bool) {
	if text != "" && (text[0] == '-' || text[0] == '+') {
		return text[1:], text[0] == '-'
	}
	return text, false
}

func (s *scanned) setExponent(digits string, negative bool) {
	if len(digits) > maxExponentText {
		s.hugeExponent = true
		return
	}
	for i := range len(digits) {
		s.exponent = s.exponent*10 + int(digits[i]-'0')
	}
	if negative {
		s.exponent = -s.exponent
	}
}

func leadingDigits(text string) (digits, rest string) {
	i := 0
	for i < len(text) && text[i]-'0' <= 9 {
		i++
	}
	return text[:i], text[i:]
}

func allZeros(digits string) bool {
	for i := range len(digits) {
		if digits[i] != '0' {
			return false
		}
	}
	return true
}

// unexpected says what a number of kind k may not contain.
func unexpected(k Kind, c byte) string {
	switch {
	case c == '.' && k == Integer:
		return "an integer has no decimal point"
	case c == '/' && k != Rational:
		return "only a rational has a slash"
	case (c == 'e' || c == 'E') && k != Decimal:
		return "only a decimal has an exponent"
	}
	return "it goes on with " + quote(string([]byte{c}))
}
