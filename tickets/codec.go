package tickets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"

	"bluerings/hlc"
	"bluerings/value"
)

// The encoding of a run, the same on the wire and on disk. Integers are
// unsigned LEB128 varints unless said otherwise; strings are a varint length
// and that many bytes.
//
//	byte     format version, 1
//	string   host of the origin
//	8 bytes  epoch, big endian
//	varint   first number covered
//	varint   span: last number covered minus first
//	varint   count of tickets present, at most span + 1
//	tickets
//
// A ticket:
//
//	byte     bits 0-2 operation; bit 3 expiry, 4 id, 5 ref, 6 text present;
//	         bit 7: numbers were skipped before this ticket
//	varint   if bit 7: how many numbers were skipped, 1 or more
//	varint   timestamp minus that of the ticket before in this run (the first: minus 0)
//	varint   name: 0 and a string for a name new in this run, else 1 for the
//	         first name of the run, 2 for the second …
//	number   counter.update only: value.Number.AppendBinary
//	string   if bit 6: text; always present for text.set, set.add, set.remove
//	varint   if bit 3: expiry in nanoseconds since 1970
//	string   if bit 4: id
//	string   if bit 5: ref
//
// The encoder gives one run one encoding; the decoder refuses varints that are
// not in their shortest form, empty strings written out, and trailing bytes.
const runVersion = 1

const (
	flagExpire = 1 << (3 + iota)
	flagID
	flagRef
	flagText
	flagSkip
	opMask = 7
)

// ErrCorrupt is wrapped by every error of decoding.
var ErrCorrupt = errors.New("corrupt run")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// Encoder encodes runs one after another. The zero Encoder is not usable.
type Encoder struct {
	kind    value.Kind
	names   dictionary
	touched byte // so that no compiler leaves touchNames out
}

// NewEncoder makes an encoder for a ring that counts in kind.
func NewEncoder(kind value.Kind) *Encoder {
	return &Encoder{kind: kind, names: dictionary{seed: maphash.MakeSeed()}}
}

// AppendRun appends the encoding of a run whose tickets carry rising numbers
// within First..Last and rising timestamps.
func (e *Encoder) AppendRun(dst []byte, run *Run) []byte {
	e.names.reset(len(run.Tickets))
	dst = append(dst, runVersion)
	dst = appendString(dst, run.Origin.Host)
	dst = binary.BigEndian.AppendUint64(dst, run.Origin.Epoch)
	dst = binary.AppendUvarint(dst, run.First)
	dst = binary.AppendUvarint(dst, run.Last-run.First)
	dst = binary.AppendUvarint(dst, uint64(len(run.Tickets)))
	e.touchNames(run.Tickets)
	next, at := run.First, hlc.Timestamp(0)
	for i := range run.Tickets {
		t := &run.Tickets[i]
		dst = e.appendTicket(dst, run, i, t.Seq-next, t.At-at)
		next, at = t.Seq+1, t.At
	}
	return dst
}

// touchNames asks for all names at once: where they were not used lately, the
// waits for memory overlap.
func (e *Encoder) touchNames(list []Ticket) {
	for i := range list {
		if name := list[i].Name; name != "" {
			e.touched += name[len(name)-1]
		}
	}
}

func (e *Encoder) appendTicket(dst []byte, run *Run, i int, skipped uint64, later hlc.Timestamp) []byte {
	t := &run.Tickets[i]
	head := byte(t.Op)
	withText := t.Op == TextSet || t.Op == SetAdd || t.Op == SetRemove || t.Text != ""
	if t.Expire != 0 {
		head |= flagExpire
	}
	if t.ID != "" {
		head |= flagID
	}
	if t.Ref != "" {
		head |= flagRef
	}
	if withText {
		head |= flagText
	}
	if skipped != 0 {
		head |= flagSkip
	}
	dst = append(dst, head)
	if skipped != 0 {
		dst = binary.AppendUvarint(dst, skipped)
	}
	dst = binary.AppendUvarint(dst, uint64(later))
	if number, added := e.names.number(run, i); added {
		dst = appendString(append(dst, 0), t.Name)
	} else {
		dst = binary.AppendUvarint(dst, number)
	}
	if t.Op == CounterAdd {
		dst = t.Amount.AppendBinary(dst, e.kind)
	}
	if withText {
		dst = appendString(dst, t.Text)
	}
	if t.Expire != 0 {
		dst = binary.AppendUvarint(dst, uint64(t.Expire))
	}
	if t.ID != "" {
		dst = appendString(dst, t.ID)
	}
	if t.Ref != "" {
		dst = appendString(dst, t.Ref)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// reader takes an encoding apart. After a mistake it yields zeros, and err
// tells the first mistake. Strings it yields share one copy of the input.
type reader struct {
	src  []byte
	text string
	pos  int
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = corrupt("byte %d: %s", r.pos, fmt.Sprintf(format, args...))
		r.pos = len(r.src)
	}
}

func (r *reader) uvarint(what string) uint64 {
	if r.pos < len(r.src) {
		if b := r.src[r.pos]; b < 0x80 {
			r.pos++
			return uint64(b)
		}
	}
	v, n := binary.Uvarint(r.src[r.pos:])
	if n <= 0 || (n > 1 && r.src[r.pos+n-1] == 0) {
		r.fail("%s is not a varint in its shortest form", what)
		return 0
	}
	r.pos += n
	return v
}

func (r *reader) str(what string, limit int) string {
	n := r.uvarint(what)
	if n > uint64(limit) || n > uint64(len(r.src)-r.pos) {
		r.fail("%s of %d bytes, at most %d of them can be here", what, n, min(limit, len(r.src)-r.pos))
		return ""
	}
	s := r.text[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return s
}

func (r *reader) byte(what string) byte {
	if r.pos >= len(r.src) {
		r.fail("%s is missing", what)
		return 0
	}
	r.pos++
	return r.src[r.pos-1]
}

// Decoder reads a run ticket by ticket.
type Decoder struct {
	Origin      Origin
	First, Last uint64
	Count       int // tickets present

	r     reader
	kind  value.Kind
	names []string
	left  int
	next  uint64
	at    hlc.Timestamp
}

// Open starts on an encoded run. It copies the input once; the strings of
// all its tickets share that copy. A Decoder may be opened again and keeps
// its buffers.
func (d *Decoder) Open(kind value.Kind, src []byte) error {
	d.kind, d.names = kind, d.names[:0]
	d.r = reader{src: src, text: string(src)}
	r := &d.r
	if v := r.byte("version"); r.err == nil && v != runVersion {
		return corrupt("format version %d, this program reads %d", v, runVersion)
	}
	d.Origin.Host = r.str("host", MaxHostBytes)
	if r.err == nil {
		if err := CheckHost(d.Origin.Host); err != nil {
			r.fail("%v", err)
		}
	}
	if len(r.src)-r.pos < 8 {
		r.fail("epoch is missing")
	} else {
		d.Origin.Epoch = binary.BigEndian.Uint64(r.src[r.pos:])
		r.pos += 8
	}
	d.First = r.uvarint("first number")
	span := r.uvarint("span")
	count := r.uvarint("count")
	switch {
	case r.err != nil:
	case d.First == 0 || d.First > 1<<62:
		r.fail("first number %d is out of range", d.First)
	case span >= MaxRunTickets:
		r.fail("a span of %d tickets, the limit is %d", span, MaxRunTickets)
	case count > span+1:
		r.fail("%d tickets in a span of %d", count, span+1)
	}
	d.Last, d.Count, d.left = d.First+span, int(count), int(count)
	d.next, d.at = d.First, 0
	if d.left == 0 {
		d.end()
	}
	return r.err
}

// Next reads the next ticket into t. It returns false after the last ticket
// or at the first mistake; Err tells which.
func (d *Decoder) Next(t *Ticket) bool {
	if d.left == 0 || d.r.err != nil {
		return false
	}
	d.left--
	r := &d.r
	head := r.byte("ticket")
	var skipped uint64
	if head&flagSkip != 0 {
		if skipped = r.uvarint("skipped numbers"); skipped == 0 || skipped >= MaxRunTickets {
			r.fail("%d numbers skipped", skipped)
		}
	}
	later := r.uvarint("timestamp")
	if later == 0 || later > uint64(hlc.Never-d.at) {
		r.fail("timestamp %d is not later than %d", later, d.at)
	}
	*t = Ticket{
		Origin: d.Origin, Seq: d.next + skipped, At: d.at + hlc.Timestamp(later),
		Op: Op(head & opMask), Name: d.name(),
	}
	if t.Op == CounterAdd && r.err == nil {
		d.amount(t)
	}
	needsText := t.Op == TextSet || t.Op == SetAdd || t.Op == SetRemove
	if head&flagText != 0 {
		if t.Text = r.str("text", MaxTextBytes); t.Text == "" && !needsText {
			r.fail("an empty text is written out")
		}
	} else if needsText {
		r.fail("%s without a text", t.Op)
	}
	d.options(t, head)
	d.next, d.at = t.Seq+1, t.At
	if r.err == nil {
		if t.Seq > d.Last {
			r.fail("number %d is past the run's last, %d", t.Seq, d.Last)
		} else if err := t.Check(); err != nil {
			r.fail("ticket %d: %v", t.Seq, err)
		} else if d.left == 0 {
			d.end()
		}
	}
	return r.err == nil
}

func (d *Decoder) name() string {
	switch index := d.r.uvarint("name"); {
	case index == 0:
		name := d.r.str("name", MaxNameBytes)
		d.names = append(d.names, name)
		return name
	case index <= uint64(len(d.names)):
		return d.names[index-1]
	default:
		d.r.fail("name %d of %d", index, len(d.names))
		return ""
	}
}

func (d *Decoder) amount(t *Ticket) {
	amount, rest, err := value.DecodeBinary(d.kind, d.r.src[d.r.pos:], NumberLimits)
	if err != nil {
		d.r.fail("amount: %v", err)
		return
	}
	t.Amount = amount
	d.r.pos = len(d.r.src) - len(rest)
}

func (d *Decoder) options(t *Ticket, head byte) {
	r := &d.r
	if head&flagExpire != 0 {
		expire := r.uvarint("expiry")
		if expire == 0 || expire > uint64(hlc.Never) {
			r.fail("expiry %d is out of range", expire)
		}
		t.Expire = hlc.Timestamp(expire)
	}
	if head&flagID != 0 {
		if t.ID = r.str("id", MaxIDBytes); t.ID == "" {
			r.fail("an empty id is written out")
		}
	}
	if head&flagRef != 0 {
		if t.Ref = r.str("ref", MaxRefBytes); t.Ref == "" {
			r.fail("an empty ref is written out")
		}
	}
}

func (d *Decoder) end() {
	if d.r.err == nil && d.r.pos != len(d.r.src) {
		d.r.fail("%d bytes follow the run", len(d.r.src)-d.r.pos)
	}
}

// Err is the first mistake found, wrapping ErrCorrupt, or nil.
func (d *Decoder) Err() error { return d.r.err }

// DecodeRun decodes a whole run. The input is not kept.
func DecodeRun(kind value.Kind, src []byte) (*Run, error) {
	var d Decoder
	if err := d.Open(kind, src); err != nil {
		return nil, err
	}
	run := &Run{Origin: d.Origin, First: d.First, Last: d.Last}
	run.Tickets = make([]Ticket, 0, min(d.Count, len(src)/4+1))
	var t Ticket
	for d.Next(&t) {
		run.Tickets = append(run.Tickets, t)
	}
	if d.Err() != nil {
		return nil, d.Err()
	}
	return run, nil
}
