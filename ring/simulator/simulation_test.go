package simulator

import (
	"flag"
	"os"
	"testing"
	"time"

	"bluerings/topologies"
)

var (
	seeds    = flag.Int("seeds", 60, "seeds to simulate")
	first    = flag.Uint64("first", 1, "first seed")
	duration = flag.Duration("duration", 0, "virtual time of updates and faults in each seed; 0: drawn")
	goOn     = flag.Bool("go-on", false, "play all seeds, also after a failure")
	trace    = flag.Bool("trace", false, "print what happens")
)

// TestSeeds plays seeds, as many at once as there are processors. It prints
// "seed N: CHECKER: message" for those that fail, and ends soon after the first
// unless told to go on.
func TestSeeds(t *testing.T) {
	m := Many{Options: Options{Seed: *first, Duration: *duration}, Seeds: *seeds, GoOn: *goOn}
	if *trace {
		m.Trace, m.Workers = os.Stderr, 1
	}
	if testing.Short() {
		m.Seeds = min(m.Seeds, 15)
	}
	m.Each = func(r Result) {
		if r.Failure != nil {
			t.Errorf("%v: %s of %d nodes", r.Failure, r.Shape, r.Nodes)
		}
	}
	begun := time.Now()
	total := m.Play(t.Context())
	t.Logf("%d seeds, %.1f node-hours, %.2f a second\n%s", total.Seeds, total.NodeTime.Hours(), total.NodeTime.Hours()/time.Since(begun).Seconds(), total)
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
