package replica

import (
	"math/bits"

	"bluerings/tickets"
)

// recent knows the last number of each name among our own tickets in a batch.
// Names that have a row go by it, so that nothing is hashed
// but a number, and nothing is cleared between batches.
type recent struct {
	cells []recentCell // a power of two, at most half full
	round uint32       // cells of other rounds are empty
	fresh map[tickets.Key]uint64
}

type recentCell struct {
	seq         uint64
	slot, round uint32
}

// reset empties it and makes room for so many names.
func (c *recent) reset(names int) {
	if size := 1 << bits.Len(uint(2*names)); size > len(c.cells) || len(c.cells) > maxRecent && size < len(c.cells)/4 {
		c.cells = make([]recentCell, size)
	}
	c.clear()
}

// maxRecent is how many cells are kept for the next batch in any case.
const maxRecent = 1 << 14

func (c *recent) clear() {
	if c.round++; c.round == 0 {
		clear(c.cells)
		c.round = 1
	}
	clear(c.fresh)
}

// exchange notes the number of a ticket and returns that of the one before of
// the same name, 0 if there is none.
func (c *recent) exchange(t *tickets.Table, p *tickets.Place, seq uint64) (before uint64) {
	slot, known := t.Find(p)
	if !known {
		if c.fresh == nil {
			c.fresh = make(map[tickets.Key]uint64)
		}
		before = c.fresh[p.Key]
		c.fresh[p.Key] = seq
		return before
	}
	mask := uint32(len(c.cells) - 1)
	for at := slot * 0x9E3779B1 >> 7; ; at++ {
		cell := &c.cells[at&mask]
		switch {
		case cell.round != c.round:
			*cell = recentCell{seq, slot, c.round}
			return 0
		case cell.slot == slot:
			before, cell.seq = cell.seq, seq
			return before
		}
	}
}
