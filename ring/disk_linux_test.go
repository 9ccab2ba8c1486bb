package ring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// exchange puts another file in the place of one that this process has open.
func exchange(t *testing.T, path, by string) {
	t.Helper()
	f, err := os.Open(by)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range open {
		if to, err := os.Readlink(link); err != nil || to != path {
			continue
		}
		fd, err := strconv.Atoi(filepath.Base(link))
		if err == nil {
			err = syscall.Dup3(int(f.Fd()), fd, syscall.O_CLOEXEC)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("%s is not open", path)
}

// TestUncertainCommitStopsTheNode: when a commit fails so that nobody knows
// whether it is on the disk, the answer says so and the node ends.
func TestUncertainCommitStopsTheNode(t *testing.T) {
	dir := t.TempDir()
	n := open(t, Config{Data: dir})
	add(t, n, "c", "1", "")
	exchange(t, filepath.Join(dir, "ledger.db"), os.DevNull)
	for range 2 {
		out, err := n.Apply(t.Context(), []Command{{Op: tickets.CounterAdd, Name: "c", Amount: value.FromInt64(1), Expire: hlc.Never}})
		if err == nil && !errors.Is(out[0].Err, ErrUncertain) || err != nil && !errors.Is(err, ErrUncertain) {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	select {
	case <-n.Fatal():
	case <-time.After(30 * time.Second):
		t.Fatal("the node goes on")
	}
	if got := n.total("c"); got != "1" {
		t.Fatalf("it shows %s", got)
	}
	n.Drain()
	close(n.stop)
	n.done.Wait()
	n.meters.unregister()
	_ = n.store.Close() // its file is not its own any more
}

// TestFullDiskLeavesNothing: what is answered with ErrFull counts nowhere, and
// its number is used again.
func TestFullDiskLeavesNothing(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	dir, ballast := filepath.Join(disk, "data"), filepath.Join(disk, "ballast")
	n := open(t, Config{Data: dir})
	add(t, n, "c", "1", "")
	var blocks syscall.Statfs_t
	if err := syscall.Statfs(disk, &blocks); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ballast, make([]byte, max(0, int64(blocks.Bfree-40)*blocks.Bsize)), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, refused := 1, 0
	for i := 0; refused < 20 && i < 5000; i++ {
		var cmds []Command // of which some may wait while a commit is refused
		for k := range 3 {
			cmds = append(cmds, Command{Op: tickets.CounterAdd, Name: "c", Amount: value.FromInt64(1), Expire: hlc.Never, Ref: fmt.Sprintf("%0200d", 3*i+k)})
		}
		out, err := n.Apply(t.Context(), cmds)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range out {
			switch {
			case o.Err == nil:
				taken++
			case errors.Is(o.Err, ErrFull):
				refused++
			default:
				t.Fatal(o.Err)
			}
		}
		if got := n.total("c"); got != fmt.Sprint(taken) {
			t.Fatalf("%d updates were taken, %d refused, the value is %s", taken, refused, got)
		}
	}
	if refused == 0 {
		t.Fatal("the disk was never full")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if o := add(t, n, "c", "1", ""); o.Ticket.Seq != uint64(taken+1) {
		t.Fatalf("after %d tickets comes number %d", taken, o.Ticket.Seq)
	}
	closeNode(t, n)
	verified(t, dir)
}
