package simulator

import (
	"errors"

	"bluerings/ring/replica"
	"bluerings/tickets"
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
func (s *Simulation) published(n *node, topic string, payload []byte, m *replica.Message) {
	s.bounded(n, "bytes in a message", len(payload), maxMessage)
	switch {
	case topic == replica.TopicPing:
		s.Result.Pings++
		s.promised(n)
		s.said(n, m.Ping())
		z := n.replica.Sizes()
		s.bounded(n, "bytes kept aside", z.StashedBytes, maxStash)
		s.bounded(n, "promises kept for a log", z.Offered, 2)
		s.bounded(n, "requests", z.Asks, maxAsks*max(len(n.in), 1))
		return
	case s.trace != nil:
		run := m.Run()
		s.tracef("%s sends tickets %d to %d of %s, as %s", n.host, run.First, run.Last, run.Origin, topic)
	}
	s.decoded[&payload[frameHead]] = &decodedRun{run: m.Run()}
	if run := m.Run(); run.Last > n.holds(run.Origin) {
		s.fail("held", "%s sends tickets %d to %d of %s, and has %d on its disk", n.host, run.First, run.Last, run.Origin, n.holds(run.Origin))
	}
	switch {
	case s.resting:
		s.fail("rest", "%s sends %d bytes of %q though nothing happens", n.host, len(payload), topic)
	case topic == replica.TopicTickets:
		s.flood(n, m.Run())
	}
}

// frameHead is what comes before the body of a message.
const frameHead = 8

// flood checks that a process floods no ticket twice by itself, whoever
// minted it.
func (s *Simulation) flood(n *node, run *tickets.Run) {
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
	s.decided(n)
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
	if p.Closed <= n.inherited {
		return // peers told it what it had promised before its disk was put back
	}
	if mark, err := replica.Promisable(n.disk.meta); err != nil || p.Closed > mark {
		s.fail("promise-kept", "%s promises no tickets through %s, and after a crash would know of %s (%v)", n.host, p.Closed, mark, err)
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
