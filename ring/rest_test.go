package ring

import (
	"context"
	"errors"
	"strconv"
	"syscall"
	"testing"
	"time"

	"bluerings/tickets"
	"bluerings/value"
)

// BenchmarkStop closes a node of a million counters of which most have just
// changed, and opens it again; then the same where few have.
func BenchmarkStop(b *testing.B) {
	names := benchNames(1_000_000)
	for _, updates := range []int{1_000_000, 100_000} {
		dir := b.TempDir() + "/data"
		n := crowded(b, dir, "none", names)
		for range b.N {
			hammer(b, n, names, 1, 1000, updates)
			began := time.Now()
			closeNode(b, n)
			closed := time.Now()
			n = open(b, Config{Data: dir, Durability: n.cfg.Durability})
			b.Logf("%d updates before: closed in %v, open again in %v", updates, closed.Sub(began), time.Since(closed))
		}
		closeNode(b, n)
	}
}

// TestClosingEndsACheckpoint: the index need not be whole when a node closes,
// and what it lacks is not lost.
func TestClosingEndsACheckpoint(t *testing.T) {
	dir := t.TempDir() + "/data"
	n := open(t, Config{Data: dir})
	for i := range 3 {
		add(t, n, "x", "2", "id"+strconv.Itoa(i))
	}
	ctx, cancel := n.untilDrained(time.Hour)
	defer cancel()
	n.Drain()
	<-ctx.Done()
	if err := n.checkpoint(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if rows, _ := n.unflushed(); rows == 0 {
		t.Fatal("all is in the index")
	}
	closeNode(t, n)
	verified(t, dir)
	n = open(t, Config{Data: dir})
	defer closeNode(t, n)
	if got := n.total("x"); got != "6" {
		t.Fatal(got)
	}
	n.rest()
	if got := add(t, n, "x", "2", "id1"); !got.Replayed || n.total("x") != "6" {
		t.Fatalf("%+v", got)
	}
}

// BenchmarkIdle measures the processor time of a node of a million counters
// to which nothing happens.
func BenchmarkIdle(b *testing.B) {
	n := crowded(b, b.TempDir()+"/data", "always", benchNames(1_000_000))
	defer closeNode(b, n)
	time.Sleep(3 * time.Second) // what the filling left to do
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before, began := used(), time.Now()
	time.Sleep(10 * time.Second)
	b.ReportMetric(100*(used()-before).Seconds()/time.Since(began).Seconds(), "%-of-a-core")
}

// TestClosingAfterManyTickets: the index is written, however many rows changed,
// where folding all that it lacks would take the next start longer.
func TestClosingAfterManyTickets(t *testing.T) {
	names := benchNames(maxLastRows + 1)
	dir := t.TempDir() + "/data"
	n := crowded(t, dir, "none", names)
	n.flushing.Lock() // none but the last
	cmds := make([]Command, len(names))
	for i := range cmds {
		cmds[i] = Command{Op: tickets.CounterAdd, Name: names[i], Amount: value.FromInt64(1)}
	}
	for range foldedAtOnce {
		applyAll(t, n, cmds)
	}
	n.Drain()
	n.flushing.Unlock()
	closeNode(t, n)
	verified(t, dir)
	n = open(t, Config{Data: dir})
	defer closeNode(t, n)
	if all := uint64((foldedAtOnce + 1) * len(names)); n.indexed != all {
		t.Errorf("of %d tickets the index has %d", all, n.indexed)
	}
}
