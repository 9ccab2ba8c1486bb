package simulator

import (
	"fmt"
	"strings"
	"time"

	"bluerings/tickets"
	"bluerings/topologies"
	"bluerings/value"
)

// Plan is what a seed stands for: a ring, the conditions it runs under, and
// every update and fault, as data. What is left to chance while a plan runs,
// as the delay of each message, follows from its seed as well.
type Plan struct {
	Seed     uint64
	Topology *topologies.Topology
	Duration time.Duration // of updates and faults, in virtual time
	Conditions
	Steps []Step // by time
}

// Conditions hold for a whole run.
type Conditions struct {
	Latency   time.Duration // of a message, at most
	Loss      float64       // share of messages that vanish
	Duplicate float64       // share of messages that arrive twice
	DiskTime  time.Duration // that a commit takes, at most
	Late      float64       // share of connections that bring all that was sent when an end goes away
	Portion   int           // tickets of others that are folded in at once; 0: as the product has it
	Grace     time.Duration // after its expiry a name is collected
	Skew      []time.Duration
	Patient   bool            // clients leave a node alone whose disk was lost or put back until all members told it what it had promised
	Interval  []time.Duration // by node: acknowledgements come before the commit, and commits so far apart; 0: after it
}

// Kind says what a step does.
type Kind uint8

// The kinds of steps.
const (
	Update   Kind = iota // a client sends an update to Node
	Crash                // the process of Node ends after so many effects, stays away For, and finds Disk
	Stop                 // the process of Node is told to end, and stays away For
	Pause                // the process of Node stands still
	Cut                  // Links are down
	Stall                // nothing gets through Links, and all of it later
	Jump                 // the wall clock of Node moves by Shift
	Freeze               // the wall clock of Node stands still; then it is right again, or stays behind if Shift is set
	Full                 // there is no room on the disk of Node
	SlowDisk             // a commit of Node takes up to Shift more
	SlowNode             // Node takes up to Shift more for each message
	Copy                 // the disk of Node is copied, to be put back some day
	kinds
)

var kindNames = [kinds]string{"update", "crash", "stop", "pause", "cut", "stall", "jump", "freeze", "full", "slow-disk", "slow-node", "copy"}

// String is the kind as in a transcript.
func (k Kind) String() string { return kindNames[k] }

// Fate is what a process finds when it starts again.
type Fate uint8

// The fates of a disk.
const (
	Kept     Fate = iota // everything that was synced; what was being written, or not
	Lost                 // nothing
	Rewound              // the copy
	Reverted             // all but the last commit, as after damage to the newest head page
)

var fateNames = [...]string{"kept", "lost", "rewound", "reverted"}

// String is the fate as in a transcript.
func (f Fate) String() string { return fateNames[f] }

// Step is one thing that happens from outside.
type Step struct {
	At    time.Duration
	Kind  Kind
	Node  int
	For   time.Duration
	Shift time.Duration
	After int      // Crash: effects before it
	Disk  Fate     // Crash
	Links [][2]int // Cut and Stall: from and to
	Change
}

// Change is what an update asks for.
type Change struct {
	Op     tickets.Op
	Name   string
	Amount int64
	Text   string
	Life   time.Duration // until the expiry; 0 never, negative says nothing
	ID     string
	Ref    string // no other step has it
}

func (c *Change) amount() value.Number {
	if c.Op != tickets.CounterAdd {
		return value.Number{}
	}
	return value.FromInt64(c.Amount)
}

// describe is the step as a line of a transcript.
func (p *Plan) describe(s *Step) string {
	host := p.Topology.Members()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", s.Kind, host[s.Node])
	switch s.Kind {
	case Update:
		fmt.Fprintf(&b, " %s %q", s.Op, s.Name)
		switch s.Op {
		case tickets.CounterAdd:
			fmt.Fprintf(&b, " %+d", s.Amount)
		case tickets.TextSet, tickets.SetAdd, tickets.SetRemove:
			fmt.Fprintf(&b, " %q", s.Text)
		}
		if s.Life != 0 {
			fmt.Fprintf(&b, " life %s", s.Life)
		}
		if s.ID != "" {
			fmt.Fprintf(&b, " id %q", s.ID)
		}
		return b.String()
	case Crash:
		fmt.Fprintf(&b, " after %d effects, disk %s", s.After, s.Disk)
	case Cut, Stall:
		b.Reset()
		b.WriteString(s.Kind.String())
		for _, l := range s.Links {
			fmt.Fprintf(&b, " %s->%s", host[l[0]], host[l[1]])
		}
	}
	if s.Shift != 0 {
		fmt.Fprintf(&b, " by %s", s.Shift)
	}
	if s.For != 0 {
		fmt.Fprintf(&b, " for %s", s.For)
	}
	return b.String()
}

// String is the whole plan, readable.
func (p *Plan) String() string {
	var b strings.Builder
	t := p.Topology.TimersFor(p.Topology.Members()[0])
	fmt.Fprintf(&b, "seed %d: %s of %d nodes for %s, pings every %s, peer timeout %s\n",
		p.Seed, shapeOf(p.Topology), len(p.Topology.Nodes), p.Duration, t.PingInterval, t.PeerTimeout)
	fmt.Fprintf(&b, "latency %s, loss %.3f, duplicates %.3f, commits %s, grace %s, clocks off by %v, intervals %v\n",
		p.Latency, p.Loss, p.Duplicate, p.DiskTime, p.Grace, p.Skew, p.Interval)
	if p.Patient {
		b.WriteString("no updates at a node whose disk was lost or put back until all members told it what it had promised\n")
	}
	for i := range p.Steps {
		fmt.Fprintf(&b, "%12s  %s\n", p.Steps[i].At, p.describe(&p.Steps[i]))
	}
	return b.String()
}

// shapeOf names the shape of a topology.
func shapeOf(t *topologies.Topology) string {
	if t.Direction == topologies.OneWay {
		return topologies.OneWayRing
	}
	return t.Shape
}
