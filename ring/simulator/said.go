package simulator

import (
	"math"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
)

// question is what members report on: a log of a former run of its owner, to
// the present run.
type question struct {
	origin tickets.Origin
	boot   uint64
}

// reports are what members reported.
type reports struct {
	held   uint64                   // the most that anybody has
	closed map[string]hlc.Timestamp // by member, the least that it said it knew to be closed
}

// said holds a ping against the disk of its sender, as a crash would leave it
// now: what it says is there must be there.
func (s *Simulation) said(n *node, p *replica.Ping) {
	for i := range p.Logs {
		l := &p.Logs[i]
		if l.Held > n.holds(l.Origin) {
			s.fail("held", "%s says that it holds ticket %d of %s, and has %d on its disk", n.host, l.Held, l.Origin, n.holds(l.Origin))
		}
		if l.Closed == hlc.Never && l.Origin.Host == n.host {
			s.sealed(n, l)
		}
	}
	for i := range p.Reports {
		if r := &p.Reports[i]; r.Member == n.host {
			s.reported(n, r)
		}
	}
}

// begun checks that a process that starts will date nothing into what its host
// ever promised to be closed, whatever its clock says.
func (s *Simulation) begun(n *node) {
	for o, p := range s.promises {
		if o.Host == n.host && p.Closed > n.replica.Dated() {
			s.fail("promise-kept", "%s starts and may date a ticket %s, and had promised none through %s", n.host, n.replica.Dated()+1, p.Closed)
		}
	}
}

// toldOf notes what a ping tells the process of a node about its own logs.
func (n *node) toldOf(p *replica.Ping) {
	for i := range p.Logs {
		if l := &p.Logs[i]; l.Origin.Host == n.host {
			n.toldHeads[l.Origin] = max(n.toldHeads[l.Origin], l.Head, l.Held)
		}
	}
}

// reported sees every report of a node on what it holds itself. It may grow as the
// node gets what others have reported.
func (s *Simulation) reported(n *node, r *replica.Report) {
	if from := n.linkTo(r.Origin.Host); n.answered[r.Origin] != r.Boot && from != nil && from.behind(r.Boot) {
		s.fail("report-kept", "%s reports on %s while tickets of it may still arrive from the process that minted it", n.host, r.Origin)
	}
	n.answered[r.Origin] = r.Boot
	if r.Held > n.holds(r.Origin) {
		s.fail("held", "%s reports that it holds ticket %d of %s, and has %d on its disk", n.host, r.Held, r.Origin, n.holds(r.Origin))
	}
	q := question{r.Origin, r.Boot}
	all := s.reports[q]
	if all == nil {
		all = &reports{closed: make(map[string]hlc.Timestamp)}
		s.reports[q] = all
	}
	all.held = max(all.held, r.Held)
	if before, again := all.closed[n.host]; !again || r.Closed < before {
		all.closed[n.host] = r.Closed
	}
}

// binding checks that who has reported on a log stores no more of it than was
// reported, for the owner goes by that, and that no log goes beyond its seal.
func (s *Simulation) binding(n *node, o tickets.Origin, last uint64) {
	head, sealed := s.sealOf(o)
	if sealed && last > head {
		s.fail("sealed", "%s stores ticket %d of %s, which was sealed at %d", n.host, last, o, head)
	}
	boot, ok := n.answered[o]
	if !ok || sealed {
		return
	}
	if now, epoch := n.replica.Known(o.Host); now != boot || epoch == o.Epoch {
		return // it is asked anew, or the owner goes on with the log
	}
	if most := s.reports[question{o, boot}].held; last > most {
		s.fail("report-kept", "%s stores ticket %d of %s, after all that reported on it had %d at the most", n.host, last, o, most)
	}
}

// continued sees that a process goes on with a log of a former one: everybody
// has to have said that there is no more of it, and nobody may have more.
func (s *Simulation) continued(n *node, o tickets.Origin) {
	held := n.holds(o)
	s.bury(n, o, held, "goes on with")
	if told := n.toldHeads[o]; told > held {
		s.fail("report-kept", "%s goes on with %s after ticket %d, and was told that there are %d", n.host, o, held, told)
	}
	boot, _ := n.replica.Known(n.host)
	all := s.reports[question{o, boot}]
	for _, m := range s.nodes {
		if m == n {
			continue
		}
		var closed hlc.Timestamp
		ok := false
		if all != nil {
			closed, ok = all.closed[m.host]
		}
		switch {
		case !ok:
			s.fail("report-kept", "%s goes on with %s, and %s has not reported on it", n.host, o, m.host)
		case closed > n.replica.Dated():
			s.fail("promise-kept", "%s goes on with %s and may date a ticket %s, and %s reported that none come through %s", n.host, o, n.replica.Dated()+1, m.host, closed)
		}
	}
}

// sealed sees every seal: all hold the whole log then, save a disk that was
// lost since its node said so, and nobody ever has more of it.
func (s *Simulation) sealed(n *node, l *replica.PingLog) {
	if head, known := s.sealOf(l.Origin); known {
		if head != l.Head {
			s.fail("sealed", "%s seals %s at ticket %d, and had sealed it at %d", n.host, l.Origin, l.Head, head)
		}
		return
	}
	s.seals[l.Origin] = l.Head
	s.bury(n, l.Origin, l.Head, "seals")
	for _, m := range s.nodes {
		if m.disk.holds(l.Origin) < l.Head && s.hasMended(m) {
			s.fail("sealed", "%s seals %s at ticket %d, of which %s has %d on its disk", n.host, l.Origin, l.Head, m.host, m.disk.holds(l.Origin))
		}
	}
}

// sealOf is where a log was sealed, as long as anybody knows: an owner whose
// disk was put back may have forgotten a seal that never reached anybody.
func (s *Simulation) sealOf(o tickets.Origin) (head uint64, sealed bool) {
	if head, sealed = s.seals[o]; !sealed {
		return 0, false
	}
	for _, n := range s.nodes {
		if n.replica != nil && n.replica.Sealed(o) {
			return head, true
		}
	}
	delete(s.seals, o)
	return 0, false
}

// bury notes that the tickets of a log beyond a number will never come back:
// its owner has decided so.
func (s *Simulation) bury(n *node, o tickets.Origin, head uint64, how string) {
	log := s.logs[o]
	for i := head; i < uint64(len(log)); i++ {
		if !log[i].lost {
			s.fail("report-kept", "%s %s %s after ticket %d, and somebody has ticket %d", n.host, how, o, head, i+1)
		}
		log[i].buried = true
	}
}

// majority checks that what is reported as final is on most of the disks. Those
// that were lost since their nodes said that they hold it do not count against it.
func (s *Simulation) majority(n *node, f hlc.Timestamp) {
	most := len(s.nodes)/2 + 1
	for origin, log := range s.logs {
		through := required(log, f)
		if through <= s.spread[origin] {
			continue
		}
		held, least := 0, uint64(math.MaxUint64)
		for _, m := range s.nodes {
			has := m.disk.holds(origin)
			if has >= through || !s.hasMended(m) {
				held++
			}
			least = min(least, has)
		}
		if held < most {
			s.fail("final-spread", "%s reports %s as final, and only %d disks hold ticket %d of %s, dated %s", n.host, f, held, through, origin, log[through-1].ticket.At)
		}
		s.spread[origin] = least
	}
}

// hasMended tells whether the ring has recovered from the last loss of a disk.
func (s *Simulation) hasMended(n *node) bool {
	for _, l := range s.unmended {
		if l.node == n && !s.mended(l) {
			return false
		}
	}
	return true
}

// holds is how far the disk of a node has a log. Where the process knows the log, its
// index is that on the disk.
func (n *node) holds(o tickets.Origin) uint64 {
	if i, ok := n.replica.Index(o); ok && int(i) < len(n.disk.origins) {
		return n.disk.end(int(i))
	}
	return 0
}
