package tickets

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"

	"bluerings/hlc"
	"bluerings/value"
)

// Dirty is what changed, for the index on disk. The index must drop the marks
// of the slots that Rows delete before it stores Marks.
type Dirty struct {
	Rows   []RowAt   // by slot
	Claims []ClaimAt // by hash
	Marks  []MarkAt  // by slot, origin, timestamp
}

// RowAt is the state of one name as Restore takes it; nil Data deletes it and
// all marks of the slot.
type RowAt struct {
	Slot uint32
	Data []byte
}

// ClaimAt says which ticket an id belongs to.
type ClaimAt struct {
	Hash [16]byte
	Ref  Ref
}

// MarkAt is a Mark of the name in a slot, encoded.
type MarkAt struct {
	Slot   uint32
	Origin OriginIndex
	At     hlc.Timestamp
	Seq    uint64
	Sum    []byte // value.Number.AppendBinary
}

// Mark is a resting point in a chain: the gross sum through ticket Seq.
type Mark struct {
	Origin OriginIndex
	At     hlc.Timestamp // of the ticket
	Seq    uint64
	Sum    value.Number
}

// markEvery is how many tickets of a chain lie between marks.
const markEvery = 128

// claims and marks have two generations: what a Flush has handed out and
// Flushed has not yet confirmed, and what is newer.
type claims struct{ fresh, taken claimSet }

type marks struct {
	fresh, taken map[uint32][]Mark
	every        uint64 // markEvery, but for tests
}

// dirty has two generations as well. The row of a name that changes while the
// taken generation is being written out is encoded first, as it was.
type dirty struct {
	rows, taken  []uint32
	gone, leaves []uint32 // slots forgotten; leaves: reported by a Flush
	odd          bool     // rows are marked rowOdd, else rowEven
	saved        []RowAt  // of taken, encoded ahead
}

// marks are those of rows, and of the part of taken that is not encoded yet.
func (d *dirty) marks() (now, then rowFlags) {
	if d.odd {
		return rowOdd, rowEven
	}
	return rowEven, rowOdd
}

// touch must be called before a row changes.
func (t *Table) touch(slot uint32, r *row) {
	now, then := t.dirty.marks()
	if r.flags&now != 0 {
		return
	}
	if r.flags&then != 0 {
		t.dirty.saved = append(t.dirty.saved, t.rowAt(slot))
	}
	r.flags = r.flags&^then | now
	t.dirty.rows = append(t.dirty.rows, slot)
}

func (t *Table) rowAt(slot uint32) RowAt {
	if t.rows.at(slot).flags&rowLive == 0 {
		return RowAt{Slot: slot}
	}
	return RowAt{slot, t.appendRow(nil, slot, new(fold))}
}

func (t *Table) mark(slot uint32, o OriginIndex, tk *Ticket, count uint64, sum value.Number) {
	if count%t.marks.every == 0 && tk.Op.Family() == Counters {
		t.marks.fresh[slot] = append(t.marks.fresh[slot], Mark{o, tk.At, tk.Seq, sum})
	}
}

// PendingMark is the earliest mark of a chain at or after a time that is not
// yet flushed.
func (t *Table) PendingMark(slot uint32, o OriginIndex, at hlc.Timestamp) (Mark, bool) {
	for _, list := range [...][]Mark{t.marks.taken[slot], t.marks.fresh[slot]} {
		if m, ok := earliest(list, o, at); ok {
			return m, true
		}
	}
	return Mark{}, false
}

// earliest finds in a list where each chain's marks rise.
func earliest(list []Mark, o OriginIndex, at hlc.Timestamp) (Mark, bool) {
	for _, m := range list {
		if m.Origin == o && m.At >= at {
			return m, true
		}
	}
	return Mark{}, false
}

// Flush is what changed since what Flushed confirmed last, as it was when
// BeginFlush was called, however much has changed meanwhile. So a table can be
// written out in steps, without keeping others from it for long. There is one
// at a time.
type Flush struct {
	table *Table
	next  int // in table.dirty.taken
}

// BeginFlush takes no longer the more there is. Claims and marks stay readable
// in the table until they are flushed. It needs the table alone.
func (t *Table) BeginFlush() *Flush {
	d := &t.dirty
	now, then := d.marks()
	for _, slot := range d.taken { // of a flush that failed
		r := t.rows.at(slot)
		if r.flags&now == 0 {
			d.rows = append(d.rows, slot)
		}
		r.flags = r.flags&^then | now
	}
	d.taken, d.rows, d.saved, d.odd = d.rows, nil, nil, !d.odd
	d.leaves, d.gone = append(d.leaves, d.gone...), nil
	t.claims.taken, t.claims.fresh = join(t.claims.taken, t.claims.fresh), claimSet{}
	if t.marks.taken == nil {
		t.marks.taken = t.marks.fresh
	} else {
		for slot, list := range t.marks.fresh {
			t.marks.taken[slot] = append(t.marks.taken[slot], list...)
		}
	}
	t.marks.fresh = make(map[uint32][]Mark)
	return &Flush{table: t}
}

func join(old, fresh claimSet) claimSet {
	if old.count == 0 {
		return fresh
	}
	fresh.each(old.put)
	return old
}

// Unflushed is about how many rows and claims a flush would write: a row may be
// counted twice that changed again since the last one began, which did not end.
func (t *Table) Unflushed() (rows, claims int) {
	return min(len(t.dirty.rows)+len(t.dirty.taken), int(t.slots)), t.claims.fresh.count + t.claims.taken.count
}

// Claims lists the claims by hash, and puts the rows in order. It may run while
// the table changes.
func (f *Flush) Claims() []ClaimAt {
	slices.Sort(f.table.dirty.taken)
	taken := &f.table.claims.taken
	list := make([]ClaimAt, 0, taken.count)
	taken.each(func(hash [16]byte, ref Ref) { list = append(list, ClaimAt{hash, ref}) })
	slices.SortFunc(list, func(a, b ClaimAt) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	return list
}

// Rows appends more rows, about limit of them and those that had to be encoded
// ahead; false when these were the last.
// It needs the table alone. Claims must have been called.
func (f *Flush) Rows(list []RowAt, limit int) ([]RowAt, bool) {
	t := f.table
	d := &t.dirty
	_, then := d.marks()
	part := d.taken[f.next:min(f.next+limit, len(d.taken))]
	f.next += len(part)
	from := len(list)
	data := make([]byte, 0, rowBytes*len(part))
	ends := make([]int, 0, len(part))
	var scratch fold
	for _, slot := range part {
		r := t.rows.at(slot)
		if r.flags&then == 0 {
			continue // encoded ahead
		}
		r.flags &^= then
		if r.flags&rowLive != 0 {
			data = t.appendRow(data, slot, &scratch)
		}
		list, ends = append(list, RowAt{Slot: slot}), append(ends, len(data))
	}
	begin := 0
	for i, end := range ends {
		if end > begin {
			list[from+i].Data = data[begin:end:end]
		}
		begin = end
	}
	list = append(list, d.saved...)
	d.saved = nil
	return list, f.next < len(d.taken)
}

// rowBytes is what the row of a counter takes when written out, about.
const rowBytes = 64

// Marks lists the marks by slot, origin and timestamp. It only reads.
func (f *Flush) Marks() []MarkAt {
	var all []MarkAt
	for slot, list := range f.table.marks.taken {
		for _, m := range list {
			all = append(all, MarkAt{slot, m.Origin, m.At, m.Seq, m.Sum.AppendBinary(nil, f.table.kind)})
		}
	}
	slices.SortFunc(all, func(a, b MarkAt) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.At, b.At))
	})
	return all
}

// TakeDirty is a whole flush at once.
func (t *Table) TakeDirty() Dirty {
	f := t.BeginFlush()
	d := Dirty{Claims: f.Claims(), Marks: f.Marks()}
	d.Rows, _ = f.Rows(nil, len(t.dirty.taken))
	return d
}

// Flushed says that the index now has all that the last Flush returned.
func (t *Table) Flushed() {
	t.claims.taken, t.marks.taken, t.dirty.taken = claimSet{}, nil, nil
	for _, slot := range t.dirty.leaves {
		t.rows.at(slot).flags &^= rowLeaving
	}
	t.free = append(t.free, t.dirty.leaves...)
	t.dirty.leaves = nil
}

// Forget drops the row of a name whose tickets are collected. That is safe
// only when no ticket minted at or before the name's end can still arrive.
// The slot is used again once the index knows.
func (t *Table) Forget(slot uint32) {
	r := t.rows.at(slot)
	if r.flags&rowLive == 0 {
		panic(fmt.Sprintf("tickets: slot %d is forgotten already", slot))
	}
	t.forgotten++
	t.touch(slot, r)
	name := t.nameOf(slot)
	hash := maphash.String(t.seed, name)
	t.index[r.family].of(hash).remove(hash, slot)
	t.order[r.family].remove(t, slot)
	if r.flags&rowSeveral != 0 {
		t.nodes.release(r.link)
	}
	delete(t.spread, slot)
	delete(t.marks.fresh, slot)
	delete(t.marks.taken, slot)
	t.names.release(r.name)
	*r = row{flags: r.flags&(rowEven|rowOdd) | rowLeaving}
	t.dirty.gone = append(t.dirty.gone, slot)
	if t.names.wasteful() {
		t.compactNames()
	}
}

// compactNames copies the names in use to a new arena.
func (t *Table) compactNames() {
	old := t.names
	t.names = arena{}
	for slot := range t.slots {
		if t.rows.has(slot) && t.rows.at(slot).flags&rowLive != 0 {
			r := t.rows.at(slot)
			r.name, _ = t.names.add(old.get(r.name)) // fewer names than before fit
		}
	}
}
