package simulator

import (
	"time"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/topologies"
)

// node is one host: its disk and clock, and a process that may be down or
// stand still.
type node struct {
	sim      *Simulation
	index    int
	host     string
	timers   topologies.EffectiveTimers
	config   replica.Config
	rng      source
	in, out  []*link
	disk     *disk
	strange  bool  // the disk was lost or put back, and may lack what was promised before
	copy     *disk // to be put back some day
	clock    clock
	full     bool
	slowDisk time.Duration
	slowNode time.Duration

	up, paused, closing bool
	stood               time.Duration // since when it has been down or paused, if it is
	started             time.Duration
	life                int      // of the process: events of earlier lives are void
	late                []func() // what happened while it was paused
	fuse                int      // effects until it crashes; 0: it will not
	doom                *Step    // why

	table   *tickets.Table
	replica *replica.Replica
	writing *replica.Batch
	written bool          // but the process does not know yet
	pause   time.Duration // Async: the next commit is not before then
	waiting []waiter
	early   []*operation // acknowledged and not durable
	final   seen
	flooded map[tickets.Origin]uint64 // by this process
	// What this process was told of the ends of its own logs, the runs of others that it
	// reported to, and the log that it mints in.
	toldHeads, answered map[tickets.Origin]uint64
	minting             tickets.Origin
	inherited           hlc.Timestamp // what a former process had promised of it
	seen                hlc.Timestamp // the latest date of what this process stored
}

// seen is what was last looked at of what a process reports.
type seen struct {
	final  hlc.Timestamp
	broken uint64
}

func newNode(s *Simulation, i int, host string) *node {
	return &node{
		sim: s, index: i, host: host, timers: s.plan.Topology.TimersFor(host), rng: newSource(s.plan.Seed, 10+uint64(i)),
		disk: &disk{fresh: true}, clock: clock{skew: s.plan.Skew[i]},
	}
}

func (n *node) configure() replica.Config {
	t, m := n.sim.plan.Topology, n.timers
	self, _ := t.Node(n.host)
	c := replica.Config{
		Host: n.host, Ring: t.Ring, Kind: n.sim.kind(), Digest: t.Digest(), Members: t.Members(),
		Downstreams: t.Downstreams(n.host), Updates: self.Updates(), Forwards: self.Forwards(), Async: n.async(),
		PingInterval: m.PingInterval, PeerTimeout: m.PeerTimeout, ForwardDelay: m.ForwardDelay,
		ConnectDelay: m.ConnectDelay, FloodDelay: m.FloodDelay, MaxSkew: 500 * time.Millisecond, Portion: n.sim.plan.Portion,
		NewEpoch: func() uint64 { return uint64(n.wall())/uint64(time.Millisecond)<<20 | n.rng.Uint64()>>44 },
	}
	for _, l := range n.in {
		c.Upstreams = append(c.Upstreams, l.from.host)
	}
	return c
}

// async tells whether the node acknowledges before the commit.
func (n *node) async() bool { return n.sim.plan.Interval[n.index] > 0 }

// online tells whether the process has its links open.
func (n *node) online() bool { return n.up && !n.closing }

// start boots a process on the disk.
func (n *node) start() {
	s := n.sim
	s.reaching.changes()
	n.life++
	n.up, n.paused, n.closing, n.late, n.writing = true, false, false, nil, nil
	n.started, n.pause, n.waiting, n.early = s.now, 0, nil, nil
	n.fuse, n.doom, n.final, n.flooded = 0, nil, seen{}, make(map[tickets.Origin]uint64)
	n.toldHeads, n.answered, n.minting = make(map[tickets.Origin]uint64), make(map[tickets.Origin]uint64), tickets.Origin{}
	n.inherited, n.seen = 0, 0
	n.table = tickets.NewTable(s.kind(), n)
	for i, o := range n.disk.origins {
		n.table.AddOrigin(tickets.OriginIndex(i), o)
	}
	for i := range n.disk.blocks {
		for _, b := range n.disk.blocks[i] {
			for k := range b.run.Tickets {
				if _, err := n.table.Apply(tickets.OriginIndex(i), &b.run.Tickets[k]); err != nil {
					s.fail("stored", "%s cannot fold what it has: %v", n.host, err)
				}
			}
		}
	}
	c := n.config
	c.Boot = uint64(n.wall())
	r, err := replica.New(c, n.disk.stored(), n.table, n, n.now())
	if err != nil {
		s.fail("stored", "%s does not start: %v", n.host, err)
	}
	n.replica = r
	s.begun(n)
	if s.trace != nil {
		s.tracef("%s starts at %s, %s", n.host, n.wall(), r.Vector())
	}
	n.openLinks()
	life := n.life
	s.in(n.rng.between(0, 2*time.Second), func() { n.do(life, n.collect) })
	n.tick()
}

// do runs f in the present life of the process: now, or when it goes on.
func (n *node) do(life int, f func()) {
	switch {
	case !n.up || n.life != life:
	case n.paused:
		n.late = append(n.late, func() { n.do(life, f) })
		n.sim.bounded(n, "events that wait for a process", len(n.late), 1<<20)
	default:
		f()
	}
}

func (n *node) tick() {
	life := n.life
	if now := n.now(); n.replica.NextTick() <= now.Mono {
		n.replica.Tick(now)
	}
	if n.after(); n.life != life || !n.up {
		return
	}
	wait := max(n.replica.NextTick()-n.now().Mono, 100*time.Microsecond)
	n.sim.in(wait, func() { n.do(life, n.tick) })
}

// after carries out effects, starts the next commit and looks at what the node
// reports now.
func (n *node) after() {
	life := n.life
	if !n.up || !n.effect() || !n.send(n.replica.Effects()) || n.life != life {
		return
	}
	if n.commit(); n.life == life {
		n.sim.observe(n)
	}
}

// effect lets the process crash before its next effect, if that is its fate.
func (n *node) effect() bool {
	if n.fuse > 0 {
		if n.fuse--; n.fuse == 0 {
			n.crash(n.doom)
			return false
		}
	}
	return true
}

// send carries out what the replica wants done; false if the process died of it.
func (n *node) send(e replica.Effects) bool {
	if n.closing {
		return true // the links are closed
	}
	for _, q := range e.Unask {
		delete(n.linkTo(q.Upstream).topics, q.Topic)
	}
	for _, q := range e.Ask {
		n.linkTo(q.Upstream).ask(q.Topic)
	}
	for _, p := range e.Publish {
		if !n.publish(p.Topic, p.Payload) {
			return false
		}
	}
	for _, st := range e.Stretches {
		if !n.stretch(st) {
			return false
		}
	}
	return true
}

// stretch publishes part of a log from the disk.
func (n *node) stretch(st replica.Stretch) bool {
	for _, b := range n.disk.blocks[st.Origin] {
		if b.Last < st.From || b.First > st.To {
			continue
		}
		encoded := b.Run
		if b.First < st.From || b.Last > st.To {
			encoded = tickets.NewEncoder(n.sim.kind()).AppendRun(nil, b.run.Cut(st.From, st.To))
		}
		if !n.publish(st.Topic, n.replica.Frame(encoded, st.Given)) {
			return false
		}
	}
	return true
}

// Claim implements tickets.Past: no claim ever leaves the table here.
func (n *node) Claim([16]byte) (tickets.Ref, bool, error) { return tickets.Ref{}, false, nil }

// Ticket implements tickets.Past.
func (n *node) Ticket(ref tickets.Ref) (tickets.Ticket, uint64, error) {
	if n.replica != nil {
		if t, link, ok := n.replica.Pending(ref); ok {
			return t, link, nil
		}
	}
	t, link, err := n.disk.ticket(ref)
	if err != nil {
		return tickets.Ticket{}, 0, err
	}
	return *t, link, nil
}
