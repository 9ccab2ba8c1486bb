package tickets

import (
	"hash/maphash"
	"math/bits"
)

// dictionary numbers the names of a run, from 1 in the order of their first
// tickets. It is an open hash table that is used again for every run, with
// the names left where they are.
type dictionary struct {
	seed  maphash.Seed
	cells []cell // a power of two, at most half full
	first []int  // for each number less one: the ticket that names it first
}

// cell with number 0 is empty.
type cell struct{ hash, number uint32 }

// reset empties the dictionary and makes room for so many tickets.
func (d *dictionary) reset(tickets int) {
	size := 1 << bits.Len(uint(2*tickets))
	if size > cap(d.cells) {
		d.cells = make([]cell, size)
	}
	d.cells, d.first = d.cells[:size], d.first[:0]
	clear(d.cells)
}

// number is that of the name of ticket i of run, and whether the name is new.
func (d *dictionary) number(run *Run, i int) (number uint64, added bool) {
	name := run.Tickets[i].Name
	hash := uint32(maphash.String(d.seed, name))
	for at := hash; ; at++ {
		c := &d.cells[at&uint32(len(d.cells)-1)]
		switch {
		case c.number == 0:
			d.first = append(d.first, i)
			*c = cell{hash, uint32(len(d.first))}
			return uint64(c.number), true
		case c.hash == hash && run.Tickets[d.first[c.number-1]].Name == name:
			return uint64(c.number), false
		}
	}
}
