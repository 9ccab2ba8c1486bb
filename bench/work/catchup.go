package work

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"

	"bluerings/bench/measure"
	"bluerings/bench/node"
	"bluerings/internal/client"
	"bluerings/internal/load"
)

var catchup = Work{
	ID: "catchup", Title: "A node ten million tickets behind catches up",
	Run: runCatchup,
}

// What the node that is caught up with holds, and the load on it meanwhile.
const (
	catchupCounters  = 1_000_000
	catchupTickets   = 10_000_000
	catchupInterval  = 5 * time.Millisecond // between two updates
	catchupBaseline  = 5 * time.Second      // of the load before the other node starts
	catchupAllowance = 5 * time.Minute
)

func runCatchup(ctx context.Context, e *Env) ([]measure.Result, error) {
	metrics := []measure.Metric{
		{Name: "rate", Unit: measure.PerSecond, Better: measure.Higher},
		{Name: "seconds", Unit: measure.Seconds, Better: measure.Lower},
		{Name: "p99-before", Unit: measure.Milliseconds, Better: measure.Lower},
		{Name: "p99-during", Unit: measure.Milliseconds, Better: measure.Lower},
		{Name: "p99-ratio", Unit: measure.Share, Better: measure.Lower},
	}
	tickets := e.scaled(catchupTickets)
	counters := min(e.scaled(catchupCounters), tickets/2)
	dir, remove, err := e.temp("catchup")
	if err != nil {
		return nil, err
	}
	defer remove()
	ring, err := node.NewRing(e.Program, dir, "full-mesh", 2)
	if err != nil {
		return nil, err
	}
	e.Log("  preparing %d tickets over %d counters", tickets, counters)
	err = node.Prepare(ctx, ring.Data(0), node.Store{
		Topology: ring.Topology, Host: ring.Host(0), Counters: counters, Updates: tickets - counters,
	})
	if err != nil {
		return nil, err
	}
	c := contest{
		metrics: metrics,
		note: fmt.Sprintf("Two nodes on one machine; %d tickets over %d counters. An update every %s at the source, "+
			"alone for %s and then until the empty node has everything, is what p99 tells of. The rate counts from the "+
			"first ticket the new node stored; the seconds from the start of its process, with the quiet times of the links in them.",
			tickets, counters, catchupInterval, e.wait(catchupBaseline)),
		contestants: []contestant{{
			name: "Blue Rings", guarantee: "on disk at the new node",
			turn: func(ctx context.Context) (figures, error) { return catchUp(ctx, e, ring, counters) },
		}},
	}
	short := *e
	short.Rounds = min(e.Rounds, 3)
	return c.run(ctx, &short)
}

// catchUp starts the node that has everything, then an empty one, and waits for that.
func catchUp(ctx context.Context, e *Env, ring *node.Ring, counters int) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, catchupAllowance)
	defer cancel()
	defer ring.Stop()
	source, err := ring.Start(ctx, 0)
	if err != nil {
		return nil, err
	}
	before, err := trickle(ctx, source, counters, e.wait(catchupBaseline))
	if err != nil {
		return nil, err
	}
	defer emptied(ring.Data(1))
	began := time.Now()
	behind, err := ring.Start(ctx, 1)
	if err != nil {
		return nil, err
	}
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	var during *load.Histogram
	var loadErr error
	var loading sync.WaitGroup
	loading.Go(func() { during, loadErr = trickle(loaded, source, counters, catchupAllowance) })
	first, stored, err := follow(ctx, source, behind)
	ended := time.Now()
	stop()
	loading.Wait()
	if err == nil {
		err = loadErr
	}
	if err != nil {
		return nil, err
	}
	e.Log("  caught up; comparing")
	if err := agree(ctx, source, behind); err != nil {
		return nil, err
	}
	p99 := func(h *load.Histogram) float64 { return float64(h.Quantile(0.99)) / float64(time.Millisecond) }
	return figures{
		"rate": float64(stored) / ended.Sub(first).Seconds(), "seconds": ended.Sub(began).Seconds(),
		"p99-before": p99(before), "p99-during": p99(during), "p99-ratio": p99(during) / p99(before),
	}, nil
}

// follow waits until the node behind has all that the source had when this began. It returns when
// the first tickets were seen there and how many came after that.
func follow(ctx context.Context, source, behind *node.Node) (first time.Time, stored uint64, err error) {
	s, err := source.Statistics(ctx)
	if err != nil {
		return first, 0, err
	}
	var had uint64
	for {
		at := time.Now()
		b, err := behind.Statistics(ctx)
		if err != nil {
			return first, 0, err
		}
		if first.IsZero() && b.Tickets > 0 {
			first, had = at, b.Tickets
		}
		if b.Tickets >= s.Tickets {
			return first, b.Tickets - had, nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return first, 0, fmt.Errorf("%d of %d tickets arrived: %w", b.Tickets, s.Tickets, err)
		}
	}
}

// agree checks that two nodes have the same number of tickets and the same total, once the load has stopped.
func agree(ctx context.Context, a, b *node.Node) error {
	s, err := a.Statistics(ctx)
	if err != nil {
		return err
	}
	if err := b.WaitTickets(ctx, s.Tickets); err != nil {
		return err
	}
	want, err := a.Total(ctx)
	if err != nil {
		return err
	}
	got, err := b.Total(ctx)
	if err == nil && got != want {
		err = fmt.Errorf("%s counts %d, %s %d", a.Host, want, b.Host, got)
	}
	return err
}

// trickle makes updates at a fixed distance for a while, or until ctx ends, and times each. An
// update that is due is made late rather than left out, and its wait counts from when it was due.
func trickle(ctx context.Context, n *node.Node, counters int, d time.Duration) (*load.Histogram, error) {
	h := &load.Histogram{}
	rnd := rand.New(rand.NewPCG(3, 4))
	due := time.Now()
	for end := due.Add(d); due.Before(end); due = due.Add(catchupInterval) {
		if pause(ctx, time.Until(due)) != nil {
			return h, nil
		}
		_, err := n.Do(context.WithoutCancel(ctx), client.Request{
			Method: http.MethodPost, Path: "/v1/counters/" + node.Name(rnd.IntN(counters)), Body: []byte(`{"amount":"7"}`),
			Header: http.Header{"Content-Type": {"application/json"}},
		})
		if err != nil {
			return nil, err
		}
		h.Add(time.Since(due))
	}
	return h, nil
}

// emptied removes a node's data.
func emptied(dir string) {
	_ = os.RemoveAll(dir)
	_ = os.Remove(dir + ".toml")
}
