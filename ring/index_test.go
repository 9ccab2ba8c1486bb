package ring

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// ending is a context that ends when it is looked at once more than so often.
type ending struct {
	context.Context
	looks atomic.Int64
}

func (e *ending) Err() error {
	if e.looks.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestIndexIsOfNoUseUntilItsLastStep: a crash while an index is written in
// steps loses the index and nothing else; what was written is left out.
func TestIndexIsOfNoUseUntilItsLastStep(t *testing.T) {
	const counters = stepItems + stepItems/4
	dir, names := t.TempDir()+"/data", benchNames(counters)
	config := Config{Data: dir, look: time.Hour} // no checkpoint of its own
	n := open(t, config)
	commands := make([]Command, 0, counters)
	for i, name := range names {
		c := Command{Op: tickets.CounterAdd, Name: name, Amount: value.FromInt64(int64(i)), Expire: hlc.Never}
		if i%8 == 0 {
			c.ID = strconv.Itoa(i)
		}
		commands = append(commands, c)
	}
	applyAll(t, n, commands)
	halted := false
	for _, looks := range []int64{0, 20, 60, 80, 95} {
		ctx := &ending{Context: t.Context()}
		ctx.looks.Store(looks)
		if err := n.checkpoint(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d looks: %v", looks, err)
		}
		if err := n.store.EachRow(func(replica.Row) error { halted = true; return nil }); err != nil {
			t.Fatal(err)
		}
		add(t, n, names[looks], "1000000", fmt.Sprint("again", looks))
	}
	if !halted {
		t.Fatal("no step was written")
	}
	crash(t, n)
	verified(t, dir)
	for _, covered := range []bool{false, true} {
		n = open(t, config)
		if got := n.total(names[95]); got != "1000095" {
			t.Errorf("covered %v: %s", covered, got)
		}
		if got := add(t, n, names[8], "8", "8"); !got.Replayed {
			t.Errorf("covered %v: %+v", covered, got)
		}
		if n.indexed > 0 != covered {
			t.Errorf("the index covers %d tickets", n.indexed)
		}
		if err := n.checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		closeNode(t, n)
		verified(t, dir)
	}
}

// BenchmarkFirstIndex writes the index of a million counters (ten with -full)
// for the first time, while 64 callers make single updates: how many a second
// before and meanwhile, their p99, and how far the heap grew.
func BenchmarkFirstIndex(b *testing.B) {
	names := benchNames(scaled(10_000_000))
	for range b.N {
		n := open(b, Config{Data: b.TempDir() + "/data"})
		n.flushing.Lock()
		for at := 0; at < len(names); at += 10_000 {
			cmds := make([]Command, 0, 10_000)
			for _, name := range names[at : at+10_000] {
				cmds = append(cmds, Command{Op: tickets.CounterSetup, Name: name, Expire: hlc.Never})
			}
			applyAll(b, n, cmds)
		}
		before, _ := updated(b, n, names, func() { time.Sleep(3 * time.Second) })
		n.flushing.Unlock()
		began := time.Now()
		during, peak := updated(b, n, names, func() {
			if err := n.checkpoint(b.Context()); err != nil {
				b.Error(err)
			}
		})
		b.ReportMetric(time.Since(began).Seconds(), "index-s")
		b.ReportMetric(before, "before/s")
		b.ReportMetric(during, "during/s")
		b.ReportMetric(during/before, "during/before")
		b.ReportMetric(peak/float64(len(names)), "peak-B/counter")
		closeNode(b, n)
	}
}

// updated has 64 callers make single updates while do runs, and returns how
// many a second they made and by how many bytes memory was above its start.
func updated(b *testing.B, n *Node, names []string, do func()) (rate, peak float64) {
	var stop atomic.Bool
	var made atomic.Int64
	var callers sync.WaitGroup
	for c := range 64 {
		callers.Go(func() {
			for i := c; !stop.Load(); i += 7919 {
				applyAll(b, n, []Command{{Op: tickets.CounterAdd, Name: names[i%len(names)], Amount: value.FromInt64(1)}})
				made.Add(1)
			}
		})
	}
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	start, began := float64(sample[0].Value.Uint64()), time.Now()
	callers.Go(func() {
		for !stop.Load() {
			metrics.Read(sample)
			peak = max(peak, float64(sample[0].Value.Uint64())-start)
			time.Sleep(2 * time.Millisecond)
		}
	})
	do()
	rate = float64(made.Load()) / time.Since(began).Seconds()
	stop.Store(true)
	callers.Wait()
	return rate, peak
}
