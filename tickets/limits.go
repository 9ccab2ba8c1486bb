package tickets

import (
	"fmt"
	"unicode/utf8"

	"bluerings/value"
)

// Limits bound everything a ticket may carry and what a node may hold in
// memory on behalf of others. They are the same on every node of a ring.
const (
	MaxNameBytes    = 512
	MaxTextBytes    = 64 << 10
	MaxElementBytes = 4 << 10
	MaxIDBytes      = 255
	MaxRefBytes     = 1 << 10
	MaxHostBytes    = 253

	// MaxAmountTextBytes bounds an amount as sent.
	MaxAmountTextBytes = 4 << 10
	// MaxRunTickets bounds the span and the tickets of one run.
	MaxRunTickets = 1 << 16
	// MaxRunBytes bounds the encoding of one run. A single ticket always fits.
	MaxRunBytes = 1 << 20
	// MaxOrigins bounds the logs a node knows: each costs memory and bytes in
	// every ping.
	MaxOrigins = 1 << 16
	// MaxValueDigits bounds the digits of a counter's value at the node that
	// accepts an update.
	MaxValueDigits = 10_000
)

// NumberLimits bound an amount.
var NumberLimits = value.DefaultLimits

// LimitError says which limit a ticket would break.
type LimitError struct {
	What     string
	Got, Max int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s is %d bytes long, the limit is %d", e.What, e.Got, e.Max)
}

// CheckName refuses what cannot name anything: the empty text, control
// characters, text that is not UTF-8 or too long.
func CheckName(name string) error { return checkText("name", name, MaxNameBytes, false) }

// CheckElement refuses what cannot be an element of a set, by the rules for
// names.
func CheckElement(element string) error {
	return checkText("element", element, MaxElementBytes, false)
}

// CheckID refuses what cannot be a client id; empty means none and passes.
func CheckID(id string) error {
	if id == "" {
		return nil
	}
	return checkText("id", id, MaxIDBytes, false)
}

// CheckRef refuses what cannot be a reference; empty means none and passes.
func CheckRef(ref string) error {
	if ref == "" {
		return nil
	}
	return checkText("ref", ref, MaxRefBytes, true)
}

// CheckText refuses what cannot be the text of a register: text that is not
// UTF-8 or too long. Any character is allowed, and so is the empty text.
func CheckText(text string) error {
	if text == "" {
		return nil
	}
	return checkText("text", text, MaxTextBytes, true)
}

func checkText(what, s string, limit int, control bool) error {
	if s == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if len(s) > limit {
		return &LimitError{What: what, Got: len(s), Max: limit}
	}
	ascii := true
	for i := range len(s) {
		c := s[i]
		if (c < 0x20 || c == 0x7f) && !control {
			return fmt.Errorf("%s has the control character %#02x at byte %d", what, c, i)
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if ascii {
		return nil
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not valid UTF-8", what)
	}
	for i, r := range s {
		if r >= 0x80 && r < 0xa0 && !control {
			return fmt.Errorf("%s has the control character %U at byte %d", what, r, i)
		}
	}
	return nil
}

// Check refuses a ticket that no node may have minted: it is the gate for
// tickets from peers and from disk.
func (t *Ticket) Check() error {
	if t.Op >= opEnd {
		return fmt.Errorf("unknown operation %d", t.Op)
	}
	if t.At < 1 {
		return fmt.Errorf("timestamp %d is not positive", t.At)
	}
	if t.Expire < 0 {
		return fmt.Errorf("expiry %d is negative", t.Expire)
	}
	if err := CheckName(t.Name); err != nil {
		return err
	}
	if err := CheckID(t.ID); err != nil {
		return err
	}
	if err := CheckRef(t.Ref); err != nil {
		return err
	}
	switch t.Op {
	case TextSet:
		return CheckText(t.Text)
	case SetAdd, SetRemove:
		return CheckElement(t.Text)
	case CounterAdd:
		if t.Text != "" {
			return checkText("amount as sent", t.Text, MaxAmountTextBytes, false)
		}
	default:
		if t.Text != "" {
			return fmt.Errorf("%s carries a text", t.Op)
		}
	}
	return nil
}

// CheckHost refuses what cannot be the name of a host: letters, digits, dot,
// hyphen and underscore, 1 to MaxHostBytes of them.
func CheckHost(host string) error {
	if host == "" || len(host) > MaxHostBytes {
		return fmt.Errorf("host name of %d bytes: it takes 1 to %d", len(host), MaxHostBytes)
	}
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return fmt.Errorf("host name has the byte %#02x: it takes letters, digits, '.', '-' and '_'", c)
		}
	}
	return nil
}
