//go:build linux

package chaos

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// powerCut ends the machine of a node: what was not synced is gone.
func (f *struck) powerCut(ctx context.Context) error {
	n := f.victim(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	n.expect() // the disk may end it before kill does
	if err := n.disk.shutdown(f.flags()); err != nil {
		return err
	}
	n.kill()
	end := f.out(outage{what: n.host + " lost power", host: n.host})
	wait(ctx, f.hold/2)
	if err := n.disk.remount(); err != nil {
		return err
	}
	end()
	return n.start()
}

func (f *struck) flags() uint32 {
	if f.draw.IntN(3) == 0 {
		return shutdownFlush
	}
	return shutdownNoFlush
}

// strace attaches to a process until detach is called.
func (f *struck) strace(n *node, args ...string) (log string, detach func(), err error) {
	log = filepath.Join(f.Dir, "strace-"+n.host)
	c := exec.Command("strace", append([]string{"-f", "-qq", "-y", "-s", "0", "-o", log, "-p", fmt.Sprint(n.pid())}, args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := f.starter(c.Start); err != nil {
		return "", nil, err
	}
	return log, func() {
		_ = c.Process.Signal(syscall.SIGTERM) // it may have ended with the process
		_ = c.Wait()
	}, nil
}

// mostIdle is how long a node under load may go without any fsync of a thread
// that had one before.
const mostIdle = 6 * time.Second

// failingSync makes fsyncs fail: of commits to the journal, or of what moves
// them to the ledger. The node must stop; sometimes its machine does so too.
func (f *struck) failingSync(ctx context.Context) error {
	n := f.victim(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	done := n.expect()
	which := 1 + f.draw.IntN(6) // of each thread
	log, detach, err := f.strace(n, "-e", "trace=fdatasync,pwrite64", "-e", fmt.Sprint("inject=fdatasync:error=EIO:when=", which))
	if err != nil {
		return err
	}
	select {
	case <-done:
	case <-time.After(mostIdle):
	}
	detach() // nothing fails any more, and all is in the log
	if f.failedSyncs(log) == 0 {
		f.count("failing fsync: none failed", 1)
		f.missed = true
	} else { // it answers who waits, and then ends
		select {
		case <-done:
		case <-time.After(Patience):
			f.violate("%s did not stop after an fsync of its journal or ledger failed", n.host)
		}
	}
	n.kill()
	if _, skipped := f.skipped["power cut"]; !skipped && f.draw.IntN(2) == 0 {
		if err := n.disk.shutdown(f.flags()); err != nil {
			return err
		}
		if err := n.disk.remount(); err != nil {
			return err
		}
	}
	end := f.out(outage{what: n.host + " had a failing disk", host: n.host})
	wait(ctx, f.hold/2)
	end()
	return n.start()
}

// failedSyncs counts the fsyncs that failed in a log of strace, and returns how
// many of them a node must not survive.
func (f *struck) failedSyncs(log string) (fatal int) {
	file, err := os.Open(log)
	if err != nil {
		f.violate("%v", err)
		return 0
	}
	defer file.Close()
	for of, n := range syncFailures(file) {
		f.count("failing fsync: "+of, n)
		if of != ofIndex {
			fatal += n
		}
	}
	return fatal
}

// What an fsync that failed was to make durable. The index is made anew after
// that; after the others it is open what was committed.
const (
	ofJournal = "of the journal"
	ofData    = "of the ledger, data"
	ofHead    = "of the ledger, a head page"
	ofIndex   = "of the index"
)

var (
	writes = regexp.MustCompile(`pwrite64\(\d+<.*/ledger\.db>, .*, (\d+)\)? `)
	syncs  = regexp.MustCompile(`fdatasync\(\d+<.*/(journal\.\d+|ledger\.db|index\.db)>`)
)

// syncFailures counts the failures that strace made in its log, by what they
// were of. A call that another thread interrupts stands there in two parts.
func syncFailures(log io.Reader) map[string]int {
	failed := make(map[string]int)
	head := false                      // a head page is the last of the ledger that was written
	syncing := make(map[string]string) // by thread: what its fsync under way is of
	for lines := bufio.NewScanner(log); lines.Scan(); {
		line := lines.Text()
		thread, _, _ := strings.Cut(line, " ")
		if m := writes.FindStringSubmatch(line); m != nil {
			head = m[1] == "0" || m[1] == "4096"
		} else if m := syncs.FindStringSubmatch(line); m != nil {
			syncing[thread] = syncOf(m[1], head)
		}
		if of := syncing[thread]; of != "" && strings.Contains(line, "INJECTED") {
			failed[of]++
		}
		if strings.Contains(line, "fdatasync") && !strings.Contains(line, "<unfinished") {
			delete(syncing, thread)
		}
	}
	return failed
}

func syncOf(file string, head bool) string {
	switch {
	case file == "index.db":
		return ofIndex
	case file != "ledger.db":
		return ofJournal
	case head:
		return ofHead
	default:
		return ofData
	}
}

func (f *struck) slowSync(ctx context.Context) error {
	n := f.anyNode(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	log, detach, err := f.strace(n, "-e", "trace=fdatasync", "-e", fmt.Sprint("inject=fdatasync:delay_enter=", 20_000+f.draw.IntN(800_000)))
	if err != nil {
		return err
	}
	wait(ctx, f.hold)
	detach()
	text, err := os.ReadFile(log)
	slow := strings.Count(string(text), "(DELAYED)")
	f.count("slow fsync: delayed", slow)
	f.missed = slow == 0
	return err
}

func (f *struck) fullDisk(ctx context.Context) error {
	n := f.anyNode(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	if err := n.disk.fill(); err != nil {
		return err
	}
	wait(ctx, f.hold)
	return n.disk.free()
}

// exchange ends a node, gives it other data, and starts it again. What it alone
// had is lost then. Its clock must be right, and a second must pass: see "What
// is not promised".
func (f *struck) exchange(ctx context.Context, n *node, replace func() error) error {
	n.kill()
	f.mu.Lock()
	f.doomed = append(f.doomed, doom{host: n.host, at: time.Now()})
	ahead := f.ahead
	f.mu.Unlock()
	f.Log("%s loses its disk", n.host)
	end := f.out(outage{what: n.host + " lost its disk", host: n.host})
	if err := n.wipe(); err != nil {
		return err
	}
	if err := replace(); err != nil {
		return err
	}
	<-time.After(max(1100*time.Millisecond, time.Until(ahead)))
	end()
	return n.start()
}

func (f *struck) emptied(ctx context.Context) error {
	n := f.victim(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	return f.exchange(ctx, n, func() error { return nil })
}

func (f *struck) restored(ctx context.Context) error {
	n := f.victim(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	if n.backup == "" || f.draw.IntN(2) == 0 {
		if err := n.takeBackup(); err != nil {
			return err
		}
		wait(ctx, f.hold)
	}
	return f.exchange(ctx, n, func() error { return run(f.Program, "restore", n.backup, n.disk.data()) })
}

func (f *struck) aged(ctx context.Context) error {
	n := f.victim(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	if n.old == "" {
		n.kill()
		if err := n.copyOld(); err != nil {
			return err
		}
		if err := n.start(); err != nil {
			return err
		}
		wait(ctx, f.hold)
		if err := f.await("coherent before an old disk", f.coherent); err != nil {
			return err
		}
	}
	return f.exchange(ctx, n, func() error {
		if err := run("cp", "-r", "--sparse=always", n.old, n.disk.data()); err != nil {
			return err
		}
		return run("sync", "-f", n.disk.dir) // the power may be cut next
	})
}

// probe finds out which faults this machine does not let us make.
func (r *Ring) probe() {
	if err := run(strings.Fields("strace -f -qq -o /dev/null -e inject=fdatasync:error=EIO:when=1 true")...); err != nil {
		r.skipped["failing fsync"] = fmt.Sprintf("no strace: %v", err)
		r.skipped["slow fsync"] = r.skipped["failing fsync"]
	}
	if len(r.net.delayable()) == 0 {
		r.skipped["delay"] = "no link runs through a proxy"
	}
}
