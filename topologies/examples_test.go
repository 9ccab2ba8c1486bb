package topologies

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExamples pins what the example files mean.
func TestExamples(t *testing.T) {
	tests := map[string]struct {
		nodes, links, diameter int
		single                 string
		oneWay                 int
	}{
		"pair.toml":                  {2, 2, 1, "", 0},
		"mesh-3.toml":                {3, 6, 1, "", 0},
		"star-5.toml":                {5, 8, 2, "a", 0},
		"dual-star.toml":             {6, 18, 2, "", 0},
		"triple-star.toml":           {8, 36, 2, "", 0},
		"one-way-ring-3.toml":        {3, 3, 2, "a b c", 3},
		"ring-5.toml":                {5, 10, 2, "", 0},
		"counter-rotating-ring.toml": {6, 12, 3, "", 0},
		"two-sites.toml":             {7, 18, 3, "lyo1", 0},
	}
	files, err := filepath.Glob("*.toml")
	if err != nil || len(files) != len(tests) {
		t.Fatalf("%d example files (%v), want %d: every one has a row here", len(files), err, len(tests))
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			want := tests[file]
			top, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if problems := top.Check(); len(problems) > 0 {
				t.Errorf("problems: %v", problems)
			}
			r := top.Analyse()
			if r.Nodes != want.nodes || r.Links != want.links || r.Diameter != want.diameter || top.Diameter() != want.diameter ||
				strings.Join(r.SinglePoints, " ") != want.single || len(r.Asymmetries) != want.oneWay {
				t.Errorf("got\n%s, want %+v", r, want)
			}
			text, err := os.ReadFile(file)
			if err != nil || !strings.HasPrefix(string(text), "# ") {
				t.Errorf("no comment at the top (%v)", err)
			}
			again, err := Parse(file, top.Encode())
			if err != nil {
				t.Fatal(err)
			}
			top.source, again.source = nil, nil
			if d := cmp.Diff(top, again, cmp.AllowUnexported(Topology{})); d != "" {
				t.Errorf("encoded and parsed again: %s", d)
			}
		})
	}
}

func TestCounterRotatingRingIsARing(t *testing.T) {
	custom := load(t, "counter-rotating-ring.toml")
	ring := *custom
	ring.Shape, ring.Nodes = Ring, slices.Clone(ring.Nodes)
	if custom.Digest() != ring.Digest() {
		t.Error("digests differ")
	}
}

func TestOneWayRingFollowsTheFile(t *testing.T) {
	top := load(t, "one-way-ring-3.toml")
	want := []Link{
		{"a", "b", "tcp://127.0.0.1:4001"},
		{"b", "c", "tcp://127.0.0.1:4002"},
		{"c", "a", "tcp://127.0.0.1:4003"},
	}
	if d := cmp.Diff(want, top.Links()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want[2:], top.Upstreams("a")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"b"}, top.Downstreams("a")); d != "" {
		t.Error(d)
	}
}

func TestAlone(t *testing.T) {
	top := Alone("prepaid", Decimal, "a")
	if problems := top.Check(); len(problems) > 0 {
		t.Error(problems)
	}
	if n, ok := top.Node("a"); !ok || !n.Updates() || !n.Forwards() {
		t.Errorf("node %+v, %v", n, ok)
	}
	if _, ok := top.Node("b"); ok {
		t.Error("found b")
	}
	if top.Diameter() != 0 || len(top.Links()) != 0 || top.Upstreams("b") != nil || top.Downstreams("b") != nil {
		t.Error("a node alone has peers")
	}
	if _, err := Parse("alone", top.Encode()); err != nil {
		t.Error(err)
	}
}

func TestReportString(t *testing.T) {
	want := `ring                    prepaid (decimal values)
shape                   hierarchy
nodes                   7 (6 member, 1 receiver)
links                   18
diameter                3
single points of failure  lyo1
one-way links           none
messages per update     11.3
convergence             2ms of forwarding and 3 network hops; 450ms more after a loss
peer timeout            1.5s
`
	if d := cmp.Diff(strings.Fields(want), strings.Fields(load(t, "two-sites.toml").Analyse().String())); d != "" {
		t.Error(d)
	}
}

func load(t testing.TB, file string) *Topology {
	t.Helper()
	top, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func parse(t testing.TB, text string) *Topology {
	t.Helper()
	top, err := Parse("test.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return top
}
