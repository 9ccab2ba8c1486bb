package ring

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/ring/boltstore"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// expiring makes a node that collects only when told, with names of one life
// that end soon, one update in each block, and waits until their end is final.
func expiring(t *testing.T, dir string, names, updates int) *Node {
	t.Helper()
	n := open(t, Config{Data: dir, ExpiryGrace: -1})
	end := n.Now().Add(time.Second)
	for i := range updates {
		cmds := make([]Command, names)
		for k := range cmds {
			cmds[k] = Command{
				Op: tickets.CounterAdd, Name: fmt.Sprint("name ", k), Amount: value.FromInt64(1), Expire: end, ID: fmt.Sprint(i),
			}
		}
		out, err := n.Apply(t.Context(), cmds)
		if err != nil || out[0].Err != nil {
			t.Fatal(out, err)
		}
	}
	waitUntil(t, "their end is final", func() bool { return n.Verdict().FinalThrough > end })
	return n
}

func (n *Node) collectAll(t *testing.T) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = n.collect(n.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// left counts the tickets in the first log of the ledger.
func (n *Node) left(t *testing.T) (count int) {
	t.Helper()
	err := n.store.Blocks(0, 1, n.store.Ends()[0], func(b replica.Block) (bool, error) {
		run, err := tickets.DecodeRun(n.kind, b.Run)
		count += len(run.Tickets)
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func (n *Node) idsInIndex(t *testing.T) (ids int) {
	t.Helper()
	if err := n.store.EachClaim(func(replica.Claim) error { ids++; return nil }); err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestCollectedBeforeTheyWereIndexed: ids of tickets that were collected before
// a checkpoint came do not get into the index, which nothing would take them out of.
func TestCollectedBeforeTheyWereIndexed(t *testing.T) {
	dir := t.TempDir() + "/data"
	n := open(t, Config{Data: dir, ExpiryGrace: -1})
	n.flushing.Lock() // no checkpoint comes in between
	end := n.Now().Add(300 * time.Millisecond)
	command := Command{Op: tickets.CounterAdd, Name: "short", Amount: value.FromInt64(1), ID: "once", Expire: end}
	if out, err := n.Apply(t.Context(), []Command{command}); err != nil || out[0].Err != nil {
		t.Fatal(out, err)
	}
	waitUntil(t, "its end is final", func() bool { return n.Verdict().FinalThrough > end })
	n.collectAll(t)
	n.flushing.Unlock()
	if err := n.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ids := n.idsInIndex(t); ids != 0 {
		t.Errorf("%d ids are in the index", ids)
	}
	closeNode(t, n)
	verified(t, dir)
}

// TestCollectionCutShort: what lies before a collected ticket was collected as
// well, whenever a collection ends; the rest goes after the restart, and until
// then the directory is whole.
func TestCollectionCutShort(t *testing.T) {
	const updates = rewriteTogether + 20
	dir := t.TempDir() + "/data"
	n := expiring(t, dir, 1, updates)
	if err := n.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.gone.tickets = []tickets.Ref{{Seq: 1 << 40}} // of which there is no block: here it ends
	for seq := uint64(updates); seq > 0; seq-- {
		n.gone.tickets = append(n.gone.tickets, tickets.Ref{Seq: seq})
	}
	if err := n.rewrite(); !errors.Is(err, boltstore.ErrDamaged) {
		t.Fatal(err)
	}
	if left := n.left(t); left != updates-rewriteTogether {
		t.Errorf("%d tickets are left", left)
	}
	w := walker{store: n.store, kind: n.kind}
	if _, _, err := w.Ticket(tickets.Ref{Seq: updates}); err != nil {
		t.Errorf("the last ticket: %v", err)
	}
	copied := t.TempDir() + "/copy"
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	verified(t, copied)
	crash(t, n)

	n = open(t, Config{Data: dir, ExpiryGrace: -1})
	waitUntil(t, "the end is final again", func() bool { return n.Verdict().FinalThrough >= n.Now().Add(-time.Second) })
	n.collectAll(t)
	if left := n.left(t); left != 0 {
		t.Errorf("in the end %d tickets are left", left)
	}
	closeNode(t, n)
	verified(t, dir)
}

// TestManyAreCollectedAtOnce: however many names expire between two looks, all
// of them go.
func TestManyAreCollectedAtOnce(t *testing.T) {
	n := expiring(t, t.TempDir()+"/data", 2*collectTogether+1, 1)
	defer closeNode(t, n)
	if out, err := n.Apply(t.Context(), []Command{{Op: tickets.CounterAdd, Name: "lives", Expire: hlc.Never}}); err != nil || out[0].Err != nil {
		t.Fatal(out, err)
	}
	n.collectAll(t)
	if names, left := n.Statistics().Counters, n.left(t); names != 1 || left != 1 {
		t.Errorf("%d names and %d tickets are left", names, left)
	}
}
