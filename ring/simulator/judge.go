package simulator

import (
	"fmt"
	"sort"
	"time"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// operation is one update as a client sees it.
type operation struct {
	cmd    replica.Command
	acked  bool
	ticket tickets.Ticket // the one it was told
}

// record is a ticket that was durable on some disk.
type record struct {
	ticket tickets.Ticket
	hash   uint64
	lost   bool // with the only disks that held it
}

// judge knows everything and says when a promise was broken.
type judge struct {
	sim      *Simulation
	logs     map[tickets.Origin][]record // by number
	ops      []*operation
	final    hlc.Timestamp // greatest ever reported
	lastLoss time.Duration
}

func newJudge(s *Simulation) *judge {
	return &judge{sim: s, logs: make(map[tickets.Origin][]record), lastLoss: -time.Hour}
}

// update sends one random command to a node.
func (s *Simulation) update(n *node) {
	op := &operation{cmd: s.draw()}
	s.ops = append(s.ops, op)
	s.send(n, op)
	if op.cmd.ID != "" && s.rng.Float64() < s.faults.Retries {
		s.in(s.between(0, 5*time.Second), func() { s.send(s.any(), op) })
	}
}

func (s *Simulation) draw() replica.Command {
	c := replica.Command{Name: fmt.Sprintf("name %d", s.rng.IntN(4)), Expire: hlc.Never}
	switch s.rng.IntN(8) {
	case 0:
		c.Op, c.Text = tickets.TextSet, fmt.Sprint(s.rng.IntN(1000))
	case 1:
		c.Op, c.Text = tickets.SetAdd, fmt.Sprint(s.rng.IntN(20))
	case 2:
		c.Op, c.Text = tickets.SetRemove, fmt.Sprint(s.rng.IntN(20))
	default:
		c.Op, c.Amount = tickets.CounterAdd, value.FromInt64(s.rng.Int64N(2000)-1000)
	}
	if s.rng.IntN(2) == 0 {
		c.ID = fmt.Sprintf("id %d", len(s.ops))
	}
	return c
}

func (s *Simulation) send(n *node, op *operation) {
	if s.calm && !n.up {
		return
	}
	n.do(n.life, func() {
		r := n.replica.Submit(n.now(), &op.cmd)
		s.check(r.Err == nil, "%s refuses an update: %v", n.host, r.Err)
		told := &operation{cmd: op.cmd}
		if r.Ticket != nil {
			told.ticket = *r.Ticket
		}
		if r.Batch == 0 {
			op.ticket = told.ticket
			s.acknowledged(n, op)
		} else {
			s.ops = append(s.ops, told)
			n.receipt[r.Batch] = append(n.receipt[r.Batch], told)
		}
		n.after()
	})
}

func (j *judge) acknowledged(n *node, op *operation) {
	op.acked = true
	j.sim.Result.Acked++
	t := &op.ticket
	log := j.logs[t.Origin]
	j.sim.check(t.Seq >= 1 && uint64(len(log)) >= t.Seq && log[t.Seq-1].hash == contentHash(t),
		"%s acknowledges ticket %d of %s, which is on no disk", n.host, t.Seq, t.Origin)
}

// stored sees every batch that reaches a disk.
func (j *judge) stored(n *node, b *replica.Batch) {
	for _, block := range b.Blocks {
		run, err := tickets.DecodeRun(j.sim.kind(), block.Run)
		j.sim.check(err == nil, "%s stores a block that does not decode: %v", n.host, err)
		for i := range run.Tickets {
			j.storedTicket(n, &run.Tickets[i])
		}
	}
}

func (j *judge) storedTicket(n *node, t *tickets.Ticket) {
	log := j.logs[t.Origin]
	hash := contentHash(t)
	switch k := uint64(len(log)); {
	case t.Seq == k+1:
		j.sim.check(t.At > j.final, "%s stores ticket %d of %s, dated %s, though everything through %s was final", n.host, t.Seq, t.Origin, t.At, j.final)
		j.sim.check(k == 0 || log[k-1].ticket.At < t.At, "%s: timestamps of %s do not rise", n.host, t.Origin)
		j.logs[t.Origin] = append(log, record{ticket: *t, hash: hash})
	case t.Seq > k:
		j.sim.check(false, "%s stores ticket %d of %s after %d", n.host, t.Seq, t.Origin, k)
	default:
		r := &log[t.Seq-1]
		if r.lost && r.hash != hash {
			// Nobody but the lost disk ever had it, so its number is free.
			j.sim.check(t.At > j.final, "%s mints ticket %d of %s anew, dated before what was final", n.host, t.Seq, t.Origin)
			j.logs[t.Origin] = append(log[:t.Seq-1], record{ticket: *t, hash: hash})
			return
		}
		j.sim.check(r.hash == hash, "%s: ticket %d of %s has two contents", n.host, t.Seq, t.Origin)
		if r.lost {
			j.sim.check(t.At > j.final, "%s: lost ticket %d of %s came back before what was final", n.host, t.Seq, t.Origin)
			r.lost = false
		}
	}
}

// lose decides whether a node may lose its disk now, and writes off what only
// that disk held, less the rest that is put back. One disk at a time, and not before the last has recovered.
func (s *Simulation) lose(n *node, rest *disk) bool {
	if s.now-s.lastLoss < 40*time.Second {
		return false
	}
	for _, h := range s.hosts {
		if o := s.nodes[h]; o != n && (!o.up || o.paused) {
			return false
		}
	}
	s.lastLoss = s.now
	s.Result.Lost++
	for origin, log := range s.logs {
		held := uint64(0)
		for _, h := range s.hosts {
			if o := s.nodes[h]; o != n {
				held = max(held, o.holds(origin))
			}
		}
		if rest != nil {
			held = max(held, rest.holds(origin))
		}
		for i := held; i < uint64(len(log)); i++ {
			log[i].lost = true
		}
	}
	return true
}

func (d *disk) holds(origin tickets.Origin) uint64 {
	for i, o := range d.origins {
		if o == origin {
			return d.end(i)
		}
	}
	return 0
}

func (n *node) holds(origin tickets.Origin) uint64 { return n.disk.holds(origin) }

// observe looks at what a node reports, after every step of it.
func (s *Simulation) observe(n *node) {
	if f := n.replica.Final(); f != n.final {
		if f > n.final {
			s.Result.FinalReports++
		}
		n.final = f
		s.finalReport(n, f)
	}
	if n.replica.Coherent(n.now()) {
		s.coherentReport(n)
	}
}

func (j *judge) finalReport(n *node, f hlc.Timestamp) {
	for origin, log := range j.logs {
		through := sort.Search(len(log), func(i int) bool { return log[i].ticket.At > f })
		for through > 0 && log[through-1].lost {
			through--
		}
		j.sim.check(n.holds(origin) >= uint64(through), "%s reports %s as final and lacks ticket %d of %s", n.host, f, through, origin)
	}
	j.final = max(j.final, f)
}

// coherentReport checks that nobody has been cut off for longer than a peer
// timeout plus propagation.
func (s *Simulation) coherentReport(n *node) {
	t := n.timers
	hop := t.PingInterval + s.faults.Latency
	bound := t.PeerTimeout + time.Duration(s.diameter+2)*hop
	for _, h := range s.hosts {
		if h == n.host {
			continue
		}
		m := s.nodes[h]
		s.check(m.silent() < bound+t.PeerTimeout, "%s says coherent, though %s has been cut off for %s", n.host, h, m.silent())
		s.check(m.mute() < bound, "%s says coherent, though %s has been mute for %s", n.host, h, m.mute())
	}
}

// mute is how long nothing of a node has reached anybody.
func (n *node) mute() time.Duration {
	if !n.up || n.paused {
		return n.sim.now - n.offSince
	}
	return n.sim.cutSince(func(l *link) bool { return l.from == n.host })
}

// silent is how long a node has been mute or deaf.
func (n *node) silent() time.Duration {
	return max(n.mute(), n.sim.cutSince(func(l *link) bool { return l.to == n.host }))
}

// cutSince is how long all the chosen links have been down.
func (s *Simulation) cutSince(chosen func(*link) bool) time.Duration {
	since := time.Duration(0)
	for _, l := range s.order {
		if chosen(l) {
			if l.up {
				return 0
			}
			since = max(since, l.downSince)
		}
	}
	return s.now - since
}

func (s *Simulation) settleTime() time.Duration {
	timers := s.nodes[s.hosts[0]].timers
	return 30*time.Second + 10*timers.PeerTimeout
}

// converged checks the end: everybody has the same, what clients were told is
// there exactly once, the ring is whole, and everything is final.
func (s *Simulation) converged() {
	for _, h := range s.hosts {
		if n := s.nodes[h]; n.up {
			s.tracef("%s: %s", h, n.replica.Dump())
		}
	}
	want := s.nodes[s.hosts[0]].replica.Vector().String()
	for _, h := range s.hosts {
		n := s.nodes[h]
		s.check(n.up && !n.paused, "%s is not up at the end", h)
		got := n.replica.Vector().String()
		s.check(got == want, "vectors differ at the end:\n%s: %s\n%s: %s", s.hosts[0], want, h, got)
		st := n.replica.State(n.now())
		s.check(st.Coherent, "%s is not coherent at the end: %v", h, st.Reasons)
		s.check(n.now().Wall-st.Final < hlc.Timestamp(10*time.Second), "%s: final_through lags by %s at the end, blocked by %v", h, time.Duration(n.now().Wall-st.Final), st.BlockedBy)
	}
	s.exactlyOnce()
	for _, h := range s.hosts {
		s.compare(s.nodes[h])
	}
}

func (s *Simulation) exactlyOnce() {
	for _, op := range s.ops {
		if !op.acked {
			continue
		}
		log := s.logs[op.ticket.Origin]
		if uint64(len(log)) < op.ticket.Seq || log[op.ticket.Seq-1].hash != contentHash(&op.ticket) {
			continue // it was lost with the only disk that had it
		}
		r := log[op.ticket.Seq-1]
		for _, h := range s.hosts {
			s.check(r.lost || s.nodes[h].holds(op.ticket.Origin) >= op.ticket.Seq,
				"%s lacks the acknowledged ticket %d of %s", h, op.ticket.Seq, op.ticket.Origin)
		}
	}
}
