package ring

import (
	"context"
	"errors"
	"io"
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
	add(t, n, "long", "7", "")
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
