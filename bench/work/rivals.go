package work

import (
	"context"
	"path/filepath"

	"bluerings/bench/node"
	"bluerings/bench/rival"
)

// absent is a rival that could not be started, with the reason.
func absent(name, reason string) contestant { return contestant{name: name, skipped: reason} }

// redis starts a Redis with so many keys.
func (e *Env) redis(ctx context.Context, s *stage, name string, keys, clients, pipeline int) contestant {
	for _, program := range []string{"redis-server", "redis-benchmark"} {
		if missing := rival.Missing(program); missing != "" {
			return absent(name, missing)
		}
	}
	r, err := rival.StartRedis(ctx, filepath.Join(s.dir, "redis"))
	if err != nil {
		return absent(name, err.Error())
	}
	s.defers(func() { r.Stop() })
	if err := r.Fill(keys, node.Name, node.Amount); err != nil {
		return absent(name, err.Error())
	}
	return contestant{
		name: name, guarantee: redisSynced, server: r,
		turn: rivalTurn(func(ctx context.Context) (rival.Rate, error) {
			return r.Increment(ctx, clients, pipeline, keys, e.Turn)
		}),
	}
}

// postgres starts a PostgreSQL with so many rows.
func (e *Env) postgres(ctx context.Context, s *stage, rows int) contestant {
	const name = "PostgreSQL upsert, 16 clients"
	if missing := rival.Missing("postgres"); missing != "" {
		return absent(name, missing)
	}
	p, err := rival.StartPostgres(ctx, filepath.Join(s.dir, "postgres"))
	if err != nil {
		return absent(name, err.Error())
	}
	s.defers(func() { p.Stop() })
	if err := p.Fill(ctx, rows); err != nil {
		return absent(name, err.Error())
	}
	return contestant{
		name: name, guarantee: "on disk (WAL, fsync); a total, no ledger", server: p,
		turn: rivalTurn(func(ctx context.Context) (rival.Rate, error) { return p.Increment(ctx, 16, rows, e.Turn) }),
	}
}

// rivalCallers is how many callers in Go wait for NATS or etcd at a time.
const rivalCallers = httpConnections

func (e *Env) nats(ctx context.Context, s *stage, counters int) contestant {
	const name = "NATS JetStream counter, 64 callers"
	n, err := rival.StartNATS(ctx, filepath.Join(s.dir, "nats"))
	if err != nil {
		return absent(name, err.Error())
	}
	s.defers(func() { n.Stop() })
	return contestant{
		name: name, guarantee: "on disk (sync always); a total, and the stream of increments", server: n,
		turn: rivalTurn(func(ctx context.Context) (rival.Rate, error) { return n.Increment(ctx, rivalCallers, counters, e.Turn) }),
	}
}

func (e *Env) etcd(ctx context.Context, s *stage, counters int) contestant {
	const name = "etcd read-modify-write, 64 callers"
	n, err := rival.StartEtcd(ctx, filepath.Join(s.dir, "etcd"))
	if err != nil {
		return absent(name, err.Error())
	}
	s.defers(func() { n.Stop() })
	return contestant{
		name: name, guarantee: "on disk (WAL, fsync), by one member of Raft; a value and its revisions", server: n,
		turn: rivalTurn(func(ctx context.Context) (rival.Rate, error) { return n.Increment(ctx, rivalCallers, counters, e.Turn) }),
	}
}
