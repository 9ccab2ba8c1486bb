package boltstore

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func backupOf(t *testing.T, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// busyWriter commits between the writes of a backup.
type busyWriter struct {
	bytes.Buffer
	t *testing.T
	s *Store
	w *writer
}

func (b *busyWriter) Write(p []byte) (int, error) {
	if err := b.s.Commit(b.w.batch()); err != nil {
		b.t.Error(err)
	}
	return b.Buffer.Write(p)
}

func TestBackupIsOfOneMoment(t *testing.T) {
	dir := t.TempDir()
	w := fill(t, dir, 21, 100, 10)
	s := mustOpen(t, dir, options())
	want := mustDigest(t, s)
	busy := &busyWriter{t: t, s: s, w: w}
	if err := s.Backup(busy); err != nil {
		t.Fatal(err)
	}
	if mustDigest(t, s) == want {
		t.Fatal("nothing was committed meanwhile")
	}
	to := filepath.Join(t.TempDir(), "restored")
	if err := Restore(&busy.Buffer, to); err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, to, options())
	if got := mustDigest(t, r); got != want || !r.Restored() || r.Fresh() {
		t.Fatalf("restored %v, fresh %v, same %v", r.Restored(), r.Fresh(), got == want)
	}
	_ = r.Close()
	if r = mustOpen(t, to, options()); !r.Restored() {
		t.Fatal("forgotten before it was cleared")
	}
	if err := errors.Join(r.Commit(newWriterAt(r).batch()), r.ClearRestored(), r.Close()); err != nil {
		t.Fatal(err)
	}
	if r = mustOpen(t, to, options()); r.Restored() {
		t.Fatal("still told after it was cleared")
	}
	for range 5 { // bbolt must be able to go on, whichever of its two head pages is next
		if err := r.Commit(newWriterAt(r).batch()); err != nil {
			t.Fatal(err)
		}
	}
	_ = r.Close()
	if err := Check(to); err != nil {
		t.Fatal(err)
	}
}

// newWriterAt goes on where a store ends.
func newWriterAt(s *Store) *writer {
	w := newWriter(99)
	w.ends = slices.Clone(s.Ends())
	return w
}

func TestRestoreNoticesBadStreams(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 22, 60, 0)
	s := mustOpen(t, dir, options())
	good := backupOf(t, s)
	end := bytes.LastIndexByte(good, '}') + 1 // what follows is padding
	rnd := rand.New(rand.NewPCG(22, 22))
	to := filepath.Join(t.TempDir(), "to")
	refused := func(what string, b []byte) {
		t.Helper()
		err := Restore(bytes.NewReader(b), to)
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%s: %v", what, err)
		}
		if found, err := survey(to); err != nil || found.ledger || found.label != nil || len(found.leftover) > 0 {
			t.Fatalf("%s: it left %+v, %v", what, found, err)
		}
	}
	for range 60 {
		refused("cut", good[:rnd.IntN(end)])
	}
	for range 120 {
		bad, at := bytes.Clone(good), rnd.IntN(end)
		bad[at] ^= 1 << rnd.IntN(8)
		if sameFiles(t, bad, good) {
			continue // in padding or in a field that means nothing here
		}
		refused("flipped", bad)
	}
	refused("not a backup", []byte(strings.Repeat("hello ", 1000)))
	refused("nothing", nil)
	if err := Restore(bytes.NewReader(good), to); err != nil {
		t.Fatal(err)
	}
	wantError(t, Restore(bytes.NewReader(good), to), ErrForeign)
	other := t.TempDir()
	write(t, filepath.Join(other, "homework.txt"), "mine")
	wantError(t, Restore(bytes.NewReader(good), other), ErrForeign)
}

func sameFiles(t *testing.T, a, b []byte) bool {
	t.Helper()
	read := func(b []byte) (text string) {
		for r := tar.NewReader(bytes.NewReader(b)); ; {
			head, err := r.Next()
			if err != nil {
				return text
			}
			body, err := io.ReadAll(r)
			if err != nil {
				return text
			}
			text += head.Name + string(head.Typeflag) + string(body)
		}
	}
	return read(a) == read(b)
}

func TestBackupTellsOfItsWriter(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 23, 20, 0)
	s := mustOpen(t, dir, options())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if err := s.Backup(w); err == nil {
		t.Fatal("no error")
	}
	if err := s.Commit(newWriterAt(s).batch()); err != nil {
		t.Fatal(err)
	}
}
