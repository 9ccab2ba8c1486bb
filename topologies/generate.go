package topologies

import "fmt"

// Names that Generate takes besides the shapes.
const (
	DualStar   = "dual-star"    // a star with two hubs
	TripleStar = "triple-star"  // a star with three hubs
	OneWayRing = "one-way-ring" // a ring in direction one-way
)

// The first ports of a generated topology, unless told otherwise.
const (
	FirstPubPort  = 4001
	FirstHTTPPort = 8081
)

// Generate makes a topology named "dev" of n nodes on 127.0.0.1, for trying things out: hosts
// a, b, c … (n001, n002 … beyond 26), decimal values, default timers. The shape is any but custom, or
// DualStar, TripleStar or OneWayRing. Hubs and apexes are the first nodes, of the ring or of their site;
// a hierarchy has a site for every eight nodes, at least two.
//
// Ports count up from FirstPubPort and FirstHTTPPort. With one port given, pubs count up from it
// and HTTP follows after the last pub; with two, they are the first pub and HTTP ports. It is an
// error if shape, number or ports do not fit.
func Generate(shape string, n int, ports ...int) (*Topology, error) {
	if n < 1 || n > MaxNodes {
		return nil, fmt.Errorf("generate topology: %d nodes are not between 1 and %d", n, MaxNodes)
	}
	pub, http := FirstPubPort, FirstHTTPPort
	switch len(ports) {
	case 0:
	case 1:
		pub, http = ports[0], ports[0]+n
	default:
		pub, http = ports[0], ports[1]
	}
	if min(pub, http) < 1 || max(pub, http)+n-1 > 65535 {
		return nil, fmt.Errorf("generate topology: %d nodes from ports %d and %d leave 1 to 65535", n, pub, http)
	}
	t := &Topology{Ring: "dev", Value: Decimal, Shape: shape}
	for i := range n {
		t.Nodes = append(t.Nodes, Node{
			Host: hostName(i, n),
			Pub:  fmt.Sprintf("tcp://127.0.0.1:%d", pub+i),
			HTTP: fmt.Sprintf("127.0.0.1:%d", http+i),
			Role: Member,
		})
	}
	if err := t.arrange(shape); err != nil {
		return nil, fmt.Errorf("generate topology: %w", err)
	}
	if problems := Problems(t.Check()); problems.failed() {
		return nil, fmt.Errorf("generate topology: %w", problems)
	}
	return t, nil
}

// arrange states what a shape needs beyond its nodes.
func (t *Topology) arrange(shape string) error {
	hubs := 0
	switch shape {
	case FullMesh, Ring:
	case OneWayRing:
		t.Shape, t.Direction = Ring, OneWay
	case Star:
		hubs = 1
	case DualStar:
		hubs = 2
	case TripleStar:
		hubs = 3
	case Hierarchy:
		t.settle()
	default:
		shapes := []string{FullMesh, Star, DualStar, TripleStar, Ring, OneWayRing, Hierarchy}
		return fmt.Errorf("no shape %q: %s", shape, suggest(shape, shapes))
	}
	if hubs > len(t.Nodes) {
		return fmt.Errorf("a %s needs at least %d nodes", shape, hubs)
	}
	if hubs > 0 {
		t.Shape = Star
	}
	for _, n := range t.Nodes[:hubs] {
		t.Hubs = append(t.Hubs, n.Host)
	}
	return nil
}

// settle spreads the nodes over sites of about eight, the first of each its apex.
func (t *Topology) settle() {
	n := len(t.Nodes)
	sites := min(n, max(2, (n+7)/8))
	for i := range t.Nodes {
		site := i * sites / n
		t.Nodes[i].Site = fmt.Sprintf("site-%d", site+1)
		t.Nodes[i].Apex = i == 0 || (i-1)*sites/n != site
	}
}

func hostName(i, n int) string {
	if n <= 26 {
		return string(rune('a' + i))
	}
	return fmt.Sprintf("n%0*d", len(fmt.Sprint(n)), i+1)
}
