package topologies

import (
	"math"
	"slices"
)

// point is a place in a drawing, in pixels, x to the right and y down.
type point struct{ x, y float64 }

func (a point) minus(b point) point { return point{a.x - b.x, a.y - b.y} }

// plus moves a so far in a direction.
func (a point) plus(direction point, by float64) point {
	return point{a.x + by*direction.x, a.y + by*direction.y}
}

// unit is the direction of a, or right of one that has none.
func (a point) unit() point {
	length := math.Hypot(a.x, a.y)
	if length == 0 {
		return point{1, 0}
	}
	return point{a.x / length, a.y / length}
}

// plan says where the parts of a drawing go.
type plan struct {
	nodes  []point // by index of the node
	sites  []disc  // clusters of a hierarchy
	radius float64 // of a node
}

// disc is a site with room for its nodes.
type disc struct {
	name   string
	centre point
	radius float64
}

// The angles of layouts, in radians clockwise from the right.
const (
	up         = -math.Pi / 2
	left       = math.Pi
	fullCircle = 2 * math.Pi
)

// layout places the nodes by shape: hubs inside a circle of leaves, sites as clusters with their
// apex nodes inside, and otherwise all on a circle in the order of the file.
func (t *Topology) layout() plan {
	p := plan{nodes: make([]point, len(t.Nodes)), radius: 24}
	if len(t.Nodes) > 16 {
		p.radius = 16
	}
	switch t.Shape {
	case Hierarchy:
		p.clusters(t)
	case Star:
		hubs, leaves := t.split(func(n Node) bool { return slices.Contains(t.Hubs, n.Host) })
		p.star(point{}, hubs, leaves)
	default:
		_, all := t.split(func(Node) bool { return false })
		p.circle(point{}, p.ring(len(all), 3.6), all)
	}
	return p
}

// split divides the indices of the nodes by a test.
func (t *Topology) split(test func(Node) bool) (yes, no []int) {
	for i, n := range t.Nodes {
		if test(n) {
			yes = append(yes, i)
		} else {
			no = append(no, i)
		}
	}
	return yes, no
}

// ring is the radius of a circle of n nodes that are so many node radii apart.
func (p *plan) ring(n int, apart float64) float64 {
	if n < 2 {
		return 0
	}
	return max(float64(n)*apart*p.radius/fullCircle, 3.6*p.radius)
}

// circle places nodes evenly on a circle from the top, or two side by side.
func (p *plan) circle(c point, radius float64, nodes []int) {
	from := up
	if len(nodes) == 2 {
		from = left
	}
	p.arc(c, radius, from, fullCircle, nodes)
}

// arc places nodes evenly on an arc: all round from its start, or centred in each share of it.
func (p *plan) arc(c point, radius, from, width float64, nodes []int) {
	step := width / float64(max(1, len(nodes)))
	if width < fullCircle {
		from += step / 2
	}
	for k, i := range nodes {
		sin, cos := math.Sincos(from + float64(k)*step)
		p.nodes[i] = point{c.x + radius*cos, c.y + radius*sin}
	}
}

// star places hubs in the middle and leaves around them, and returns the outer radius.
func (p *plan) star(c point, hubs, leaves []int) float64 {
	inner, outer := p.rings(hubs, leaves)
	p.circle(c, inner, hubs)
	from := up
	if len(hubs) > 1 {
		// Hubs and leaves in different directions keep links from running through hubs.
		from += math.Pi / float64(max(1, len(leaves)))
	}
	p.arc(c, outer, from, fullCircle, leaves)
	return outer
}

func (p *plan) rings(hubs, leaves []int) (inner, outer float64) {
	if len(hubs) > 1 {
		inner = max(2.2*p.radius, float64(len(hubs))*4.4*p.radius/fullCircle)
	}
	return inner, max(inner+4*p.radius, p.ring(len(leaves), 3.6))
}

// clusters places the sites on a circle in the order of the file. In each the apex nodes are in
// the middle and the others behind them, away from the other sites.
func (p *plan) clusters(t *Topology) {
	var names []string
	apexes, others := map[string][]int{}, map[string][]int{}
	for i, n := range t.Nodes {
		if !slices.Contains(names, n.Site) {
			names = append(names, n.Site)
		}
		if n.Apex {
			apexes[n.Site] = append(apexes[n.Site], i)
		} else {
			others[n.Site] = append(others[n.Site], i)
		}
	}
	const fan = 1.5 * math.Pi
	room := 0.0
	outer := map[string]float64{}
	for _, name := range names {
		_, out := p.rings(apexes[name], others[name])
		outer[name] = max(out, float64(len(others[name]))*3.4*p.radius/fan)
		room = max(room, outer[name]+1.9*p.radius)
	}
	distance := 0.0
	if len(names) > 1 {
		distance = (room + 1.6*p.radius) / math.Sin(math.Pi/float64(len(names)))
	}
	from := up
	if len(names) == 2 {
		from = left
	}
	for k, name := range names {
		angle := from + float64(k)*fullCircle/float64(max(1, len(names)))
		sin, cos := math.Sincos(angle)
		c := point{distance * cos, distance * sin}
		inner, _ := p.rings(apexes[name], others[name])
		p.arc(c, inner, angle+math.Pi/2, fullCircle, apexes[name])
		p.arc(c, outer[name], angle-fan/2, fan, others[name])
		p.sites = append(p.sites, disc{name: name, centre: c, radius: outer[name] + 1.9*p.radius})
	}
}
