package boltstore

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"bluerings/ring/journal"
	"bluerings/ring/replica"
	"bluerings/tickets"
)

// crashed is a copy of a directory in use, as a power cut would leave it.
func crashed(t *testing.T, s *Store) (dir string) {
	t.Helper()
	s.flushing.Lock()
	defer s.flushing.Unlock()
	dir = filepath.Join(t.TempDir(), "copy")
	if err := copyDir(s.dir, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// byHand ends the moves to the ledger in the background: records move when the
// test says so, and at the end.
func byHand(t *testing.T, s *Store) {
	t.Helper()
	s.commit.Lock()
	defer s.commit.Unlock()
	if !s.journaling() {
		t.Fatal("there is no journal")
	}
	close(s.stopFlusher)
	s.flusher.Wait()
	s.stopFlusher = make(chan struct{}) // that Close may close it
}

// TestFailedMoveToTheLedger: records of the journal are needed until the ledger
// has them durably. A move that came to nothing changes nothing, whatever
// follows it.
func TestFailedMoveToTheLedger(t *testing.T) {
	commit := func(s *Store, w *writer) error { return s.Commit(w.batch()) }
	move := func(s *Store, _ *writer) error { return s.flush(nil) }
	large := func(s *Store, w *writer) error { return s.Commit(w.large()) }
	type step = func(*Store, *writer) error
	for _, c := range []struct {
		name string
		then []step
	}{
		{name: "nothing"},
		{"commit", []step{commit}}, {"move", []step{move}}, {"large", []step{large}},
		{"commit-move", []step{commit, move}}, {"move-commit", []step{move, commit}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, w := mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(7)
			byHand(t, s)
			for range 3 {
				if err := s.Commit(w.batch()); err != nil {
					t.Fatal(err)
				}
			}
			// It takes what is in the journal along, and fails after that.
			absent := replica.Block{First: 1 << 40, Last: 1 << 40, Run: []byte{1}}
			if err := s.Commit(&replica.Batch{Number: 4, Rewrite: []replica.Block{absent}}); err == nil {
				t.Fatal("a block that is not there was rewritten")
			}
			for _, do := range c.then {
				if err := do(s, w); err != nil {
					t.Fatal(err)
				}
			}
			r := mustOpen(t, crashed(t, s), options())
			if mustDigest(t, r) != mustDigest(t, s) || r.Restored() {
				t.Fatalf("it came back different, restored %v", r.Restored())
			}
		})
	}
}

// TestJournalSurvivesACrash: wherever a commit was on its way to the ledger,
// after a crash it is there, once.
func TestJournalSurvivesACrash(t *testing.T) {
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		s, w := mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(seed)
		for range 1 + rnd.IntN(80) {
			next := w.batch
			if rnd.IntN(10) == 0 {
				next = w.large
			}
			if err := s.Commit(next()); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if rnd.IntN(8) == 0 {
				if err := s.flush(nil); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		}
		want, dir := mustDigest(t, s), crashed(t, s)
		if err := Check(dir); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		o := options()
		for _, readOnly := range []bool{true, true, false, false} {
			o.ReadOnly = readOnly
			r := mustOpen(t, dir, o)
			if mustDigest(t, r) != want || r.Restored() {
				t.Fatalf("seed %d, read-only %v: it came back different", seed, readOnly)
			}
			if !readOnly {
				b := w.batch()
				if err := errors.Join(r.Commit(b), s.Commit(b)); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				want = mustDigest(t, s)
			}
			if err := r.Close(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		for _, name := range journal.Names() {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				t.Fatalf("seed %d: a closed store leaves %s", seed, name)
			}
		}
	}
}

// TestDamagedJournalIsNoticed: a flipped bit gives an error, or does no harm.
func TestDamagedJournalIsNoticed(t *testing.T) {
	s, w := mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(3)
	byHand(t, s)
	for range 20 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
	}
	want, whole := mustDigest(t, s), crashed(t, s)
	noticed := 0
	for seed := range uint64(80) {
		rnd := rand.New(rand.NewPCG(seed, 6))
		dir := filepath.Join(t.TempDir(), "copy")
		if err := copyDir(whole, dir); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, journal.Names()[0])
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		write(t, path, string(b))
		r, err := Open(dir, options())
		if err == nil {
			if mustDigest(t, r) != want {
				t.Fatalf("seed %d: other contents", seed)
			}
			_ = r.Close()
			continue
		}
		wantError(t, err, ErrDamaged)
		wantError(t, Check(dir), ErrDamaged)
		noticed++
		o := options()
		o.AcceptRewind = true
		r = mustOpen(t, dir, o)
		if !r.Restored() {
			t.Fatalf("seed %d: a node that lost commits goes on in its epoch", seed)
		}
		mustDigest(t, r)
		if err := errors.Join(r.Commit(newWriterAt(r).batch()), r.Close()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		_ = mustOpen(t, dir, options()).Close()
	}
	if noticed == 0 {
		t.Fatal("no damage was noticed")
	}
}

// TestTornJournalBeginsAnew: the record that a power cut ended is dropped, and
// as nobody can be sure that it was not acknowledged, its number is not used
// again in the same epoch.
func TestTornJournalBeginsAnew(t *testing.T) {
	s, w := mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(4)
	byHand(t, s)
	for range 5 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
	}
	want := mustDigest(t, s)
	b := w.batch()
	b.Meta = bytes.Repeat([]byte{1}, 2000) // of several sectors
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
	dir := crashed(t, s)
	path := filepath.Join(dir, journal.Names()[0])
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := len(bytes.TrimRight(image, "\x00")) // within the last sector
	clear(image[(end-1)/512*512:])
	write(t, path, string(image))
	r := mustOpen(t, dir, options())
	if mustDigest(t, r) != want || !r.Restored() {
		t.Fatalf("restored %v", r.Restored())
	}
}

// TestLedgerWithAnotherJournal: an older ledger beside a newer journal lacks
// what was between them.
func TestLedgerWithAnotherJournal(t *testing.T) {
	s, w := mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(5)
	byHand(t, s)
	var older string
	for i := range 40 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
		if i == 10 {
			older = crashed(t, s)
		}
		if i == 30 {
			if err := s.flush(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	newer := crashed(t, s)
	if err := copyFile(filepath.Join(older, ledgerName), filepath.Join(newer, ledgerName)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(newer, options())
	wantError(t, err, ErrDamaged)
}

// TestPendingBlocksAreRead: a log is read across what is in the ledger and what
// is on its way to it, from any ticket to any.
func TestPendingBlocksAreRead(t *testing.T) {
	s, w := mustOpen(t, t.TempDir(), options()), newWriter(6)
	byHand(t, s)
	for i := range 60 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
		if i == 25 {
			if err := s.flush(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(s.pending.records) == 0 {
		t.Fatal("nothing is pending")
	}
	for i, end := range s.Ends() {
		for range 200 {
			from := 1 + w.rnd.Uint64N(end+1)
			to := from + w.rnd.Uint64N(end+1)
			next := from
			err := s.Blocks(tickets.OriginIndex(i), from, to, func(b replica.Block) (bool, error) {
				if b.First > next || b.Last < next || b.First > to {
					t.Fatalf("%d to %d: block %d to %d where %d should be", from, to, b.First, b.Last, next)
				}
				next = b.Last + 1
				return true, nil
			})
			if err != nil || next <= min(to, end) {
				t.Fatalf("%d to %d of %d: ended before %d: %v", from, to, end, next, err)
			}
		}
	}
	if err := s.Backup(io.Discard); err != nil {
		t.Fatal(err)
	}
	if len(s.pending.records) != 0 {
		t.Fatal("a backup leaves out what is pending")
	}
}
