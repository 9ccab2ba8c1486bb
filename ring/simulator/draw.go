package simulator

import (
	"slices"
	"time"

	"bluerings/topologies"
)

// Draw makes the plan of a seed. Each seed has its own mix of faults, sizes
// and rates, and many lack some of them altogether: swarm testing, after Groce,
// Zhang, Eide, Chen and Regehr (ISSTA 2012).
func Draw(o Options) *Plan {
	g := newSource(o.Seed, 0)
	p := &Plan{Seed: o.Seed, Topology: o.Topology, Duration: o.Duration}
	if p.Topology == nil {
		p.Topology = drawTopology(g, shapesOf(o.Seed))
	}
	if p.Duration == 0 {
		p.Duration = g.between(time.Minute, 8*time.Minute)
	}
	d := &drawing{source: g, plan: p, nodes: len(p.Topology.Members())}
	for _, l := range p.Topology.Links() {
		from, _ := slices.BinarySearch(p.Topology.Members(), l.From)
		to, _ := slices.BinarySearch(p.Topology.Members(), l.To)
		d.links = append(d.links, [2]int{from, to})
	}
	d.conditions(o.NoFaults)
	d.off = slices.Clone(p.Skew)
	d.updates()
	if !o.NoFaults {
		d.faults()
		p.only(o.Faults)
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return int(min(max(a.At-b.At, -1), 1)) })
	return p
}

// drawing is a plan in the making.
type drawing struct {
	source
	plan  *Plan
	nodes int
	links [][2]int
	// Clocks move far; disks are lost or put back. Where both come together,
	// finality is promised only if clients are patient.
	clocks, disks bool
	off           []time.Duration // by node, how far its clock was moved
	names         int             // that are updated
	brief         float64         // share of names that expire
}

func (d *drawing) add(s Step) {
	s.For = min(s.For, d.plan.Duration-s.At)
	d.plan.Steps = append(d.plan.Steps, s)
}

func (d *drawing) conditions(gentle bool) {
	c := &d.plan.Conditions
	c.Latency = d.between(50*time.Microsecond, 5*time.Millisecond)
	c.DiskTime = d.between(150*time.Microsecond, 2*time.Millisecond)
	c.Grace = d.between(0, 5*time.Second)
	c.Skew = make([]time.Duration, d.nodes)
	c.Interval = make([]time.Duration, d.nodes)
	if gentle {
		return
	}
	c.Late = d.Float64()
	if d.chance(0.5) {
		c.Portion = 1 + d.IntN(4)
	}
	if d.chance(0.5) {
		c.Loss = d.Float64() * 0.2
	}
	if d.chance(0.3) {
		c.Duplicate = d.Float64() * 0.2
	}
	if d.chance(0.2) {
		c.DiskTime = d.between(10*time.Millisecond, time.Second)
	}
	d.clocks, d.disks = d.chance(0.25), d.chance(0.6)
	c.Patient = d.clocks && d.disks
	if d.chance(0.4) {
		most := d.between(0, 300*time.Millisecond)
		for i := range c.Skew {
			c.Skew[i] = d.upTo(most)
		}
	}
	if d.chance(0.15) {
		for i := range c.Interval {
			if d.chance(0.7) {
				c.Interval[i] = d.between(10*time.Millisecond, time.Second)
			}
		}
	}
}

// tripleStars is the first seed that may draw a star with three hubs: those below keep
// their histories.
const tripleStars = 1 << 40

// shapesOf are the shapes that a seed draws from.
func shapesOf(seed uint64) []string {
	shapes := []string{
		topologies.FullMesh, topologies.FullMesh, topologies.FullMesh, topologies.Star, topologies.Star, topologies.Ring,
		topologies.OneWayRing, topologies.DualStar, topologies.Hierarchy, topologies.Custom, topologies.Custom,
	}
	if seed >= tripleStars {
		shapes = append(shapes, topologies.TripleStar)
	}
	return shapes
}

func drawTopology(g source, shapes []string) *topologies.Topology {
	nodes := 2 + g.IntN(5)
	if g.chance(0.04) {
		nodes = 8 + g.IntN(5)
	}
	shape := shapes[g.IntN(len(shapes))]
	t, err := topologies.Generate(shape, nodes)
	if shape == topologies.Custom {
		t, err = drawCustom(g, nodes)
	}
	if err != nil {
		t, _ = topologies.Generate(topologies.FullMesh, max(3, nodes))
	}
	t.Value = topologies.Integer
	plain := *t
	plain.Nodes = slices.Clone(t.Nodes)
	drawRoles(g, t)
	if bad(t) {
		t = &plain
	}
	if g.chance(0.75) {
		ping := []time.Duration{250, 500, 500, 1000, 1000, 1500, 2000}[g.IntN(7)] * time.Millisecond
		t.Timers.PingInterval = &ping
	}
	return t
}

// drawCustom is a one-way ring, so that all are reached, and random chords.
func drawCustom(g source, nodes int) (*topologies.Topology, error) {
	t, err := topologies.Generate(topologies.FullMesh, nodes)
	if err != nil {
		return nil, err
	}
	t.Shape = topologies.Custom
	chords := g.Float64()
	for i := range t.Nodes {
		n := &t.Nodes[i]
		n.SubscribeTo = []string{t.Nodes[(i+1)%nodes].Host}
		for k := range t.Nodes {
			if host := t.Nodes[k].Host; k != i && host != n.SubscribeTo[0] && g.chance(chords*chords) {
				n.SubscribeTo = append(n.SubscribeTo, host)
			}
		}
	}
	return t, nil
}

// drawRoles makes a node a router or a receiver now and then.
func drawRoles(g source, t *topologies.Topology) {
	if g.chance(0.15) && len(t.Hubs) > 0 {
		t.Nodes[0].Role = topologies.Router
	}
	if g.chance(0.15) && len(t.Nodes) > 2 {
		t.Nodes[len(t.Nodes)-1].Role = topologies.Receiver
	}
}

func bad(t *topologies.Topology) bool {
	return slices.ContainsFunc(t.Check(), func(p topologies.Problem) bool { return p.Severity == topologies.SeverityError })
}
