package simulator

import (
	"maps"
	"time"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
)

// The checkers, by the names that failures carry. docs/TESTING.md says what
// each holds against what.
//
//	acknowledged   stored        at-most-once  one-content   refused
//	held           report-kept   sealed        causal
//	final-kept     final-held    final-spread  as-of         promise-kept
//	coherent-bound coherent-soon final-soon    converged
//	exactly-once   value         expiry        collected
//	rest           waste         bounded       wire          panic

// record is a ticket that was durable on some disk.
type record struct {
	ticket tickets.Ticket
	lost   bool // with the only disks that held it
	buried bool // and its owner has decided that it never comes back
}

// place is where a ticket is.
type place struct {
	origin tickets.Origin
	seq    uint64
}

// judge knows everything and says when a promise was broken.
type judge struct {
	sim       *Simulation
	logs      map[tickets.Origin][]record // by number
	refs      map[string]place            // of stored tickets, by what no two updates share
	acked     []*operation
	refusals  map[string]bool
	forgone   map[string]bool // died with a process under weaker durability
	lost      map[string]bool // died with the only disk
	final     hlc.Timestamp   // greatest ever reported
	promises  map[tickets.Origin]replica.Promise
	reports   map[question]*reports
	seals     map[tickets.Origin]uint64
	spread    map[tickets.Origin]uint64 // so much of a log is on all disks
	unmended  []loss
	answers   []answered
	lossSoFar bool
}

// loss is a disk that was lost or put back, until the ring has recovered.
type loss struct {
	node *node
	at   time.Duration
}

func newJudge(s *Simulation) *judge {
	return &judge{
		sim: s, logs: make(map[tickets.Origin][]record), refs: make(map[string]place),
		refusals: make(map[string]bool), forgone: make(map[string]bool), lost: make(map[string]bool),
		promises: make(map[tickets.Origin]replica.Promise), reports: make(map[question]*reports),
		seals: make(map[tickets.Origin]uint64), spread: make(map[tickets.Origin]uint64),
	}
}

func (j *judge) at(p place) *record {
	if log := j.logs[p.origin]; p.seq >= 1 && p.seq <= uint64(len(log)) {
		return &log[p.seq-1]
	}
	return nil
}

// isStored tells whether the ticket that a client was told of is on a disk.
func (j *judge) isStored(op *operation) bool {
	r := j.at(place{op.ticket.Origin, op.ticket.Seq})
	return r != nil && r.ticket.Ref == op.ticket.Ref
}

// acknowledged sees every acknowledgement.
func (j *judge) acknowledged(n *node, op *operation) {
	s := j.sim
	op.answer = acknowledged
	s.Result.Acked++
	t := &op.ticket
	if t.Seq == 0 {
		return // it said nothing new
	}
	j.acked = append(j.acked, op)
	if n.async() {
		return
	}
	if r := j.at(place{t.Origin, t.Seq}); r == nil || !sameContent(&r.ticket, t) || n.disk.holds(t.Origin) < t.Seq {
		s.fail("acknowledged", "%s acknowledges ticket %d of %s, which is not on its disk", n.host, t.Seq, t.Origin)
	}
}

// stored sees every batch that reaches a disk.
func (j *judge) stored(n *node, b *replica.Batch) {
	for _, block := range b.Blocks {
		run := j.sim.decode(block.Run)
		j.sim.binding(n, run.Origin, block.Last)
		if k := len(run.Tickets); k > 0 {
			n.seen = max(n.seen, run.Tickets[k-1].At)
		}
		for i := range run.Tickets {
			j.storedTicket(n, &run.Tickets[i])
		}
	}
}

func (j *judge) storedTicket(n *node, t *tickets.Ticket) {
	s := j.sim
	log := j.logs[t.Origin]
	switch k := uint64(len(log)); {
	case t.Seq == k+1:
		if k > 0 && log[k-1].ticket.At >= t.At {
			s.fail("stored", "%s: timestamps of %s do not rise at ticket %d", n.host, t.Origin, t.Seq)
		}
		j.logs[t.Origin] = append(log, record{ticket: *t})
		j.born(n, t, "")
	case t.Seq > k:
		s.fail("stored", "%s stores ticket %d of %s, and nobody has number %d", n.host, t.Seq, t.Origin, k+1)
	default:
		r := &log[t.Seq-1]
		same := sameContent(&r.ticket, t)
		switch {
		case r.lost && !same:
			// Nobody but the lost disk ever had it, so its number is free.
			j.logs[t.Origin] = append(log[:t.Seq-1], record{ticket: *t})
			j.born(n, t, " anew")
		case !same:
			s.fail("one-content", "%s: ticket %d of %s has two contents: %+v and %+v", n.host, t.Seq, t.Origin, r.ticket, *t)
		case r.buried:
			s.fail("report-kept", "%s: lost ticket %d of %s comes back, though its owner decided that it was gone", n.host, t.Seq, t.Origin)
		case r.lost:
			if t.At <= j.final {
				s.fail("final-kept", "%s: lost ticket %d of %s comes back, dated %s, and everything through %s was final", n.host, t.Seq, t.Origin, t.At, j.final)
			}
			r.lost = false
			delete(j.lost, t.Ref)
		}
	}
}

// born sees every ticket that is new to the ring.
func (j *judge) born(n *node, t *tickets.Ticket, how string) {
	s := j.sim
	s.Result.Stored++
	s.lastBorn = s.now
	s.tracef("%s stores ticket %d of %s%s, update %s", n.host, t.Seq, t.Origin, how, t.Ref)
	here := place{t.Origin, t.Seq}
	if old, ok := j.refs[t.Ref]; ok && old != here {
		if r := j.at(old); r != nil && !r.lost && r.ticket.Ref == t.Ref {
			s.fail("at-most-once", "update %s is ticket %d of %s and ticket %d of %s", t.Ref, old.seq, old.origin, t.Seq, t.Origin)
		}
	}
	if j.refusals[t.Ref] {
		s.fail("refused", "update %s was refused and is stored as ticket %d of %s", t.Ref, t.Seq, t.Origin)
	}
	j.refs[t.Ref] = here
	if t.At <= j.final {
		s.fail("final-kept", "%s stores ticket %d of %s%s, dated %s, and everything through %s was final", n.host, t.Seq, t.Origin, how, t.At, j.final)
	}
	if p := j.promises[t.Origin]; t.At <= p.Closed {
		s.fail("promise-kept", "%s stores ticket %d of %s%s, dated %s, and had promised none through %s beyond ticket %d", n.host, t.Seq, t.Origin, how, t.At, p.Closed, p.Head)
	}
}

func sameContent(a, b *tickets.Ticket) bool {
	return a.At == b.At && a.Op == b.Op && a.Name == b.Name && a.Text == b.Text && a.Expire == b.Expire && a.ID == b.ID &&
		a.Ref == b.Ref && a.Amount.Equal(kind, b.Amount)
}

// mayLose tells whether a disk may be lost now and all promises still hold: no
// more than a minority of the disks at once, the last before a ring has
// recovered included.
func (s *Simulation) mayLose(n *node) bool {
	s.unmended = deleteIf(s.unmended, func(l loss) bool { return s.mended(l) })
	nodes := map[*node]bool{n: true}
	for _, l := range s.unmended {
		nodes[l.node] = true
	}
	return len(nodes) <= max(min(1, len(s.nodes)-1), (len(s.nodes)-1)/2)
}

// mended tells whether a ring has recovered from a loss: what was reported
// final since is beyond it, everywhere.
func (s *Simulation) mended(l loss) bool {
	for _, n := range s.nodes {
		if !n.up || n.replica.Final() < epochStart.Add(l.at+2*time.Second) {
			return false
		}
	}
	return true
}

// lose writes off what only the disk of a node held, less the rest that is put
// back.
func (s *Simulation) lose(n *node, rest *disk) {
	s.lossSoFar = true
	clear(s.spread)
	s.unmended = append(s.unmended, loss{n, s.now})
	for origin, log := range s.logs {
		held := rest.holds(origin)
		for _, o := range s.nodes {
			if o != n {
				held = max(held, o.disk.holds(origin))
			}
		}
		for i := held; i < uint64(len(log)); i++ {
			log[i].lost = true
			s.lost[log[i].ticket.Ref] = true
		}
	}
	// Its peers may hold it to what it promised; it cannot.
	maps.DeleteFunc(s.promises, func(o tickets.Origin, _ replica.Promise) bool { return o.Host == n.host })
}

func deleteIf[T any](list []T, gone func(T) bool) []T {
	kept := list[:0]
	for _, x := range list {
		if !gone(x) {
			kept = append(kept, x)
		}
	}
	return kept
}
