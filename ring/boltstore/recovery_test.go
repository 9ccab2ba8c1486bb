package boltstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bluerings/ring/journal"
)

// whileHeld opens a directory that another one has open, and calls do once it
// waits.
func whileHeld(t *testing.T, holder *Store, do func()) (*Store, error) {
	t.Helper()
	type result struct {
		s   *Store
		err error
	}
	done := make(chan result, 1)
	go func() {
		s, err := Open(holder.dir, options())
		done <- result{s, err}
	}()
	time.Sleep(lockTimeout / 4) // it fails no test if that is too short or too long
	do()
	r := <-done
	if r.s != nil {
		t.Cleanup(func() { _ = r.s.Close() })
	}
	return r.s, r.err
}

// TestNextProcessWaits: what is noted of the journal counts as it is when the
// one before lets go of the directory, not as it was when the next one came.
func TestNextProcessWaits(t *testing.T) {
	s, w := mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(51)
	if err := s.Commit(w.batch()); err != nil {
		t.Fatal(err)
	}
	want := mustDigest(t, s)
	next, err := whileHeld(t, s, func() { _ = s.Close() })
	if err != nil && !errors.Is(err, ErrBusy) {
		t.Fatalf("the one before closed: %v", err)
	}
	if err == nil && mustDigest(t, next) != want {
		t.Fatal("it came back different")
	}

	s, w = mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(52)
	next, err = whileHeld(t, s, func() {
		if err := s.Commit(w.batch()); err != nil {
			t.Error(err)
		}
		want = mustDigest(t, s)
		abort(t, s)
	})
	if err != nil && !errors.Is(err, ErrBusy) {
		t.Fatalf("the one before crashed: %v", err)
	}
	if err == nil && mustDigest(t, next) != want {
		t.Fatal("what the crashed one acknowledged is lost")
	}
}

// abort lets go of a directory as a process that is killed does.
func abort(t *testing.T, s *Store) {
	t.Helper()
	s.flushing.Lock() // and nobody flushes any more
	if err := errors.Join(s.ledger.close(), s.index.close()); err != nil {
		t.Error(err)
	}
	s.flushing.Unlock()
}

// TestRecoveryWritesTheLedger: a process that was killed may have left the
// ledger's last transaction in the cache of the system only, so the journal
// goes when another one is durable.
func TestRecoveryWritesTheLedger(t *testing.T) {
	s, w := mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(53)
	if err := errors.Join(s.Commit(w.batch()), s.flush(nil)); err != nil {
		t.Fatal(err)
	}
	dir := crashed(t, s)
	transaction := func() (id uint64) {
		f, err := os.Open(filepath.Join(dir, ledgerName))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		metas, _, err := readMetas(f)
		if err != nil {
			t.Fatal(err)
		}
		return max(metas[0].txid, metas[1].txid)
	}
	before := transaction()
	if err := mustOpen(t, dir, options()).Close(); err != nil {
		t.Fatal(err)
	}
	if transaction() == before {
		t.Fatal("the journal went, and the ledger was trusted as it was found")
	}
}

// TestNoRoomForTheLabel: files of the journal go only when it is noted that
// they are not needed.
func TestNoRoomForTheLabel(t *testing.T) {
	s, w := mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(54)
	for range 3 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
	}
	want, dir := mustDigest(t, s), crashed(t, s)
	r := mustOpen(t, dir, options())
	j, err := journal.Create(dir, r.applied.Load()+1, journal.Options{}) // as where there was no room at the start
	if err := errors.Join(err, r.setJournal(true), j.Close()); err != nil {
		t.Fatal(err)
	}
	obstacle := filepath.Join(dir, labelName+newSuffix)
	if err := os.MkdirAll(filepath.Join(obstacle, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.openJournal(); err == nil {
		t.Fatal("it was noted where that cannot be")
	}
	if err := errors.Join(r.Close(), os.RemoveAll(obstacle)); err != nil {
		t.Fatal(err)
	}
	if r = mustOpen(t, dir, options()); mustDigest(t, r) != want {
		t.Fatal("it came back different")
	}
}

// TestAcceptedRewindBeforeTheJournal: with a ledger that went back behind what
// the journal needs, the loss can be accepted.
func TestAcceptedRewindBeforeTheJournal(t *testing.T) {
	s, w := mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(55)
	if err := errors.Join(s.Commit(w.batch()), s.flush(nil)); err != nil {
		t.Fatal(err)
	}
	want, older := mustDigest(t, s), crashed(t, s)
	if err := errors.Join(s.Commit(w.large()), s.Commit(w.batch())); err != nil {
		t.Fatal(err)
	}
	newer := crashed(t, s)
	if err := copyFile(filepath.Join(older, ledgerName), filepath.Join(newer, ledgerName)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(newer, options())
	wantError(t, err, ErrDamaged)
	o := options()
	o.AcceptRewind = true
	r := mustOpen(t, newer, o)
	if !r.Restored() || mustDigest(t, r) != want {
		t.Fatalf("restored %v", r.Restored())
	}
	if err := errors.Join(r.Commit(newWriterAt(r).batch()), r.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedJournalInUse: what was acknowledged before a file of the journal
// was taken away is saved, whichever it was, and nothing more is acknowledged.
func TestDamagedJournalInUse(t *testing.T) {
	for i, name := range journal.Names() {
		s, w := mustOpen(t, filepath.Join(t.TempDir(), "data"), options()), newWriter(56+uint64(i))
		for range 3 {
			if err := s.Commit(w.batch()); err != nil {
				t.Fatal(err)
			}
		}
		want := mustDigest(t, s)
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
		wantError(t, s.Commit(w.batch()), ErrDamaged)
		wantError(t, s.Commit(w.batch()), ErrDamaged)
		_ = s.Close()
		o := options()
		o.AcceptRewind = true
		if r := mustOpen(t, s.dir, o); mustDigest(t, r) != want {
			t.Fatalf("%s: what was acknowledged is lost", name)
		}
	}
}

// TestAnotherDirectoryUnderItsName: a node whose directory was moved away leaves
// alone what was put in its place.
func TestAnotherDirectoryUnderItsName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, w := mustOpen(t, dir, options()), newWriter(58)
	var backup bytes.Buffer
	if err := errors.Join(s.Commit(w.batch()), s.Backup(&backup), os.Rename(dir, dir+".old"), Restore(&backup, dir)); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if r := mustOpen(t, dir, options()); !r.Restored() {
		t.Fatal("a restored directory is taken for the one that was moved away")
	}
}
