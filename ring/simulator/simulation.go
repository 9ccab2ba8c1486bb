// Package simulator runs whole rings in virtual time, in one goroutine, from a
// seed: the replica, table and codec that ship, on simulated disks, links and
// clocks that fail. Checkers watch every step. One seed gives one history, to
// the byte.
package simulator

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"bluerings/topologies"
	"bluerings/value"
)

// Options of one simulation.
type Options struct {
	Seed     uint64
	Topology *topologies.Topology // nil: drawn from the seed
	Duration time.Duration        // of updates and faults, in virtual time; 0: drawn from the seed
	NoFaults bool
	Faults   Faults    // of these kinds only; 0: of all
	Trace    io.Writer // nil: none
}

// Failure is a promise that was broken.
type Failure struct {
	Seed    uint64
	Checker string
	At      time.Duration // in virtual time
	Message string
}

// Error names the seed first, and then the checker.
func (f *Failure) Error() string {
	return fmt.Sprintf("seed %d: %s: %s (at %s)", f.Seed, f.Checker, f.Message, f.At)
}

// Simulation is one history.
type Simulation struct {
	Result Result

	plan     *Plan
	trace    io.Writer
	timers   topologies.EffectiveTimers // the slowest
	diameter int
	now      time.Duration
	events   queue
	counter  uint64
	next     int // step of the plan
	nodes    []*node
	byHost   map[string]*node
	links    []*link
	calm     bool          // no more faults or updates
	resting  bool          // and everything is repaired: only pings may be sent
	troubled time.Duration // when the last fault ended, or will
	lastBorn time.Duration // when the last ticket was stored by its minter
	decoded  map[*byte]*decodedRun
	reaching *reaching
	*judge
}

// Run plays the plan of one seed.
func Run(o Options) Result { return Draw(o).Play(o.Trace) }

// Play plays a plan.
func (p *Plan) Play(trace io.Writer) (result Result) {
	s := &Simulation{plan: p, trace: trace, byHost: make(map[string]*node), decoded: make(map[*byte]*decodedRun)}
	s.Result = Result{Seed: p.Seed, Nodes: len(p.Topology.Nodes), Shape: shapeOf(p.Topology), Counts: Counts{Seeds: 1}}
	defer func() {
		if r := recover(); r != nil {
			s.Result.Failure = s.failureOf(r)
		}
		s.Result.Virtual = s.now
		s.Result.NodeTime = s.now * time.Duration(len(s.nodes))
		result = s.Result
	}()
	s.setup()
	s.until(p.Duration)
	s.heal()
	s.converge()
	s.until(s.now + s.quietTime())
	s.resting = true
	s.until(s.now + restTime)
	s.atTheEnd()
	return s.Result
}

// failureOf turns a panic into a failure: of a checker, or of the product.
func (s *Simulation) failureOf(r any) *Failure {
	if f, ok := r.(*Failure); ok {
		return f
	}
	err, ok := r.(error)
	if !ok {
		err = errors.New(fmt.Sprint(r))
	}
	s.tracef("%v\n%s", err, debug.Stack())
	return &Failure{s.plan.Seed, "panic", s.now, err.Error()}
}

func (s *Simulation) setup() {
	t := s.plan.Topology
	s.diameter = t.Diameter()
	s.judge = newJudge(s)
	for i, h := range t.Members() {
		n := newNode(s, i, h)
		s.nodes = append(s.nodes, n)
		s.byHost[h] = n
		s.timers.PeerTimeout = max(s.timers.PeerTimeout, n.timers.PeerTimeout)
		s.timers.PingInterval = max(s.timers.PingInterval, n.timers.PingInterval)
		s.timers.ForwardDelay = max(s.timers.ForwardDelay, n.timers.ForwardDelay)
		s.timers.FloodDelay = max(s.timers.FloodDelay, n.timers.FloodDelay)
	}
	for i, l := range t.Links() {
		lk := &link{sim: s, from: s.byHost[l.From], to: s.byHost[l.To], rng: newSource(s.plan.Seed, 1000+uint64(i))}
		s.links = append(s.links, lk)
		lk.from.out = append(lk.from.out, lk)
		lk.to.in = append(lk.to.in, lk)
	}
	s.reaching = newReaching(s)
	for _, n := range s.nodes {
		n.config = n.configure()
		s.in(n.rng.between(0, 2*time.Second), func() {
			if !n.up {
				n.start()
			}
		})
	}
	s.trouble(2 * time.Second)
	s.in(2*time.Second, s.probe)
}

// in schedules f after d.
func (s *Simulation) in(d time.Duration, f func()) {
	s.counter++
	s.events.push(event{s.now + max(d, 0), s.counter, f})
}

// until lets time pass: events and the steps of the plan, in their order.
func (s *Simulation) until(end time.Duration) {
	steps := s.plan.Steps
	for {
		at, step := end+1, false
		if len(s.events) > 0 {
			at = s.events[0].at
		}
		if s.next < len(steps) && !s.calm && steps[s.next].At <= at {
			at, step = steps[s.next].At, true
		}
		if at > end {
			break
		}
		s.now = at
		s.Result.Events++
		if step {
			s.next++
			s.carryOut(&steps[s.next-1])
		} else {
			s.events.pop().do()
		}
	}
	s.now = end
}

func (s *Simulation) tracef(format string, args ...any) {
	if s.trace != nil {
		fmt.Fprintf(s.trace, "%12s  %s\n", s.now, fmt.Sprintf(format, args...))
	}
}

// fail ends the history: a checker found a promise broken.
func (s *Simulation) fail(checker, format string, args ...any) {
	panic(&Failure{s.plan.Seed, checker, s.now, fmt.Sprintf(format, args...)})
}

// kind is what every ring counts in here.
const kind = value.Integer

func (s *Simulation) kind() value.Kind { return kind }
