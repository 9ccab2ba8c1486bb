package simulator

import (
	"math"
	"time"
)

// reaching knows, for each ordered pair of nodes, the latest moment of which the one can
// tell anything to the other: over links through which something gets, by way of
// nodes that go on, in the order of time. It takes messages for instantaneous
// and memories for unfailing, so that no node can have later news than it says, whatever the
// protocol. (Latest departures of journeys, after Bui Xuan, Ferreira and Jarry,
// "Computing shortest, fastest, and foremost journeys in dynamic networks", 2003.)
type reaching struct {
	sim    *Simulation
	latest [][]time.Duration // [to][from], through the last change of what is connected
	at     time.Duration     // of that change
	known  bool              // what follows: who is connected since then
	ways   [][]int           // [to]: who reaches it, save itself
	oldest []lack            // [to]: of what it is told, or may be told if nothing changes, the oldest
	until  []lack            // by node: it may be coherent through then
}

// lack is what does not get through, and a time that follows from it.
type lack struct {
	from, to int
	time     time.Duration
}

// sooner is the one whose time is up first.
func (l lack) sooner(o lack) lack {
	if o.time < l.time {
		return o
	}
	return l
}

const endOfTime = math.MaxInt64 / 2

func newReaching(s *Simulation) *reaching {
	k := len(s.nodes)
	r := &reaching{sim: s, latest: make([][]time.Duration, k), ways: make([][]int, k), oldest: make([]lack, k), until: make([]lack, k)}
	for i := range r.latest {
		r.latest[i] = make([]time.Duration, k)
	}
	return r
}

// running tells whether what reaches the process goes on to others.
func (n *node) running() bool { return n.up && !n.paused }

// changes has to be called before a link or a node changes.
func (r *reaching) changes() {
	if r.at == r.sim.now { // nothing gets anywhere in no time
		r.known = false
		return
	}
	r.connect()
	r.at, r.known = r.sim.now, false
	for to, ways := range r.ways {
		for _, by := range ways {
			r.tell(by, to)
		}
		for _, from := range ways {
			r.latest[to][from] = r.at
		}
	}
}

// tell lets one node know what the other knows.
func (r *reaching) tell(by, to int) {
	news := r.latest[to]
	for from, at := range r.latest[by] {
		news[from] = max(news[from], at)
	}
}

// arrives lets everything that one node has sent so far reach the other.
func (r *reaching) arrives(from, to *node) {
	r.changes()
	r.tell(from.index, to.index)
	sent := r.at
	if !from.running() {
		sent = from.stood
	}
	r.latest[to.index][from.index] = max(r.latest[to.index][from.index], sent)
}

// connect finds out who reaches whom now, and for how long who may be coherent
// if that stays: through a peer timeout after the last moment of which a
// member can have told the node, and where that one can have told that it heard another, a
// peer timeout of its own more.
func (r *reaching) connect() {
	if r.known {
		return
	}
	r.known = true
	nodes := r.sim.nodes
	seen := make([]bool, len(nodes))
	for to, n := range nodes {
		clear(seen)
		seen[to] = true
		r.ways[to] = n.reachedBy(seen, r.ways[to][:0])
		r.oldest[to] = r.oldestAt(to, seen)
	}
	for i, n := range nodes {
		until := r.oldest[i]
		for k, m := range nodes {
			if l := r.oldest[k]; k != i {
				l.time += m.timers.PeerTimeout
				until = until.sooner(l)
			}
		}
		until.time += n.timers.PeerTimeout
		r.until[i] = until
	}
}

// reachedBy adds those from whom anything gets to the node now.
func (n *node) reachedBy(seen []bool, list []int) []int {
	for _, l := range n.in {
		if from := l.from; l.counted && from.running() && !seen[from.index] {
			seen[from.index] = true
			list = from.reachedBy(seen, append(list, from.index))
		}
	}
	return list
}

// oldestAt is the oldest of what a node is told at best, as long as only those who are
// seen reach it.
func (r *reaching) oldestAt(to int, seen []bool) lack {
	oldest := lack{time: endOfTime}
	for from := range seen {
		if seen[from] {
			continue
		}
		l := lack{from, to, r.latest[to][from]}
		for _, by := range r.ways[to] {
			l.time = max(l.time, r.latest[by][from])
		}
		oldest = oldest.sooner(l)
	}
	return oldest
}

// coherentReport checks that every member can have been heard by the node within a peer
// timeout, and every member by every other within one before that.
func (s *Simulation) coherentReport(n *node) {
	r := s.reaching
	if r.connect(); s.now <= r.until[n.index].time {
		return
	}
	l := r.until[n.index]
	s.fail("coherent-bound", "%s says coherent, though nothing that %s sent after %s can have reached %s",
		n.host, s.nodes[l.from].host, r.oldest[l.to].time, s.nodes[l.to].host)
}
