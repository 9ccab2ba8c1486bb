package simulator

import (
	"testing"
	"time"

	"bluerings/tickets"
	"bluerings/topologies"
)

// TestPlansThatFailed plays plans in which a checker once found a promise
// broken, as they were after shrinking.
func TestPlansThatFailed(t *testing.T) {
	slowPings := planOf(t, topologies.FullMesh, 4, 13701*time.Millisecond,
		Step{At: 8 * time.Second, Node: 0, Kind: Crash, Disk: Kept, Shift: -8 * time.Second, For: 300 * time.Millisecond},
		Step{At: 13700 * time.Millisecond, Node: 0, Kind: Pause, For: 1400 * time.Millisecond},
	)
	second := time.Second
	slowPings.Topology.Timers.PingInterval = &second
	lost := planOf(t, topologies.Star, 5, 40*time.Second,
		Step{At: 5 * time.Second, Node: 1, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u1"}},
		Step{At: 20 * time.Second, Node: 0, Kind: Cut, Links: [][2]int{{0, 2}, {0, 3}, {0, 4}}, For: 6 * time.Second},
		Step{At: 21 * time.Second, Node: 1, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u2"}},
		Step{At: 22 * time.Second, Node: 1, Kind: Crash, Disk: Lost, For: 3 * time.Second},
		Step{At: 28200 * time.Millisecond, Node: 0, Kind: Crash, Disk: Lost, For: time.Second},
	)
	apart, patience := 1500*time.Millisecond, 12*time.Second
	lost.Topology.Timers.PingInterval, lost.Topology.Timers.PeerTimeout = &apart, &patience
	forgotten := planOf(t, topologies.Hierarchy, 3, 50*time.Second,
		Step{At: 8 * time.Second, Node: 1, Kind: Jump, Shift: -time.Hour},
		Step{At: 20 * time.Second, Node: 1, Kind: Crash, For: 300 * time.Millisecond},
		Step{At: 22500 * time.Millisecond, Node: 2, Kind: Crash, For: 5900 * time.Millisecond},
		Step{At: 29500 * time.Millisecond, Node: 0, Kind: Crash, For: 8500 * time.Millisecond},
		Step{At: 51 * time.Second, Node: 2, Kind: Crash, For: 7400 * time.Millisecond},
	)
	forgotten.Topology.Timers = lost.Topology.Timers
	stale := planOf(t, topologies.FullMesh, 5, 60*time.Second,
		Step{At: 5 * time.Second, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u1"}},
		Step{At: 20 * time.Second, Node: 0, Kind: Copy},
		Step{At: 20400 * time.Millisecond, Kind: Cut, Links: [][2]int{{0, 2}, {0, 3}, {0, 4}, {1, 3}, {1, 4}}, For: 3700 * time.Millisecond},
		Step{At: 20600 * time.Millisecond, Kind: Stall, Links: [][2]int{{1, 2}}, For: 7 * time.Second},
		Step{At: 21 * time.Second, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u2"}},
		Step{At: 23 * time.Second, Node: 0, Kind: Crash, Disk: Rewound, Shift: -8 * time.Second, For: time.Second},
		Step{At: 23200 * time.Millisecond, Node: 1, Kind: Crash, Disk: Lost, For: time.Second},
		Step{At: 33 * time.Second, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u3"}},
	)
	stale.Late = 1
	sameRun := planOf(t, topologies.FullMesh, 3, 170*time.Second,
		Step{At: 7 * time.Second, Kind: Cut, Links: [][2]int{{0, 2}, {2, 0}, {1, 2}, {2, 1}}, For: 153500 * time.Millisecond},
		Step{At: 8 * time.Second, Node: 0, Kind: Crash, Shift: -time.Hour, For: 5 * time.Second},
		Step{At: 160 * time.Second, Node: 0, Kind: Crash, For: time.Second},
		Step{At: 160 * time.Second, Kind: Cut, Links: [][2]int{{0, 1}, {1, 0}, {1, 2}, {2, 1}}, For: 8 * time.Second},
	)
	unrecorded := planOf(t, topologies.FullMesh, 2, 50*time.Second,
		Step{At: 14300 * time.Millisecond, Node: 0, Kind: Jump, Shift: -2 * time.Hour},
		Step{At: 20 * time.Second, Node: 1, Kind: Jump, Shift: -25 * time.Minute},
		Step{At: 30 * time.Second, Node: 1, Kind: Crash, Disk: Lost, For: 3200 * time.Millisecond},
		Step{At: 30 * time.Second, Node: 0, Kind: Crash, For: 9 * time.Second},
		Step{At: 49900 * time.Millisecond, Node: 1, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u1"}},
	)
	unrecorded.Patient = true
	sealed := planOf(t, topologies.FullMesh, 3, 40*time.Second,
		Step{At: 10 * time.Second, Node: 2, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u1"}},
		Step{At: 20 * time.Second, Node: 2, Kind: Crash, For: 2 * time.Second},
		Step{At: 22*time.Second + 100*time.Microsecond, Node: 2, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u2"}},
		Step{At: 23400 * time.Millisecond, Node: 2, Kind: Crash, Disk: Lost, Shift: -time.Hour, For: time.Second},
		Step{At: 23400 * time.Millisecond, Node: 0, Kind: Crash, For: 900 * time.Millisecond},
		Step{At: 23400 * time.Millisecond, Node: 1, Kind: Crash, For: 900 * time.Millisecond},
		Step{At: 39 * time.Second, Node: 2, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u3"}},
	)
	sealed.Patient = true
	masked := planOf(t, topologies.FullMesh, 2, 60*time.Second,
		Step{At: 20 * time.Second, Node: 1, Kind: Crash, For: 2 * time.Second},
		Step{At: 25100 * time.Millisecond, Node: 1, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u1"}},
		Step{At: 25500 * time.Millisecond, Node: 1, Kind: Crash, For: 100 * time.Millisecond},
		Step{At: 27500 * time.Millisecond, Node: 1, Kind: Crash, Disk: Lost, Shift: -time.Hour, For: time.Second},
		Step{At: 50 * time.Second, Node: 1, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u2"}},
	)
	masked.Patient = true
	masked.Topology.Timers = lost.Topology.Timers
	remembered := planOf(t, topologies.Star, 5, 42401*time.Millisecond,
		Step{At: 25 * time.Second, Node: 0, Kind: Copy},
		Step{At: 38771 * time.Millisecond, Kind: Cut, Links: [][2]int{{0, 1}, {0, 2}, {0, 3}, {1, 0}, {2, 0}, {3, 0}}, For: 17800 * time.Millisecond},
		Step{At: 38900 * time.Millisecond, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u1"}},
		Step{At: 39 * time.Second, Node: 0, Kind: Crash, Disk: Rewound, For: 3 * time.Second},
		Step{At: 42400 * time.Millisecond, Node: 4, Kind: Crash, Disk: Rewound, For: 3200 * time.Millisecond},
	)
	ahead := planOf(t, topologies.FullMesh, 3, 60*time.Second,
		Step{At: 20 * time.Second, Node: 0, Kind: Copy},
		Step{At: 22800 * time.Millisecond, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u1"}},
		Step{At: 22820 * time.Millisecond, Node: 0, Kind: Crash, Disk: Rewound, Shift: -time.Hour, For: 5 * time.Second},
		Step{At: 50 * time.Second, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u2"}},
	)
	ahead.Patient = true
	ahead.Topology.Timers = lost.Topology.Timers
	const u, r, q, w = 0, 1, 2, 3
	unheard := planOf(t, topologies.OneWayRing, 4, 20*time.Second,
		Step{Kind: Cut, Links: [][2]int{{r, q}}, For: 9 * time.Second},
		Step{Kind: Cut, Links: [][2]int{{w, u}}, For: 5 * time.Second},
		Step{At: 4 * time.Second, Kind: Crash, Node: u, Shift: -time.Hour, For: 500 * time.Millisecond},
		Step{At: 7 * time.Second, Kind: Crash, Node: q, Shift: -time.Hour, For: 500 * time.Millisecond},
	)
	unheard.Skew[u], unheard.Skew[q] = time.Hour, time.Hour
	for name, p := range map[string]*Plan{
		// What a node knew of another's promises, and had called final by them,
		// was in its memory alone; and its clock stood, so nothing made it write.
		"promises in memory": unrecorded,
		// The seal of a log took what was on record of its promises away before
		// those in the log that followed it were.
		"sealed and forgotten": sealed,
		// The only peer with a ticket told its owner, whose disk was put back, and
		// lost its own disk: the owner used the number again.
		"told and forgotten": remembered,
		// A ticket that nobody had been promised anything about came back to its
		// owner, whose clock was behind it by then, and who went on with the log.
		"back from peers, and ahead of the clock": ahead,
		// So did hearing of that seal, before it was on anybody's disk.
		"sealed and not told": masked,
		// Two hosts of a one-way ring came back with earlier clocks, and each was heard
		// only by way of the other, to which nobody listened for that.
		"news by way of a run that is gone": unheard,
		// A node with its clock set back waited for news of its own last process
		// after all who knew of that had started again.
		"nobody knows the later run": forgotten,
		// A ticket lay in a stalled link while the disks that had it were put back
		// and lost, and arrived after its owner had used the number again.
		"from a run that is gone": stale,
		// Two processes with clocks set back came to the same boot, apart.
		"same boot": sameRun,
		// A disk is lost, and the clock set back far: what peers say of former
		// promises holds all the same.
		"disk lost, clock set back": planOf(t, topologies.FullMesh, 3, time.Minute,
			Step{At: 5 * time.Second, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u1"}},
			Step{At: 23 * time.Second, Node: 0, Kind: Crash, Disk: Lost, Shift: -8 * time.Second, For: time.Second},
			Step{At: 26600 * time.Millisecond, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u2"}},
		),
		// A hub told that it alone has a ticket, and lost its disk before it had
		// given it to anybody: its owner waited for it for ever.
		"reported and lost": lost,
		// A ping that lay in a socket told a node of its own last process,
		// which it took for another with its name, and for ever.
		"news of oneself": slowPings,
		// Who gets a log back without the tickets that others collected must
		// know that some are missing.
		"collected elsewhere": planOf(t, topologies.FullMesh, 2, 122*time.Second,
			Step{At: 56 * time.Second, Node: 1, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "brief 4", Amount: -803, Life: 8 * time.Second, Ref: "u1"}},
			Step{At: 113 * time.Second, Node: 1, Kind: Crash, Disk: Lost, For: 3200 * time.Millisecond},
			Step{At: 121 * time.Second, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterSetup, Name: "brief 4", Ref: "u2"}},
		),
	} {
		t.Run(name, p.test)
	}
}

// TestPlansSeldomDrawn plays what seeds hardly ever draw and planted bugs need.
func TestPlansSeldomDrawn(t *testing.T) {
	late := planOf(t, topologies.FullMesh, 3, 40*time.Second,
		Step{At: 20 * time.Second, Node: 0, Kind: Stall, Links: [][2]int{{0, 1}}, For: 8 * time.Second},
		Step{At: 21 * time.Second, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u1"}},
		Step{At: 22 * time.Second, Node: 0, Kind: Crash, Disk: Lost, For: 3 * time.Second},
	)
	late.Late = 1
	const a, d, e = 0, 3, 4
	echoes := planOf(t, topologies.Ring, 5, 40*time.Second,
		Step{At: 22600 * time.Millisecond, Kind: Stall, Links: [][2]int{{a, e}}, For: 6100 * time.Millisecond},
		Step{At: 22725 * time.Millisecond, Kind: Stall, Links: [][2]int{{e, d}}, For: 7200 * time.Millisecond},
		Step{At: 22795 * time.Millisecond, Kind: Stall, Links: [][2]int{{e, a}}, For: 2400 * time.Millisecond},
		Step{At: 24153 * time.Millisecond, Kind: Crash, Node: e, For: 12 * time.Second},
	)
	echoes.Late = 1
	for name, p := range map[string]*Plan{
		// The clock is behind what peers were promised before the disk was put
		// back, and nobody holds more of the log: it goes on, above that.
		"disk put back, clock set back": planOf(t, topologies.FullMesh, 3, time.Minute,
			Step{At: 5 * time.Second, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "u1"}},
			Step{At: 20 * time.Second, Node: 0, Kind: Copy},
			Step{At: 40 * time.Second, Node: 0, Kind: Crash, Disk: Rewound, Shift: -10 * time.Second, For: 4 * time.Second},
		),
		// What a process sent before it stood still arrives while it does: it was heard then.
		"stalled, then paused": planOf(t, topologies.FullMesh, 3, 30*time.Second,
			Step{At: 20 * time.Second, Kind: Stall, Links: [][2]int{{0, 1}, {0, 2}}, For: 800 * time.Millisecond},
			Step{At: 20600 * time.Millisecond, Kind: Pause, Node: 0, For: 4 * time.Second},
		),
		// A member hears of the new process before it has all that the old one sent.
		"news overtake tickets": late,
		// Echoes come back by links that stall one after another, from a node that is gone.
		"old echoes": echoes,
	} {
		t.Run(name, p.test)
	}
}

func (p *Plan) test(t *testing.T) {
	for seed := range uint64(20) { // of delays and of what is asked
		p.Seed = seed
		if r := p.Play(nil); r.Failure != nil {
			t.Fatal(r.Failure)
		}
	}
}

func planOf(t *testing.T, shape string, nodes int, duration time.Duration, steps ...Step) *Plan {
	topology, err := topologies.Generate(shape, nodes)
	if err != nil {
		t.Fatal(err)
	}
	c := Conditions{
		Latency: 500 * time.Microsecond, DiskTime: 500 * time.Microsecond, Grace: 3 * time.Second,
		Skew: make([]time.Duration, nodes), Interval: make([]time.Duration, nodes),
	}
	return &Plan{Topology: topology, Duration: duration, Conditions: c, Steps: steps}
}
