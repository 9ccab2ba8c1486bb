package topologies

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var generated = []string{FullMesh, Star, DualStar, TripleStar, Ring, OneWayRing, Hierarchy}

func anyTopology(t *rapid.T) *Topology {
	top, err := Generate(rapid.SampledFrom(generated).Draw(t, "shape"), rapid.IntRange(3, 40).Draw(t, "n"))
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func TestGeneratedTopologies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		top := anyTopology(t)
		if problems := top.Check(); len(problems) > 0 {
			t.Fatalf("problems: %v", problems)
		}
		again, err := Parse("generated", top.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if again.Digest() != top.Digest() {
			t.Fatal("another digest after encoding")
		}
		if len(again.Check()) > 0 {
			t.Fatalf("problems after encoding: %v", again.Check())
		}
		if r := top.Analyse(); r.MessagesPerUpdate < float64(r.Nodes-1) {
			t.Fatalf("%v messages do not reach %d nodes", r.MessagesPerUpdate, r.Nodes)
		}
	})
}

func TestLinksAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		top := anyTopology(t)
		var up, down []Link
		for _, host := range top.Members() {
			up = append(up, top.Upstreams(host)...)
			n, _ := top.Node(host)
			for _, to := range top.Downstreams(host) {
				down = append(down, Link{host, to, n.Pub})
			}
		}
		slices.SortFunc(up, func(a, b Link) int { return slices.Compare([]string{a.From, a.To}, []string{b.From, b.To}) })
		if d := cmp.Diff(top.Links(), up); d != "" {
			t.Fatal(d)
		}
		if d := cmp.Diff(top.Links(), down); d != "" {
			t.Fatal(d)
		}
	})
}

// TestReachAgainstFloyd compares the bit sets with the textbook, on graphs with receivers.
func TestReachAgainstFloyd(t *testing.T) {
	const far = 1 << 20
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "n")
		top := &Topology{Ring: "r", Value: Integer, Shape: Custom}
		for i := range n {
			node := Node{Host: hostName(i, n), Pub: "tcp://h:" + string(rune('1'+i)), Role: Member}
			if rapid.IntRange(0, 3).Draw(t, "receiver") == 0 {
				node.Role = Receiver
			}
			for j := range n {
				if rapid.Bool().Draw(t, "link") {
					node.SubscribeTo = append(node.SubscribeTo, hostName(j, n))
				}
			}
			top.Nodes = append(top.Nodes, node)
		}
		g := top.graph()
		dist := make([][]int, n)
		for i := range dist {
			dist[i] = make([]int, n)
			for j := range dist[i] {
				switch {
				case i == j:
				case g.out[i].has(j):
					dist[i][j] = 1
				default:
					dist[i][j] = far
				}
			}
		}
		for k := range n {
			for i := range n {
				for j := range n {
					if g.forwards.has(k) {
						dist[i][j] = min(dist[i][j], dist[i][k]+dist[k][j])
					}
				}
			}
		}
		diameter, whole := 0, true
		for i := range n {
			for j := range n {
				if dist[i][j] >= far {
					whole = false
				} else {
					diameter = max(diameter, dist[i][j])
				}
			}
		}
		if got := top.Diameter(); got != diameter {
			t.Fatalf("diameter %d, want %d", got, diameter)
		}
		if got := g.connected(g.all()); got != whole {
			t.Fatalf("connected %v, want %v", got, whole)
		}
		if failed := Problems(top.Check()).failed(); failed == whole {
			t.Fatalf("connected %v, but problems %v", whole, top.Check())
		}
	})
}

func TestDigestIsOfTheMeaning(t *testing.T) {
	base := load(t, "star-5.toml")
	same := map[string]func(*Topology){
		"http":    func(t *Topology) { t.Nodes[1].HTTP = "127.0.0.1:9" },
		"pub":     func(t *Topology) { t.Nodes[1].Pub = "tcp://10.0.0.1:9" },
		"order":   func(t *Topology) { slices.Reverse(t.Nodes) },
		"timers":  func(t *Topology) { t.Timers.FloodDelay = new(1 * ms) },
		"no role": func(t *Topology) { t.Nodes[1].Role = "" },
	}
	other := map[string]func(*Topology){
		"ring":  func(t *Topology) { t.Ring = "other" },
		"value": func(t *Topology) { t.Value = Integer },
		"host":  func(t *Topology) { t.Nodes[4].Host = "x" },
		"role":  func(t *Topology) { t.Nodes[4].Role = Router },
		"hubs":  func(t *Topology) { t.Hubs = []string{"a", "b"} },
		"shape": func(t *Topology) { t.Shape = FullMesh },
		"fewer": func(t *Topology) { t.Nodes = t.Nodes[:4] },
	}
	for name, change := range same {
		if got := changed(base, change); got.Digest() != base.Digest() {
			t.Errorf("%s changes the digest", name)
		}
	}
	for name, change := range other {
		if got := changed(base, change); got.Digest() == base.Digest() {
			t.Errorf("%s does not change the digest", name)
		}
	}
}

func changed(top *Topology, change func(*Topology)) *Topology {
	c := *top
	c.Nodes = slices.Clone(c.Nodes)
	change(&c)
	return &c
}

func TestDiameters(t *testing.T) {
	for shape, want := range map[string]int{
		FullMesh: 1, Star: 2, DualStar: 2, TripleStar: 2, Ring: 12, OneWayRing: 23, Hierarchy: 3,
	} {
		top, err := Generate(shape, 24)
		if err != nil {
			t.Fatal(err)
		}
		if got := top.Diameter(); got != want {
			t.Errorf("%s of 24: diameter %d, want %d", shape, got, want)
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, test := range []struct {
		shape string
		n     int
		ports []int
	}{
		{Custom, 3, nil}, {"cube", 3, nil}, {Star, 0, nil}, {Star, MaxNodes + 1, nil}, {TripleStar, 2, nil},
		{Star, 3, []int{65531}}, {Star, 3, []int{0, 1}}, {Star, 3, []int{4001, 4002}},
	} {
		if _, err := Generate(test.shape, test.n, test.ports...); err == nil {
			t.Errorf("generated %+v", test)
		}
	}
}

func TestLargestRing(t *testing.T) {
	for _, shape := range []string{FullMesh, DualStar, OneWayRing} {
		top, err := Generate(shape, MaxNodes)
		if err != nil {
			t.Fatal(err)
		}
		if r := top.Analyse(); r.Nodes != MaxNodes {
			t.Errorf("%v", r)
		}
	}
}
