package simulator

import (
	"slices"
	"sort"
	"time"

	"bluerings/hlc"
	"bluerings/ring/replica"
)

// observe looks at what a node reports, after every step of it.
func (s *Simulation) observe(n *node) {
	s.decided(n)
	f := n.replica.Final()
	if f != n.final.final {
		if f < n.final.final {
			s.fail("final-kept", "%s reports %s as final after %s", n.host, f, n.final.final)
		}
		s.Result.FinalReports++
		n.final.final = f
		s.finalReport(n, f)
	}
	if n.replica.Coherent(n.now()) {
		s.Result.CoherentReports++
		s.coherentReport(n)
	} else if s.quiet() && !s.onTheWay(n) {
		s.tracef("%s: %s", n.host, n.replica.Dump())
		s.fail("coherent-soon", "%s is not coherent: %v", n.host, n.replica.State(n.now()).Reasons)
	}
	if s.quiet() && s.lag(n) > s.lagBound() {
		for _, m := range s.nodes {
			s.tracef("%s: %s", m.host, m.replica.Dump())
		}
		s.fail("final-soon", "what %s reports as final is %s old: %v", n.host, s.lag(n), n.replica.State(n.now()).BlockedBy)
	}
	if c := n.replica.Counts().PromiseBroken; c != n.final.broken {
		n.final.broken = c
		if !s.lossSoFar {
			s.fail("promise-kept", "%s took in a ticket that breaks a promise of its owner", n.host)
		}
	}
}

// decided sees that a process has chosen the log it mints in.
func (s *Simulation) decided(n *node) {
	o, p, ok := n.replica.Promised()
	if n.minting.Host != "" || !ok {
		return
	}
	n.minting, n.inherited = o, p.Closed
	if len(s.logs[o]) > 0 {
		s.continued(n, o)
	}
}

// finalReport checks that who reports a time as final holds every ticket
// through it, save those lost with the only disk that held them.
func (s *Simulation) finalReport(n *node, f hlc.Timestamp) {
	for origin, log := range s.logs {
		if through := required(log, f); n.disk.holds(origin) < through {
			s.fail("final-held", "%s reports %s as final and lacks ticket %d of %s, dated %s", n.host, f, through, origin, log[through-1].ticket.At)
		}
	}
	if f > s.final {
		s.majority(n, f)
		s.final = f
	}
}

// required is how many tickets of a log are dated at or before a time, save
// those at the end that were lost with the only disk that held them.
func required(log []record, f hlc.Timestamp) uint64 {
	through := len(log)
	if through > 0 && log[through-1].ticket.At > f {
		through = sort.Search(len(log), func(i int) bool { return log[i].ticket.At > f })
	}
	for through > 0 && log[through-1].lost {
		through--
	}
	return uint64(through)
}

// mendTime is how long a ring may take to be whole again after the last fault.
func (s *Simulation) mendTime() time.Duration { return 30*time.Second + 10*s.timers.PeerTimeout }

// quiet tells whether the ring has had time to mend, and nothing disturbs it.
func (s *Simulation) quiet() bool {
	c := &s.plan.Conditions
	return s.now > s.troubled+s.mendTime() && (s.calm || c.Loss == 0 && c.DiskTime < 100*time.Millisecond && s.clocksAgree() && !s.doomed())
}

// onTheWay tells whether a node is only behind, and tickets stored lately may still
// wait, at every hop, for commits that are an interval apart.
func (s *Simulation) onTheWay(n *node) bool {
	wait := time.Duration(0)
	for _, interval := range s.plan.Interval {
		wait += interval
	}
	return wait > 0 && s.now < s.lastBorn+wait+s.timers.PeerTimeout &&
		!slices.ContainsFunc(n.replica.State(n.now()).Reasons, func(r replica.Reason) bool { return r.Code != "behind" })
}

func (s *Simulation) clocksAgree() bool {
	return !slices.ContainsFunc(s.nodes, func(n *node) bool { return n.clock.skew.Abs() > 200*time.Millisecond })
}

// doomed tells whether a crash waits for its moment.
func (s *Simulation) doomed() bool {
	return slices.ContainsFunc(s.nodes, func(n *node) bool { return n.fuse > 0 || !n.up })
}

// lag is how far behind the clock of a node is what it reports as final.
func (s *Simulation) lag(n *node) time.Duration { return time.Duration(n.wall() - n.replica.Final()) }

// lagBound is how long promises and statements may take through the ring.
func (s *Simulation) lagBound() time.Duration {
	return 10*time.Second + time.Duration(2*s.diameter+2)*(s.timers.PingInterval+s.plan.Latency)
}
