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

// claims and marks have two generations: what TakeDirty has handed out and
// Flushed has not yet confirmed, and what is newer.
type claims struct{ fresh, taken map[[16]byte]Ref }

type marks struct {
	fresh, taken map[uint32][]Mark
	every        uint64 // markEvery, but for tests
}

type dirty struct {
	rows, taken  []uint32
	gone, leaves []uint32 // slots forgotten; leaves: reported by TakeDirty
}

func (t *Table) touch(slot uint32, r *row) {
	if r.flags&rowDirty == 0 {
		r.flags |= rowDirty
		t.dirty.rows = append(t.dirty.rows, slot)
	}
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

// TakeDirty returns everything that changed since what Flushed confirmed last.
// Claims and marks stay readable here until they are flushed.
func (t *Table) TakeDirty() Dirty {
	var d Dirty
	t.dirty.taken = append(t.dirty.taken, t.dirty.rows...)
	slices.Sort(t.dirty.taken)
	t.dirty.taken = slices.Compact(t.dirty.taken)
	t.dirty.rows = nil
	t.dirty.leaves = append(t.dirty.leaves, t.dirty.gone...)
	t.dirty.gone = nil
	d.Rows = t.takeRows()
	d.Claims = t.takeClaims()
	d.Marks = t.takeMarks()
	return d
}

func (t *Table) takeRows() []RowAt {
	rows := make([]RowAt, len(t.dirty.taken))
	ends := make([]int, len(rows))
	var data []byte
	var scratch fold
	for i, slot := range t.dirty.taken {
		r := t.rows.at(slot)
		r.flags &^= rowDirty
		if r.flags&rowLive != 0 {
			data = t.appendRow(data, slot, &scratch)
		}
		rows[i].Slot, ends[i] = slot, len(data)
	}
	from := 0
	for i, to := range ends {
		if to > from {
			rows[i].Data = data[from:to:to]
		}
		from = to
	}
	return rows
}

func (t *Table) takeClaims() []ClaimAt {
	if t.claims.taken == nil {
		t.claims.taken = t.claims.fresh
	} else {
		for hash, ref := range t.claims.fresh {
			t.claims.taken[hash] = ref
		}
	}
	t.claims.fresh = make(map[[16]byte]Ref)
	list := make([]ClaimAt, 0, len(t.claims.taken))
	for hash, ref := range t.claims.taken {
		list = append(list, ClaimAt{hash, ref})
	}
	slices.SortFunc(list, func(a, b ClaimAt) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	return list
}

func (t *Table) takeMarks() []MarkAt {
	if t.marks.taken == nil {
		t.marks.taken = t.marks.fresh
	} else {
		for slot, list := range t.marks.fresh {
			t.marks.taken[slot] = append(t.marks.taken[slot], list...)
		}
	}
	t.marks.fresh = make(map[uint32][]Mark)
	var all []MarkAt
	for slot, list := range t.marks.taken {
		for _, m := range list {
			all = append(all, MarkAt{slot, m.Origin, m.At, m.Seq, m.Sum.AppendBinary(nil, t.kind)})
		}
	}
	slices.SortFunc(all, func(a, b MarkAt) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.At, b.At))
	})
	return all
}

// Flushed says that the index now has all that the last TakeDirty returned.
func (t *Table) Flushed() {
	t.claims.taken, t.marks.taken, t.dirty.taken = nil, nil, nil
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
	name := t.nameOf(slot)
	t.index[r.family].remove(maphash.String(t.seed, name), slot)
	t.order[r.family].remove(t, slot)
	if r.flags&rowSeveral != 0 {
		t.nodes.release(r.link)
	}
	delete(t.spread, slot)
	delete(t.marks.fresh, slot)
	delete(t.marks.taken, slot)
	t.names.release(r.name)
	t.touch(slot, r)
	*r = row{flags: r.flags&rowDirty | rowLeaving}
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
