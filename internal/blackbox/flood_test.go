package blackbox

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/topologies"
	"bluerings/value"
)

const (
	floodNodes    = 24
	floodUpdates  = 1000
	floodCounters = 20
	floodQuiet    = 3 * time.Second // longer than every timer of a node
)

// Twenty-four nodes in one process take a thousand updates at random places,
// agree on the exact sums, and then are silent but for their pings.
func TestFlood(t *testing.T) {
	for _, shape := range []string{
		topologies.Star, topologies.DualStar, topologies.TripleStar, topologies.FullMesh, topologies.Ring, topologies.OneWayRing, "mesh of 95 %", "sparse", "sparser",
	} {
		t.Run(shape, func(t *testing.T) {
			if testing.Short() && shape != topologies.Star {
				t.Skip("one shape is enough")
			}
			f := &flood{t: t, draw: draws(t), sums: make(map[string]*big.Rat)}
			f.open(shape)
			f.update()
			f.converge()
			f.quiet()
		})
	}
}

type flood struct {
	t     *testing.T
	draw  *rand.Rand
	nodes []*ring.Node
	sums  map[string]*big.Rat
	begun time.Time
}

// topology makes the shape, or a random graph in which everybody is reached:
// each node subscribes to the one before it, to some others, and to itself.
func (f *flood) topology(shape string) *topologies.Topology {
	f.t.Helper()
	generated, others := shape, 0
	switch shape {
	case "mesh of 95 %":
		generated, others = topologies.FullMesh, floodNodes-3
	case "sparse":
		generated, others = topologies.FullMesh, 2
	case "sparser":
		generated, others = topologies.FullMesh, 1
	}
	topo, err := topologies.Generate(generated, floodNodes)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := range topo.Nodes {
		n := &topo.Nodes[i]
		n.Pub, n.HTTP = fmt.Sprintf("tcp://127.0.0.1:%d", freePort(f.t)), ""
		if others == 0 {
			continue
		}
		topo.Shape = topologies.Custom
		subscribed := map[int]bool{i: true, (i + floodNodes - 1) % floodNodes: true}
		for len(subscribed) < 2+others {
			subscribed[f.draw.IntN(floodNodes)] = true
		}
		for j := range topo.Nodes {
			if subscribed[j] {
				n.SubscribeTo = append(n.SubscribeTo, topo.Nodes[j].Host)
			}
		}
	}
	again, err := topologies.Parse("flood.toml", topo.Encode())
	if err != nil {
		f.t.Fatalf("%v\n%s", err, topo.Encode())
	}
	return again
}

func (f *flood) open(shape string) {
	f.t.Helper()
	topo, dir := f.topology(shape), f.t.TempDir()
	f.t.Cleanup(f.close)
	for _, n := range topo.Nodes {
		node, err := ring.Open(f.t.Context(), ring.Config{
			Topology: topo, Host: n.Host, Data: filepath.Join(dir, n.Host), Bind: []string{n.BindEndpoint()},
		})
		if err != nil {
			f.t.Fatal(err)
		}
		f.nodes = append(f.nodes, node)
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	for _, n := range f.nodes {
		if err := n.WaitCoherent(ctx); err != nil {
			f.t.Fatalf("%s: %v: %+v", n.Host(), err, n.Status().Reasons)
		}
	}
}

func (f *flood) close() {
	var all sync.WaitGroup
	for _, n := range f.nodes {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := n.Close(ctx); err != nil {
				f.t.Errorf("close %s: %v", n.Host(), err)
			}
		})
	}
	all.Wait()
}

// update shares the updates out among the nodes, which take them at once.
func (f *flood) update() {
	f.t.Helper()
	commands := make([][]ring.Command, len(f.nodes))
	for range floodUpdates {
		i, name := f.draw.IntN(len(f.nodes)), fmt.Sprint("counter ", f.draw.IntN(floodCounters))
		text := fmt.Sprintf("%d.%06d", f.draw.IntN(1_000_000)-500_000, f.draw.IntN(1_000_000))
		n, err := value.Parse(value.Decimal, text, tickets.NumberLimits)
		if err != nil {
			f.t.Fatal(err)
		}
		if f.sums[name] == nil {
			f.sums[name] = new(big.Rat)
		}
		f.sums[name].Add(f.sums[name], amount(f.t, text))
		commands[i] = append(commands[i], ring.Command{Op: tickets.CounterAdd, Name: name, Amount: n, Expire: hlc.Never})
	}
	f.begun = time.Now()
	var all sync.WaitGroup
	failures := make(chan error, floodUpdates)
	for i, mine := range commands {
		all.Go(func() {
			for _, c := range mine {
				out, err := f.nodes[i].Apply(context.Background(), []ring.Command{c})
				if err == nil {
					err = out[0].Err
				}
				if err != nil {
					failures <- err
				}
			}
		})
	}
	all.Wait()
	close(failures)
	for err := range failures {
		f.t.Fatal(err)
	}
}

func (f *flood) converge() {
	f.t.Helper()
	took := time.Since(f.begun)
	eventually(f.t, "all nodes have the exact sums", func() error {
		for _, n := range f.nodes {
			for name, sum := range f.sums {
				r, ok := n.Read(tickets.Key{Family: tickets.Counters, Name: name})
				if !ok || amount(f.t, r.Value.String(value.Decimal)).Cmp(sum) != 0 {
					return fmt.Errorf("%s: %q is %s, must be %s", n.Host(), name, r.Value.String(value.Decimal), sum.FloatString(6))
				}
			}
		}
		return nil
	})
	f.t.Logf("%d updates at %d nodes taken in %s, equal everywhere after %s",
		floodUpdates, len(f.nodes), took.Round(time.Millisecond), time.Since(f.begun).Round(time.Millisecond))
}

// sent counts the tickets published by all nodes.
func (f *flood) sent() (n uint64) {
	for _, node := range f.nodes {
		n += node.Statistics().SentTickets
	}
	return n
}

// quiet waits until nothing but pings is sent for longer than any timer, and
// then looks once more as long.
func (f *flood) quiet() {
	f.t.Helper()
	at, since := f.sent(), time.Now()
	eventually(f.t, "no tickets are sent any more", func() error {
		if now := f.sent(); now != at {
			at, since = now, time.Now()
		}
		if still := time.Since(since); still < floodQuiet {
			return fmt.Errorf("%d tickets sent, the last %s ago", at, still)
		}
		return nil
	})
	f.t.Logf("%d tickets sent, %.2f per update and node; the last %s after the first update",
		at, float64(at)/floodUpdates/float64(len(f.nodes)), since.Sub(f.begun).Round(time.Millisecond))
	if most := uint64(floodUpdates * len(f.nodes) * 2); at > most {
		f.t.Errorf("%d tickets were sent: more than twice %d updates by %d nodes", at, floodUpdates, len(f.nodes))
	}
}
