package blackbox

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bluerings/internal/chaos"
	"bluerings/topologies"
)

var (
	soakTime = flag.Duration("soak", 0, "how long TestSoak runs a ring of five under load and faults; 0 for not at all")
	soakOut  = flag.String("soak-out", "", "directory for soak.csv and soak.txt; empty for one of the test's own")
)

// A ring of five lives with moderate load and faults, keeps its promises, and
// what its processes use does not grow. Those of the first two are never ended.
func TestSoak(t *testing.T) {
	if *soakTime == 0 {
		t.Skip("it takes -soak 1h")
	}
	out := *soakOut
	if out == "" {
		out = t.TempDir()
	}
	file, err := os.Create(filepath.Join(out, "soak.csv"))
	if err != nil {
		t.Fatal(err)
	}
	s := &chaos.Soak{CSV: file, Every: 10 * time.Second, Kept: 10 * time.Minute}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d; %s", seed, file.Name())
	misrule(t, chaos.Plan{
		Load: chaos.Load{
			Clients: 8, Pause: 400 * time.Millisecond, Batch: 60, Singles: 0.5, Expiring: 0.9, Life: 2 * time.Minute,
			Counters: 8, Texts: 4, Sets: 2, Elements: 400,
		},
		Faults: chaos.Faults(), Duration: *soakTime, Hold: 4 * time.Second, Pause: 20 * time.Second, Keep: 2,
		Look: 500 * time.Millisecond, Meanwhile: s.Watch,
	}, chaos.Config{
		Shape: topologies.FullMesh, Nodes: 5, Draw: rand.New(rand.NewPCG(seed, 1)), Serve: []string{"--expiry-grace", "1m"},
	})
	broken, report := s.Verdict()
	for _, b := range broken {
		t.Error(b)
	}
	t.Logf("the second half:\n%s", report)
	err = os.WriteFile(filepath.Join(out, "soak.txt"), []byte(report), 0o600)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Error(err)
	}
}
