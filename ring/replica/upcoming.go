package replica

import (
	"encoding/binary"

	"bluerings/tickets"
)

// upcoming finds the last ticket of a name among those of one log that were
// taken in and are not applied yet. Names leave it in two generations: the
// older one is dropped once all its tickets are in the table.
type upcoming struct {
	young, old generation
	until      uint64 // last ticket in old
	forgotten  uint32 // Table.Forgotten, for which slots are good
}

// generation has names that have a row by its slot, which costs no look at the
// name, and others by themselves.
type generation struct {
	cells []upcomingCell // a power of two, at most half full
	slots []nameAt       // of the cells in use
	names map[tickets.Key]uint64
}

type upcomingCell struct {
	seq  uint64 // 0: empty
	slot uint32
}

type nameAt struct {
	key  tickets.Key
	slot uint32
}

// exchange notes the number of a ticket and returns that of the one before of
// the same name, 0 if there is none.
func (u *upcoming) exchange(t *tickets.Table, p *tickets.Place, seq uint64) (before uint64) {
	slot, known := t.Find(p)
	if forgotten := t.Forgotten(); forgotten != u.forgotten {
		// A slot may stand for another name now.
		u.young.unslot()
		u.old.unslot()
		u.forgotten = forgotten
	}
	before = max(u.young.named(&p.Key), u.old.named(&p.Key))
	if !known {
		u.young.name(&p.Key, seq)
		return before
	}
	if len(u.old.slots) > 0 {
		before = max(before, u.old.cell(slot).seq)
	}
	return max(before, u.young.put(slot, &p.Key, seq))
}

// prune drops what is of no use when tickets 1 to held are applied.
func (u *upcoming) prune(held, taken uint64) {
	switch {
	case held == taken:
		u.young.clear()
		u.old.clear()
	case held >= u.until:
		u.old, u.young = u.young, u.old
		u.young.clear()
		u.until = taken
	}
}

func (g *generation) named(key *tickets.Key) uint64 {
	if len(g.names) == 0 {
		return 0
	}
	return g.names[*key]
}

func (g *generation) name(key *tickets.Key, seq uint64) {
	if g.names == nil {
		g.names = make(map[tickets.Key]uint64)
	}
	g.names[*key] = seq
}

// cell is that of a slot, or the empty one where it belongs. There must be cells.
func (g *generation) cell(slot uint32) *upcomingCell {
	mask := uint32(len(g.cells) - 1)
	for at := slot * 0x9E3779B1 >> 7; ; at++ {
		c := &g.cells[at&mask]
		if c.seq == 0 || c.slot == slot {
			return c
		}
	}
}

func (g *generation) put(slot uint32, key *tickets.Key, seq uint64) (before uint64) {
	if 2*len(g.slots) >= len(g.cells) {
		g.grow()
	}
	c := g.cell(slot)
	if before = c.seq; before == 0 {
		g.slots = append(g.slots, nameAt{*key, slot})
	}
	*c = upcomingCell{seq, slot}
	return before
}

func (g *generation) grow() {
	former := g.cells
	g.cells = make([]upcomingCell, max(minCells, 2*len(former)))
	for _, c := range former {
		if c.seq > 0 {
			*g.cell(c.slot) = c
		}
	}
}

// unslot turns to names throughout.
func (g *generation) unslot() {
	for i := range g.slots {
		s := &g.slots[i]
		g.name(&s.key, max(g.named(&s.key), g.cell(s.slot).seq))
	}
	clear(g.cells)
	clear(g.slots)
	g.slots = g.slots[:0]
}

const minCells = 64

// clear empties it, and lets go of memory that was of little use.
func (g *generation) clear() {
	if len(g.cells) > minCells && len(g.slots) < len(g.cells)/8 {
		g.cells = nil
	}
	clear(g.cells)
	clear(g.slots)
	g.slots = g.slots[:0]
	clear(g.names)
}

// runLinks lists for each ticket of a run that is taken in how far back in its
// log the ticket before of the same name is, as varints, and the places of the names.
func (r *Replica) runLinks(i tickets.OriginIndex, run *tickets.Run) (links []byte, places []tickets.Place) {
	l := &r.logs[i]
	links = make([]byte, 0, 2*len(run.Tickets))
	places = r.placesOf(run.Tickets)
	for k := range run.Tickets {
		seq, p := run.Tickets[k].Seq, &places[k]
		var link uint64
		if before := l.upcoming.exchange(r.table, p, seq); before > 0 {
			link = seq - before
		} else {
			link = r.linkOf(p, i, seq)
		}
		links = binary.AppendUvarint(links, link)
	}
	return links, places
}

// split keeps the first runs, of so many tickets, in the batch and puts the
// others into the next, so that who waits for this one does not wait for long.
func (b *batch) split(most int) (rest batch) {
	count := 0
	for i := range b.runs {
		t := &b.runs[i]
		if count += len(t.run.Tickets); count <= most || i == 0 {
			continue
		}
		rest.runs = append(rest.runs, b.runs[i:]...)
		b.runs = b.runs[:i:i]
		break
	}
	for i := range rest.runs {
		rest.bytes += footprint(rest.runs[i].run, rest.runs[i].encoded)
		rest.flooded = rest.flooded || rest.runs[i].flooded
	}
	return rest
}
