package work

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"bluerings/bench/machine"
	"bluerings/bench/measure"
	"bluerings/bench/node"
	"bluerings/bench/rival"
)

var memory = Work{
	ID: "memory", Title: "Memory for each of a million counters with names of 20 bytes", Run: runMemory,
}

var bytesOf = Work{
	ID: "bytes", Title: "Bytes for a ticket, on disk and on the wire; a ring at rest", Run: runBytes,
}

// settleTime is how long a server may use to come to rest after it was filled.
const settleTime = 10 * time.Second

func runMemory(ctx context.Context, e *Env) ([]measure.Result, error) {
	counters := e.scaled(manyCounters)
	short := *e
	short.Rounds = min(e.Rounds, 3)
	c := contest{
		note: fmt.Sprintf("Resident memory of the whole process less that of an empty one, for each of %d counters, each updated once by an amount of its own above "+
			"10,000, because Redis keeps smaller integers once for all keys: right after it was filled (with what the garbage collector has not given back), and after a "+
			"restart. Redis: the same, and used_memory as it reports itself. After the restart the totals of all counters are read and compared on both.", counters),
		metrics: []measure.Metric{
			{Name: "resident", Unit: measure.Bytes, Better: measure.Lower},
			{Name: "after-restart", Unit: measure.Bytes, Better: measure.Lower},
			{Name: "used-memory", Unit: measure.Bytes, Better: measure.Lower},
		},
		contestants: []contestant{
			{name: "Blue Rings", guarantee: "exact decimals, each with its ledger on disk", turn: func(ctx context.Context) (figures, error) {
				return e.nodeMemory(ctx, counters)
			}},
			{name: "Redis", guarantee: "64 bit integers", skipped: rival.Missing("redis-server"), turn: func(ctx context.Context) (figures, error) {
				return e.redisMemory(ctx, counters)
			}},
		},
		optional: []string{"used-memory"},
	}
	return c.run(ctx, &short)
}

// nodeMemory fills a node and starts it again.
func (e *Env) nodeMemory(ctx context.Context, counters int) (figures, error) {
	s, err := e.stage("memory")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	o := node.Options{Program: e.Program, Data: filepath.Join(s.dir, "data")}
	f := figures{}
	var empty int64
	for _, step := range []string{"empty", "resident", "after-restart"} {
		n, err := node.Start(ctx, o)
		if err != nil {
			return nil, err
		}
		if step == "resident" {
			err = n.Fill(ctx, counters)
		}
		if err == nil {
			err = pause(ctx, e.wait(settleTime))
		}
		usage, usageErr := n.Usage()
		if err == nil && step == "after-restart" { // a list takes memory, so it comes last
			err = n.CheckFilled(ctx, counters)
		}
		n.Stop()
		if err = errors.Join(err, usageErr); err != nil {
			return nil, err
		}
		if step == "empty" {
			empty = usage.Resident
			continue
		}
		f[step] = float64(usage.Resident-empty) / float64(counters)
	}
	return f, nil
}

func (e *Env) redisMemory(ctx context.Context, counters int) (figures, error) {
	s, err := e.stage("memory")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	f := figures{}
	var empty machine.Usage
	var emptyUsed int64
	for _, step := range []string{"empty", "resident", "after-restart"} {
		r, err := rival.StartRedis(ctx, filepath.Join(s.dir, "redis"))
		if err != nil {
			return nil, err
		}
		if step == "resident" {
			err = r.Fill(counters, node.Name, node.Amount)
		}
		if err == nil {
			err = pause(ctx, e.wait(settleTime))
		}
		usage, usageErr := r.Usage()
		used, usedErr := r.Info("used_memory")
		if err == nil && step == "after-restart" {
			err = r.CheckFilled(counters, node.Name, node.Amount)
		}
		r.Stop()
		if err = errors.Join(err, usageErr, usedErr); err != nil {
			return nil, err
		}
		if step == "empty" {
			empty, emptyUsed = usage, used
			continue
		}
		f[step] = float64(usage.Resident-empty.Resident) / float64(counters)
		f["used-memory"] = float64(used-emptyUsed) / float64(counters)
	}
	return f, nil
}

func runBytes(ctx context.Context, e *Env) ([]measure.Result, error) {
	updates, counters := e.scaled(burstUpdates), e.scaled(burstCounters)
	one := *e
	one.Rounds = 1 // sizes are the same every time
	c := contest{
		note: fmt.Sprintf("%d updates over %d counters with names of 20 bytes, by batches of %d and by single requests over %d connections. Disk: blocks of the "+
			"data directory after a clean stop, less those before. Wire: bytes that one node wrote to its one subscriber, pings included. "+
			"At rest: two nodes, nothing to tell. Idle: the share of one core that a node alone with a million counters uses.", updates, counters, batchSize, httpConnections),
		metrics: []measure.Metric{
			{Name: "disk-batches", Unit: measure.Bytes, Better: measure.Lower},
			{Name: "disk-single", Unit: measure.Bytes, Better: measure.Lower},
			{Name: "wire-batches", Unit: measure.Bytes, Better: measure.Lower},
			{Name: "ping", Unit: measure.Bytes, Better: measure.Lower},
			{Name: "at-rest", Unit: measure.BytesASecond, Better: measure.Lower},
			{Name: "idle-cpu", Unit: measure.Percent, Better: measure.Lower},
		},
		contestants: []contestant{{
			name: "Blue Rings", guarantee: "every ticket on disk",
			turn: func(ctx context.Context) (figures, error) {
				f := figures{}
				for _, part := range []func(context.Context, figures, int, int) error{e.wire, e.disk, e.idle} {
					if err := part(ctx, f, updates, counters); err != nil {
						return nil, err
					}
				}
				return f, nil
			},
		}},
	}
	return c.run(ctx, &one)
}

// wire measures what one node of two writes to the other, at rest and under load.
func (e *Env) wire(ctx context.Context, f figures, updates, counters int) error {
	s, err := e.stage("wire")
	if err != nil {
		return err
	}
	defer s.strike()
	ring, err := node.NewRing(e.Program, s.dir, "full-mesh", 2)
	if err != nil {
		return err
	}
	s.defers(ring.Stop)
	if err := ring.StartAll(ctx); err != nil {
		return err
	}
	from := ring.Nodes[0]
	if err := from.SetUp(ctx, counters); err != nil {
		return err
	}
	if err := everywhere(ctx, ring); err != nil {
		return err
	}
	sent := func() (bytes, messages float64, err error) {
		if bytes, err = from.Metric(ctx, "bluerings_bus_sent_bytes_total"); err == nil {
			messages, err = from.Metric(ctx, "bluerings_bus_sent_messages_total")
		}
		return bytes, messages, err
	}
	bytes0, messages0, err := sent()
	if err != nil {
		return err
	}
	rest := e.wait(8 * time.Second)
	if err := pause(ctx, rest); err != nil {
		return err
	}
	bytes1, messages1, err := sent()
	if err != nil {
		return err
	}
	f["ping"], f["at-rest"] = (bytes1-bytes0)/max(1, messages1-messages0), (bytes1-bytes0)/rest.Seconds()
	if err := randomUpdates(ctx, from, updates, counters); err != nil {
		return err
	}
	if err := everywhere(ctx, ring); err != nil {
		return err
	}
	bytes2, _, err := sent()
	f["wire-batches"] = (bytes2 - bytes1) / float64(updates)
	return err
}

func randomUpdates(ctx context.Context, n *node.Node, updates, counters int) error {
	return n.InBatches(ctx, updates, batchSize, func(b []byte, _ int) []byte {
		return node.AppendUpdate(b, node.Name(rand.IntN(counters)))
	})
}
