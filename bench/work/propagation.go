package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

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
	racers, err := e.propagationRacers(ctx, s)
	if err != nil {
		return nil, err
	}
	var all shared
	c := contest{
		note: fmt.Sprintf("One update every %s, of each contestant in turn, by one client, who then reads at the other side until the new value is there. So the time "+
			"begins when the acknowledgement has arrived and holds at least one read over loopback. The bare message goes "+
			"from a zmq4 PUB to a SUB socket, 100 bytes, and is followed by one write of 4 KiB into a file of constant length, with fdatasync, as the other node makes the ticket durable before it shows it; "+
			"it is not read over HTTP by anybody. The bare pair is: two processes of chi, which write 4 KiB with fdatasync, and between them the same bare message. "+
			"The reader pauses only after a millisecond, then for a sixteenth of the time it has waited: it keeps one core busy meanwhile, and "+
			"where other work keeps the second one busy too, a sync of this disk takes up to a hundred times longer, whoever asks for it.",
			propagationInterval),
		metrics: propagationMetrics,
		ordered: true,
	}
	taking := []racer(nil)
	for _, r := range racers {
		who := contestant{name: r.name, guarantee: r.guarantee, skipped: r.missing}
		if r.missing == "" {
			who.turn = all.told(len(taking))
			taking = append(taking, r.racer)
		}
		c.contestants = append(c.contestants, who)
	}
	c.contestants[0].turn = all.first(func(ctx context.Context) ([]figures, error) {
		return race(ctx, taking, time.Duration(len(taking))*e.Turn)
	})
	return c.run(ctx, e)
}

// racer is one who takes part in a race of single updates.
type racer interface {
	// once makes an update and tells how long it took, from its acknowledgement, until it was there.
	once(ctx context.Context) (time.Duration, error)
}

// race lets all make one update after another, in turns, for so long and once at least, so that whatever the machine does happens to all.
func race(ctx context.Context, racers []racer, d time.Duration) ([]figures, error) {
	times := make([]load.Histogram, len(racers))
	for began := time.Now(); times[0].Count() == 0 || time.Since(began) < d; {
		for i, r := range racers {
			if err := pause(ctx, propagationInterval); err != nil {
				return nil, err
			}
			took, err := r.once(ctx)
			if err != nil {
				return nil, err
			}
			times[i].Add(took)
		}
	}
	all := make([]figures, len(racers))
	for i := range times {
		all[i] = quantiles(&times[i])
	}
	return all, nil
}

// namedRacer is a racer, or why there is none.
type namedRacer struct {
	racer
	name, guarantee string
	missing         string
}

// propagationRacers starts all of them, ours first.
func (e *Env) propagationRacers(ctx context.Context, s *stage) ([]namedRacer, error) {
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
	if err := everywhere(ctx, ring); err != nil {
		return nil, err
	}
	message, err := newBareMessage(s)
	if err != nil {
		return nil, err
	}
	bare, err := rival.StartPair(ctx, filepath.Join(s.dir, "pair"))
	if err != nil {
		return nil, err
	}
	s.defers(bare.Stop)
	pair, err := newNodePair("http://"+bare.From, "http://"+bare.To)
	if err != nil {
		return nil, err
	}
	racers := []namedRacer{
		{racer: pairRacer{&nodePair{from: ring.Nodes[0].Client, to: ring.Nodes[1].Client}}, name: "Blue Rings, two nodes", guarantee: "on disk at both"},
		{racer: message, name: "bare zmq4 message + fdatasync", guarantee: "on disk; nothing counted"},
		{racer: pairRacer{pair}, name: "bare pair: the same between two chi handlers", guarantee: "on disk at both; one number, nothing found missing"},
		e.redisReplica(ctx, s),
	}
	for _, r := range racers {
		if p, ok := r.racer.(pairRacer); ok {
			if err := p.warmUp(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	return racers, nil
}

// pair is two places of which the second follows the first.
type pair interface {
	update(ctx context.Context) error                   // acknowledged when it returns
	arrived(ctx context.Context, n int64) (bool, error) // whether n updates are readable at the second
	updates() int64                                     // how many were made
}

// pairRacer reads at the second until what was written at the first is there.
type pairRacer struct{ pair }

// impatience is how long the reader reads without pause. Then it leaves the processors to those it waits
// for, a sixteenth of the time it has waited, which is as far as its figure may be too high.
const impatience = time.Millisecond

var errNotArrived = errors.New("an update did not arrive")

func (r pairRacer) once(ctx context.Context) (time.Duration, error) {
	return r.within(ctx, 10*time.Second)
}

func (r pairRacer) within(ctx context.Context, limit time.Duration) (time.Duration, error) {
	if err := r.update(ctx); err != nil {
		return 0, err
	}
	for began := time.Now(); ; {
		there, err := r.arrived(ctx, r.updates())
		switch took := time.Since(began); {
		case err != nil || there:
			return took, err
		case took > limit:
			return took, fmt.Errorf("%w within %s", errNotArrived, limit)
		case took > impatience:
			if err := pause(ctx, took/16); err != nil {
				return took, err
			}
		}
	}
}

// warmUp makes updates until one arrives: bare sockets lose what is sent before they are connected.
func (r pairRacer) warmUp(ctx context.Context) (err error) {
	for range 20 {
		if _, err = r.within(ctx, 500*time.Millisecond); !errors.Is(err, errNotArrived) {
			return err
		}
	}
	return err
}

// nodePair is two nodes of a ring, and one counter.
type nodePair struct {
	from, to *client.Client
	value    int64 // of the counter, at from
	read     int64 // at to
}

func newNodePair(from, to string) (*nodePair, error) {
	f, err := client.New(client.Options{URL: from})
	if err != nil {
		return nil, err
	}
	t, err := client.New(client.Options{URL: to})
	return &nodePair{from: f, to: t}, err
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

func counterValue(ctx context.Context, n *client.Client, r client.Request) (int64, error) {
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
func (e *Env) redisReplica(ctx context.Context, s *stage) namedRacer {
	r := namedRacer{name: "Redis, replica", guarantee: "on disk at the first; the replica shows it before its own fsync"}
	if r.missing = rival.Missing("redis-server"); r.missing != "" {
		return r
	}
	p, err := startRedisPair(ctx, s)
	if err != nil {
		r.missing = err.Error()
		return r
	}
	r.racer = pairRacer{p}
	return r
}

func startRedisPair(ctx context.Context, s *stage) (*redisPair, error) {
	primary, err := rival.StartRedis(ctx, filepath.Join(s.dir, "primary"), "--repl-diskless-sync-delay", "0")
	if err != nil {
		return nil, err
	}
	s.defers(func() { primary.Stop() })
	replica, err := rival.StartRedis(ctx, filepath.Join(s.dir, "replica"), "--replicaof", "127.0.0.1 "+strconv.Itoa(primary.Port))
	if err != nil {
		return nil, err
	}
	s.defers(func() { replica.Stop() })
	p := &redisPair{}
	if p.from, err = primary.Dial(); err == nil {
		p.to, err = replica.Dial()
	}
	return p, err
}
