package replica

import (
	"fmt"

	"bluerings/hlc"
	"bluerings/tickets"
)

// Promised is the log that this node mints in and what its last ping promised
// of it; ok is false while there is none.
func (r *Replica) Promised() (o tickets.Origin, p Promise, ok bool) {
	if r.own < 0 {
		return o, p, false
	}
	return r.logs[r.own].origin, r.logs[r.own].kept, true
}

// Known is the run of a member that this node heard of last, and the epoch it
// mints in, 0 while it has none.
func (r *Replica) Known(host string) (boot, epoch uint64) {
	m, ok := r.members[host]
	if !ok {
		return 0, 0
	}
	return m.boot, m.epoch
}

// Sealed tells whether this node has heard that a log is sealed.
func (r *Replica) Sealed(o tickets.Origin) bool {
	i, ok := r.byName[o]
	return ok && r.logs[i].best().Closed == hlc.Never
}

// Dated is the time after which all that this node mints will be dated,
// whatever its wall clock says.
func (r *Replica) Dated() hlc.Timestamp { return r.clock.Last() }

// Informed tells whether every member has told this run what our host had
// promised before, and our disk has a mark beyond that. Who is coherent is.
func (r *Replica) Informed() bool { return r.informed || len(r.cfg.Members) == 1 }

// Promisable is the greatest promise that a meta record allows for: a process that
// starts with it dates nothing at or before then.
func Promisable(meta []byte) (hlc.Timestamp, error) {
	d := &reader{src: meta}
	if v := d.byte("version"); v != metaVersion {
		return 0, fmt.Errorf("the meta record has version %d", v)
	}
	return d.timestamp("promise"), d.err
}

// Ping is the ping in a message, nil if it is none.
func (m *Message) Ping() *Ping { return m.ping }

// Run is the run in a message, nil if it has none.
func (m *Message) Run() *tickets.Run { return m.run }

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
