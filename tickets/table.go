package tickets

import (
	"fmt"
	"hash/maphash"
	"strings"

	"bluerings/value"
)

// Table is the folded state of all names: what a node knows, as values. It is
// a function of the set of tickets applied; their order, and the tickets of
// other names, do not matter.
//
// A Table has no lock. Its methods that only read may run at the same time;
// Apply, AddOrigin, Restore, Forget, TakeDirty, BeginFlush and Flushed need it
// alone.
type Table struct {
	kind    value.Kind
	past    Past
	origins []Origin

	seed  maphash.Seed // affects the layout of the index, and no result
	names arena
	index [Sets + 1]parts
	order [Sets + 1]order

	rows   slab[row]
	nodes  nodes
	spread map[uint32]*fold // rows of that form

	slots uint32   // all rows are below
	hole  uint32   // no vacant row is below, but for those in free
	free  []uint32 // maybe vacant

	forgotten uint32 // changes when names are forgotten: see Place
	swept     uint32 // where Expired goes on

	claims claims
	marks  marks
	dirty  dirty
}

// NewTable makes an empty table for a ring that counts in kind.
func NewTable(kind value.Kind, past Past) *Table {
	t := &Table{kind: kind, past: past, seed: maphash.MakeSeed(), spread: make(map[uint32]*fold)}
	t.marks = marks{fresh: make(map[uint32][]Mark), every: markEvery}
	return t
}

// AddOrigin makes a log known. Indices are dense from 0.
func (t *Table) AddOrigin(i OriginIndex, o Origin) {
	if int(i) != len(t.origins) {
		panic(fmt.Sprintf("tickets: origin %v has index %d, the next is %d", o, i, len(t.origins)))
	}
	t.origins = append(t.origins, Origin{strings.Clone(o.Host), o.Epoch})
}

// slotOf finds the row of a ticket's name or makes it.
func (t *Table) slotOf(p *Place) (slot uint32, created bool, err error) {
	if slot, ok := t.Find(p); ok {
		return slot, false, nil
	}
	slot, ok := t.newSlot()
	if !ok {
		return 0, false, fmt.Errorf("the table is full: %d names", maxSlots)
	}
	if err := t.addRow(slot, p.Key, p.hash); err != nil {
		return 0, false, err
	}
	p.slot, p.known = slot, true
	return slot, true, nil
}

// addRow makes an empty row for a name that has none, in a vacant slot.
func (t *Table) addRow(slot uint32, key Key, hash uint64) error {
	at, err := t.names.add(key.Name)
	if err != nil {
		return err
	}
	t.rows.reach(slot)
	*t.rows.at(slot) = row{name: at, family: key.Family, flags: rowLive}
	x := t.index[key.Family].of(hash)
	if x.full() {
		x.grow(func(slot uint32) uint64 { return maphash.String(t.seed, t.nameOf(slot)) })
	}
	x.insert(hash, slot)
	t.order[key.Family].add(t, slot)
	return nil
}

func (t *Table) nameOf(slot uint32) string { return t.names.get(t.rows.at(slot).name) }
