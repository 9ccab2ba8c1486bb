package httpapi

import (
	"strconv"
	"unicode/utf8"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/value"
)

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c < 0x20 || c == '"' || c == '\\' || c == 0x7f {
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			start = i + 1
		}
		i++
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

// appendTime appends t as a JSON string in the form of hlc.Layout, "never" for
// hlc.Never, null for none.
func appendTime(dst []byte, t hlc.Timestamp) []byte {
	switch t {
	case 0:
		return append(dst, "null"...)
	case hlc.Never:
		return append(dst, `"never"`...)
	}
	return append(appendClock(append(dst, '"'), t), '"')
}

// appendClock appends t, which is 1 or more, in the form of hlc.Layout. It is
// what time.AppendFormat does, at a fifth of the cost: batches have three times
// in every line.
func appendClock(dst []byte, t hlc.Timestamp) []byte {
	seconds, nanos := uint64(t)/1e9, uint64(t)%1e9
	day, second := seconds/86400, seconds%86400
	year, month, date := civil(day)
	dst = append(appendPadded(dst, year, 4), '-')
	dst = append(appendPadded(dst, month, 2), '-')
	dst = append(appendPadded(dst, date, 2), 'T')
	dst = append(appendPadded(dst, second/3600, 2), ':')
	dst = append(appendPadded(dst, second/60%60, 2), ':')
	dst = append(appendPadded(dst, second%60, 2), '.')
	return append(appendPadded(dst, nanos, 9), 'Z')
}

// civil turns days since 1970-01-01 into a date: Howard Hinnant,
// "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
func civil(day uint64) (year, month, date uint64) {
	day += 719468 // days since 0000-03-01
	era, ofEra := day/146097, day%146097
	yearOfEra := (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := ofEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*ofYear + 2) / 153 // 0 is March
	date = ofYear - (153*shifted+2)/5 + 1
	year = yearOfEra + era*400
	if shifted < 10 {
		return year, shifted + 3, date
	}
	return year + 1, shifted - 9, date
}

func appendPadded(dst []byte, n uint64, width int) []byte {
	var digits [9]byte
	for i := width - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, digits[:width]...)
}

// appendReading opens an object and appends what every answer about a name
// says. The caller closes the object.
func (a *API) appendReading(dst []byte, r *ring.Reading, v *verdict) []byte {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, r.Key.Name)
	return a.appendState(dst, r, v)
}

// appendState appends the members of appendReading that follow the name.
func (a *API) appendState(dst []byte, r *ring.Reading, v *verdict) []byte {
	dst = a.appendFold(dst, r)
	dst = append(dst, `,"expire":`...)
	dst = appendTime(dst, r.Expire)
	return v.append(dst)
}

// appendFold appends what the name stands for.
func (a *API) appendFold(dst []byte, r *ring.Reading) []byte {
	switch r.Key.Family {
	case tickets.Counters:
		dst = append(dst, `,"value":"`...)
		return append(r.Value.AppendText(dst, a.kind), '"')
	case tickets.Texts:
		dst = append(dst, `,"text":`...)
		return appendString(dst, r.Text)
	default:
		dst = append(dst, `,"size":`...)
		return strconv.AppendInt(dst, int64(r.Size), 10)
	}
}

// appendTicket appends the ticket's object, open: the caller closes it.
func appendTicket(dst []byte, t *tickets.Ticket, kind value.Kind) []byte {
	dst = append(dst, `{"timestamp":`...)
	dst = appendTime(dst, t.At)
	dst = append(dst, `,"host":`...)
	dst = appendString(dst, t.Origin.Host)
	switch t.Op {
	case tickets.CounterAdd:
		dst = append(dst, `,"amount":"`...)
		dst = append(t.Amount.AppendText(dst, kind), '"')
		if t.Text != "" {
			dst = append(dst, `,"amount_as_sent":`...)
			dst = appendString(dst, t.Text)
		}
	case tickets.TextSet:
		dst = append(dst, `,"text":`...)
		dst = appendString(dst, t.Text)
	case tickets.SetAdd, tickets.SetRemove:
		dst = append(dst, `,"element":`...)
		dst = appendString(dst, t.Text)
	}
	dst = append(dst, `,"origin":`...)
	dst = appendOrigin(dst, t.Origin)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, t.Seq, 10)
	dst = append(dst, `,"op":"`...)
	dst = append(append(dst, t.Op.String()...), '"')
	if t.ID != "" {
		dst = append(dst, `,"id":`...)
		dst = appendString(dst, t.ID)
	}
	if t.Ref != "" {
		dst = append(dst, `,"ref":`...)
		dst = appendString(dst, t.Ref)
	}
	if t.Expire != 0 {
		dst = append(dst, `,"expire":`...)
		dst = appendTime(dst, t.Expire)
	}
	return dst
}

// appendOutcome appends to an open object what became of a change: its ticket,
// and how many members hold it where that was asked (replicated >= 0).
func appendOutcome(dst []byte, o *ring.Outcome, kind value.Kind, replicated int) []byte {
	if o.Ticket.Seq > 0 {
		dst = append(dst, `,"ticket":`...)
		dst = append(appendTicket(dst, &o.Ticket, kind), '}')
	}
	if o.Replayed {
		dst = append(dst, `,"replayed":true`...)
	}
	if replicated >= 0 {
		dst = append(dst, `,"replicated":`...)
		dst = strconv.AppendInt(dst, int64(replicated), 10)
	}
	return dst
}

// appendOrigin appends "host/epoch"; hosts need no escapes, see
// tickets.CheckHost.
func appendOrigin(dst []byte, o tickets.Origin) []byte {
	dst = append(append(append(dst, '"'), o.Host...), '/')
	return append(strconv.AppendUint(dst, o.Epoch, 16), '"')
}

// verdict is the ring's verdict in the forms that answers need.
type verdict struct {
	ring.Verdict
	json   []byte   // the members, with a leading comma
	header []string // of Final-Through; empty for none
}

// verdict asks the node. Its text is kept while the verdict stays the same,
// which is longer than it takes to answer many requests.
func (a *API) verdict() *verdict { return a.written(a.node.Verdict()) }

func (a *API) written(now ring.Verdict) *verdict {
	if v := a.last.Load(); v != nil && v.Verdict == now {
		return v
	}
	v := &verdict{Verdict: now, json: []byte(`,"coherent":`)}
	v.json = strconv.AppendBool(v.json, now.Coherent)
	v.json = append(v.json, `,"final_through":`...)
	v.json = appendTime(v.json, now.FinalThrough)
	if now.FinalThrough != 0 {
		v.header = []string{now.FinalThrough.String()}
	}
	a.last.Store(v)
	return v
}

func (v *verdict) append(dst []byte) []byte { return append(dst, v.json...) }

// final tells whether the value as of t can never change again.
func (v *verdict) final(t hlc.Timestamp) bool { return t <= v.FinalThrough }
