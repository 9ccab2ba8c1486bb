package simulator

import "time"

// converge waits until the ring is whole again, which has its bound.
func (s *Simulation) converge() {
	begun := s.now
	for bound := begun + s.mendTime(); ; {
		s.until(s.now + 250*time.Millisecond)
		complaint := s.unsettled()
		if complaint == "" {
			break
		}
		if s.now > bound {
			for _, n := range s.nodes {
				if n.up {
					s.tracef("%s: %s", n.host, n.replica.Dump())
				}
			}
			s.fail("converged", "after %s: %s", s.now-begun, complaint)
		}
	}
	s.Result.Converged = s.now - begun
}

// unsettled says what is still not as it should be; nothing if all is.
func (s *Simulation) unsettled() string {
	want := ""
	for i, n := range s.nodes {
		if !n.up || n.paused || n.closing {
			return n.host + " is not up"
		}
		if n.unsettled() {
			return n.host + " has tickets to store"
		}
		got := n.replica.Vector().String()
		if i == 0 {
			want = got
		} else if got != want {
			return "vectors differ: " + s.nodes[0].host + " " + want + ", " + n.host + " " + got
		}
		if !n.replica.Coherent(n.now()) {
			return n.host + " is not coherent"
		}
		if s.lag(n) > s.lagBound() {
			return n.host + " lags with finality by " + s.lag(n).String()
		}
	}
	return ""
}

// unsettled tells whether tickets are on their way to the disk. A record of
// promises nearly always is where the disk is slow.
func (n *node) unsettled() bool {
	if n.writing == nil {
		return n.replica.Unstored() != 0
	}
	return len(n.writing.Blocks) > 0
}

// quietTime lets what was scheduled before come to nothing.
func (s *Simulation) quietTime() time.Duration {
	return 3*time.Second + 6*s.timers.ForwardDelay + 6*s.timers.FloodDelay + 4*s.timers.PingInterval
}

// atTheEnd checks what clients were told, and every value.
func (s *Simulation) atTheEnd() {
	complaint := s.unsettled()
	for tries := 0; complaint != "" && tries < 20; tries++ { // until a commit is done
		s.until(s.now + 10*time.Millisecond)
		complaint = s.unsettled()
	}
	if complaint != "" {
		s.fail("converged", "at rest: %s", complaint)
	}
	s.Result.RestNodes = len(s.nodes)
	for _, op := range s.acked {
		s.exactlyOnce(op)
	}
	for _, n := range s.nodes {
		for _, a := range s.answers {
			s.ask(n, a)
		}
	}
	for _, key := range s.keys() {
		s.compare(key)
	}
}

// exactlyOnce checks that an acknowledged ticket is everywhere. That it is
// nowhere twice was checked when it was stored, and what it counts for is
// checked by the values.
func (s *Simulation) exactlyOnce(op *operation) {
	t := &op.ticket
	if s.lost[t.Ref] || s.forgone[t.Ref] {
		return
	}
	if r := s.at(place{t.Origin, t.Seq}); r == nil || !sameContent(&r.ticket, t) {
		s.fail("exactly-once", "the acknowledged update %s, ticket %d of %s, is not in its log", t.Ref, t.Seq, t.Origin)
	}
	for _, n := range s.nodes {
		if n.disk.holds(t.Origin) < t.Seq {
			s.fail("exactly-once", "%s lacks the acknowledged update %s, ticket %d of %s", n.host, t.Ref, t.Seq, t.Origin)
		}
	}
}
