package work

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"bluerings/bench/machine"
	"bluerings/bench/measure"
	"bluerings/bench/node"
	"bluerings/bench/rival"
	"bluerings/internal/client"
	"bluerings/internal/load"
)

var propagation = Work{
	ID: "propagation", Title: "Propagation: acknowledged at one node, readable at the other", Run: runPropagation,
}

// propagationInterval is the time between two updates: low load.
const propagationInterval = 10 * time.Millisecond

var propagationMetrics = []measure.Metric{
	{Name: "p50", Unit: measure.Milliseconds, Better: measure.Lower},
	{Name: "p99", Unit: measure.Milliseconds, Better: measure.Lower},
}

// quantiles are the figures of propagationMetrics.
func quantiles(h *load.Histogram) figures {
	milliseconds := func(q float64) float64 { return float64(h.Quantile(q)) / float64(time.Millisecond) }
	return figures{"p50": milliseconds(0.5), "p99": milliseconds(0.99)}
}

func runPropagation(ctx context.Context, e *Env) ([]measure.Result, error) {
	s, err := e.stage("propagation")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	ring, err := node.NewRing(e.Program, s.dir, "full-mesh", 2)
	if err != nil {
		return nil, err
	}
	s.defers(ring.Stop)
	if err := ring.StartAll(ctx); err != nil {
		return nil, err
	}
	if err := ring.Nodes[0].SetUp(ctx, 1); err != nil {
		return nil, err
	}
	bare := &bareMessages{dir: s.dir}
	c := contest{
		note: fmt.Sprintf("An update every %s, by one client, who then reads at the other side until the new value is there. So the time "+
			"begins when the acknowledgement has arrived and holds at least one read over loopback. The bare message is 100 bytes "+
			"from a zmq4 PUB to a SUB socket plus one 4 KiB append with fdatasync, quantile by quantile, as the other node makes the ticket durable before it shows it.",
			propagationInterval),
		metrics: propagationMetrics,
		contestants: []contestant{
			{name: "Blue Rings, two nodes", guarantee: "on disk at both", turn: func(ctx context.Context) (figures, error) {
				return e.propagate(ctx, &nodePair{from: ring.Nodes[0], to: ring.Nodes[1]})
			}},
			{name: "bare zmq4 message + fdatasync", guarantee: "on disk; nothing counted", turn: func(ctx context.Context) (figures, error) {
				return bare.measure(ctx, e.Turn)
			}},
			e.redisReplica(ctx, s),
		},
	}
	return c.run(ctx, e)
}

// pair is two places of which the second follows the first.
type pair interface {
	update(ctx context.Context) error                   // acknowledged when it returns
	arrived(ctx context.Context, n int64) (bool, error) // whether n updates are readable at the second
	updates() int64                                     // how many were made
}

// propagate times how long updates take, one at a time.
func (e *Env) propagate(ctx context.Context, p pair) (figures, error) {
	h := &load.Histogram{}
	for end := time.Now().Add(e.Turn); time.Now().Before(end); {
		if err := p.update(ctx); err != nil {
			return nil, err
		}
		began := time.Now()
		for there := false; !there; {
			var err error
			if there, err = p.arrived(ctx, p.updates()); err != nil {
				return nil, err
			}
			if time.Since(began) > 10*time.Second {
				return nil, fmt.Errorf("an update did not arrive within %s", time.Since(began))
			}
		}
		h.Add(time.Since(began))
		if err := pause(ctx, propagationInterval); err != nil {
			return nil, err
		}
	}
	return quantiles(h), nil
}

// nodePair is two nodes of a ring, and one counter.
type nodePair struct {
	from, to *node.Node
	value    int64 // of the counter, at from
	read     int64 // at to
}

func (p *nodePair) updates() int64 { return p.value }

func (p *nodePair) update(ctx context.Context) (err error) {
	p.value, err = counterValue(ctx, p.from, client.Request{
		Method: http.MethodPost, Path: "/v1/counters/" + node.Name(0), Body: []byte(`{"amount":"1"}`),
		Header: http.Header{"Content-Type": {"application/json"}},
	})
	return err
}

func (p *nodePair) arrived(ctx context.Context, n int64) (_ bool, err error) {
	p.read, err = counterValue(ctx, p.to, client.Request{Method: http.MethodGet, Path: "/v1/counters/" + node.Name(0)})
	return p.read >= n, err
}

func counterValue(ctx context.Context, n *node.Node, r client.Request) (int64, error) {
	answer, err := n.Do(ctx, r)
	if err != nil {
		return 0, err
	}
	var c struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(answer.Body, &c); err != nil {
		return 0, err
	}
	return strconv.ParseInt(c.Value, 10, 64)
}

// redisPair is a Redis and its replica.
type redisPair struct {
	from, to *rival.Conn
	value    int64
}

func (p *redisPair) updates() int64 { return p.value }

func (p *redisPair) update(context.Context) error {
	text, err := p.from.Do("INCRBY", node.Name(0), "1")
	if err == nil {
		p.value, err = strconv.ParseInt(text, 10, 64)
	}
	return err
}

func (p *redisPair) arrived(_ context.Context, n int64) (bool, error) {
	text, err := p.to.Do("GET", node.Name(0))
	if err != nil || text == "" {
		return false, err
	}
	value, err := strconv.ParseInt(text, 10, 64)
	return value >= n, err
}

// redisReplica starts a Redis with a replica.
func (e *Env) redisReplica(ctx context.Context, s *stage) contestant {
	const name = "Redis, replica"
	if missing := rival.Missing("redis-server"); missing != "" {
		return absent(name, missing)
	}
	primary, err := rival.StartRedis(ctx, filepath.Join(s.dir, "primary"), "--repl-diskless-sync-delay", "0")
	if err != nil {
		return absent(name, err.Error())
	}
	s.defers(func() { primary.Stop() })
	replica, err := rival.StartRedis(ctx, filepath.Join(s.dir, "replica"), "--replicaof", "127.0.0.1 "+strconv.Itoa(primary.Port))
	if err != nil {
		return absent(name, err.Error())
	}
	s.defers(func() { replica.Stop() })
	from, err := primary.Dial()
	if err != nil {
		return absent(name, err.Error())
	}
	to, err := replica.Dial()
	if err != nil {
		return absent(name, err.Error())
	}
	p := &redisPair{from: from, to: to}
	return contestant{
		name: name, guarantee: "on disk at the first; the replica shows it before its own fsync",
		turn: func(ctx context.Context) (figures, error) { return e.propagate(ctx, p) },
	}
}

// fdatasyncTimes measures as many appends as fit into d.
func fdatasyncTimes(dir string, d time.Duration) (*load.Histogram, error) {
	took, err := machine.Fdatasyncs(dir, d)
	h := &load.Histogram{}
	for _, t := range took {
		h.Add(t)
	}
	return h, err
}
