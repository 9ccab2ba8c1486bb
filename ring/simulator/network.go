package simulator

import (
	"slices"
	"time"

	"bluerings/ring/replica"
)

// link carries what from publishes to its subscriber to. It is in order while
// it is up; what is on its way when it goes down is lost.
type link struct {
	sim       *Simulation
	from, to  string
	cut       int // reasons not to be up
	up        bool
	life      int
	downSince time.Duration
	busy      time.Duration // arrival of the last message
	topics    map[string]bool
}

func (s *Simulation) link(from, to string) *link { return s.links[[2]string{from, to}] }

// linksOf lets the links of a host follow its state.
func (s *Simulation) linksOf(host string) {
	for _, l := range s.order {
		if l.from == host || l.to == host {
			l.reset()
		}
	}
}

// reset takes the link down, and up again after a while if both ends are.
func (l *link) reset() {
	s := l.sim
	wasUp := l.up
	l.up, l.topics = false, make(map[string]bool)
	if wasUp {
		l.downSince = s.now
	}
	l.life++
	life := l.life
	if to := s.nodes[l.to]; wasUp && to.up {
		procLife := to.life
		s.in(s.between(0, 50*time.Millisecond), func() {
			to.do(procLife, func() {
				if l.life == life {
					to.replica.LinkChanged(to.now(), l.from, false)
					to.after()
				}
			})
		})
	}
	s.in(s.between(20*time.Millisecond, 500*time.Millisecond), func() { l.connect(life) })
}

func (l *link) connect(life int) {
	s := l.sim
	to := s.nodes[l.to]
	if l.life != life || l.up || l.cut > 0 || !s.nodes[l.from].up || !to.up {
		return
	}
	l.up, l.busy = true, s.now
	procLife := to.life
	to.do(procLife, func() {
		if l.life == life {
			to.replica.LinkChanged(to.now(), l.from, true)
			to.after()
		}
	})
}

func (l *link) deliver(f func(to *node)) {
	s := l.sim
	at := max(l.busy, s.now+s.between(20*time.Microsecond, s.faults.Latency))
	l.busy = at
	life := l.life
	to := s.nodes[l.to]
	procLife := to.life
	s.in(at-s.now, func() {
		if l.life == life && l.up {
			to.do(procLife, func() { f(to) })
		}
	})
}

func (s *Simulation) publish(from, topic string, payload []byte) {
	if topic == replica.TopicPing {
		s.Result.Pings++
	}
	for _, l := range s.order {
		if l.from != from || !l.up || topic[0] == '?' && !l.topics[topic] {
			continue
		}
		s.Result.Bytes += uint64(len(payload))
		if s.resting {
			s.Result.RestBytes += uint64(len(payload))
			s.check(topic == replica.TopicPing, "%s sends %d bytes of %q though nothing happens", from, len(payload), topic)
		}
		if s.rng.Float64() < s.faults.Loss {
			continue
		}
		l.deliver(func(to *node) {
			if err := to.replica.Receive(to.now(), l.from, to.replica.Parse(slices.Clone(payload))); err != nil {
				s.dropped(to, err)
			}
			to.after()
		})
	}
}

// ask lets a subscription travel against the direction of the data.
func (l *link) ask(topic string) {
	if !l.up {
		return
	}
	s := l.sim
	life := l.life
	from := s.nodes[l.from]
	procLife := from.life
	l.topics[topic] = true
	s.in(s.between(20*time.Microsecond, s.faults.Latency), func() {
		from.do(procLife, func() {
			if l.life == life && l.up {
				from.replica.Asked(topic)
				from.after()
			}
		})
	})
}

func (s *Simulation) injectFaults() {
	f := &s.faults
	s.repeat(f.Crash, s.crashOne)
	s.repeat(f.Pause, func() {
		s.Result.Pauses++
		s.any().pause(s.between(10*time.Millisecond, 5*time.Second))
	})
	s.repeat(f.Cut, func() {
		l := s.order[s.rng.IntN(len(s.order))]
		s.cut([]*link{l}, s.between(50*time.Millisecond, 15*time.Second))
	})
	s.repeat(f.Isolate, func() {
		n := s.any()
		var links []*link
		way := s.rng.IntN(3)
		for _, l := range s.order {
			if l.from == n.host && way != 1 || l.to == n.host && way != 2 {
				links = append(links, l)
			}
		}
		s.cut(links, s.between(100*time.Millisecond, 20*time.Second))
	})
	s.repeat(f.ClockJump, func() {
		n := s.any()
		n.skew = s.between(-f.Skew-200*time.Millisecond, f.Skew+200*time.Millisecond)
		s.tracef("the clock of %s is off by %s", n.host, n.skew)
	})
}

func (s *Simulation) crashOne() {
	n := s.any()
	if !n.up {
		return
	}
	if n.copy == nil || s.rng.IntN(4) == 0 {
		n.copy = n.disk.clone()
	}
	n.crash()
	away := s.between(50*time.Millisecond, 10*time.Second)
	switch p := s.rng.Float64(); {
	case p < s.faults.DiskLost && s.lose(n, nil):
		n.disk = &disk{fresh: true}
		n.copy = nil
		away += 3 * time.Second
		s.tracef("%s lost its disk", n.host)
	case p > 1-s.faults.DiskOld && s.lose(n, n.copy):
		n.disk = n.copy.clone()
		away += 3 * time.Second
		s.tracef("%s got an old copy of its disk back", n.host)
	}
	s.in(away, func() {
		if !n.up {
			n.start()
		}
	})
}

func (s *Simulation) cut(links []*link, d time.Duration) {
	s.Result.Cuts++
	for _, l := range links {
		s.tracef("cut %s -> %s for %s", l.from, l.to, d)
		l.cut++
		l.reset()
	}
	s.in(d, func() {
		for _, l := range links {
			l.cut--
			l.reset()
		}
	})
}

func (s *Simulation) heal() {
	s.calm = true
	s.faults.Loss = 0
	s.faults.SlowDisk = min(s.faults.SlowDisk, 5*time.Millisecond)
	for _, h := range s.hosts {
		s.nodes[h].skew = 0
	}
	s.tracef("calm")
}
