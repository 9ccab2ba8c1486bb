package simulator

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Many says how many seeds to play.
type Many struct {
	Options               // of the first seed
	Seeds   int           // at least so many
	Time    time.Duration // and so much time of all nodes together
	Workers int           // seeds at once; 0: as many as processors
	GoOn    bool          // also after a failure
	Each    func(Result)  // if set, is told of each, one at a time
}

// Play plays seed after seed, several at once, until enough have run, one
// failed, or ctx ends. It sums them up; the failure is that of the least seed
// that failed.
func (m Many) Play(ctx context.Context) (total Result) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	next, begun := m.Seed, 0
	take := func() (o Options, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil || total.Failure != nil && !m.GoOn || begun >= m.Seeds && total.NodeTime >= m.Time {
			return o, false
		}
		o = m.Options
		o.Seed = next
		next, begun = next+1, begun+1
		return o, true
	}
	work := func() {
		for o, ok := take(); ok; o, ok = take() {
			r := Run(o)
			mu.Lock()
			total.Add(r)
			if f := r.Failure; f != nil && (total.Failure == nil || f.Seed < total.Failure.Seed) {
				total.Failure = f
			}
			if m.Each != nil {
				m.Each(r)
			}
			mu.Unlock()
		}
	}
	workers := m.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	for range workers {
		wait.Go(work)
	}
	wait.Wait()
	return total
}
