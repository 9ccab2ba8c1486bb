package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
)

func TestReopenKeepsEverything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	s, w := mustOpen(t, dir, options()), newWriter(1)
	if !s.Fresh() || s.Meta() != nil || len(s.Ends()) != 0 || s.Restored() {
		t.Fatal("a new store is not empty")
	}
	for i := range 300 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
		if i%100 != 50 {
			continue
		}
		before := mustDigest(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s = mustOpen(t, dir, options()); s.Fresh() {
			t.Fatal("a store that was opened again is new")
		}
		if mustDigest(t, s) != before || !slices.Equal(s.Ends(), w.ends) {
			t.Fatalf("after commit %d the store came back different", i)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Check(dir); err != nil {
		t.Fatal(err)
	}
}

func TestBlocksAndBlockOf(t *testing.T) {
	s, w := mustOpen(t, t.TempDir(), options()), newWriter(2)
	var all []replica.Block
	for range 200 {
		b := w.batch()
		all = append(all, b.Blocks...)
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range all {
		for _, seq := range []uint64{b.First, b.Last, (b.First + b.Last) / 2} {
			got, found, err := s.BlockOf(b.Origin, seq)
			if err != nil || !found || !reflect.DeepEqual(got, b) {
				t.Fatalf("BlockOf(%d, %d) = %d..%d %v %v, want %d..%d", b.Origin, seq, got.First, got.Last, found, err, b.First, b.Last)
			}
		}
	}
	for origin, end := range w.ends {
		for range 50 {
			from := w.rnd.Uint64N(end + 2)
			to := from + w.rnd.Uint64N(end+2)
			var want, got []replica.Block
			for _, b := range all {
				if int(b.Origin) == origin && b.Last >= from && b.First <= to {
					want = append(want, b)
				}
			}
			err := s.Blocks(tickets.OriginIndex(origin), from, to, func(b replica.Block) (bool, error) {
				b.Run, b.Links = bytes.Clone(b.Run), bytes.Clone(b.Links)
				got = append(got, b)
				return true, nil
			})
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("Blocks(%d, %d, %d): %d blocks, want %d, error %v", origin, from, to, len(got), len(want), err)
			}
		}
		for _, seq := range []uint64{0, end + 1} {
			if _, found, err := s.BlockOf(tickets.OriginIndex(origin), seq); found || err != nil {
				t.Fatalf("BlockOf(%d, %d) = %v, %v", origin, seq, found, err)
			}
		}
	}
	if _, found, err := s.BlockOf(99, 1); found || err != nil {
		t.Fatalf("an unknown origin: %v, %v", found, err)
	}
	stop, calls := errors.New("stop"), 0
	if err := s.Blocks(0, 1, w.ends[0], func(replica.Block) (bool, error) { calls++; return false, nil }); err != nil || calls != 1 {
		t.Fatalf("no more: %d calls, %v", calls, err)
	}
	if err := s.Blocks(0, 1, w.ends[0], func(replica.Block) (bool, error) { return true, stop }); err != stop {
		t.Fatalf("error of visit: %v", err)
	}
}

func TestCommitRefusesWhatBreaksTheLog(t *testing.T) {
	dir := t.TempDir()
	w := fill(t, dir, 3, 20, 0)
	s := mustOpen(t, dir, options())
	before := mustDigest(t, s)
	end := w.ends[0]
	good := replica.Block{Origin: 0, First: end + 1, Last: end + 1, Run: []byte("run")}
	for name, b := range map[string]*replica.Batch{
		"gap":             {Blocks: []replica.Block{{Origin: 0, First: end + 2, Last: end + 2}}},
		"overlap":         {Blocks: []replica.Block{{Origin: 0, First: end, Last: end + 2}}},
		"backwards":       {Blocks: []replica.Block{{Origin: 0, First: end + 1, Last: end}}},
		"too long":        {Blocks: []replica.Block{{Origin: 0, First: end + 1, Last: end + 1 + MaxBlockTickets}}},
		"too many bytes":  {Blocks: []replica.Block{{Origin: 0, First: end + 1, Last: end + 1, Run: make([]byte, MaxBlockBytes+1)}}},
		"unknown origin":  {Blocks: []replica.Block{{Origin: 77, First: 1, Last: 1}}},
		"sparse origin":   {Origins: []replica.NewOrigin{{Index: 77}}},
		"gap after good":  {Blocks: []replica.Block{good, {Origin: 0, First: end + 3, Last: end + 3}}},
		"no such block":   {Blocks: []replica.Block{good}, Rewrite: []replica.Block{{Origin: 0, First: end + 5, Last: end + 6}}},
		"rewrite shorter": {Blocks: []replica.Block{good}, Rewrite: []replica.Block{{Origin: 0, First: 1, Last: 1 << 15}}},
	} {
		if err := s.Commit(b); err == nil || errors.Is(err, ErrUncertain) || errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if mustDigest(t, s) != before {
			t.Fatalf("%s: it left a trace", name)
		}
	}
	if err := s.Commit(&replica.Batch{Blocks: []replica.Block{good}}); err != nil {
		t.Fatal(err)
	}
}

func TestRewriteReplacesABlock(t *testing.T) {
	s, w := mustOpen(t, t.TempDir(), options()), newWriter(4)
	for range 50 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
	}
	b, _, err := s.BlockOf(0, w.ends[0]/2)
	if err != nil {
		t.Fatal(err)
	}
	b.Run, b.Links = []byte("shorter"), nil
	if err := s.Commit(&replica.Batch{Rewrite: []replica.Block{b}}); err != nil {
		t.Fatal(err)
	}
	got, _, err := s.BlockOf(0, b.Last)
	if err != nil || string(got.Run) != "shorter" || len(got.Links) != 0 || !slices.Equal(s.Ends(), w.ends) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestIndex(t *testing.T) {
	dir := t.TempDir()
	w := fill(t, dir, 5, 10, 0)
	s := mustOpen(t, dir, options())
	if covers, err := s.LoadIndex(nil); covers != nil || err != nil {
		t.Fatalf("an empty index covers %v, %v", covers, err)
	}
	c := &replica.Checkpoint{
		Covers: w.ends,
		Rows:   []replica.Row{{Slot: 9, Data: []byte("nine")}, {Slot: 3, Data: []byte("old")}, {Slot: 1, Data: []byte{}}, {Slot: 3, Data: []byte("three")}},
		Claims: []replica.Claim{{Hash: [16]byte{9}, Ref: tickets.Ref{Origin: 1, Seq: 5}}, {Hash: [16]byte{2}, Ref: tickets.Ref{Seq: 6}}},
		Marks:  []replica.Mark{{Slot: 3, Origin: 1, At: 20, Seq: 2, Sum: []byte("b")}, {Slot: 3, Origin: 1, At: 10, Seq: 1, Sum: []byte("a")}, {Slot: 9, Origin: 0, At: 5, Seq: 7, Sum: []byte("z")}},
	}
	if err := s.Checkpoint(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if c.Rows[0].Slot != 9 || c.Marks[0].At != 20 {
		t.Fatal("Checkpoint reordered its input")
	}
	load := func() string {
		text := ""
		covers, err := s.LoadIndex(func(r replica.Row) error { text += fmt.Sprintf("%d=%s ", r.Slot, r.Data); return nil })
		if err != nil || !slices.Equal(covers, w.ends) {
			t.Fatalf("covers %v, want %v, %v", covers, w.ends, err)
		}
		return text
	}
	if got := load(); got != "1= 3=three 9=nine " {
		t.Fatal(got)
	}
	if ref, found, err := s.Claim([16]byte{9}); err != nil || !found || ref != (tickets.Ref{Origin: 1, Seq: 5}) {
		t.Fatal(ref, found, err)
	}
	for _, want := range []struct {
		slot, origin uint32
		at           hlc.Timestamp
		sum          string
	}{{3, 1, 0, "a"}, {3, 1, 10, "a"}, {3, 1, 11, "b"}, {3, 1, 21, ""}, {3, 0, 1, ""}, {9, 0, 1, "z"}, {2, 0, 0, ""}} {
		m, found, err := s.Mark(want.slot, tickets.OriginIndex(want.origin), want.at)
		if err != nil || found != (want.sum != "") || string(m.Sum) != want.sum {
			t.Fatalf("Mark(%+v) = %+v %v %v", want, m, found, err)
		}
	}
	if err := s.Checkpoint(context.Background(), &replica.Checkpoint{Covers: w.ends, Rows: []replica.Row{{Slot: 3}}, Drop: [][16]byte{{9}, {200}}}); err != nil {
		t.Fatal(err)
	}
	if got := load(); got != "1= 9=nine " {
		t.Fatal(got)
	}
	if _, found, _ := s.Claim([16]byte{9}); found {
		t.Fatal("a dropped claim is there")
	}
	if _, found, _ := s.Mark(3, 1, 0); found {
		t.Fatal("the marks of a deleted row are there")
	}
	stop := errors.New("stop")
	if _, err := s.LoadIndex(func(replica.Row) error { return stop }); err != stop {
		t.Fatal(err)
	}
}

func TestUnfinishedIndexIsNotUsed(t *testing.T) {
	dir := t.TempDir()
	w := fill(t, dir, 6, 10, 100)
	s := mustOpen(t, dir, options())
	c := w.checkpoint(10)
	c.Covers = nil
	if err := s.Checkpoint(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if covers, err := s.LoadIndex(func(replica.Row) error { t.Fatal("a row"); return nil }); covers != nil || err != nil {
		t.Fatal(covers, err)
	}
	if err := s.EachMark(func(replica.Mark) error { t.Fatal("a mark"); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestEverythingAtOnce(t *testing.T) {
	s, w := mustOpen(t, t.TempDir(), options()), newWriter(7)
	if err := s.Commit(w.batch()); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := digestLedger(s); err != nil {
					t.Error(err)
				}
				if _, err := digestIndex(s); err != nil {
					t.Error(err)
				}
				if _, _, err := s.Claim([16]byte{1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 60 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			if err := s.Checkpoint(context.Background(), w.checkpoint(20)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var backup bytes.Buffer
	if err := s.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	close(done)
	readers.Wait()
}

func TestClosed(t *testing.T) {
	s := mustOpen(t, t.TempDir(), options())
	w := newWriter(8)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Commit(w.batch()), ErrClosed)
	wantError(t, s.Checkpoint(context.Background(), w.checkpoint(1)), ErrClosed)
	_, _, err := s.Claim([16]byte{})
	wantError(t, err, ErrClosed)
	wantError(t, s.Backup(os.Stdout), ErrClosed)
	wantError(t, s.ResetIndex(), ErrClosed)
}

// countdown is a context that ends once it was asked often enough.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestCheckpointEndsWithItsContext: wherever it ends, the index stays as it
// was and can be written later.
func TestCheckpointEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	w := fill(t, dir, 5, 10, 0)
	s := mustOpen(t, dir, options())
	digest := func() string {
		t.Helper()
		d, err := digestIndex(s)
		if err != nil || d == "" {
			t.Fatal(d, err)
		}
		return d
	}
	if err := s.Checkpoint(t.Context(), w.checkpoint(300)); err != nil {
		t.Fatal(err)
	}
	s.Rest()
	want, next := digest(), w.checkpoint(300)
	ended := 0
	for ; ; ended++ {
		err := s.Checkpoint(&countdown{t.Context(), ended}, next)
		if err == nil {
			break
		}
		wantError(t, err, context.Canceled)
		if got := digest(); got != want {
			t.Fatalf("ended after %d looks: the index changed", ended)
		}
	}
	if ended < 3 || digest() == want {
		t.Fatalf("ended %d times", ended)
	}
}
