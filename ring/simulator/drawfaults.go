package simulator

import (
	"slices"
	"time"
)

// faults draws every fault of the plan.
func (d *drawing) faults() {
	storms := d.storms()
	each := func(mean time.Duration, draw func(at time.Duration)) {
		if d.chance(0.5) {
			return // this seed has none of the kind
		}
		mean = d.between(mean/4, 2*mean)
		for _, storm := range storms {
			for at := storm[0] + d.soon(mean); at < storm[1]; at += d.soon(mean) {
				draw(at)
			}
		}
	}
	wear, back := d.Float64()*0.6, d.Float64()
	each(15*time.Second, func(at time.Duration) { d.crash(at, wear, back) })
	each(90*time.Second, d.rolling)
	if d.disks {
		each(20*time.Second, func(at time.Duration) { d.crash(at, 1, 0) })
	}
	each(15*time.Second, func(at time.Duration) {
		d.add(Step{At: at, Kind: Pause, Node: d.IntN(d.nodes), For: d.between(10*time.Millisecond, 5*time.Second)})
	})
	each(10*time.Second, func(at time.Duration) {
		d.add(Step{At: at, Kind: Cut, Links: d.oneLink(), For: d.between(50*time.Millisecond, 15*time.Second)})
	})
	each(15*time.Second, d.stall)
	each(20*time.Second, d.isolate)
	each(25*time.Second, d.split)
	each(30*time.Second, d.flap)
	each(15*time.Second, d.jump)
	each(30*time.Second, d.freeze)
	each(30*time.Second, func(at time.Duration) {
		d.add(Step{At: at, Kind: Full, Node: d.IntN(d.nodes), For: d.between(50*time.Millisecond, 8*time.Second)})
	})
	each(25*time.Second, func(at time.Duration) {
		d.add(Step{At: at, Kind: SlowDisk, Node: d.IntN(d.nodes), For: d.between(time.Second, 10*time.Second), Shift: d.between(20*time.Millisecond, 3*time.Second)})
	})
	each(25*time.Second, func(at time.Duration) {
		d.add(Step{At: at, Kind: SlowNode, Node: d.IntN(d.nodes), For: d.between(time.Second, 10*time.Second), Shift: d.between(time.Millisecond, 120*time.Millisecond)})
	})
	if d.disks {
		for at := d.soon(10 * time.Second); at < d.plan.Duration; at += d.soon(15 * time.Second) {
			d.add(Step{At: at, Kind: Copy, Node: d.IntN(d.nodes)})
		}
	}
}

// crash draws a crash; wear is the share that harms the disk, back the share
// of the others in which the clock moved while the process was away.
func (d *drawing) crash(at time.Duration, wear, back float64) {
	s := Step{At: at, Kind: Crash, Node: d.IntN(d.nodes), For: d.between(50*time.Millisecond, 10*time.Second)}
	if d.chance(0.7) {
		s.After = 1 + d.IntN(12)
	}
	if d.chance(0.3) {
		s.For = d.between(10*time.Millisecond, 300*time.Millisecond)
	}
	switch {
	case d.disks && d.chance(wear):
		s.Disk = Fate(1 + d.IntN(3))
		s.For += 3 * time.Second
	case d.clocks && d.chance(back):
		s.Shift = d.upTo(d.between(0, time.Minute))
		if d.chance(0.5) {
			s.Shift = -s.Shift.Abs() % (3 * time.Second) // about as far as the mark behind promises is ahead
		}
	}
	d.add(s)
	if s.Disk != Kept || s.Shift < 0 {
		d.tellingly(s)
	}
	if d.chance(0.1) { // again, before it had time to settle
		s.At += s.For + d.between(0, 2*time.Second)
		s.Disk, s.For = Kept, d.between(50*time.Millisecond, 5*time.Second)
		if s.At < d.plan.Duration {
			d.add(s)
		}
	}
}

// tellingly surrounds a crash after which a process knows less, or has an earlier
// clock, with what may show it: commits that are slow when it comes, updates just before and
// after it, and another disk that is lost right after its owner was asked what it holds.
func (d *drawing) tellingly(crash Step) {
	back := crash.At + crash.For
	if d.chance(0.4) {
		before := d.between(0, 5*time.Second)
		d.add(Step{At: max(crash.At-before, 0), Kind: SlowDisk, Node: crash.Node, For: before + d.between(0, 3*time.Second), Shift: d.between(20*time.Millisecond, 3*time.Second)})
	}
	if d.chance(0.4) {
		d.update(max(crash.At-d.between(0, 200*time.Millisecond), 0), crash.Node)
	}
	if d.chance(0.4) {
		d.update(back+d.between(0, time.Second), crash.Node)
	}
	if d.chance(0.2) {
		d.add(Step{At: crash.At, Kind: Stall, Links: d.oneLink(), For: d.between(time.Second, 8*time.Second)})
	}
	if again := back + d.between(0, 3*time.Second); crash.Disk != Kept && d.chance(0.3) && again < d.plan.Duration {
		d.add(Step{At: again, Kind: Crash, Node: d.IntN(d.nodes), Disk: Fate(1 + d.IntN(3)), For: d.between(3*time.Second, 8*time.Second)})
	}
}

// rolling restarts all nodes in turn, mostly with good manners.
func (d *drawing) rolling(at time.Duration) {
	gap := d.between(200*time.Millisecond, 6*time.Second)
	manners := d.chance(0.7)
	for i := range d.nodes {
		s := Step{At: at, Kind: Crash, Node: i, For: d.between(50*time.Millisecond, 2*gap)}
		if manners {
			s.Kind = Stop
		}
		if at < d.plan.Duration {
			d.add(s)
		}
		at += gap
	}
}

func (d *drawing) oneLink() [][2]int {
	if len(d.links) == 0 {
		return nil
	}
	return [][2]int{d.links[d.IntN(len(d.links))]}
}

// stall keeps what is sent over one link, or all those from a node, for a while.
func (d *drawing) stall(at time.Duration) {
	s := Step{At: at, Kind: Stall, Links: d.oneLink(), For: d.between(50*time.Millisecond, 8*time.Second)}
	if n := d.IntN(d.nodes); d.chance(0.3) {
		s.Links = nil
		for _, l := range d.links {
			if l[0] == n {
				s.Links = append(s.Links, l)
			}
		}
	}
	if len(s.Links) > 0 {
		d.add(s)
	}
}

// isolate cuts a node off, in one direction or both.
func (d *drawing) isolate(at time.Duration) {
	n, way := d.IntN(d.nodes), d.IntN(3)
	d.cut(at, d.between(100*time.Millisecond, 20*time.Second), func(l [2]int) bool {
		return l[0] == n && way != 1 || l[1] == n && way != 2
	})
}

// split cuts the ring in two, in one direction or both.
func (d *drawing) split(at time.Duration) {
	side, way := d.Uint64(), d.IntN(3)
	d.cut(at, d.between(100*time.Millisecond, 20*time.Second), func(l [2]int) bool {
		from, to := side>>l[0]&1, side>>l[1]&1
		return from > to && way != 1 || from < to && way != 2
	})
}

func (d *drawing) cut(at, long time.Duration, chosen func(l [2]int) bool) {
	s := Step{At: at, Kind: Cut, For: long}
	for _, l := range d.links {
		if chosen(l) {
			s.Links = append(s.Links, l)
		}
	}
	if len(s.Links) > 0 {
		d.add(s)
	}
}

// flap cuts a link, or all those of a node, again and again.
func (d *drawing) flap(at time.Duration) {
	links, n := d.oneLink(), d.IntN(d.nodes)
	whole := d.chance(0.4)
	for range 3 + d.IntN(12) {
		long := d.between(20*time.Millisecond, 700*time.Millisecond)
		if at >= d.plan.Duration {
			return
		}
		d.cut(at, long, func(l [2]int) bool { return whole && (l[0] == n || l[1] == n) || !whole && slices.Contains(links, l) })
		at += long + d.between(100*time.Millisecond, 3*time.Second)
	}
}

// jump moves a clock.
func (d *drawing) jump(at time.Duration) {
	far := 200 * time.Millisecond
	if d.clocks && d.chance(0.5) {
		far = []time.Duration{time.Second, 10 * time.Second, 10 * time.Minute, 2 * time.Hour}[d.IntN(4)]
	}
	s := Step{At: at, Kind: Jump, Node: d.IntN(d.nodes), Shift: d.upTo(far)}
	if d.off[s.Node] += s.Shift; !d.clocks && d.off[s.Node].Abs() > 500*time.Millisecond {
		d.off[s.Node] -= s.Shift
		return
	}
	d.add(s)
	if d.chance(0.5) {
		s.At += d.between(100*time.Millisecond, 15*time.Second)
		s.Shift = -s.Shift
		if s.At < d.plan.Duration {
			d.off[s.Node] += s.Shift
			d.add(s)
		}
	}
}

func (d *drawing) freeze(at time.Duration) {
	s := Step{At: at, Kind: Freeze, Node: d.IntN(d.nodes), For: d.between(50*time.Millisecond, 10*time.Second)}
	if !d.clocks {
		s.For = min(s.For, 400*time.Millisecond)
	} else if d.chance(0.5) {
		s.Shift = 1
	}
	d.add(s)
}
