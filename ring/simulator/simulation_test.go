package simulator

import (
	"flag"
	"os"
	"runtime"
	"sync"
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
	var total Result
	var mu sync.Mutex
	var wait sync.WaitGroup
	next, begun := *first, time.Now()
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for {
				mu.Lock()
				o := Options{Seed: next, Duration: *duration}
				next++
				done := o.Seed >= *first+uint64(*seeds) || total.Failure != nil && !*goOn
				mu.Unlock()
				if done {
					return
				}
				if *trace {
					o.Trace = os.Stderr
				}
				r := Run(o)
				mu.Lock()
				total.Add(r)
				if r.Failure != nil {
					total.Failure = r.Failure
					t.Errorf("%v: %s of %d nodes", r.Failure, r.Shape, r.Nodes)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	wall := time.Since(begun)
	t.Logf("%d seeds, %.1f node-hours, %.2f a second\n%s", total.Seeds, total.NodeTime.Hours(), total.NodeTime.Hours()/wall.Seconds(), total)
}

func TestOneSeedIsOneHistory(t *testing.T) {
	o := Options{Seed: *first, Duration: 30 * time.Second}
	if a, b := Run(o), Run(o); a != b {
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
