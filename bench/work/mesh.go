package work

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"bluerings/bench/measure"
	"bluerings/bench/node"
)

var sustained = Work{
	ID: "sustained", Title: "Replication under load, a mesh of three on one machine", Run: runSustained,
}

var burst = Work{
	ID: "burst", Title: "A burst of a million updates over 100,000 counters, until all of a mesh of three have them", Run: runBurst,
}

const (
	burstUpdates  = 1_000_000
	burstCounters = 100_000
	meshAllowance = 2 * time.Minute
)

// mesh starts a mesh of three with so many counters known everywhere.
func (e *Env) mesh(ctx context.Context, s *stage, counters int) (*node.Ring, error) {
	ring, err := node.NewRing(e.Program, s.dir, "full-mesh", 3)
	if err != nil {
		return nil, err
	}
	s.defers(ring.Stop)
	if err := ring.StartAll(ctx); err != nil {
		return nil, err
	}
	if err := ring.Nodes[0].SetUp(ctx, counters); err != nil {
		return nil, err
	}
	return ring, everywhere(ctx, ring)
}

// everywhere waits until all nodes have what the first has now.
func everywhere(ctx context.Context, ring *node.Ring) error {
	ctx, cancel := context.WithTimeout(ctx, meshAllowance)
	defer cancel()
	s, err := ring.Nodes[0].Statistics(ctx)
	if err != nil {
		return err
	}
	for _, n := range ring.Nodes[1:] {
		if err := n.WaitTickets(ctx, s.Tickets); err != nil {
			return fmt.Errorf("%s did not get everything: %w", n.Host, err)
		}
	}
	return nil
}

func runBurst(ctx context.Context, e *Env) ([]measure.Result, error) {
	s, err := e.stage("burst")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	updates, counters := e.scaled(burstUpdates), e.scaled(burstCounters)
	ring, err := e.mesh(ctx, s, counters)
	if err != nil {
		return nil, err
	}
	made := int64(0)
	c := contest{
		note: fmt.Sprintf("%d updates over %d counters, %d a request over %d connections to one node; the time ends when every node has "+
			"stored every ticket. Then the totals of all counters are added up on each node: nothing may lack. "+
			"Blue Rings 3.1, between two nodes and with nothing stored, made 47,000 to 92,000 a second of such a burst, measured "+
			"earlier on a machine of the same kind.", updates, counters, batchSize, fillersOfBurst),
		metrics: []measure.Metric{
			{Name: "rate", Unit: measure.PerSecond, Better: measure.Higher},
			{Name: "acknowledged", Unit: measure.PerSecond, Better: measure.Higher},
		},
		contestants: []contestant{{
			name: "Blue Rings", guarantee: "on disk at all three",
			turn: func(ctx context.Context) (figures, error) {
				began := time.Now()
				err := ring.Nodes[0].InBatches(ctx, updates, batchSize, func(b []byte, _ int) []byte {
					return node.AppendUpdate(b, node.Name(rand.IntN(counters)))
				})
				if err != nil {
					return nil, err
				}
				acknowledged := time.Since(began)
				if err := everywhere(ctx, ring); err != nil {
					return nil, err
				}
				took := time.Since(began)
				made += int64(updates)
				return figures{"rate": float64(updates) / took.Seconds(), "acknowledged": float64(updates) / acknowledged.Seconds()},
					complete(ctx, ring, made*7)
			},
		}},
	}
	return c.run(ctx, e)
}

// fillersOfBurst is how many requests InBatches keeps under way.
const fillersOfBurst = 4

// complete checks the sum of all counters on all nodes.
func complete(ctx context.Context, ring *node.Ring, want int64) error {
	for _, n := range ring.Nodes {
		got, err := n.Total(ctx)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s counts %d, it should be %d", n.Host, got, want)
		}
	}
	return nil
}

func runSustained(ctx context.Context, e *Env) ([]measure.Result, error) {
	counters := e.scaled(burstCounters)
	c := contest{
		note: fmt.Sprintf("Batches of %d over %d counters. First one node alone, as fast as it answers; then 90 %% of that rate offered to it "+
			"with two others that subscribe to it and to each other, all on the same cores, which therefore do three times the work. "+
			"Kept up: the share of the tickets made during the load that the slowest of the others had stored when the load ended. Drained: how long "+
			"after the end it had all.", batchSize/10, counters),
		metrics: []measure.Metric{
			{Name: "alone", Unit: measure.PerSecond, Better: measure.Higher},
			{Name: "offered", Unit: measure.PerSecond, Better: measure.Higher},
			{Name: "made", Unit: measure.PerSecond, Better: measure.Higher},
			{Name: "kept-up", Unit: measure.Percent, Better: measure.Higher},
			{Name: "drained", Unit: measure.Seconds, Better: measure.Lower},
		},
		contestants: []contestant{{
			name: "Blue Rings", guarantee: "on disk at the node that took the update",
			turn: func(ctx context.Context) (figures, error) { return e.sustain(ctx, counters) },
		}},
	}
	return c.run(ctx, e)
}

// sustain is one round: alone at full speed, then in the mesh at nine tenths.
func (e *Env) sustain(ctx context.Context, counters int) (figures, error) {
	s, err := e.stage("sustained")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	single, err := e.alone(ctx, s.dir, counters)
	if err != nil {
		return nil, err
	}
	alone, _, err := offer(ctx, single, counters, e.Turn, 0)
	single.Stop()
	if err != nil {
		return nil, err
	}
	ring, err := e.mesh(ctx, s, counters)
	if err != nil {
		return nil, err
	}
	before, err := ring.Nodes[0].Statistics(ctx)
	if err != nil {
		return nil, err
	}
	made, count, err := offer(ctx, ring.Nodes[0], counters, e.Turn, 0.9*alone)
	if err != nil {
		return nil, err
	}
	ended := time.Now()
	least := uint64(1) << 62
	for _, n := range ring.Nodes[1:] {
		now, err := n.Statistics(ctx)
		if err != nil {
			return nil, err
		}
		least = min(least, now.Tickets-before.Tickets)
	}
	if err := everywhere(ctx, ring); err != nil {
		return nil, err
	}
	return figures{
		"alone": alone, "offered": 0.9 * alone, "made": made,
		"kept-up": 100 * float64(least) / float64(count), "drained": time.Since(ended).Seconds(),
	}, complete(ctx, ring, int64(count)*7)
}

// offer makes updates for d, in batches over a few connections, not faster than rate a second
// where that is not 0. It returns how many a second were acknowledged, and how many in all.
func offer(ctx context.Context, n *node.Node, counters int, d time.Duration, rate float64) (float64, uint64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	var offered, done atomic.Int64
	var group sync.WaitGroup
	const size = batchSize / 10
	for range fillersOfBurst {
		group.Go(func() {
			var body []byte
			for ctx.Err() == nil {
				due := time.Duration(0)
				if mine := offered.Add(size) - size; rate > 0 {
					due = time.Duration(float64(mine) / rate * float64(time.Second))
				}
				if due > d || time.Since(began) > d || pause(ctx, time.Until(began.Add(due))) != nil {
					return
				}
				body = body[:0]
				for range size {
					body = node.AppendUpdate(body, node.Name(rand.IntN(counters)))
				}
				if err := n.Batch(ctx, body); err != nil {
					cancel(err)
					return
				}
				done.Add(size)
			}
		})
	}
	group.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), uint64(done.Load()), context.Cause(ctx)
}
