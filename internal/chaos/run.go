//go:build linux

package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Plan is a time of trouble.
type Plan struct {
	Load      Load
	Faults    []Fault
	Duration  time.Duration                      // longer if not every kind has struck by then
	Hold      time.Duration                      // of a fault: from a quarter to one and a quarter of it; some last until all have noticed
	Pause     time.Duration                      // longest between the beginnings of two faults
	Keep      int                                // processes of the first so many nodes are not ended
	Look      time.Duration                      // of the observers, between two questions
	Meanwhile func(ctx context.Context, r *Ring) // runs beside; nil for nothing
}

// Run lets clients and the nemesis loose, and then checks all that was seen.
// Whatever is wrong is among the Violations.
func (r *Ring) Run(ctx context.Context, p Plan) error {
	r.probe()
	if err := r.setUp(p.Load); err != nil {
		return err
	}
	looking, stopLooking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLooking()
	troubled, calm := context.WithCancel(ctx)
	defer calm()
	var observing, working sync.WaitGroup
	r.observers(looking, p.Look, p.Load.Counters, &observing)
	for i := range p.Load.Clients {
		c := &client{ring: r, load: p.Load, name: i, draw: r.source()}
		working.Go(func() { c.work(troubled) })
	}
	if p.Meanwhile != nil {
		working.Go(func() { p.Meanwhile(troubled, r) })
	}
	r.nemesis(troubled, &p)
	calm()
	if ctx.Err() == nil {
		r.unseen(&p)
	}
	working.Wait()
	healed := time.Now()
	last, err := r.settle(healed)
	stopLooking()
	observing.Wait()
	if err != nil {
		r.violate("%v", err)
		return nil
	}
	r.Log("whole, equal and final %s after the last fault", time.Since(healed).Round(time.Millisecond))
	return r.check(context.WithoutCancel(ctx), p.Load, last)
}

// settle waits until all nodes are coherent, hold the same, and are final
// through the end of the trouble. It returns a time that is final everywhere.
func (r *Ring) settle(from time.Time) (last time.Time, err error) {
	err = r.await("whole, equal and final", func() error {
		if err := r.coherent(); err != nil {
			return err
		}
		var first map[string]uint64
		last = time.Time{}
		for _, n := range r.nodes {
			s, err := n.status()
			if err != nil {
				return err
			}
			if first == nil {
				first = s.Vector
			}
			if fmt.Sprint(s.Vector) != fmt.Sprint(first) {
				return fmt.Errorf("%s holds %v, %s holds %v", n.host, s.Vector, r.nodes[0].host, first)
			}
			if s.FinalThrough.Before(from) {
				return fmt.Errorf("%s is final through %s, blocked by %v, and the trouble ended at %s", n.host, stamp(s.FinalThrough), s.BlockedBy, stamp(from))
			}
			if last.IsZero() || s.FinalThrough.Before(last) {
				last = s.FinalThrough
			}
		}
		return nil
	})
	return last, err
}

// Report tells what was done and seen.
func (r *Ring) Report() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for kind, why := range r.skipped {
		fmt.Fprintf(&b, "skipped %s: %s\n", kind, why)
	}
	var keys []string
	for key := range r.counts {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Fprintf(&b, "%8d %s\n", r.counts[key], key)
	}
	fmt.Fprintf(&b, "%8d violations\n", len(r.violations))
	return b.String()
}
