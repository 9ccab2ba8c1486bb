package httpapi

import (
	"encoding/hex"
	"unicode/utf16"
	"unicode/utf8"
)

// kind of a JSON value, as far as a flat object tells them apart.
type kind byte

const (
	absent kind = iota // also for null
	text
	number
	boolean
	nested // an object or array
)

// token is one JSON value. The bytes of a string are its content, unescaped;
// of the others they are as sent. They may point into the request body.
type token struct {
	kind  kind
	bytes []byte
}

// scanner reads JSON (RFC 8259) from a body, without recursion and without
// building anything. It is stricter than most: invalid UTF-8 and lone
// surrogates are errors, since they could not be told apart in a ledger.
type scanner struct {
	in []byte
	at int
}

func (s *scanner) fail(what string) *Problem {
	return problem(BadJSON, "%s at byte %d", what, s.at)
}

func (s *scanner) space() {
	for s.at < len(s.in) {
		switch s.in[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// take consumes c after white space, if it is next.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.at < len(s.in) && s.in[s.at] == c {
		s.at++
		return true
	}
	return false
}

// end tells whether only white space is left.
func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.in)
}

// value reads a value. Of an object or array it consumes nothing.
func (s *scanner) value() (token, *Problem) {
	s.space()
	if s.at == len(s.in) {
		return token{}, s.fail("a value is missing")
	}
	switch c := s.in[s.at]; {
	case c == '"':
		content, err := s.string()
		return token{text, content}, err
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case c == '{' || c == '[':
		return token{kind: nested}, nil
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if end := s.at + len(word); end <= len(s.in) && string(s.in[s.at:end]) == word {
			t := token{boolean, s.in[s.at:end]}
			if word == "null" {
				t = token{}
			}
			s.at = end
			return t, nil
		}
	}
	return token{}, s.fail("no JSON value starts")
}

// number reads a number by its grammar; its digits are not looked at.
func (s *scanner) number() (token, *Problem) {
	start := s.at
	if s.in[s.at] == '-' {
		s.at++
	}
	zero := s.at < len(s.in) && s.in[s.at] == '0'
	if n := s.digits(); n == 0 || zero && n > 1 {
		s.at = start
		return token{}, s.fail("a malformed number")
	}
	if s.at < len(s.in) && s.in[s.at] == '.' {
		s.at++
		if s.digits() == 0 {
			return token{}, s.fail("no digit after the decimal point")
		}
	}
	if s.at < len(s.in) && s.in[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.in) && (s.in[s.at] == '+' || s.in[s.at] == '-') {
			s.at++
		}
		if s.digits() == 0 {
			return token{}, s.fail("no digit in the exponent")
		}
	}
	return token{number, s.in[start:s.at]}, nil
}

func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.in) && s.in[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at - start
}

// string reads a string, whose opening quote is next.
func (s *scanner) string() ([]byte, *Problem) {
	s.at++
	start, plain := s.at, true
	for s.at < len(s.in) {
		switch c := s.in[s.at]; {
		case c == '"':
			content := s.in[start:s.at]
			if !plain && !utf8.Valid(content) {
				return nil, s.fail("a string that is not valid UTF-8 ends")
			}
			s.at++
			return content, nil
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			return nil, s.fail("a bare control character in a string")
		case c >= utf8.RuneSelf:
			plain = false
		}
		s.at++
	}
	return nil, s.fail("a string does not end")
}

// escaped reads on in a string that has an escape at s.at and began at start.
func (s *scanner) escaped(start int) ([]byte, *Problem) {
	content := append([]byte(nil), s.in[start:s.at]...)
	for s.at < len(s.in) {
		switch c := s.in[s.at]; {
		case c == '"':
			if !utf8.Valid(content) {
				return nil, s.fail("a string that is not valid UTF-8 ends")
			}
			s.at++
			return content, nil
		case c == '\\':
			var err *Problem
			if content, err = s.escape(content); err != nil {
				return nil, err
			}
		case c < 0x20:
			return nil, s.fail("a bare control character in a string")
		default:
			content = append(content, c)
			s.at++
		}
	}
	return nil, s.fail("a string does not end")
}

// escape reads one escape, or two that make one character, and appends it.
func (s *scanner) escape(content []byte) ([]byte, *Problem) {
	if s.at+1 >= len(s.in) {
		return nil, s.fail("a string does not end")
	}
	switch c := s.in[s.at+1]; c {
	case '"', '\\', '/':
		content = append(content, c)
	case 'b':
		content = append(content, '\b')
	case 'f':
		content = append(content, '\f')
	case 'n':
		content = append(content, '\n')
	case 'r':
		content = append(content, '\r')
	case 't':
		content = append(content, '\t')
	case 'u':
		r := s.hex4(s.at)
		if utf16.IsSurrogate(r) {
			r = utf16.DecodeRune(r, s.hex4(s.at+6))
			if r == utf8.RuneError {
				return nil, s.fail("half of a surrogate pair")
			}
			s.at += 6
		}
		if r < 0 {
			return nil, s.fail(`a malformed \u escape`)
		}
		s.at += 6
		return utf8.AppendRune(content, r), nil
	default:
		return nil, s.fail("an unknown escape")
	}
	s.at += 2
	return content, nil
}

// hex4 is the code of the \uXXXX at the index, -1 if there is none.
func (s *scanner) hex4(at int) rune {
	if at+6 > len(s.in) || s.in[at] != '\\' || s.in[at+1] != 'u' {
		return -1
	}
	var code [2]byte
	if _, err := hex.Decode(code[:], s.in[at+2:at+6]); err != nil {
		return -1
	}
	return rune(code[0])<<8 | rune(code[1])
}

// skip consumes a value of any depth. Inside objects and arrays it looks for
// nothing but their end: whoever reads them again says what is wrong there.
func (s *scanner) skip() *Problem {
	t, err := s.value()
	if err != nil || t.kind != nested {
		return err
	}
	for depth := 0; s.at < len(s.in); {
		switch s.in[s.at] {
		case '"':
			s.at++
			for s.at < len(s.in) && s.in[s.at] != '"' {
				if s.in[s.at] == '\\' {
					s.at++
				}
				s.at++
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at = min(s.at+1, len(s.in))
		if depth == 0 {
			return nil
		}
	}
	return s.fail("an object or array does not end")
}
