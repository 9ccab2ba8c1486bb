package simulator

import (
	"errors"

	"bluerings/ring/replica"
)

// The bounds of what may be sent and held.
const (
	maxMessage = 1 << 20  // bytes, as the bus allows
	maxAsks    = 128      // requests to one upstream
	maxStash   = 64 << 20 // bytes
)

func (s *Simulation) bounded(n *node, what string, size, most int) {
	if size > most {
		s.fail("bounded", "%s: %d %s, at most %d are allowed", n.host, size, what, most)
	}
}

// published sees every message that leaves a node.
func (s *Simulation) published(n *node, topic string, payload []byte) {
	s.bounded(n, "bytes in a message", len(payload), maxMessage)
	switch {
	case topic == replica.TopicPing:
		s.Result.Pings++
		s.promised(n)
		z := n.replica.Sizes()
		s.bounded(n, "bytes kept aside", z.StashedBytes, maxStash)
		s.bounded(n, "promises kept for a log", z.Offered, 2)
		s.bounded(n, "requests", z.Asks, maxAsks*max(len(n.in), 1))
		return
	case s.trace != nil:
		run := s.decode(payload[frameHead : len(payload)-frameTail])
		s.tracef("%s sends tickets %d to %d of %s, as %s", n.host, run.First, run.Last, run.Origin, topic)
	}
	switch {
	case topic == replica.TopicPing:
	case s.resting:
		s.fail("rest", "%s sends %d bytes of %q though nothing happens", n.host, len(payload), topic)
	case topic == replica.TopicTickets:
		s.flood(n, payload)
	}
}

// The frame of a message: its head and its trailer.
const frameHead, frameTail = 8, 4

// flood checks that a process floods no ticket twice by itself, whoever
// minted it.
func (s *Simulation) flood(n *node, payload []byte) {
	run := s.decode(payload[frameHead : len(payload)-frameTail])
	if before := n.flooded[run.Origin]; run.First <= before {
		s.fail("waste", "%s floods tickets %d to %d of %s after %d", n.host, run.First, run.Last, run.Origin, before)
	}
	n.flooded[run.Origin] = run.Last
}

// promised checks that what a node promises of its log only grows, also over a
// restart, and that it has what it speaks of.
func (s *Simulation) promised(n *node) {
	o, p, ok := n.replica.Promised()
	if !ok {
		return
	}
	before := s.promises[o]
	switch {
	case p.Closed < before.Closed:
		s.fail("promise-kept", "%s promises no tickets through %s, and had promised %s", n.host, p.Closed, before.Closed)
	case p.Head > n.disk.holds(o):
		s.fail("promise-kept", "%s promises that its log goes to %d, and has %d", n.host, p.Head, n.disk.holds(o))
	}
	for i := int(p.Head); i < len(s.logs[o]); i++ {
		if r := &s.logs[o][i]; !r.lost && r.ticket.At <= p.Closed {
			s.fail("promise-kept", "%s promises no tickets through %s beyond %d, and ticket %d is dated %s", n.host, p.Closed, p.Head, r.ticket.Seq, r.ticket.At)
		}
	}
	s.promises[o] = p
}

// asked sees every request.
func (s *Simulation) asked(l *link) {
	s.bounded(l.to, "requests to one upstream", len(l.topics), 2*maxAsks)
	if s.resting {
		s.fail("rest", "%s asks %s though nothing happens", l.to.host, l.from.host)
	}
}

// dropped sees every message that a replica did not take.
func (s *Simulation) dropped(n *node, err error) {
	if errors.Is(err, replica.ErrMessage) {
		s.fail("wire", "%s does not understand a message: %v", n.host, err)
	}
	s.tracef("%s drops a message: %v", n.host, err)
}
