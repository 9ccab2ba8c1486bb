package simulator

import "time"

// carryOut does what the plan says happens now.
func (s *Simulation) carryOut(step *Step) {
	n := s.nodes[step.Node]
	if step.Kind != Update {
		s.tracef("%s", s.plan.describe(step))
		s.trouble(step.For)
	}
	switch step.Kind {
	case Update:
		s.update(n, step)
	case Crash:
		n.doomed(step)
	case Stop:
		n.stop(step)
	case Pause:
		n.stand(step.For)
	case Cut:
		s.cut(step)
	case Stall:
		for _, l := range s.linksOf(step) {
			l.stall(step.For)
		}
	case Jump:
		n.shift(step.Shift)
	case Freeze:
		n.freeze(step.For, step.Shift != 0)
	case Full:
		s.Result.Full++
		n.full = true
		s.in(step.For, func() { n.full = false })
	case SlowDisk:
		s.Result.Slow++
		n.slowDisk = step.Shift
		s.in(step.For, func() { n.slowDisk = 0 })
	case SlowNode:
		s.Result.Slow++
		n.slowNode = step.Shift
		s.in(step.For, func() { n.slowNode = 0 })
	case Copy:
		n.copy = n.disk.clone()
	}
}

// trouble notes that a fault is under way for so long.
func (s *Simulation) trouble(long time.Duration) { s.troubled = max(s.troubled, s.now+long) }

func (n *node) slowness(rng source) time.Duration {
	if n.slowNode == 0 {
		return 0
	}
	return rng.between(0, n.slowNode)
}

// linksOf are the links that a step speaks of.
func (s *Simulation) linksOf(step *Step) (links []*link) {
	for _, l := range s.links {
		for _, ends := range step.Links {
			if l.from.index == ends[0] && l.to.index == ends[1] {
				links = append(links, l)
			}
		}
	}
	return links
}

func (s *Simulation) cut(step *Step) {
	links := s.linksOf(step)
	s.Result.Cuts++
	s.Result.LinksCut += len(links)
	for _, l := range links {
		l.cut++
		l.reset(false)
	}
	s.in(step.For, func() {
		for _, l := range links {
			l.cut--
			l.reset(false)
		}
	})
}

// doomed lets the process crash: now, or before one of its next effects.
func (n *node) doomed(step *Step) {
	switch {
	case !n.up:
	case step.After == 0 || n.paused:
		n.crash(step)
	case n.fuse == 0:
		n.fuse, n.doom = step.After, step
	}
}

// crash ends the process. What is being written is there or not.
func (n *node) crash(step *Step) {
	s := n.sim
	s.Result.Crashes++
	if n.writing != nil && !n.written && !n.full && n.rng.chance(0.5) {
		n.writing.Encode()
		n.disk.commit(s, n.writing)
		s.stored(n, n.writing)
	}
	n.early = s.forgo(n.early)
	n.down()
	n.meet(step.Disk)
	n.clock.skew += step.Shift
	if step.Shift != 0 {
		s.Result.Clocks++
	}
	if step.Shift < 0 {
		s.Result.Backwards++
	}
	n.back(step.For)
}

// meet lets the disk have its fate, if the promises allow for it now.
func (n *node) meet(fate Fate) {
	s := n.sim
	var rest *disk
	switch fate {
	case Kept:
		return
	case Rewound:
		rest = n.copy
	case Reverted:
		rest = n.disk.last
	}
	if !s.mayLose(n) {
		return
	}
	if rest == nil {
		rest = &disk{fresh: true}
		fate = Lost
	}
	s.lose(n, rest)
	s.tracef("the disk of %s is %s", n.host, fate)
	*[...]*int{nil, &s.Result.Lost, &s.Result.Rewound, &s.Result.Reverted}[fate]++
	n.disk, n.strange = rest.clone(), true
	n.copy = nil
}

// stop ends the process with good manners: the links first, then what was
// accepted is made durable.
func (n *node) stop(step *Step) {
	if !n.up || n.paused || n.closing {
		return
	}
	s, life := n.sim, n.life
	s.Result.Stops++
	n.closing = true
	n.resetLinks(true)
	n.replica.Leave()
	n.after()
	s.in(5*time.Second, func() { // it would have been killed
		if n.life == life && n.up {
			n.crash(&Step{})
		}
	})
	n.back(step.For)
}

// end is when a process that was told to stop has stopped.
func (n *node) end() {
	n.sim.tracef("%s stopped", n.host)
	n.down()
}

func (n *node) down() {
	n.sim.reaching.changes()
	if n.running() {
		n.stood = n.sim.now
	}
	n.up, n.paused, n.closing, n.late = false, false, false, nil
	n.replica, n.table, n.writing, n.waiting = nil, nil, nil, nil
	n.fuse, n.doom = 0, nil
	n.life++
	n.resetLinks(true)
}

// back starts the process again after a while.
func (n *node) back(away time.Duration) {
	s := n.sim
	s.trouble(away)
	s.in(away, func() {
		switch {
		case n.up && n.closing:
			n.back(time.Second)
		case !n.up:
			n.start()
		}
	})
}

// stand lets the process stand still.
func (n *node) stand(d time.Duration) {
	if !n.up || n.paused {
		return
	}
	s, life := n.sim, n.life
	s.Result.Pauses++
	s.reaching.changes()
	n.paused, n.stood = true, s.now
	s.in(d, func() {
		if n.life != life {
			return
		}
		s.reaching.changes()
		n.paused = false
		late := n.late
		n.late = nil
		for _, f := range late {
			f()
		}
	})
}

// heal ends all faults.
func (s *Simulation) heal() {
	s.calm = true
	s.tracef("calm")
	s.troubled = s.now
	for _, n := range s.nodes {
		n.fuse, n.full, n.slowDisk, n.slowNode = 0, false, 0, 0
		n.clock = clock{}
	}
	for _, n := range s.nodes {
		if !n.up {
			n.start()
		}
	}
}
