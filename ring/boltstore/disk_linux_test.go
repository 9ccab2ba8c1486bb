package boltstore

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"bluerings/ring/journal"
)

// dirtyPages asks the kernel how many pages of a file are not on the disk:
// cachestat(2), in Linux since 6.5.
func dirtyPages(t *testing.T, f *os.File) uint64 {
	t.Helper()
	const cachestat = 451 // on every architecture
	span := struct{ from, length uint64 }{}
	var stat struct{ cached, dirty, writeback, evicted, recentlyEvicted uint64 }
	_, _, errno := syscall.Syscall6(cachestat, f.Fd(), uintptr(unsafe.Pointer(&span)), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
	if errno != 0 {
		t.Skipf("the kernel does not tell which pages are dirty: %v", errno)
	}
	return stat.dirty + stat.writeback
}

// TestCommitIsOnTheDisk: when Commit returns, nothing of it is left that only
// the page cache holds.
func TestCommitIsOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	probe, err := os.Create(dir + "/probe")
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	if _, err := probe.Write(make([]byte, 1<<16)); err != nil {
		t.Fatal(err)
	}
	before := dirtyPages(t, probe)
	if err := probe.Sync(); err != nil {
		t.Fatal(err)
	}
	if before == 0 || dirtyPages(t, probe) != 0 {
		t.Skip("this file system does not tell what is on the disk")
	}
	s, w := mustOpen(t, dir+"/data", options()), newWriter(41)
	for range 50 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
		for _, name := range journal.Names() {
			f, err := os.Open(filepath.Join(dir, "data", name))
			if err != nil {
				t.Fatal(err)
			}
			if n := dirtyPages(t, f); n != 0 {
				t.Fatalf("after a commit %d pages of %s are not on the disk", n, name)
			}
			_ = f.Close()
		}
	}
	if err := s.Commit(w.large()); err != nil {
		t.Fatal(err)
	}
	if n := dirtyPages(t, s.ledger.file); n != 0 {
		t.Fatalf("after a large commit %d pages of the ledger are not on the disk", n)
	}
}

// replaced puts another file in the place of an open one; back undoes it.
func replaced(t *testing.T, f *os.File, path string) (back func()) {
	t.Helper()
	other, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer other.Close()
	kept, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	put := func(fd int) {
		if err := syscall.Dup3(fd, int(f.Fd()), syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	put(int(other.Fd()))
	return func() {
		put(kept)
		_ = syscall.Close(kept)
	}
}

// TestFullDiskWithoutALook: "no room" is a clean failure only where the head
// pages say that the commit is not there. Where they cannot be read, nobody
// knows, and that stays so when the disk is well again: what bbolt has in
// memory may differ from what is on the disk.
func TestFullDiskWithoutALook(t *testing.T) {
	dir := t.TempDir()
	w := fill(t, dir, 42, 20, 10)
	s := mustOpen(t, dir, options())
	if err := errors.Join(s.Commit(w.batch()), s.flush(nil)); err != nil { // the file is as long as it has to be
		t.Fatal(err)
	}
	back := replaced(t, s.ledger.file, "/dev/full")
	if err := s.Commit(w.batch()); err != nil { // to the journal
		t.Fatal(err)
	}
	wantError(t, s.flush(nil), ErrUncertain)
	back()
	wantError(t, s.Commit(w.batch()), ErrUncertain)
	want := mustDigest(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s = mustOpen(t, dir, options()); mustDigest(t, s) != want {
		t.Fatal("it came back different")
	}
}
