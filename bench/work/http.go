package work

import (
	"context"
	"fmt"
	"path/filepath"

	"bluerings/bench/measure"
	"bluerings/bench/rival"
	"bluerings/bench/wrk"
)

var single = Work{
	ID: "single", Title: "Single updates, durable, over a million counters", Run: runSingle,
}

var batch = Work{
	ID: "batch", Title: "Batches of 1,000 updates, durable, over a million counters", Run: runBatch,
}

var read = Work{
	ID: "read", Title: "Reads over HTTP, a million counters", Run: runRead,
}

const (
	manyCounters     = 1_000_000
	httpConnections  = 64
	batchConnections = 4
	batchSize        = 1000
)

// What the contestants guarantee when they answer.
const (
	oursSynced  = "on disk (fsync); counted once, in a ledger"
	bareNothing = "nothing: it keeps nothing"
	redisSynced = "on disk (AOF, fsync always); a total, no ledger"
)

var rateMetrics = []measure.Metric{
	{Name: "rate", Unit: measure.PerSecond, Better: measure.Higher},
	{Name: "p99", Unit: measure.Milliseconds, Better: measure.Lower},
}

// httpTurn is a turn of wrk at a server; each request is worth so many updates.
func (e *Env) httpTurn(l wrk.Load, worth float64) func(context.Context) (figures, error) {
	l.Duration, l.Dir = e.Turn, e.Dir
	return func(ctx context.Context) (figures, error) {
		r, err := wrk.Run(ctx, l)
		if err != nil {
			return nil, err
		}
		return figures{"rate": r.Rate() * worth, "p99": float64(r.P99) / 1000}, nil
	}
}

// rivalTurn is a turn of a rival with its own load generator.
func rivalTurn(run func(ctx context.Context) (rival.Rate, error)) func(context.Context) (figures, error) {
	return func(ctx context.Context) (figures, error) {
		r, err := run(ctx)
		if err != nil {
			return nil, err
		}
		f := figures{"rate": r.PerSecond}
		if r.P99 > 0 {
			f["p99"] = r.P99
		}
		return f, nil
	}
}

// httpPair starts a node and a bare handler that answers like it.
func (e *Env) httpPair(ctx context.Context, s *stage, l wrk.Load, worth float64) ([]contestant, error) {
	if missing := rival.Missing("wrk"); missing != "" {
		return nil, fmt.Errorf("there is no load generator: %s", missing)
	}
	ours, err := e.alone(ctx, s.dir, l.Counters)
	if err != nil {
		return nil, err
	}
	s.defers(func() { ours.Stop() })
	bare, err := rival.StartBare(ctx, filepath.Join(s.dir, "bare"), ours.URL())
	if err != nil {
		return nil, err
	}
	s.defers(func() { bare.Stop() })
	at := func(addr string) wrk.Load { l.Addr = addr; return l }
	return []contestant{
		{name: "Blue Rings", guarantee: oursSynced, server: ours, turn: e.httpTurn(at(ours.Addr), worth)},
		{name: "bare chi handler", guarantee: bareNothing, server: bare, turn: e.httpTurn(at(bare.Addr), worth)},
	}, nil
}

func runSingle(ctx context.Context, e *Env) ([]measure.Result, error) {
	s, err := e.stage("single")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	counters := e.scaled(manyCounters)
	who, err := e.httpPair(ctx, s, wrk.Load{Script: "update", Connections: httpConnections, Counters: counters}, 1)
	if err != nil {
		return nil, err
	}
	who = append(who, e.redis(ctx, s, "Redis INCRBY, 50 clients", counters, 50, 1), e.postgres(ctx, s, counters),
		e.nats(ctx, s, counters), e.etcd(ctx, s, counters))
	c := contest{
		note: fmt.Sprintf("One update a request. Ours and the bare handler: %d connections of wrk over HTTP. Redis: redis-benchmark, "+
			"PostgreSQL: pgbench with 16 clients, NATS and etcd: 64 callers in Go; these speak their own protocols over TCP. "+
			"%s counters; NATS and etcd begin empty.", httpConnections, measure.Number(float64(counters))),
		metrics: rateMetrics, contestants: who,
	}
	return c.run(ctx, e)
}

func runBatch(ctx context.Context, e *Env) ([]measure.Result, error) {
	s, err := e.stage("batch")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	counters := e.scaled(manyCounters)
	who, err := e.httpPair(ctx, s, wrk.Load{Script: "batch", Connections: batchConnections, Counters: counters}, batchSize)
	if err != nil {
		return nil, err
	}
	who = append(who, e.redis(ctx, s, "Redis INCRBY, pipelines of 64, 50 clients", counters, 50, 64))
	c := contest{
		note: fmt.Sprintf("%d connections of wrk, %d lines of NDJSON a request, each line with an outcome of its own; Redis: redis-benchmark. "+
			"The rate counts updates, p99 is of a request (of a pipeline of 64 at Redis).", batchConnections, batchSize),
		metrics: rateMetrics, contestants: who,
	}
	return c.run(ctx, e)
}

func runRead(ctx context.Context, e *Env) ([]measure.Result, error) {
	s, err := e.stage("read")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	counters := e.scaled(manyCounters)
	who, err := e.httpPair(ctx, s, wrk.Load{Script: "read", Connections: httpConnections, Counters: counters}, 1)
	if err != nil {
		return nil, err
	}
	who[0].guarantee = "the value, with coherent and final_through"
	who[1].guarantee = "the same bytes, always"
	c := contest{
		note:    fmt.Sprintf("%d connections of wrk, random counters.", httpConnections),
		metrics: rateMetrics, contestants: who,
	}
	return c.run(ctx, e)
}
