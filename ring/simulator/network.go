package simulator

import (
	"time"

	"bluerings/ring/replica"
)

// link carries what from publishes to its subscriber to, in order, always: it stands for a
// TCP connection, over which no message overtakes another. What is on
// its way when it goes down is lost, or, if an end went away, may still arrive
// before the subscriber notices.
type link struct {
	sim      *Simulation
	from, to *node
	rng      source
	cut      int // reasons not to be up
	up       bool
	stalled  time.Duration // until then nothing gets through
	counted  bool          // as one by which something gets through
	draining bool          // what was sent by a process that has ended still arrives
	ended    time.Duration // that process, then
	life     int           // of the connection
	busy     time.Duration // arrival of the last message
	topics   map[string]bool
}

func (n *node) linkTo(host string) *link {
	for _, l := range n.in {
		if l.from.host == host {
			return l
		}
	}
	return nil
}

// resetLinks lets the links of a node follow its state.
func (n *node) resetLinks(drain bool) {
	for _, l := range n.out {
		l.reset(drain)
	}
	for _, l := range n.in {
		l.reset(false)
	}
}

// openLinks connects a process that starts. Who still gets what the one before it sent
// comes back later.
func (n *node) openLinks() {
	for _, l := range n.out {
		if !l.draining {
			l.reset(false)
		}
	}
	for _, l := range n.in {
		l.reset(false)
	}
}

func (l *link) setUp(up bool) {
	l.up = up
	l.count()
}

// count notes whether anything gets through.
func (l *link) count() {
	if through := l.up && l.stalled <= l.sim.now; through != l.counted {
		l.sim.reaching.changes()
		l.counted = through
	}
}

// reset takes the link down, and up again after a while if both ends are. With
// drain, what is on its way arrives before.
func (l *link) reset(drain bool) {
	wasUp := l.up
	l.setUp(false)
	wait := time.Duration(0)
	if drain && wasUp && l.cut == 0 && l.rng.chance(l.sim.plan.Late) {
		wait = l.busy - l.sim.now
	}
	if wait <= 0 {
		l.closed(wasUp)
		return
	}
	life := l.life
	l.draining, l.ended = true, l.sim.now
	l.sim.reaching.arrives(l.from, l.to)
	l.sim.in(wait, func() {
		if l.life == life {
			l.closed(true)
		}
	})
}

// behind tells whether what a former process sent still arrives while this run
// goes on at the other end. Only to that one a report can mean anything.
func (l *link) behind(run uint64) bool {
	if !l.draining || !l.from.up || l.from.started < l.ended {
		return false
	}
	boot, _ := l.from.replica.Known(l.from.host)
	return boot == run
}

// closed ends a connection; the subscriber learns it a little later, and tries
// anew.
func (l *link) closed(wasUp bool) {
	s := l.sim
	l.life++
	l.topics, l.draining = nil, false
	life, told := l.life, l.rng.between(0, 50*time.Millisecond)
	if wasUp {
		l.after(told, func(to *node) { to.replica.LinkChanged(to.now(), l.from.host, false) })
	}
	s.in(told+l.rng.between(10*time.Millisecond, 450*time.Millisecond), func() { l.connect(life) })
}

// after lets the subscriber take something in, if the connection is still the
// same and its process too.
func (l *link) after(d time.Duration, f func(to *node)) {
	life, to, process := l.life, l.to, l.to.life
	l.sim.in(d, func() {
		if l.life != life {
			return
		}
		to.do(process, func() {
			if l.life == life {
				f(to)
				to.after()
			}
		})
	})
}

func (l *link) connect(life int) {
	if l.life != life || l.up || l.cut > 0 || !l.from.online() || !l.to.online() {
		return
	}
	l.stalled, l.busy = 0, l.sim.now
	l.setUp(true)
	l.after(0, func(to *node) { to.replica.LinkChanged(to.now(), l.from.host, true) })
}

// stall keeps what is sent from arriving for a while, as where packets get lost: it
// lies in the sockets, and comes all at once. Nothing tells of it.
func (l *link) stall(d time.Duration) {
	s := l.sim
	if !l.up || l.stalled > s.now {
		return
	}
	s.Result.Stalls++
	l.stalled = s.now + d
	l.busy = max(l.busy, l.stalled)
	l.count()
	life := l.life
	s.in(d, func() {
		if l.count(); l.up && l.life == life {
			s.reaching.arrives(l.from, l.to) // also from a process that stands still by now
		}
	})
}

// maxBacklog is how long a message waits for a slow subscriber at most; later
// ones are dropped, as at a high-water mark.
const maxBacklog = 10 * time.Second

// send lets a message travel.
func (l *link) send(size int, m *replica.Message) {
	s := l.sim
	s.Result.Bytes += uint64(size)
	if s.resting {
		s.Result.RestBytes += uint64(size)
	}
	copies := 1
	if !s.calm && l.rng.chance(s.plan.Loss) {
		return
	}
	if !s.calm && l.rng.chance(s.plan.Duplicate) {
		copies = 2
	}
	for range copies {
		if l.busy > s.now+maxBacklog {
			return
		}
		l.busy = max(l.busy, s.now+l.rng.between(20*time.Microsecond, s.plan.Latency)) + l.to.slowness(l.rng)
		l.after(l.busy-s.now, func(to *node) {
			if p := m.Ping(); p != nil {
				to.toldOf(p)
			}
			if err := to.replica.Receive(to.now(), l.from.host, *m); err != nil {
				s.dropped(to, err)
			}
		})
	}
}

// publish hands a message to every subscriber of its topic; the process may
// die between two of them. It is parsed once, for everybody: parsing looks at
// nothing but the message, and nobody changes what it yields.
func (n *node) publish(topic string, payload []byte) bool {
	s := n.sim
	m := n.replica.Parse(payload)
	if m.Ping() == nil && m.Run() == nil {
		s.fail("wire", "%s publishes %d bytes of %q that nobody understands", n.host, len(payload), topic)
	}
	s.published(n, topic, payload, &m)
	for _, l := range n.out {
		if !l.up || topic[0] == '?' && !l.topics[topic] {
			continue
		}
		l.send(len(payload), &m)
		if topic != replica.TopicPing && !n.effect() {
			return false
		}
	}
	return true
}

// ask lets a subscription travel against the direction of the data.
func (l *link) ask(topic string) {
	if !l.up {
		return
	}
	if l.topics == nil {
		l.topics = make(map[string]bool)
	}
	l.topics[topic] = true
	l.sim.tracef("%s asks %s for %s", l.to.host, l.from.host, topic)
	l.sim.asked(l)
	from, life, process := l.from, l.life, l.from.life
	l.sim.in(l.rng.between(20*time.Microsecond, l.sim.plan.Latency), func() {
		from.do(process, func() {
			if l.life == life && l.up {
				from.replica.Asked(topic)
				from.after()
			}
		})
	})
}
