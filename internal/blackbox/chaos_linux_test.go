package blackbox

import (
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bluerings/internal/chaos"
	"bluerings/topologies"
)

var (
	chaosTime  = flag.Duration("chaos", 0, "how long TestChaos makes trouble; 0 until every kind of fault has struck")
	chaosKinds = flag.String("chaos-faults", "", "kinds of fault of TestChaos, separated by commas; empty for all")
)

// chaosSeed is that of the short form; the long form draws its own.
const chaosSeed = 20261121

// A ring of processes is struck by faults of all kinds while clients update it
// and try again elsewhere what failed, and keeps every promise.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes most of a minute")
	}
	seed := uint64(chaosSeed)
	plan := chaos.Plan{
		Load:     chaos.Load{Clients: 6, Pause: 60 * time.Millisecond, Batch: 12, Singles: 0.7, Counters: 4, Texts: 3, Sets: 2, Elements: 400},
		Faults:   chaos.Faults(),
		Duration: 15 * time.Second, Hold: 1500 * time.Millisecond, Pause: 500 * time.Millisecond, Look: 100 * time.Millisecond,
	}
	if *chaosTime > 0 {
		seed = uint64(time.Now().UnixNano())
		plan.Duration, plan.Hold, plan.Pause = *chaosTime, 3*time.Second, time.Second
	}
	if *chaosKinds != "" {
		plan.Faults = chaos.Only(strings.Split(*chaosKinds, ",")...)
	}
	if text := os.Getenv("BLACKBOX_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("BLACKBOX_SEED: %v", err)
		}
	}
	draw := rand.New(rand.NewPCG(seed, 1))
	shapes := []string{topologies.FullMesh, topologies.FullMesh, topologies.Star, topologies.Ring, topologies.DualStar}
	shape, nodes := shapes[draw.IntN(len(shapes))], 3+draw.IntN(3)
	t.Logf("BLACKBOX_SEED=%d: %s of %d", seed, shape, nodes)
	misrule(t, plan, chaos.Config{Shape: shape, Nodes: nodes, Draw: draw})
}

// misrule opens the ring, carries out the plan, and tells what came of it.
func misrule(t *testing.T, plan chaos.Plan, c chaos.Config) {
	t.Helper()
	c.Program, c.Dir, c.Log = buildChaos(t), t.TempDir(), t.Logf
	begun := time.Now()
	r, err := chaos.Open(c)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	if err == nil {
		ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
		err = r.Run(ctx, plan) // told to stop, it checks what it has
		stop()
	}
	if err != nil {
		t.Error(err)
	}
	for _, v := range r.Violations() {
		t.Error(v)
	}
	t.Logf("%s in all\n%s", time.Since(begun).Round(time.Second), r.Report())
	if t.Failed() {
		t.Log(r.Logs())
	}
}

// buildChaos builds the program with a clock that can be set off.
func buildChaos(t *testing.T) string {
	t.Helper()
	if err := watchSources(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bluerings")
	args := []string{"build", "-tags", "chaos", "-o", path, "bluerings/cmd/bluerings"}
	if os.Getenv("BLACKBOX_RACE") != "" {
		args = slices.Insert(args, 1, "-race")
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}
