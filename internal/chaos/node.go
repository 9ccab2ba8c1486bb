//go:build linux

package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// node is one place of the ring: a process that comes and goes, on a disk that
// may change.
type node struct {
	ring   *Ring
	index  int
	host   string
	url    string
	disk   *disk
	clock  string // file of the clock's offset
	log    string
	old    string // a copy of its data as it once was; empty for none
	backup string // a backup of it

	run atomic.Int64 // counts starts and ends: odd while it runs

	mu     sync.Mutex
	faulty bool // a fault has it
	cmd    *exec.Cmd
	done   chan struct{} // closed when the process has ended
	ended  error         // of Wait; read it after done
	may    bool          // it may end by itself
}

// claim takes the node for one fault, if none has it.
func (n *node) claim() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	free := !n.faulty
	n.faulty = true
	return free
}

func (n *node) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faulty = false
}

// start runs the process and waits until it serves.
func (n *node) start() error {
	if err := n.launch(); err != nil {
		return err
	}
	return n.serving()
}

func (n *node) launch() error {
	out, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() // the process has its own
	args := append([]string{"serve", "--insecure", "--host", n.host, "--http", n.url[len("http://"):],
		"--data", n.disk.data(), "--topology", n.ring.topologyFile(n.index), "--log-level", "warn"}, n.ring.Serve...)
	cmd := n.ring.net.enter(n.index, n.ring.Program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "BLUERINGS_CLOCK_OFFSET_FILE="+n.clock)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	done := make(chan struct{})
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.ring.starter(cmd.Start); err != nil { // Pdeathsig is about the thread that starts it
		return fmt.Errorf("start %s: %w", n.host, err)
	}
	n.cmd, n.done, n.may = cmd, done, false
	n.run.Add(1)
	go n.watch(cmd, done)
	return nil
}

// watch waits for the end of a process; one that nobody wanted is a violation.
func (n *node) watch(cmd *exec.Cmd, done chan struct{}) {
	err := cmd.Wait()
	n.mu.Lock()
	n.ended = err
	wanted := n.may
	n.run.Add(1)
	close(done)
	n.mu.Unlock()
	if !wanted {
		n.ring.violate("%s ended by itself: %v", n.host, err)
	}
}

// expect says that the process may end, and returns what closes when it has.
func (n *node) expect() chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.may = true
	return n.done
}

func (n *node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.Process.Pid
}

// process is the process as it is now, and whether it runs.
func (n *node) process() (*os.Process, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return nil, false
	}
	select {
	case <-n.done:
		return n.cmd.Process, false
	default:
		return n.cmd.Process, true
	}
}

// serving waits until the node answers. That is before it is ready: it may be
// cut off.
func (n *node) serving() error {
	n.mu.Lock()
	done := n.done
	n.mu.Unlock()
	deadline := time.Now().Add(Patience)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		select {
		case <-done:
			return fmt.Errorf("%s ended while it started: %w", n.host, n.ended)
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := n.get(ctx, "/v1/statistics", &struct{}{})
		cancel()
		if err == nil {
			tick.Stop()
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not serve: %w", n.host, err)
		}
	}
}

// kill ends the process at once.
func (n *node) kill() {
	done := n.expect()
	if p, runs := n.process(); runs {
		_ = p.Kill() // it may be ending
	}
	<-done
}

// stop ends the process as an operator does; it must end well, and soon.
func (n *node) stop() error {
	done := n.expect()
	p, runs := n.process()
	if !runs {
		return fmt.Errorf("%s has ended already: %w", n.host, n.ended)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-done:
	case <-time.After(Patience):
		n.kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM", n.host, Patience)
	}
	if n.ended != nil {
		return fmt.Errorf("%s ended with %w after SIGTERM", n.host, n.ended)
	}
	return nil
}

func (n *node) signal(s syscall.Signal) error {
	p, runs := n.process()
	if !runs {
		return fmt.Errorf("%s does not run", n.host)
	}
	return p.Signal(s)
}

// wipe empties the data directory of a node that does not run.
func (n *node) wipe() error { return os.RemoveAll(n.disk.data()) }

// setClock sets the node's clock off by so much.
func (n *node) setClock(offset time.Duration) error {
	next := n.clock + ".next"
	if err := os.WriteFile(next, []byte(offset.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, n.clock)
}

// copyOld keeps a copy of the data of a node that does not run.
func (n *node) copyOld() error {
	to := filepath.Join(n.ring.Dir, "old-"+n.host)
	if err := run("rm", "-rf", to); err != nil {
		return err
	}
	if err := run("cp", "-r", "--sparse=always", n.disk.data(), to); err != nil {
		return err
	}
	n.old = to
	return nil
}

// takeBackup makes a backup of the running node.
func (n *node) takeBackup() error {
	to := filepath.Join(n.ring.Dir, "backup-"+n.host)
	if err := run(n.ring.Program, "backup", "--url", n.url, to); err != nil {
		return err
	}
	n.backup = to
	return nil
}
