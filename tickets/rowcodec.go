package tickets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"

	"bluerings/hlc"
	"bluerings/value"
)

// The encoding of a row, for this node's index only. Varints, strings and
// numbers are as in a run; origins are local indices.
//
//	byte     format version, 1
//	byte     family
//	string   name
//	varint   born, expire, origin of the first ticket, first orphan, last orphan
//	number   total
//	varint   count of chains; each: varint origin, head, count; number sum, base
//	varint   count of losers; each: varint at, origin, seq; number amount;
//	         byte conflict; 8 bytes fact
//	texts    varint at, origin; string text
//	sets     varint count of elements; each: byte removed; string element
const rowVersion = 1

// ErrRow is wrapped by every error of Restore.
var ErrRow = errors.New("corrupt row")

func (t *Table) appendRow(dst []byte, slot uint32, scratch *fold) []byte {
	f, r := t.fold(slot, scratch), t.rows.at(slot)
	uvarint := func(us ...uint64) {
		for _, u := range us {
			dst = binary.AppendUvarint(dst, u)
		}
	}
	dst = append(dst, rowVersion, byte(r.family))
	dst = appendString(dst, t.nameOf(slot))
	uvarint(uint64(f.born), uint64(f.expire), uint64(f.first), uint64(f.orphan), uint64(f.lastOrphan))
	dst = f.total.AppendBinary(dst, t.kind)
	uvarint(uint64(len(f.chains)))
	for i := range f.chains {
		c := &f.chains[i]
		uvarint(uint64(c.Origin), c.Head, c.Count)
		dst = c.base.AppendBinary(c.Sum.AppendBinary(dst, t.kind), t.kind)
	}
	uvarint(uint64(len(f.losers)))
	for i := range f.losers {
		l := &f.losers[i]
		uvarint(uint64(l.At), uint64(l.Ref.Origin), l.Ref.Seq)
		dst = append(l.Amount.AppendBinary(dst, t.kind), byte(btoi(l.Conflict)))
		dst = binary.BigEndian.AppendUint64(dst, l.fact)
	}
	switch r.family {
	case Texts:
		uvarint(uint64(f.text.at), uint64(f.text.origin))
		dst = appendString(dst, f.text.text)
	case Sets:
		dst = f.set.append(dst)
	}
	return dst
}

func (s *set) append(dst []byte) []byte {
	if s == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(s.removed.Len()))
	s.removed.Scan(func(element string, removed bool) bool {
		dst = appendString(append(dst, byte(btoi(removed))), element)
		return true
	})
	return dst
}

// Restore puts back a row that TakeDirty gave. The logs must be known.
func (t *Table) Restore(slot uint32, data []byte) error {
	if slot >= maxSlots || !t.vacant(slot) {
		return fmt.Errorf("%w: slot %d is taken or too great", ErrRow, slot)
	}
	d := rowReader{reader{src: data, text: string(data)}, t}
	key, f := d.row()
	if d.err != nil {
		return fmt.Errorf("%w: slot %d, byte %d: %w", ErrRow, slot, d.pos, d.err)
	}
	if _, taken := t.Lookup(key); taken {
		return fmt.Errorf("%w: slot %d: %s %q is there already", ErrRow, slot, key.Family, key.Name)
	}
	t.slots = max(t.slots, slot+1)
	if err := t.addRow(slot, key, maphash.String(t.seed, key.Name)); err != nil {
		return err
	}
	t.pack(slot, f)
	return nil
}

// rowReader takes the encoding of a row apart.
type rowReader struct {
	reader
	t *Table
}

func (d *rowReader) row() (Key, *fold) {
	if v := d.byte("version"); v != rowVersion {
		d.fail("format version %d, this program reads %d", v, rowVersion)
	}
	key := Key{Family: Family(d.byte("family"))}
	if key.Family < Counters || key.Family > Sets {
		d.fail("family %d", key.Family)
	}
	key.Name = d.str("name", MaxNameBytes)
	if d.err == nil {
		if err := CheckName(key.Name); err != nil {
			d.fail("%v", err)
		}
	}
	f := new(fold)
	f.born, f.expire = d.time("born"), d.time("expire")
	f.first = d.origin(f.born == 0)
	f.orphan, f.lastOrphan = d.time("first orphan"), d.time("last orphan")
	if f.born == 0 && f.expire != 0 || f.orphan > f.lastOrphan || f.orphan == 0 && f.lastOrphan != 0 {
		d.fail("a life from %d to %d, with orphans from %d to %d", f.born, f.expire, f.orphan, f.lastOrphan)
	}
	f.total = d.number("total")
	d.chains(f)
	d.losers(f)
	switch key.Family {
	case Texts:
		f.text.at = d.time("time of the text")
		f.text.origin = d.origin(f.text.at == 0)
		f.text.text = strings.Clone(d.str("text", MaxTextBytes))
	case Sets:
		d.elements(f)
	}
	if d.err == nil && d.pos != len(d.src) {
		d.fail("%d bytes follow", len(d.src)-d.pos)
	}
	return key, f
}

func (d *rowReader) time(what string) hlc.Timestamp {
	at := d.uvarint(what)
	if at > uint64(hlc.Never) {
		d.fail("%s %d is out of range", what, at)
		return 0
	}
	return hlc.Timestamp(at)
}

// origin reads the index of a known log; if none may be, 0 passes.
func (d *rowReader) origin(none bool) OriginIndex {
	o := d.uvarint("origin")
	if o >= uint64(len(d.t.origins)) && !(none && o == 0) {
		d.fail("log %d of %d", o, len(d.t.origins))
		return 0
	}
	return OriginIndex(o)
}

// rowLimits bound sums, which grow beyond the amounts they are made of.
var rowLimits = value.Limits{Digits: value.MaxDigits, Exponent: value.MaxExponent}

func (d *rowReader) number(what string) value.Number {
	if d.err != nil {
		return value.Number{}
	}
	n, rest, err := value.DecodeBinary(d.t.kind, d.src[d.pos:], rowLimits)
	if err != nil {
		d.fail("%s: %v", what, err)
		return value.Number{}
	}
	d.pos = len(d.src) - len(rest)
	return n
}

// items reads a count of things that take at least size bytes each.
func (d *rowReader) items(what string, size int) int {
	n := d.uvarint(what)
	if n > uint64((len(d.src)-d.pos)/size) {
		d.fail("%d %s do not fit", n, what)
		return 0
	}
	return int(n)
}

func (d *rowReader) chains(f *fold) {
	n := d.items("chains", 5)
	f.chains = make([]chain, n)
	for i := range f.chains {
		c := &f.chains[i]
		c.Origin, c.Head, c.Count = d.origin(false), d.uvarint("head"), d.uvarint("count")
		c.Sum, c.base = d.number("sum"), d.number("base")
		if c.Count == 0 || c.Head < c.Count {
			d.fail("%d tickets up to number %d", c.Count, c.Head)
		}
		if i > 0 && c.Origin <= f.chains[i-1].Origin {
			d.fail("chains are not in order")
		}
	}
	if d.err == nil && (n == 0 || f.born != 0 && f.chain(f.first) == nil) {
		d.fail("%d chains, and none began the life", n)
	}
}

func (d *rowReader) losers(f *fold) {
	for range d.items("losers", 13) {
		var l loser
		l.At, l.Ref.Origin, l.Ref.Seq = d.time("loser"), d.origin(false), d.uvarint("number")
		l.Amount = d.number("amount")
		l.Conflict = d.flag()
		if len(d.src)-d.pos < 8 {
			d.fail("the fact is missing")
			return
		}
		l.fact = binary.BigEndian.Uint64(d.src[d.pos:])
		d.pos += 8
		if n := len(f.losers); n > 0 && !d.t.before(f.losers[n-1].At, f.losers[n-1].Ref.Origin, l.At, l.Ref.Origin) {
			d.fail("losers are not in order")
		}
		f.losers = append(f.losers, l)
	}
}

func (d *rowReader) flag() bool {
	b := d.byte("flag")
	if b > 1 {
		d.fail("flag %d", b)
	}
	return b == 1
}

func (d *rowReader) elements(f *fold) {
	n := d.items("elements", 2)
	if n == 0 {
		return
	}
	f.set = new(set)
	last := ""
	for range n {
		removed, element := d.flag(), d.str("element", MaxElementBytes)
		if d.err != nil || element <= last {
			d.fail("elements are not in order")
			return
		}
		f.set.apply(element, removed)
		last = element
	}
}
