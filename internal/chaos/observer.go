//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// sample is what a node said of the ring.
type sample struct {
	run       int64 // of the process
	sent, got time.Time
	coherent  bool
	final     time.Time
}

// observer asks one node about the ring, again and again, for as long as clients
// work, and what counters were at times that are final.
type observer struct {
	ring     *Ring
	node     *node
	draw     *rand.Rand
	every    time.Duration
	counters int
	from     time.Time

	last sample
	asks int
}

func (o *observer) watch(ctx context.Context) {
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s, ok := o.look(ctx); ok {
			o.judge(s)
			if o.asks++; o.asks%4 == 0 {
				o.read(ctx, s.final)
			}
			o.last = s
		}
	}
}

// look asks once; ok tells that one process answered.
func (o *observer) look(ctx context.Context) (s sample, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s = sample{run: o.node.run.Load(), sent: time.Now()}
	var said status
	if err := o.node.get(ctx, "/v1/coherence", &said); err != nil {
		return s, false
	}
	s.got, s.coherent, s.final = time.Now(), said.Coherent, said.FinalThrough
	if len(said.Reasons) > 0 == said.Coherent {
		o.ring.violate("%s: coherent is %t with the reasons %+v", o.node.host, said.Coherent, said.Reasons)
	}
	return s, s.run%2 == 1 && o.node.run.Load() == s.run
}

func (o *observer) judge(s sample) {
	o.ring.count("looks at coherence", 1)
	if s.run == o.last.run && s.final.Before(o.last.final) {
		o.ring.violate("%s: final_through went back from %s to %s", o.node.host, stamp(o.last.final), stamp(s.final))
	}
	out := o.ring.outDuring(o.node.host, s.sent, s.got)
	if out != nil {
		o.ring.count(looksWhileOut, 1)
	}
	if !s.coherent {
		return
	}
	o.ring.count("looks at coherence that were true", 1)
	if out != nil {
		o.ring.violate("%s: coherent is true %s after %s began", o.node.host, s.sent.Sub(out.begin), out.what)
	}
}

// looksWhileOut counts the answers that had to be false.
const looksWhileOut = "looks during a noticed outage"

// outDuring is an outage that began so long before the question that the node
// asked must have noticed, and went on until the answer.
func (r *Ring) outDuring(asked string, sent, got time.Time) *outage {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range slices.Backward(r.outages) {
		// What a member that is not heard hears of others may say for another
		// timeout that they hear all.
		bound := r.noticeBound(o.heard || o.host == asked)
		if o.begin.Add(bound).Before(sent) && (o.end.IsZero() || o.end.After(got)) {
			return o
		}
	}
	return nil
}

// noticeBound is after how long coherent must be false everywhere: the bound of
// docs/GUARANTEES.md, with a second for latency; heard is for a member that hears
// nobody and is heard.
func (r *Ring) noticeBound(heard bool) time.Duration {
	timeout, ping := time.Duration(0), time.Duration(0)
	for _, host := range r.topo.Members() {
		t := r.topo.TimersFor(host)
		timeout, ping = max(timeout, t.PeerTimeout), max(ping, t.PingInterval)
	}
	bound := timeout + time.Duration(r.topo.Diameter()+2)*ping + time.Second
	if heard {
		bound += timeout
	}
	return bound
}

// read notes what a counter was when it was final last, and looks whether
// something that was final is still so.
func (o *observer) read(ctx context.Context, final time.Time) {
	// Before the counters were set up there is nothing that stays: once anything
	// was collected, a node cannot tell that they had no earlier life.
	at := final.Add(-time.Duration(o.draw.Int64N(int64(time.Second))) * time.Duration(o.draw.IntN(2)))
	if at.After(o.from) {
		_, _ = o.readFact(ctx, &fact{path: fmt.Sprint("/v1/counters/c", o.draw.IntN(o.counters)), at: stamp(at), by: o.node.host})
	}
	if f := o.ring.history.fact(o.draw.Int()); f != nil {
		_, _ = o.readFact(ctx, &fact{path: f.path, at: f.at, by: o.node.host})
	}
}

// readFact reads the value as of a time and compares it with what was said
// before. final tells whether the node called it final.
func (o *observer) readFact(ctx context.Context, f *fact) (final bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var then struct {
		Value string
		Final bool
	}
	if err := o.node.get(ctx, f.path+"?at="+f.at, &then); err != nil || !then.Final {
		return false, err
	}
	o.ring.count("reads of what is final", 1)
	f.value = then.Value
	if old := o.ring.history.final(f); old != nil {
		o.ring.violate("%s as of %s, final: %s said %s, %s says %s", f.path, f.at, old.by, old.value, f.by, f.value)
	}
	return true, nil
}

// observers watches all nodes until ctx ends.
func (r *Ring) observers(ctx context.Context, every time.Duration, counters int, all *sync.WaitGroup) {
	from := time.Now()
	for _, n := range r.nodes {
		o := &observer{ring: r, node: n, draw: r.source(), every: every, counters: counters, from: from}
		all.Go(func() { o.watch(ctx) })
	}
}

// source is a new source of chance, drawn from that of the ring.
func (r *Ring) source() *rand.Rand { return rand.New(rand.NewPCG(r.Draw.Uint64(), r.Draw.Uint64())) }

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
