package rival

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"bluerings/bench/machine"
	"bluerings/internal/load"
)

// servers are rivals that are libraries: each runs in a process of its own, which is this program
// started again. They return when ctx ends.
var servers = map[string]func(ctx context.Context, dir string, listening func(addr string)) error{
	"nats": serveNATS, "etcd": serveEtcd, "bare": serveBare, "bare-source": serveSource, "bare-follower": serveFollower,
}

// childPrefix marks a call of this program as such a server.
const childPrefix = "serve-"

// Serve runs a server if that is what the arguments ask for.
func Serve(args []string) (served bool, err error) {
	if len(args) != 2 || !strings.HasPrefix(args[0], childPrefix) {
		return false, nil
	}
	server := servers[strings.TrimPrefix(args[0], childPrefix)]
	if server == nil {
		return false, nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return true, server(ctx, args[1], func(addr string) { fmt.Printf("listening %s\n", addr) })
}

// startChild starts such a server and returns where it listens.
func startChild(ctx context.Context, name, dir string) (*machine.Process, string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	listens := make(chan string, 1)
	p, err := machine.Start(name, exec.Command(machine.Self(), childPrefix+name, dir), func(line string) {
		if addr, ok := strings.CutPrefix(line, "listening "); ok {
			listens <- addr
		}
	})
	if err != nil {
		return nil, "", err
	}
	select {
	case addr := <-listens:
		return p, addr, nil
	case <-p.Ended():
		return nil, "", p.Failure()
	case <-ctx.Done():
		p.Kill()
		return nil, "", ctx.Err()
	case <-time.After(time.Minute):
		p.Kill()
		return nil, "", fmt.Errorf("%s did not listen within a minute", name)
	}
}

// drive calls do from so many callers, each one call after another, for so long.
func drive(ctx context.Context, callers int, d time.Duration, do func(ctx context.Context, caller int) error) (Rate, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	end := began.Add(d)
	var calls atomic.Uint64
	var group sync.WaitGroup
	latency := make([]load.Histogram, callers)
	for c := range callers {
		group.Go(func() {
			for start := time.Now(); start.Before(end) && ctx.Err() == nil; {
				if err := do(ctx, c); err != nil {
					cancel(err)
					return
				}
				calls.Add(1)
				now := time.Now()
				latency[c].Add(now.Sub(start))
				start = now
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	for c := 1; c < callers; c++ {
		latency[0].Merge(&latency[c])
	}
	milliseconds := func(q float64) float64 { return float64(latency[0].Quantile(q)) / float64(time.Millisecond) }
	return Rate{PerSecond: float64(calls.Load()) / took.Seconds(), P50: milliseconds(0.5), P99: milliseconds(0.99)}, context.Cause(ctx)
}
