// Package load updates counters of a node as fast as it answers and measures how long that takes.
package load

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"

	"bluerings/internal/client"
)

// Plan is the load to make.
type Plan struct {
	Connections int           // requests under way at a time
	Names       int           // counters that are updated, at random
	Batch       int           // updates per request; 1 for single ones
	Duration    time.Duration // how long new requests are begun
	Prefix      string        // of the counters' names
	Expire      string        // of the counters
}

// The limits of a plan.
const (
	MaxConnections = 4096
	MaxNames       = 10_000_000
	MaxBatch       = 10_000
	MaxDuration    = time.Hour
	maxErrors      = 10 // different errors that are told apart
)

// Check refuses a plan beyond the limits.
func (p Plan) Check() error {
	var errs []error
	within := func(what string, n, most int) {
		if n < 1 || n > most {
			errs = append(errs, fmt.Errorf("%s: %d is not between 1 and %d", what, n, most))
		}
	}
	within("connections", p.Connections, MaxConnections)
	within("names", p.Names, MaxNames)
	within("batch", p.Batch, MaxBatch)
	if p.Duration <= 0 || p.Duration > MaxDuration {
		errs = append(errs, fmt.Errorf("duration: %s is not between 0 and %s", p.Duration, MaxDuration))
	}
	return errors.Join(errs...)
}

// Result is what a load did.
type Result struct {
	Updates, Requests, Failed uint64         // acknowledged; answered; updates that were not acknowledged
	Elapsed                   time.Duration  // from the first request to the last answer
	Latency                   Histogram      // of the requests that were answered
	Errors                    map[string]int // how often each error was seen
}

// Run makes the load through c. Requests that are under way when the time is over, or ctx ends,
// are waited for.
func Run(ctx context.Context, c *client.Client, p Plan) *Result {
	timed, cancel := context.WithTimeout(ctx, p.Duration)
	defer cancel()
	start := time.Now()
	parts := make(chan *Result)
	var workers sync.WaitGroup
	for range p.Connections {
		w := &worker{client: c, plan: p, run: rand.Text(), result: &Result{Errors: map[string]int{}}}
		workers.Go(func() {
			w.work(timed, context.WithoutCancel(ctx))
			parts <- w.result
		})
	}
	go func() {
		workers.Wait()
		close(parts)
	}()
	total := &Result{Errors: map[string]int{}}
	for part := range parts {
		total.merge(part)
	}
	total.Elapsed = time.Since(start)
	return total
}

func (r *Result) merge(o *Result) {
	r.Updates += o.Updates
	r.Requests += o.Requests
	r.Failed += o.Failed
	r.Latency.Merge(&o.Latency)
	for text, n := range o.Errors {
		r.fail(text, n)
	}
}

func (r *Result) fail(text string, n int) {
	if _, known := r.Errors[text]; !known && len(r.Errors) >= maxErrors {
		text = "other errors"
	}
	r.Errors[text] += n
}

// answerTime is how long a request may take.
const answerTime = 30 * time.Second

// worker makes one request after the other.
type worker struct {
	client *client.Client
	plan   Plan
	run    string // begins the ids of this worker's updates
	next   uint64
	result *Result
	body   bytes.Buffer
}

func (w *worker) work(until, ctx context.Context) {
	for until.Err() == nil {
		req := w.single()
		if w.plan.Batch > 1 {
			req = w.batch()
		}
		started := time.Now()
		asked, cancel := context.WithTimeout(ctx, answerTime)
		answer, err := w.client.Do(asked, req)
		cancel()
		if err != nil {
			w.result.Failed += uint64(w.plan.Batch)
			w.result.fail(err.Error(), 1)
			pause(until)
			continue
		}
		w.result.Latency.Add(time.Since(started))
		w.result.Requests++
		w.count(answer)
	}
}

// pause keeps a worker whose requests fail from spinning.
func pause(until context.Context) {
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-until.Done():
	case <-timer.C:
	}
}

// update is one line of a batch, or the body of a single update.
type update struct {
	Op     string `json:"op,omitempty"`
	Name   string `json:"name,omitempty"`
	Amount string `json:"amount"`
	ID     string `json:"id"`
	Expire string `json:"expire"`
}

func (w *worker) update() (name string, u update) {
	w.next++
	name = fmt.Sprintf("%s%d", w.plan.Prefix, mathrand.IntN(w.plan.Names))
	return name, update{Amount: "1", ID: fmt.Sprintf("%s-%d", w.run, w.next), Expire: w.plan.Expire}
}

func (w *worker) single() client.Request {
	name, u := w.update()
	return client.Request{Method: http.MethodPost, Path: "/v1/counters/" + client.Segment(name)}.JSON(u)
}

func (w *worker) batch() client.Request {
	w.body.Reset()
	lines := json.NewEncoder(&w.body)
	for range w.plan.Batch {
		name, u := w.update()
		u.Op, u.Name = "counter.update", name
		if err := lines.Encode(u); err != nil {
			panic(fmt.Sprintf("load: update %+v: %v", u, err)) // strings always encode
		}
	}
	return client.Request{
		Method: http.MethodPost, Path: "/v1/batch", Body: w.body.Bytes(),
		Header: http.Header{"Content-Type": {"application/x-ndjson"}},
	}
}
