// Package machine starts and stops processes, watches what they use, and measures the machine itself.
package machine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a server that was started for a measurement, in a process group of its own.
type Process struct {
	Name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended
	log  *tail
}

// Start starts a server. What it writes to stdout is handed to line, if that is not nil, and the
// end of all its output is kept for errors.
func Start(name string, cmd *exec.Cmd, line func(string)) (*Process, error) {
	p := &Process{Name: name, cmd: cmd, done: make(chan struct{}), log: &tail{}}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.Stderr = p.log
	cmd.WaitDelay = 5 * time.Second
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			if line != nil {
				line(lines.Text())
			}
			_, _ = p.log.Write(append(lines.Bytes(), '\n'))
		}
		_, _ = io.Copy(p.log, pipe)
	})
	go func() {
		reading.Wait()
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.done }

// Failure tells how the process ended and the last it said.
func (p *Process) Failure() error {
	<-p.done
	return fmt.Errorf("%s ended: %w", p.Name, errors.Join(p.err, errors.New(p.log.String())))
}

// Pause stops the process and its children from running, until Resume. What they would do in the
// background then counts in their own turn, not in somebody else's.
func (p *Process) Pause() error { return p.signalAll(syscall.SIGSTOP) }

// Resume lets them go on.
func (p *Process) Resume() error { return p.signalAll(syscall.SIGCONT) }

func (p *Process) signalAll(s syscall.Signal) error {
	select {
	case <-p.done:
		return p.Failure()
	default:
	}
	for _, pid := range append(p.children(), p.PID()) {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("%s: %s: %w", p.Name, s, err)
		}
	}
	return nil
}

// children are the processes that this one has started itself: PostgreSQL has one for each task.
func (p *Process) children() (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.PID()))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// stopTime is how long a server may take to end after SIGTERM.
const stopTime = 30 * time.Second

// Stop ends the process with SIGTERM and, if it does not obey, kills it. It returns how long that
// took.
func (p *Process) Stop() time.Duration {
	began := time.Now()
	select {
	case <-p.done:
		return 0
	default:
	}
	// The process may have ended since: then there is nobody to tell.
	_ = p.Resume()
	_ = syscall.Kill(p.PID(), syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTime):
		_ = syscall.Kill(p.PID(), syscall.SIGKILL)
		<-p.done
	}
	return time.Since(began)
}

// Kill ends the process at once.
func (p *Process) Kill() {
	_ = syscall.Kill(p.PID(), syscall.SIGKILL)
	<-p.done
}

// Run runs a program to its end and returns its output; the error has it too.
func Run(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	select {
	case err := <-over:
		if err != nil {
			return out.String(), fmt.Errorf("%s: %w\n%s", cmd.Path, err, strings.TrimSpace(out.String()))
		}
		return out.String(), nil
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		return "", errors.Join(ctx.Err(), <-over)
	}
}

// tail keeps the last few thousand bytes written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4096

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if extra := len(t.text) - tailBytes; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// Self is the path of this program, which also is the server of those rivals that are libraries.
func Self() string {
	path, err := os.Executable()
	if err != nil {
		panic(fmt.Sprintf("machine: where is this program? %v", err))
	}
	return path
}
