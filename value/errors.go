package value

import (
	"errors"
	"fmt"
	"strconv"
)

// What errors.Is can ask of the errors of this package.
var (
	ErrSyntax   = errors.New("not a number")         // text is not a number of the kind
	ErrRange    = errors.New("number out of limits") // a number, but beyond the Limits
	ErrKind     = errors.New("unknown value kind")
	ErrEncoding = errors.New("bad number encoding") // bytes AppendBinary never makes
)

// SyntaxError says why a text is not a number of the kind. It is ErrSyntax.
type SyntaxError struct {
	Kind   Kind
	Input  string // the text, quoted and cut short
	Reason string
}

func (e *SyntaxError) Error() string {
	return e.Input + " is no " + e.Kind.String() + ": " + e.Reason
}

func (e *SyntaxError) Unwrap() error { return ErrSyntax }

// RangeError says which limit a number is beyond. It is ErrRange.
type RangeError struct {
	Kind   Kind
	Input  string // the text, quoted and cut short; "encoded number" for bytes
	Reason string
}

func (e *RangeError) Error() string {
	return e.Kind.String() + " " + e.Input + " is beyond the limits: " + e.Reason
}

func (e *RangeError) Unwrap() error { return ErrRange }

// maxQuoted is how many bytes of a refused text an error repeats.
const maxQuoted = 32

func quote(text string) string {
	if len(text) > maxQuoted {
		return strconv.QuoteToASCII(text[:maxQuoted]) + "..."
	}
	return strconv.QuoteToASCII(text)
}

func rangeError(k Kind, text, format string, args ...any) error {
	return &RangeError{Kind: k, Input: quote(text), Reason: fmt.Sprintf(format, args...)}
}

func kindError(k Kind) error { return fmt.Errorf("%w: %v", ErrKind, k) }
