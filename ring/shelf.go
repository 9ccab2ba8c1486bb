package ring

import "bluerings/tickets"

const (
	maxShelved       = 256     // blocks
	maxShelvedTicket = 1 << 17 // tickets in them, of some 200 bytes each
)

// shelf keeps blocks decoded that were read lately. When a ticket comes that
// is older than the present life of its name, the whole history of the name is
// read again; its tickets lie scattered over blocks, and those of the next
// name lie in the same ones.
//
// A block that is stored again without its expired tickets may be on the shelf
// as it was before: as if the collection, which begins with the oldest, had
// not come to it yet.
type shelf struct {
	walkers []*walker // the one put there first in front
	last    *walker
}

// reach finds the walker that has the block of a ticket, or puts empty there
// for it.
func (s *shelf) reach(ref tickets.Ref, empty *walker) *walker {
	if s.last != nil && s.last.has(ref) {
		return s.last
	}
	held := 0
	for _, w := range s.walkers {
		if w.has(ref) {
			s.last = w
			return w
		}
		if w.run != nil {
			held += len(w.run.Tickets)
		}
	}
	for len(s.walkers) > 0 && (len(s.walkers) >= maxShelved || held > maxShelvedTicket) {
		if run := s.walkers[0].run; run != nil {
			held -= len(run.Tickets)
		}
		s.walkers[0] = nil
		s.walkers = s.walkers[1:]
	}
	s.walkers, s.last = append(s.walkers, empty), empty
	return empty
}

func (s *shelf) clear() { *s = shelf{} }
