package replica

import (
	"encoding/binary"

	"bluerings/tickets"
)

// upcoming finds the last ticket of a name among those of one log that were
// taken in and are not applied yet. Names leave it in two generations: the
// older one is dropped once all its tickets are in the table.
type upcoming struct {
	young, old map[tickets.Key]uint64
	until      uint64 // last ticket in old
}

func (u *upcoming) find(key tickets.Key) (seq uint64, ok bool) {
	if seq, ok = u.young[key]; !ok {
		seq, ok = u.old[key]
	}
	return seq, ok
}

func (u *upcoming) add(key tickets.Key, seq uint64) {
	if u.young == nil {
		u.young = make(map[tickets.Key]uint64)
	}
	u.young[key] = seq
}

// prune drops what is of no use when tickets 1 to held are applied.
func (u *upcoming) prune(held, taken uint64) {
	switch {
	case held == taken:
		*u = upcoming{}
	case held >= u.until:
		u.old, u.young, u.until = u.young, u.old, taken
		clear(u.young)
	}
}

// runLinks lists for each ticket of a run that is taken in how far back in its
// log the ticket before of the same name is, as varints, and the places of the names.
func (r *Replica) runLinks(i tickets.OriginIndex, run *tickets.Run) (links []byte, places []tickets.Place) {
	l := &r.logs[i]
	links = make([]byte, 0, 2*len(run.Tickets))
	places = r.placesOf(run.Tickets)
	for k := range run.Tickets {
		t, key := &run.Tickets[k], places[k].Key
		link := uint64(0)
		if before, ok := l.upcoming.find(key); ok {
			link = t.Seq - before
		} else {
			link = r.linkOf(&places[k], i, t.Seq)
		}
		l.upcoming.add(key, t.Seq)
		links = binary.AppendUvarint(links, link)
	}
	return links, places
}

// split keeps the first runs, of so many tickets, in the batch and puts the others into the next,
// so that who waits for this one does not wait for long.
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
	}
	return rest
}
