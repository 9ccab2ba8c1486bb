// Package simulator runs whole rings in virtual time, in one goroutine, from a
// seed: the replica, table and codec that ship, on simulated disks, links and
// clocks that fail. Checkers watch every step. One seed gives one history, to
// the byte.
package simulator

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"time"

	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/topologies"
)

// Faults are what may go wrong, drawn anew for each seed.
type Faults struct {
	Loss      float64       // of messages
	Latency   time.Duration // at most
	SlowDisk  time.Duration // a commit takes at most
	Crash     time.Duration // mean time between crashes, 0 none
	Pause     time.Duration // mean time between pauses
	Cut       time.Duration // mean time between cuts of one direction of a link
	Isolate   time.Duration // mean time between isolations of a whole node
	DiskLost  float64       // share of crashes that lose the disk
	DiskOld   float64       // share of crashes that put an old copy back
	Skew      time.Duration // of wall clocks, at most
	ClockJump time.Duration // mean time between jumps of a clock
	Updates   time.Duration // mean time between updates at one node
	Retries   float64       // share of updates that are retried elsewhere
}

// Options of one simulation.
type Options struct {
	Seed     uint64
	Topology *topologies.Topology // nil: drawn from the seed
	Duration time.Duration        // of faults, in virtual time
	Trace    io.Writer            // nil: none
	NoFaults bool
}

// Result counts what happened.
type Result struct {
	Seed                                       uint64
	Nodes                                      int
	Shape                                      string
	Virtual                                    time.Duration // per node
	Events, Acked, Crashes, Cuts, Pauses, Lost int
	FinalReports, Pings                        int
	Bytes                                      uint64
	RestBytes                                  uint64 // received by all nodes in restTime
	Failure                                    error
}

type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// Simulation is one history.
type Simulation struct {
	Result Result

	opts     Options
	rng      *rand.Rand
	topology *topologies.Topology
	diameter int
	faults   Faults
	now      time.Duration
	queue    events
	counter  uint64
	nodes    map[string]*node
	hosts    []string
	links    map[[2]string]*link
	order    []*link
	calm     bool // no more faults or updates
	portion  int  // of tickets applied at once
	resting  bool // and everything is repaired: only pings may be sent
	*judge
}

// restTime is how long a ring is watched at rest.
const restTime = 5 * time.Second

// RestRate is what a node receives at rest, in bytes a second.
func (r Result) RestRate() float64 {
	return float64(r.RestBytes) / restTime.Seconds() / float64(r.Nodes)
}

type failure struct{ error }

// Run plays one seed.
func Run(o Options) (result Result) {
	s := &Simulation{opts: o, rng: rand.New(rand.NewPCG(o.Seed, 0x9e3779b97f4a7c15)), nodes: make(map[string]*node), links: make(map[[2]string]*link)}
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(failure)
			if !ok {
				panic(r)
			}
			s.Result.Failure = fmt.Errorf("seed %d, at %s: %w", o.Seed, s.now, f.error)
		}
		s.Result.Virtual = s.now
		result = s.Result
	}()
	s.setup()
	s.until(o.Duration)
	s.heal()
	s.until(s.now + s.settleTime())
	s.resting = true
	s.until(s.now + restTime)
	s.converged()
	return s.Result
}

func (s *Simulation) setup() {
	s.topology = s.opts.Topology
	if s.topology == nil {
		shapes := []string{"full-mesh", "star", "ring", "one-way-ring", "dual-star", "full-mesh"}
		shape := shapes[s.rng.IntN(len(shapes))]
		t, err := topologies.Generate(shape, 2+s.rng.IntN(5)+2*btoi(shape == "dual-star"))
		if err != nil {
			t, err = topologies.Generate("full-mesh", 3)
		}
		s.check(err == nil, "topology: %v", err)
		s.topology = t
	}
	s.hosts = s.topology.Members()
	s.Result.Seed, s.Result.Nodes, s.Result.Shape = s.opts.Seed, len(s.hosts), s.topology.Shape
	s.diameter = s.topology.Diameter()
	s.drawFaults()
	s.judge = newJudge(s)
	for _, l := range s.topology.Links() {
		lk := &link{sim: s, from: l.From, to: l.To, topics: make(map[string]bool)}
		s.links[[2]string{l.From, l.To}] = lk
		s.order = append(s.order, lk)
	}
	for _, h := range s.hosts {
		s.nodes[h] = &node{sim: s, host: h, timers: s.topology.TimersFor(h), disk: &disk{fresh: true}, skew: s.between(-s.faults.Skew, s.faults.Skew)}
	}
	for _, h := range s.hosts {
		n := s.nodes[h]
		s.in(s.between(0, 2*time.Second), func() {
			if !n.up {
				n.start()
			}
		})
		s.repeat(s.faults.Updates, func() { s.update(n) })
	}
	s.injectFaults()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// drawFaults gives each seed its own mix: swarm testing after Groce et al.
func (s *Simulation) drawFaults() {
	f := &s.faults
	f.Latency = s.between(50*time.Microsecond, 5*time.Millisecond)
	f.SlowDisk = s.between(150*time.Microsecond, 2*time.Millisecond)
	f.Updates = s.between(20*time.Millisecond, 2*time.Second)
	f.Retries = s.rng.Float64() * 0.5
	if s.portion = 0; s.rng.IntN(2) == 0 {
		s.portion = 1 + s.rng.IntN(4)
	}
	if s.opts.NoFaults {
		return
	}
	maybe := func(mean time.Duration) time.Duration {
		if s.rng.IntN(2) == 0 {
			return 0
		}
		return s.between(mean/4, 2*mean)
	}
	if s.rng.IntN(2) == 0 {
		f.Loss = s.rng.Float64() * 0.2
	}
	if s.rng.IntN(4) == 0 {
		f.SlowDisk = s.between(10*time.Millisecond, 3*time.Second)
	}
	if s.rng.IntN(3) == 0 {
		f.Skew = s.between(0, 300*time.Millisecond)
	}
	f.Crash, f.Pause, f.Cut, f.Isolate = maybe(20*time.Second), maybe(15*time.Second), maybe(10*time.Second), maybe(20*time.Second)
	f.ClockJump = maybe(30 * time.Second)
	if s.rng.IntN(3) == 0 {
		f.DiskLost, f.DiskOld = s.rng.Float64()*0.3, s.rng.Float64()*0.3
	}
}

func (s *Simulation) config(n *node) replica.Config {
	self, _ := s.topology.Node(n.host)
	t := n.timers
	c := replica.Config{
		Host: n.host, Ring: s.topology.Ring, Kind: s.kind(), Digest: s.topology.Digest(), Members: s.hosts,
		Downstreams: s.topology.Downstreams(n.host), Updates: self.Updates(), Forwards: self.Forwards(),
		PingInterval: t.PingInterval, PeerTimeout: t.PeerTimeout, ForwardDelay: t.ForwardDelay,
		ConnectDelay: t.ConnectDelay, FloodDelay: t.FloodDelay, MaxSkew: 500 * time.Millisecond,
		Portion: s.portion,
		Boot:    uint64(s.now) + n.boots, NewEpoch: func() uint64 { s.counter++; return s.counter },
	}
	for _, l := range s.topology.Upstreams(n.host) {
		c.Upstreams = append(c.Upstreams, l.From)
	}
	return c
}

// in schedules f after d.
func (s *Simulation) in(d time.Duration, f func()) {
	s.counter++
	heap.Push(&s.queue, event{s.now + max(d, 0), s.counter, f})
}

// repeat runs f again and again, mean apart, until the calm.
func (s *Simulation) repeat(mean time.Duration, f func()) {
	if mean <= 0 {
		return
	}
	s.in(time.Duration(s.rng.ExpFloat64()*float64(mean)), func() {
		if s.calm {
			return
		}
		f()
		s.repeat(mean, f)
	})
}

func (s *Simulation) until(end time.Duration) {
	for len(s.queue) > 0 && s.queue[0].at <= end {
		e := heap.Pop(&s.queue).(event)
		s.now = e.at
		s.Result.Events++
		e.do()
	}
	s.now = end
}

func (s *Simulation) between(a, b time.Duration) time.Duration {
	if b <= a {
		return a
	}
	return a + time.Duration(s.rng.Int64N(int64(b-a)))
}

func (s *Simulation) any() *node { return s.nodes[s.hosts[s.rng.IntN(len(s.hosts))]] }

func (s *Simulation) tracef(format string, args ...any) {
	if s.opts.Trace != nil {
		fmt.Fprintf(s.opts.Trace, "%12s  %s\n", s.now, fmt.Sprintf(format, args...))
	}
}

func (s *Simulation) check(ok bool, format string, args ...any) {
	if !ok {
		panic(failure{fmt.Errorf(format, args...)})
	}
}

func contentHash(t *tickets.Ticket) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %q %v %q %d %q", t.At, t.Op, t.Name, t.Amount, t.Text, t.Expire, t.ID)
	return h.Sum64()
}

// Add sums up the counts of several results.
func (r *Result) Add(o Result) {
	r.Events += o.Events
	r.Acked += o.Acked
	r.Crashes += o.Crashes
	r.Cuts += o.Cuts
	r.Pauses += o.Pauses
	r.Lost += o.Lost
	r.FinalReports += o.FinalReports
	r.Pings += o.Pings
	r.Bytes += o.Bytes
	r.RestBytes += o.RestBytes
	r.Nodes += o.Nodes
}

// String lists the counts.
func (r Result) String() string {
	return fmt.Sprintf("%d events, %d acknowledgements, %d finality reports checked; %d crashes, %d partitions, %d pauses, %d disks lost or rewound; %d pings, %d bytes; at rest a node received %.0f bytes a second",
		r.Events, r.Acked, r.FinalReports, r.Crashes, r.Cuts, r.Pauses, r.Lost, r.Pings, r.Bytes, r.RestRate())
}
