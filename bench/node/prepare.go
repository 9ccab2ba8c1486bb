package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/topologies"
	"bluerings/value"
)

// Store says what a data directory shall hold.
type Store struct {
	Topology *topologies.Topology // nil: alone
	Host     string
	Counters int // set up, one ticket each
	Updates  int // over those counters, at random
}

// Prepare makes a data directory in this process, which is faster than over HTTP. What it holds is
// synced when it returns.
func Prepare(ctx context.Context, dir string, s Store) error {
	if s.Topology == nil {
		s.Topology, s.Host = topologies.Alone("alone", topologies.Decimal, "a"), "a"
	}
	none, err := ring.ParseDurability("none")
	if err != nil {
		return err
	}
	n, err := ring.Open(ctx, ring.Config{Topology: s.Topology, Host: s.Host, Data: dir, Durability: none})
	if err != nil {
		return err
	}
	names := make([]string, s.Counters)
	for i := range names {
		names[i] = Name(i)
	}
	err = inThousands(ctx, n, s.Counters, func(i int) ring.Command {
		return ring.Command{Op: tickets.CounterSetup, Name: names[i], Expire: hlc.Never}
	})
	if err == nil {
		rnd := rand.New(rand.NewPCG(1, 2))
		err = inThousands(ctx, n, s.Updates, func(int) ring.Command {
			return ring.Command{Op: tickets.CounterAdd, Name: names[rnd.IntN(len(names))], Amount: value.FromInt64(7)}
		})
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	return errors.Join(err, n.Close(closing))
}

// inThousands applies the commands 0 to total-1, a thousand a call.
func inThousands(ctx context.Context, n *ring.Node, total int, command func(i int) ring.Command) error {
	batch := make([]ring.Command, 0, 1000)
	for at := 0; at < total; at += len(batch) {
		batch = batch[:0]
		for i := at; i < min(at+cap(batch), total); i++ {
			batch = append(batch, command(i))
		}
		if err := applyPatiently(ctx, n, batch); err != nil {
			return err
		}
	}
	return nil
}

// applyPatiently waits where the node's queue is full.
func applyPatiently(ctx context.Context, n *ring.Node, batch []ring.Command) error {
	for {
		outcomes, err := n.Apply(ctx, batch)
		if errors.Is(err, ring.ErrBusy) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
			continue
		}
		for i := range outcomes {
			err = errors.Join(err, outcomes[i].Err)
		}
		return err
	}
}
