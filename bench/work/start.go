package work

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"bluerings/bench/measure"
	"bluerings/bench/node"
	"bluerings/bench/rival"
	"bluerings/internal/client"
	"bluerings/internal/load"
)

var start = Work{
	ID: "start", Title: "Start and stop with a million counters and ten million tickets", Run: runStart,
}

var asOf = Work{
	ID: "as-of", Title: "Reads as of an earlier moment over HTTP, a counter of a million tickets", Run: runAsOf,
}

func runStart(ctx context.Context, e *Env) ([]measure.Result, error) {
	s, err := e.stage("start")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	counters := e.scaled(manyCounters)
	updates := e.scaled(10*manyCounters) - counters
	data := filepath.Join(s.dir, "data")
	if err := node.Prepare(ctx, data, node.Store{Counters: counters, Updates: updates}); err != nil {
		return nil, err
	}
	c := contest{
		note: fmt.Sprintf("%d counters, %d tickets. Start: from the start of the process until /readyz says so, files checked. Stop: from SIGTERM to its end, "+
			"right after updates. Redis has the same counters, in as many commands of its file as there are counters, and starts when it answers a GET.", counters, counters+updates),
		metrics: []measure.Metric{
			{Name: "start", Unit: measure.Seconds, Better: measure.Lower},
			{Name: "stop", Unit: measure.Seconds, Better: measure.Lower},
		},
		contestants: []contestant{
			{name: "Blue Rings", guarantee: "files checked, all values exact", turn: func(ctx context.Context) (figures, error) {
				return e.startNode(ctx, data, counters)
			}},
			e.redisStart(ctx, s, counters),
		},
	}
	return c.run(ctx, e)
}

func (e *Env) startNode(ctx context.Context, data string, counters int) (figures, error) {
	began := time.Now()
	n, err := node.Start(ctx, node.Options{Program: e.Program, Data: data})
	if err != nil {
		return nil, err
	}
	defer n.Stop()
	if err := n.WaitReady(ctx); err != nil {
		return nil, err
	}
	took := time.Since(began)
	if err := randomUpdates(ctx, n, 10*batchSize, counters); err != nil {
		return nil, err
	}
	return figures{"start": took.Seconds(), "stop": n.Stop().Seconds()}, nil
}

func (e *Env) redisStart(ctx context.Context, s *stage, counters int) contestant {
	const name = "Redis"
	if missing := rival.Missing("redis-server"); missing != "" {
		return absent(name, missing)
	}
	dir := filepath.Join(s.dir, "redis")
	r, err := rival.StartRedis(ctx, dir)
	if err != nil {
		return absent(name, err.Error())
	}
	err = r.Fill(counters, node.Name, node.Amount)
	r.Stop()
	if err != nil {
		return absent(name, err.Error())
	}
	return contestant{name: name, guarantee: "its file read, not checked", turn: func(ctx context.Context) (figures, error) {
		began := time.Now()
		r, err := rival.StartRedis(ctx, dir)
		if err != nil {
			return nil, err
		}
		took := time.Since(began)
		return figures{"start": took.Seconds(), "stop": r.Stop().Seconds()}, nil
	}}
}

func runAsOf(ctx context.Context, e *Env) ([]measure.Result, error) {
	s, err := e.stage("as-of")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	tickets := e.scaled(manyCounters)
	n, first, last, err := e.longLedger(ctx, s, tickets)
	if err != nil {
		return nil, err
	}
	defer n.Stop()
	c := contest{
		note:    fmt.Sprintf("One client; one counter of %d tickets; GET ?at= of random moments in its history.", tickets),
		metrics: propagationMetrics,
		contestants: []contestant{{
			name: "Blue Rings", guarantee: "the value as of then, and whether it is final", server: n,
			turn: func(ctx context.Context) (figures, error) {
				h, err := readAsOf(ctx, n, first, last, 300)
				if err != nil {
					return nil, err
				}
				return quantiles(h), nil
			},
		}},
	}
	return c.run(ctx, e)
}

// longLedger starts a node with one counter of so many tickets, made between first and last.
func (e *Env) longLedger(ctx context.Context, s *stage, tickets int) (n *node.Node, first, last time.Time, err error) {
	if n, err = e.alone(ctx, s.dir, 1); err != nil {
		return nil, first, last, err
	}
	first = time.Now()
	err = n.InBatches(ctx, tickets, batchSize, func(b []byte, _ int) []byte { return node.AppendUpdate(b, node.Name(0)) })
	if last = time.Now(); err != nil {
		n.Stop()
	}
	return n, first, last, err
}

// readAsOf reads counter 0 so many times and checks that no value exceeds the present one.
func readAsOf(ctx context.Context, n *node.Node, first, last time.Time, times int) (*load.Histogram, error) {
	path := "/v1/counters/" + node.Name(0)
	now, err := counterValue(ctx, n.Client, client.Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return nil, err
	}
	h := &load.Histogram{}
	for range times {
		at := first.Add(time.Duration(rand.Int64N(int64(last.Sub(first)))))
		began := time.Now()
		answer, err := n.Do(ctx, client.Request{
			Method: http.MethodGet, Path: path, Query: url.Values{"at": {at.UTC().Format(time.RFC3339Nano)}},
		})
		if err != nil {
			return nil, err
		}
		h.Add(time.Since(began))
		var c struct {
			Value string `json:"value"`
		}
		if err := json.Unmarshal(answer.Body, &c); err != nil {
			return nil, err
		}
		then, err := strconv.ParseInt(c.Value, 10, 64)
		if err != nil {
			return nil, err
		}
		if then > now {
			return nil, fmt.Errorf("as of %s: %d, now %d", at, then, now)
		}
	}
	return h, nil
}
