// Package work holds the pieces of work that are measured, one to a file. Each starts the real
// programs, gives them the same load, and stops them again.
package work

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"bluerings/bench/machine"
	"bluerings/bench/measure"
	"bluerings/bench/node"
)

// Env is what every piece of work has at hand.
type Env struct {
	Program  string        // the path of bluerings
	RingTest string        // the path of the compiled benchmarks of package ring
	Dir      string        // for data, on the disk that is measured
	Rounds   int           // how often each contestant has its turn
	Turn     time.Duration // how long a turn under load lasts
	Scale    float64       // 1: as large as the titles say; a trial run has less
	Log      func(format string, args ...any)
}

// Work is one piece of work.
type Work struct {
	ID    string
	Title string
	Run   func(ctx context.Context, e *Env) ([]measure.Result, error)
}

// All lists the works in the order of the report.
var All = []Work{
	single, batch, durable, none, read, inProcess, propagation, burst, sustained, catchup,
	memory, bytesOf, start, asOf,
	growthCounters, growthTickets, growthNodes, growthConnections,
}

// scaled is n, or less in a trial run.
func (e *Env) scaled(n int) int { return max(1, int(float64(n)*e.Scale)) }

// wait is how long to wait for something to come to rest: less in a trial run.
func (e *Env) wait(d time.Duration) time.Duration {
	if e.Scale < 1 {
		return d / 4
	}
	return d
}

// temp makes a directory that is removed by the function returned.
func (e *Env) temp(name string) (dir string, remove func(), err error) {
	if dir, err = os.MkdirTemp(e.Dir, name+"-"); err != nil {
		return "", nil, err
	}
	// PostgreSQL runs as somebody else, who has to find its data.
	return dir, func() { _ = os.RemoveAll(dir) }, os.Chmod(dir, 0o755)
}

// alone starts a node with so many counters.
func (e *Env) alone(ctx context.Context, dir string, counters int, args ...string) (*node.Node, error) {
	n, err := node.Start(ctx, node.Options{Program: e.Program, Data: filepath.Join(dir, "bluerings"), Args: args})
	if err != nil {
		return nil, err
	}
	if err := n.SetUp(ctx, counters); err != nil {
		n.Stop()
		return nil, fmt.Errorf("setting up %d counters: %w", counters, err)
	}
	return n, nil
}

// calibrate measures the machine.
func (e *Env) calibrate() (measure.Calibration, error) { return machine.Calibrate(e.Dir) }

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
