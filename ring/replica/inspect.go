package replica

import "bluerings/tickets"

// Promised is the log that this node mints in and what its last ping promised
// of it; ok is false while there is none.
func (r *Replica) Promised() (o tickets.Origin, p Promise, ok bool) {
	if r.own < 0 {
		return o, p, false
	}
	return r.logs[r.own].origin, r.logs[r.own].kept, true
}

// Sizes are what a replica holds on behalf of others, for those who check that
// it is bounded.
type Sizes struct {
	Logs, Reports, Asks, Offered, Stashed int
	StashedBytes, UnstoredBytes           int
}

// Sizes measures what is held.
func (r *Replica) Sizes() Sizes {
	s := Sizes{Logs: len(r.logs), Reports: len(r.reports), Asks: len(r.asks), StashedBytes: r.stashedBytes, UnstoredBytes: r.batch.bytes}
	for i := range r.logs {
		s.Offered = max(s.Offered, len(r.logs[i].offered))
		s.Stashed += len(r.logs[i].stash)
	}
	return s
}
