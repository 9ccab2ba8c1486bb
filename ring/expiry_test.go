package ring

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// waitUntil polls until test is true; it gives up with the test's deadline.
func waitUntil(t testing.TB, what string, test func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !test() {
		select {
		case <-ctx.Done():
			t.Fatalf("gave up waiting until %s", what)
		case <-tick.C:
		}
	}
}

func TestExpiredNamesAreGoneThenCollectedThenNew(t *testing.T) {
	dir := t.TempDir() + "/data"
	n := open(t, Config{Data: dir, ExpiryGrace: time.Millisecond})
	key := tickets.Key{Family: tickets.Counters, Name: "short"}
	apply := func(expire hlc.Timestamp) Outcome {
		out, err := n.Apply(t.Context(), []Command{{Op: tickets.CounterAdd, Name: "short", Amount: value.FromInt64(5), ID: "once", Expire: expire}})
		if err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	before, long := n.Now(), tickets.Key{Family: tickets.Counters, Name: "long"}
	add(t, n, "long", "7", "")
	if r, err := n.ReadAt(t.Context(), long, before); err != nil || r.Value.String(n.kind) != "0" {
		t.Fatalf("before its first life: %s, %v", r.Value.String(n.kind), err)
	}
	if o := apply(n.Now().Add(300 * time.Millisecond)); o.Err != nil || !o.Created {
		t.Fatalf("%+v", o)
	}
	alive := n.Now()
	waitUntil(t, "the name is gone", func() bool { _, ok := n.Read(key); return !ok })
	if o := apply(0); !errors.Is(o.Err, ErrUnknown) {
		t.Fatalf("an update of an expired name: %+v", o)
	}
	waitUntil(t, "its tickets are collected", func() bool {
		n.mu.RLock()
		defer n.mu.RUnlock()
		_, ok := n.table.Lookup(key)
		return !ok && n.replica.Collected() > 0
	})
	if o := apply(hlc.Never); o.Err != nil || o.Replayed || o.Reading.Value.String(n.kind) != "5" {
		t.Fatalf("a new life: %+v", o)
	}
	if _, err := n.ReadAt(t.Context(), key, alive); !errors.Is(err, ErrExpired) {
		t.Fatalf("as of an earlier life: %v", err)
	}
	// Whether that name had an earlier life as well nobody can tell any more.
	if _, err := n.ReadAt(t.Context(), long, before); !errors.Is(err, ErrExpired) {
		t.Fatalf("before the present life of a name: %v", err)
	}
	closeNode(t, n)
	if found, err := Verify(t.Context(), dir, io.Discard); err != nil || found != 0 {
		t.Fatalf("%d differences, %v", found, err)
	}
	n = open(t, Config{Data: dir})
	defer closeNode(t, n)
	if a, b := n.total("short"), n.total("long"); a != "5" || b != "7" {
		t.Fatalf("after the restart: %s and %s", a, b)
	}
	if entries, err := n.Ledger(t.Context(), key, LedgerQuery{}); err != nil || len(entries) != 1 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
}

// The ids of collected tickets leave the index, but for one that a new life of
// the name has taken; and a directory where they did not get that far is whole.
func TestIDsOfCollectedTicketsLeaveTheIndex(t *testing.T) {
	dir := t.TempDir() + "/data"
	n := open(t, Config{Data: dir, ExpiryGrace: time.Millisecond})
	key := tickets.Key{Family: tickets.Counters, Name: "short"}
	apply := func(id string, expire hlc.Timestamp) {
		t.Helper()
		out, err := n.Apply(t.Context(), []Command{{Op: tickets.CounterAdd, Name: "short", Amount: value.FromInt64(5), ID: id, Expire: expire}})
		if err != nil || out[0].Err != nil {
			t.Fatal(err, out)
		}
	}
	apply("again", n.Now().Add(300*time.Millisecond))
	for _, id := range []string{"b", "c", "d"} {
		apply(id, 0)
	}
	if err := n.checkpoint(t.Context()); err != nil || n.idsInIndex(t) != 4 {
		t.Fatalf("%d ids, %v", n.idsInIndex(t), err)
	}
	waitUntil(t, "its tickets are collected", func() bool {
		n.mu.RLock()
		defer n.mu.RUnlock()
		_, ok := n.table.Lookup(key)
		return !ok && len(n.orphans) == 4
	})
	copied := t.TempDir() + "/copy" // as after a crash here
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if found, err := Verify(t.Context(), copied, t.Output()); err != nil || found != 0 {
		t.Fatalf("after a crash: %d differences, %v", found, err)
	}
	apply("again", hlc.Never)
	if err := n.checkpoint(t.Context()); err != nil || n.idsInIndex(t) != 1 {
		t.Fatalf("%d ids are left, %v", n.idsInIndex(t), err)
	}
	if out, err := n.Apply(t.Context(), []Command{{Op: tickets.CounterAdd, Name: "short", Amount: value.FromInt64(5), ID: "again"}}); err != nil || !out[0].Replayed {
		t.Fatalf("the new life's id is not known: %+v, %v", out, err)
	}
	closeNode(t, n)
	if found, err := Verify(t.Context(), dir, io.Discard); err != nil || found != 0 {
		t.Fatalf("%d differences, %v", found, err)
	}
}

// TestDigestIsOfPresentLives: it is the same where an earlier life was collected
// and where it was not.
func TestDigestIsOfPresentLives(t *testing.T) {
	topo := generate(t, "full-mesh", 2)
	nodes := make([]*Node, 2)
	for i, h := range topo.Members() {
		self, _ := topo.Node(h)
		nodes[i] = open(t, Config{Topology: topo, Host: h, Data: t.TempDir() + "/data", Bind: []string{self.Pub}, ExpiryGrace: -1})
		defer closeNode(t, nodes[i])
	}
	a := nodes[0]
	apply := func(expire hlc.Timestamp) {
		t.Helper()
		out, err := a.Apply(t.Context(), []Command{{Op: tickets.CounterAdd, Name: "short", Amount: value.FromInt64(5), Expire: expire}})
		if err != nil || out[0].Err != nil {
			t.Fatal(err, out)
		}
	}
	end := a.Now().Add(300 * time.Millisecond)
	apply(end)
	for _, n := range nodes {
		waitUntil(t, "its end is final", func() bool { return n.Verdict().FinalThrough > end })
	}
	if found, err := a.collect(a.Now()); !found || err != nil {
		t.Fatalf("collected: %t, %v", found, err)
	}
	apply(hlc.Never)
	at := a.Now()
	var digests [2]string
	for i, n := range nodes {
		if err := n.WaitFinal(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		var err error
		if digests[i], err = n.Digest(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("%s where an earlier life was collected, %s where it was not", digests[0], digests[1])
	}
}

// TestLivesByAClockThatWasSetBack: where the wall clock lies behind the tickets,
// lives go by the tickets: none ends before it begins, and what is final has passed.
func TestLivesByAClockThatWasSetBack(t *testing.T) {
	var back atomic.Int64
	wall := func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
	n := open(t, Config{Data: t.TempDir() + "/data", Wall: wall, ExpiryGrace: -1})
	defer closeNode(t, n)
	key := tickets.Key{Family: tickets.Counters, Name: "short"}
	apply := func(expire hlc.Timestamp) Outcome {
		out, err := n.Apply(t.Context(), []Command{{Op: tickets.CounterAdd, Name: "short", Amount: value.FromInt64(1), ID: "once", Expire: expire}})
		if err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	end := n.Now().Add(200 * time.Millisecond)
	if o := apply(end); o.Err != nil {
		t.Fatal(o.Err)
	}
	waitUntil(t, "its end is final", func() bool { return n.Verdict().FinalThrough > end })
	back.Store(int64(time.Hour))
	if n.Now() < n.Verdict().FinalThrough {
		t.Errorf("it is %s, and %s is final", n.Now(), n.Verdict().FinalThrough)
	}
	if r, known := n.Read(key); known {
		t.Errorf("it lives until %s again", r.Expire)
	}
	if o := apply(0); !errors.Is(o.Err, ErrUnknown) {
		t.Errorf("a retry after the end: %+v", o)
	}
	if o := apply(hlc.FromTime(wall()).Add(time.Minute)); !errors.Is(o.Err, ErrExpireInPast) {
		t.Errorf("a life that ends before it begins: %+v", o)
	}
	if o := apply(n.Now().Add(time.Minute)); o.Err != nil || o.Replayed || !o.Created || o.Reading.Value.String(n.kind) != "1" {
		t.Errorf("a new life: %+v", o)
	}
}
