package tickets

import (
	"math"
	"slices"

	"bluerings/hlc"
	"bluerings/value"
)

// A row is the folded state of one name, in the smallest of three forms:
//
//   - single: a counter touched by one origin, all in the row itself;
//   - several: a counter touched by more origins, whose chains are linked
//     nodes; the first node is that of the origin that began the life;
//   - spread: anything else, as a fold in a side map.
//
// The first two are for counters whose tickets all count and whose numbers
// are small, which is nearly all counters. They hold no pointers, so that the
// garbage collector need not look at them.
type row struct {
	total  int64         // single, several: value.Number.Compact
	expire hlc.Timestamp // of the present life; 0 none
	born   hlc.Timestamp // of the present life; 0 none
	head   uint64        // single: the chain's last number
	name   uint32        // in the arena
	count  uint32        // single: the chain's tickets
	link   uint32        // single: the chain's origin; several: the first node
	scale  int8          // of total
	family Family
	flags  rowFlags
}

type rowFlags uint8

const (
	rowLive    rowFlags = 1 << iota
	rowSeveral          // link leads to nodes
	rowSpread           // in Table.spread
	rowEven             // changed, in an even generation of Table.dirty
	rowOdd              // in an odd one
	rowLeaving          // forgotten, and the index does not know it yet
)

// node is one origin's chain in a row of the form several.
type node struct {
	head   uint64
	sum    int64
	origin OriginIndex
	next   uint32 // 0: the last
	count  uint32
	scale  int8
}

const (
	slabBits = 12
	slabSize = 1 << slabBits
	slabMask = slabSize - 1
)

// slab is a growing array that never moves its items.
type slab[T any] struct{ chunks []*[slabSize]T }

func (s *slab[T]) at(i uint32) *T { return &s.chunks[i>>slabBits][i&slabMask] }

// reach makes item i exist; chunks before it stay missing until reached.
func (s *slab[T]) reach(i uint32) {
	for uint32(len(s.chunks)) <= i>>slabBits {
		s.chunks = append(s.chunks, nil)
	}
	if s.chunks[i>>slabBits] == nil {
		s.chunks[i>>slabBits] = new([slabSize]T)
	}
}

func (s *slab[T]) has(i uint32) bool {
	return i>>slabBits < uint32(len(s.chunks)) && s.chunks[i>>slabBits] != nil
}

// nodes is the slab of nodes with its free list; node 0 is never used.
type nodes struct {
	slab[node]
	next uint32
	free uint32
}

func (n *nodes) alloc() uint32 {
	if i := n.free; i != 0 {
		n.free = n.at(i).next
		return i
	}
	n.next++
	n.reach(n.next)
	return n.next
}

// release frees a whole list.
func (n *nodes) release(first uint32) {
	last := first
	for n.at(last).next != 0 {
		last = n.at(last).next
	}
	n.at(last).next, n.free = n.free, first
}

// find returns the node of o in a list, or nil.
func (n *nodes) find(first uint32, o OriginIndex) *node {
	for i := first; i != 0; {
		c := n.at(i)
		if c.origin == o {
			return c
		}
		i = c.next
	}
	return nil
}

// maxSlots bounds the rows of a table: 12 GiB of them.
const maxSlots = 1 << 28

// newSlot finds a slot for another row.
func (t *Table) newSlot() (uint32, bool) {
	for len(t.free) > 0 {
		slot := t.free[len(t.free)-1]
		t.free = t.free[:len(t.free)-1]
		if t.vacant(slot) {
			return slot, true
		}
	}
	for t.hole < t.slots && !t.vacant(t.hole) {
		t.hole++
	}
	if t.hole == t.slots {
		if t.slots == maxSlots {
			return 0, false
		}
		t.slots++
	}
	t.hole++
	return t.hole - 1, true
}

func (t *Table) vacant(slot uint32) bool {
	return !t.rows.has(slot) || t.rows.at(slot).flags&(rowLive|rowLeaving) == 0
}

// unpack reads a row into f, which it overwrites, reusing its chains. A row
// that is spread must be looked up in Table.spread instead.
func (t *Table) unpack(r *row, f *fold) {
	*f = fold{chains: f.chains[:0]}
	if r.flags&rowSeveral == 0 {
		if r.count == 0 {
			return
		}
		f.first = OriginIndex(r.link)
		f.chains = append(f.chains, chain{Chain: Chain{
			Origin: f.first, Head: r.head, Count: uint64(r.count), Sum: value.FromCompact(r.total, r.scale),
		}})
	} else {
		f.first = t.nodes.at(r.link).origin
		for i := r.link; i != 0; {
			n := t.nodes.at(i)
			f.chains = append(f.chains, chain{Chain: Chain{
				Origin: n.origin, Head: n.head, Count: uint64(n.count), Sum: value.FromCompact(n.sum, n.scale),
			}})
			i = n.next
		}
		slices.SortFunc(f.chains, chain.compare)
	}
	f.born, f.expire = r.born, r.expire
	f.total = value.FromCompact(r.total, r.scale)
}

// open returns the fold of a row, for changing; pack must follow.
func (t *Table) open(slot uint32) *fold {
	r := t.rows.at(slot)
	if r.flags&rowSpread != 0 {
		return t.spread[slot]
	}
	f := new(fold)
	t.unpack(r, f)
	return f
}

// fold returns the fold of a row for reading, for as long as the caller holds
// the scratch fold.
func (t *Table) fold(slot uint32, scratch *fold) *fold {
	r := t.rows.at(slot)
	if r.flags&rowSpread != 0 {
		return t.spread[slot]
	}
	t.unpack(r, scratch)
	return scratch
}

// pack stores f as the state of a row, in the smallest form that holds it.
func (t *Table) pack(slot uint32, f *fold) {
	r := t.rows.at(slot)
	if r.flags&rowSeveral != 0 {
		t.nodes.release(r.link)
	}
	r.flags &^= rowSeveral
	r.born, r.expire = f.born, f.expire
	if !compact(t.kind, r.family, f) {
		r.total, r.scale, r.head, r.count, r.link = 0, 0, 0, 0, 0
		r.flags |= rowSpread
		t.spread[slot] = f
		return
	}
	if r.flags&rowSpread != 0 {
		delete(t.spread, slot)
		r.flags &^= rowSpread
	}
	r.total, r.scale, _ = f.total.Compact()
	if len(f.chains) == 1 {
		c := &f.chains[0]
		r.head, r.count, r.link = c.Head, uint32(c.Count), uint32(c.Origin)
		return
	}
	r.head, r.count = 0, 0
	r.link = t.chainNodes(f)
	r.flags |= rowSeveral
}

// chainNodes builds the list of a row, the chain that began the life in front.
func (t *Table) chainNodes(f *fold) uint32 {
	front, last := uint32(0), uint32(0)
	add := func(c *chain) {
		i := t.nodes.alloc()
		sum, scale, _ := c.Sum.Compact()
		*t.nodes.at(i) = node{head: c.Head, count: uint32(c.Count), origin: c.Origin, sum: sum, scale: scale}
		if last == 0 {
			front = i
		} else {
			t.nodes.at(last).next = i
		}
		last = i
	}
	add(f.chain(f.first))
	for i := range f.chains {
		if f.chains[i].Origin != f.first {
			add(&f.chains[i])
		}
	}
	return front
}

// compact tells whether a fold fits the forms single or several.
func compact(kind value.Kind, family Family, f *fold) bool {
	if family != Counters || f.born == 0 || f.orphan != 0 || len(f.losers) != 0 {
		return false
	}
	if _, _, small := f.total.Compact(); !small {
		return false
	}
	if len(f.chains) == 1 && !f.total.Equal(kind, f.chains[0].Sum) {
		return false
	}
	for i := range f.chains {
		c := &f.chains[i]
		if _, _, small := c.Sum.Compact(); !small || !c.base.IsZero() || c.Count > math.MaxUint32 {
			return false
		}
	}
	return true
}
