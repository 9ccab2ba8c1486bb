package ring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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

// breakDisk makes the next commit fail so that nobody knows whether it is there.
func breakDisk(t *testing.T, dir string) {
	t.Helper()
	exchange(t, filepath.Join(dir, "journal.0"), os.DevNull)
}

// endBroken ends a node whose disk was broken.
func endBroken(t *testing.T, n *Node) {
	t.Helper()
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

func plusOne(id string) []Command {
	return []Command{{Op: tickets.CounterAdd, Name: "c", Amount: value.FromInt64(1), ID: id, Expire: hlc.Never}}
}

// TestUncertainCommitStopsTheNode: when a commit fails so that nobody knows
// whether it is on the disk, the answer says so and the node ends.
func TestUncertainCommitStopsTheNode(t *testing.T) {
	dir := t.TempDir()
	n := open(t, Config{Data: dir})
	add(t, n, "c", "1", "")
	breakDisk(t, dir)
	out, err := n.Apply(t.Context(), plusOne(""))
	if err == nil {
		err = out[0].Err
	}
	// Nothing was attempted if a commit without it failed before: a node moves
	// the mark behind its promises on by itself.
	if !errors.Is(err, ErrUncertain) && !errors.Is(err, ErrClosed) {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := n.Apply(t.Context(), plusOne("")); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	endBroken(t, n)
}

// TestWhatWasNotBegunIsNotUncertain: of the updates that wait while a commit
// fails only those are uncertain that are in it, and those that repeat one.
func TestWhatWasNotBegunIsNotUncertain(t *testing.T) {
	dir := t.TempDir()
	n := open(t, Config{Data: dir})
	add(t, n, "c", "1", "")
	mint := func(id string) *call { // as takeIn does
		c := &call{cmds: plusOne(id), outcomes: make([]Outcome, 1), done: make(chan struct{}, 1)}
		c.places = append(c.places, n.table.Aim(tickets.Key{Family: tickets.Counters, Name: "c"}))
		n.table.FindAll(c.places)
		batch, _ := n.mint(n.now(), c)
		w := n.waiter(batch)
		w.calls = append(w.calls, c)
		return c
	}
	n.mu.Lock()
	for n.replica.Unstored() != 0 { // another commit is on its way
		n.mu.Unlock()
		runtime.Gosched()
		n.mu.Lock()
	}
	begun := mint("begun")
	breakDisk(t, dir)
	batch := n.replica.SealBatch(n.now())
	later, repeated := mint("later"), mint("begun")
	n.mu.Unlock()
	n.commit(batch)
	for what, c := range map[error]*call{ErrUncertain: begun, ErrClosed: later} {
		if <-c.done; !errors.Is(c.outcomes[0].Err, what) {
			t.Errorf("%v, want %v", c.outcomes[0].Err, what)
		}
	}
	if <-repeated.done; !errors.Is(repeated.outcomes[0].Err, ErrUncertain) {
		t.Error("a retry of what is uncertain:", repeated.outcomes[0].Err)
	}
	endBroken(t, n)
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
