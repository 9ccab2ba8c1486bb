package ring

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// crash ends a node as a crash of its process would: nothing more is stored.
func crash(t testing.TB, n *Node) {
	t.Helper()
	n.Drain()
	if n.bus != nil {
		if err := n.bus.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(n.stop)
	n.done.Wait()
	n.meters.unregister()
	if err := n.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// slowly is a durability whose commits wait until somebody is in a hurry.
func slowly(t testing.TB) Durability {
	t.Helper()
	d, err := ParseDurability("interval=1m")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// verified fails the test unless a directory is as its tickets say.
func verified(t testing.TB, dir string) {
	t.Helper()
	var found bytes.Buffer
	if n, err := Verify(t.Context(), dir, &found); err != nil || n != 0 {
		t.Fatalf("%d differences, %v\n%s", n, err, found.String())
	}
}

// halt ends what a node does by itself: from here on, only the test commits.
func halt(n *Node) {
	close(n.stop)
	n.done.Wait()
	n.stop = make(chan struct{})
}

// commitFor commits until done, for somebody who waits for a commit and has
// either asked for it or will.
func commitFor(t *testing.T, n *Node, done <-chan error) {
	t.Helper()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
			for batch := n.nextBatch(); batch != nil; {
				batch = n.commit(batch)
			}
			n.intake.wakeAnswered()
			runtime.Gosched()
		}
	}
}

// TestCheckpointIsOfDurableTickets: the index covers what its rows were taken
// at, neither more, which would be left out at the next start, nor what the
// ledger may yet lose.
func TestCheckpointIsOfDurableTickets(t *testing.T) {
	dir := t.TempDir() + "/data"
	n := open(t, Config{Data: dir, Durability: slowly(t)})
	halt(n)
	add(t, n, "c", "1", "")
	done := make(chan error, 1)
	go func() { done <- n.checkpoint(t.Context()) }()
	for waits := false; !waits && len(done) == 0; runtime.Gosched() {
		n.mu.Lock()
		waits = len(n.waiters) > 0
		n.mu.Unlock()
	}
	if len(done) == 0 { // it waits for its ticket to be durable, as it should
		add(t, n, "c", "2", "")
	}
	if len(done) == 0 {
		commitFor(t, n, done)
	}
	crash(t, n)
	verified(t, dir)
	n = open(t, Config{Data: dir})
	defer closeNode(t, n)
	if n.store.Restored() {
		t.Error("the index knew of tickets that the ledger lacks")
	}
}

// TestCollectionIsOnRecordFirst: whoever crashes in the middle of a collection
// still says that earlier values were collected, and not that they were zero.
func TestCollectionIsOnRecordFirst(t *testing.T) {
	dir := t.TempDir() + "/data"
	n := open(t, Config{Data: dir, ExpiryGrace: -1})
	key := tickets.Key{Family: tickets.Counters, Name: "short"}
	command := Command{Op: tickets.CounterAdd, Name: "short", Amount: value.FromInt64(5), Expire: n.Now().Add(50 * time.Millisecond)}
	out, err := n.Apply(t.Context(), []Command{command})
	if err != nil || out[0].Err != nil {
		t.Fatal(out, err)
	}
	alive := out[0].Ticket.At // later it may have expired
	waitUntil(t, "the name is gone", func() bool { _, ok := n.Read(key); return !ok })
	waitUntil(t, "its end is final", func() bool { return n.Verdict().FinalThrough > command.Expire })
	closeNode(t, n)

	n = open(t, Config{Data: dir, ExpiryGrace: -1})
	waitUntil(t, "its end is final again", func() bool { return n.Verdict().FinalThrough > command.Expire })
	halt(n)
	collected := make(chan error, 1)
	go func() {
		_, err := n.collect(n.Now())
		collected <- err
	}()
	select {
	case err := <-collected:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(200 * time.Millisecond): // it waits for its record, as it should
		commitFor(t, n, collected)
	}
	crash(t, n)

	n = open(t, Config{Data: dir, ExpiryGrace: -1})
	defer closeNode(t, n)
	command.Expire = hlc.Never
	if out, err := n.Apply(t.Context(), []Command{command}); err != nil || out[0].Err != nil || !out[0].Created {
		t.Fatal(out, err)
	}
	if r, err := n.ReadAt(t.Context(), key, alive); !errors.Is(err, ErrExpired) {
		t.Fatalf("as of an earlier life: %s, %v", r.Value.String(n.kind), err)
	}
}

// TestCoherenceOnDemand: an update that is wanted only while the ring is whole
// leaves nothing behind when it is not.
func TestCoherenceOnDemand(t *testing.T) {
	topo := generate(t, "full-mesh", 2)
	h := topo.Members()[0]
	self, _ := topo.Node(h)
	n := open(t, Config{Topology: topo, Host: h, Data: t.TempDir() + "/data", Bind: []string{self.Pub}})
	defer closeNode(t, n)
	out, err := n.Apply(context.Background(), []Command{
		{Op: tickets.CounterAdd, Name: "c", Amount: value.FromInt64(1), Expire: hlc.Never, RequireCoherence: true},
		{Op: tickets.CounterAdd, Name: "d", Amount: value.FromInt64(2), Expire: hlc.Never},
	})
	if err != nil || !errors.Is(out[0].Err, ErrNotCoherent) || out[1].Err != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	if c, d := n.total("c"), n.total("d"); c != "unknown" || d != "2" {
		t.Fatalf("c is %s, d is %s", c, d)
	}
}

// TestAsOfAfterTheEnd: once its end is final a name is not known any more, also
// on a node by whose wall clock it would still live.
func TestAsOfAfterTheEnd(t *testing.T) {
	var ahead atomic.Int64
	n := open(t, Config{Data: t.TempDir() + "/data", Wall: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	defer closeNode(t, n)
	end := n.Now().Add(30 * time.Second)
	out, err := n.Apply(t.Context(), []Command{{Op: tickets.CounterAdd, Name: "c", Amount: value.FromInt64(5), Expire: end}})
	if err != nil || out[0].Err != nil {
		t.Fatal(out, err)
	}
	ahead.Store(int64(time.Minute))
	after := end.Add(time.Second)
	waitUntil(t, "the end is final", func() bool { return n.Verdict().FinalThrough > after })
	ahead.Store(0)
	for _, at := range []hlc.Timestamp{end - 1, after} {
		if r, err := n.ReadAt(t.Context(), tickets.Key{Family: tickets.Counters, Name: "c"}, at); !errors.Is(err, ErrUnknown) {
			t.Errorf("as of %s: %s, %v", at, r.Value.String(n.kind), err)
		}
	}
}
