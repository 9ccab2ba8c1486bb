package boltstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

// smallDisk mounts a tmpfs of that many bytes.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFull: while the disk is full commits fail cleanly, again and again;
// with room again the very same batch goes through.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t, "size=3m")
	dir, ballast := filepath.Join(disk, "data"), filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir, options())
	same := mustOpen(t, t.TempDir(), options())
	w, full, room := newWriter(31), 0, int64(1<<20)
	if err := errors.Join(s.Commit(w.first()), same.Commit(newWriter(31).first())); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		b := w.batch()
		err := s.Commit(b)
		for range 3 {
			if err == nil {
				break
			}
			wantError(t, err, ErrNoSpace)
			full++
			if mustDigest(t, s) != mustDigest(t, same) {
				t.Fatal("a failed commit left a trace")
			}
			err = s.Commit(b)
		}
		for err != nil && room > 0 { // make room step by step: each step fills up again
			room -= 150 << 10
			if err := os.Truncate(ballast, max(0, room)); err != nil {
				t.Fatal(err)
			}
			if err = s.Commit(b); err != nil {
				wantError(t, err, ErrNoSpace)
			}
		}
		if err != nil {
			break
		}
		if err := same.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	if full == 0 || room > 0 {
		t.Fatalf("the disk was full %d times, %d bytes are left to be freed", full, room)
	}
	c := w.checkpoint(20000)
	c.Covers = s.Ends()
	wantError(t, s.Checkpoint(context.Background(), c), ErrNoSpace)
	want := mustDigest(t, same)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Check(dir); err != nil {
		t.Fatal(err)
	}
	if s = mustOpen(t, dir, options()); mustDigest(t, s) != want {
		t.Fatal("it came back different")
	}
}

func (w *writer) first() *replica.Batch {
	w.ends = append(w.ends, 0)
	return &replica.Batch{Origins: []replica.NewOrigin{{Index: 0, Origin: tickets.Origin{Host: "first", Epoch: 1}}}, Blocks: []replica.Block{w.block(0, 1)}}
}

// TestNoRoomToCreate: creation leaves nothing behind that a later start would
// stumble over.
func TestNoRoomToCreate(t *testing.T) {
	for _, size := range []string{"size=4k", "size=8k", "size=20k", "size=28k", "size=40k", "size=48k", "size=64k"} {
		t.Run(size, func(t *testing.T) {
			disk := smallDisk(t, size)
			dir := filepath.Join(disk, "data")
			s, err := Open(dir, options())
			if err == nil {
				_ = s.Close()
			} else {
				wantError(t, err, ErrNoSpace)
			}
			if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=50m"); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, dir, options())
			if err := errors.Join(s.Commit(newWriter(1).batch()), s.Close()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
