package simulator

import (
	"flag"
	"os"
	"testing"
	"time"

	"bluerings/topologies"
)

var (
	seeds = flag.Int("seeds", 60, "seeds to simulate")
	first = flag.Uint64("seed", 1, "first seed")
	trace = flag.Bool("trace", false, "print what happens")
)

func TestSeeds(t *testing.T) {
	acked, hours := 0, time.Duration(0)
	for i := range *seeds {
		o := Options{Seed: *first + uint64(i), Duration: 60 * time.Second}
		if *trace {
			o.Trace = os.Stderr
		}
		r := Run(o)
		if r.Failure != nil {
			t.Errorf("%s of %d nodes: %v", r.Shape, r.Nodes, r.Failure)
			if t.Failed() && i > 5 {
				return
			}
		}
		acked += r.Acked
		hours += r.Virtual * time.Duration(r.Nodes)
	}
	t.Logf("%s of node time, %d acknowledgements", hours, acked)
}

func TestOneSeedIsOneHistory(t *testing.T) {
	o := Options{Seed: *first, Duration: 30 * time.Second}
	if a, b := Run(o), Run(o); a.Events != b.Events || a.Bytes != b.Bytes || a.Acked != b.Acked {
		t.Fatalf("two runs of seed %d differ:\n%+v\n%+v", o.Seed, a, b)
	}
}

// TestRest tells what a ring at rest costs: pings, whatever it has counted.
func TestRest(t *testing.T) {
	for _, shape := range []string{"full-mesh", "star"} {
		for _, nodes := range []int{3, 10} {
			topology, err := topologies.Generate(shape, nodes)
			if err != nil {
				t.Fatal(err)
			}
			r := Run(Options{Seed: *first, Topology: topology, Duration: 5 * time.Second, NoFaults: true})
			if r.Failure != nil {
				t.Fatal(r.Failure)
			}
			t.Logf("%s of %d: %.0f bytes/s received by a node", shape, nodes, r.RestRate())
		}
	}
}
