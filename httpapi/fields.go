package httpapi

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/value"
)

// field is one of the things that a change can say.
type field uint8

const (
	fOp field = iota
	fName
	fAmount
	fText
	fElement
	fExpire
	fID
	fRef
	fReplicas
	fWait
	fieldEnd
)

// fieldNames are the fields in JSON, and the code of what may be wrong with
// each.
var fieldNames = [fieldEnd]struct {
	name string
	code Code
}{
	{"op", BadOp}, {"name", BadName}, {"amount", BadAmount}, {"text", BadText},
	{"element", BadElement}, {"expire", BadExpire}, {"id", BadID}, {"ref", BadRef},
	{"replicas", BadReplicas}, {"wait", BadWait},
}

// fieldSet is a set of fields.
type fieldSet uint16

func setOf(fields ...field) (s fieldSet) {
	for _, f := range fields {
		s |= 1 << f
	}
	return s
}

func (s fieldSet) has(f field) bool { return s&(1<<f) != 0 }

// The fields of the bodies.
var (
	setupFields   = setOf(fExpire, fID, fRef, fReplicas, fWait)
	counterFields = setupFields | setOf(fAmount)
	textFields    = setupFields | setOf(fText)
	lineFields    = setOf(fOp, fName, fAmount, fText, fElement, fExpire, fID, fRef)
)

// fields is a flat JSON object: what a body or a line of a batch says.
type fields struct {
	tokens [fieldEnd]token
}

// parse reads the object. Every field must be allowed and may come once; null
// says nothing. The tokens may point into body.
func (f *fields) parse(body []byte, allowed fieldSet) *Problem {
	s := scanner{in: body}
	if s.end() {
		return nil
	}
	if !s.take('{') {
		return s.fail("an object has to start")
	}
	if s.take('}') {
		return f.rest(&s)
	}
	var seen fieldSet
	for {
		s.space()
		if s.at == len(s.in) || s.in[s.at] != '"' {
			return s.fail("the name of a field has to follow")
		}
		key, err := s.string()
		if err != nil {
			return err
		}
		which := lookup(key)
		switch {
		case which == fieldEnd || !allowed.has(which):
			return problem(UnknownField, "the field %s is not known here", quoted(key)).in(quoted(key))
		case seen.has(which):
			return problem(DuplicateField, "the field %s is said twice", quoted(key)).in(string(key))
		}
		seen |= 1 << which
		if !s.take(':') {
			return s.fail("a colon has to follow")
		}
		if f.tokens[which], err = s.value(); err != nil {
			return err
		}
		if k := f.tokens[which].kind; k == nested || k == boolean {
			return which.problem("it takes no object, array, true or false")
		}
		if s.take('}') {
			return f.rest(&s)
		}
		if !s.take(',') {
			return s.fail("a comma or the end of the object has to follow")
		}
	}
}

func (f *fields) rest(s *scanner) *Problem {
	if !s.end() {
		return s.fail("something follows the object")
	}
	return nil
}

func lookup(key []byte) field {
	for i := range fieldNames {
		if string(key) == fieldNames[i].name {
			return field(i)
		}
	}
	return fieldEnd
}

// quoted is a key from outside, cut to a length that an answer can repeat.
func quoted(key []byte) string {
	if len(key) > 64 {
		key = key[:64]
	}
	return strings.Trim(strconv.Quote(string(key)), `"`)
}

func (f field) problem(format string, args ...any) *Problem {
	p := problem(fieldNames[f].code, format, args...).in(fieldNames[f].name)
	p.Detail = fieldNames[f].name + ": " + p.Detail
	return p
}

func (f *fields) has(which field) bool { return f.tokens[which].kind != absent }

// string is the field's text, which must be a JSON string and pass the check.
func (f *fields) string(which field, check func(string) error) (string, *Problem) {
	t := f.tokens[which]
	if t.kind != text {
		return "", which.problem("it has to be a string")
	}
	s := string(t.bytes)
	if err := check(s); err != nil {
		return "", which.problem("%s", err)
	}
	return s, nil
}

// change fills in what all commands have in common: expiry, id and reference.
func (a *API) change(c *ring.Command, f *fields) (err *Problem) {
	if f.has(fExpire) {
		if c.Expire, err = a.expire(f.tokens[fExpire]); err != nil {
			return err
		}
	}
	if f.has(fID) {
		if c.ID, err = f.string(fID, checkID); err != nil {
			return err
		}
	}
	if f.has(fRef) {
		if c.Ref, err = f.string(fRef, tickets.CheckRef); err != nil {
			return err
		}
	}
	return nil
}

// checkID refuses the empty id too: who sends one believes to be protected.
func checkID(id string) error {
	if id == "" {
		return errors.New("it is empty")
	}
	return tickets.CheckID(id)
}

// amount fills in the number, and its text as sent where that is not its
// canonical form. The number is read from the very bytes of the body.
func (a *API) amount(c *ring.Command, f *fields) *Problem {
	t := f.tokens[fAmount]
	if t.kind == absent {
		return fAmount.problem("it is missing")
	}
	if len(t.bytes) > tickets.MaxAmountTextBytes {
		return fAmount.problem("it is %d bytes long, the limit is %d", len(t.bytes), tickets.MaxAmountTextBytes)
	}
	n, err := value.Parse(a.kind, t.bytes, tickets.NumberLimits)
	if err != nil {
		return fAmount.problem("%s", err)
	}
	c.Amount = n
	var canonical [48]byte
	if string(n.AppendText(canonical[:0], a.kind)) != string(t.bytes) {
		c.Text = string(t.bytes)
	}
	return nil
}

// expire reads a time, a duration from now, or "never".
func (a *API) expire(t token) (hlc.Timestamp, *Problem) {
	now := a.node.Now()
	at, err := parseExpire(t, now)
	if err != nil {
		return 0, fExpire.problem("%s", err)
	}
	if at <= now {
		return 0, fExpire.problem("%s is not in the future", at)
	}
	return at, nil
}

// replicas reads how many other members have to hold the change.
func (f *fields) replicas() (int, *Problem) {
	t := f.tokens[fReplicas]
	if t.kind != number {
		return 0, fReplicas.problem("it has to be a number")
	}
	return parseReplicas(string(t.bytes))
}

// maxReplicas is beyond the size of any ring.
const maxReplicas = 1 << 16

func parseReplicas(s string) (int, *Problem) {
	k, err := strconv.Atoi(s)
	if err != nil || k < 0 || k > maxReplicas {
		return 0, fReplicas.problem("it has to be a whole number from 0 to %d", maxReplicas)
	}
	return k, nil
}

// parseWait reads how long a request may wait.
func parseWait(s string, limit time.Duration) (time.Duration, *Problem) {
	d, err := parseDuration(s)
	switch {
	case err != nil:
		return 0, fWait.problem("%s", err)
	case d > limit:
		return 0, fWait.problem("%s is longer than the limit of %s", d, limit)
	}
	return d, nil
}
