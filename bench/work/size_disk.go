package work

import (
	"context"
	"path/filepath"
	"time"

	"bluerings/bench/machine"
	"bluerings/bench/node"
	"bluerings/bench/wrk"
)

// disk measures what tickets take on disk, made in batches and one by one.
func (e *Env) disk(ctx context.Context, f figures, updates, counters int) error {
	for metric, fill := range map[string]func(n *node.Node) error{
		"disk-batches": func(n *node.Node) error { return randomUpdates(ctx, n, updates, counters) },
		"disk-single": func(n *node.Node) error {
			_, err := wrk.Run(ctx, wrk.Load{
				Script: "update", Addr: n.Addr, Connections: httpConnections, Duration: e.Turn, Counters: counters, Dir: e.Dir,
			})
			return err
		},
	} {
		x, err := e.diskOf(ctx, counters, fill)
		if err != nil {
			return err
		}
		f[metric] = x
	}
	return nil
}

// diskOf is the growth of the directory for each ticket that fill makes.
func (e *Env) diskOf(ctx context.Context, counters int, fill func(n *node.Node) error) (float64, error) {
	s, err := e.stage("disk")
	if err != nil {
		return 0, err
	}
	defer s.strike()
	n, err := e.alone(ctx, s.dir, counters)
	if err != nil {
		return 0, err
	}
	before, err := n.Statistics(ctx)
	n.Stop()
	if err != nil {
		return 0, err
	}
	data := filepath.Join(s.dir, "bluerings")
	had, err := machine.DiskBytes(data)
	if err != nil {
		return 0, err
	}
	if n, err = node.Start(ctx, node.Options{Program: e.Program, Data: data}); err != nil {
		return 0, err
	}
	defer n.Stop()
	if err := fill(n); err != nil {
		return 0, err
	}
	after, err := n.Statistics(ctx)
	if err != nil {
		return 0, err
	}
	n.Stop()
	has, err := machine.DiskBytes(data)
	return float64(has-had) / float64(after.Tickets-before.Tickets), err
}

// idle measures what a node uses that has a million counters and nothing to do.
func (e *Env) idle(ctx context.Context, f figures, _, _ int) error {
	s, err := e.stage("idle")
	if err != nil {
		return err
	}
	defer s.strike()
	n, err := e.alone(ctx, s.dir, e.scaled(manyCounters))
	if err != nil {
		return err
	}
	defer n.Stop()
	// Past the next checkpoint, which still belongs to the load.
	if err := pause(ctx, e.wait(8*time.Second)); err != nil {
		return err
	}
	before, err := n.Usage()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := pause(ctx, e.wait(10*time.Second)); err != nil {
		return err
	}
	after, err := n.Usage()
	f["idle-cpu"] = 100 * (after.CPU - before.CPU).Seconds() / time.Since(began).Seconds()
	return err
}
