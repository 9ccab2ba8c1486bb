// Package devring runs all nodes of a ring as child processes, for trying things out: it starts
// them, shows their logs, and pulls single nodes out and puts them back as it is told.
package devring

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// stopTime is how long a node may take to stop before it is killed.
const stopTime = 25 * time.Second

// Config says what to run.
type Config struct {
	Hosts []string // in the order of their colours
	// Command is the process of a host, not started. It prints "http URL" on its standard output
	// once it serves. Its output is taken over.
	Command func(host string) *exec.Cmd
	// Orders are lines such as "stop b", "start b", "kill b", "quit". Their end is no order.
	Orders io.Reader
	Out    io.Writer // what happened, one line each, see Run
	Log    io.Writer // the nodes' logs
	Colour bool      // of the hosts before the lines of the log
	// Ready is called once when all nodes serve, with the URLs by host.
	Ready func(urls map[string]string)
}

// The states of a node.
type state int

const (
	down     state = iota
	starting       // has not said yet where it serves
	up
	stopping
	dying // was killed
)

// node is one child process.
type node struct {
	host  string
	cmd   *exec.Cmd // nil when down
	state state
	url   string
	kill  *time.Timer // kills it when it does not stop
}

// event is something that happened to a child, or an order.
type event struct {
	host  string
	cmd   *exec.Cmd // the process it happened to
	url   string    // it serves here
	err   error     // it ended so, where ended
	ended bool
	order string
}

// supervisor owns the children. Only its loop touches the nodes.
type supervisor struct {
	Config
	nodes    map[string]*node
	events   chan event
	log      *prefixer
	ready    bool
	quitting bool
	failure  error
}

// Run runs the nodes until ctx ends, "quit" is ordered, or one ends before all have come up. It
// returns when all of them have ended.
//
// What happened is printed on Out: "HOST URL" when a node serves for the first time, "ready" when
// all do, then "started HOST URL", "stopped HOST", "killed HOST", and "exited HOST: reason" when
// a node ended by itself.
func Run(ctx context.Context, c Config) error {
	// A child dies with the thread that started it: keep that until the end.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &supervisor{Config: c, nodes: map[string]*node{}, events: make(chan event), log: newPrefixer(c)}
	for _, host := range c.Hosts {
		s.nodes[host] = &node{host: host}
	}
	over := make(chan struct{})
	defer close(over)
	if c.Orders != nil {
		go s.readOrders(over)
	}
	for _, host := range c.Hosts {
		if !s.quitting { // as the first that cannot be started makes it
			s.start(s.nodes[host])
		}
	}
	ended := ctx.Done()
	for s.running() > 0 || !s.quitting {
		select {
		case <-ended:
			ended = nil
			s.quit(nil)
		case e := <-s.events:
			s.take(e)
		}
	}
	return s.failure
}

func (s *supervisor) say(format string, args ...any) { fmt.Fprintf(s.Out, format+"\n", args...) }

func (s *supervisor) running() int {
	n := 0
	for _, node := range s.nodes {
		if node.state != down {
			n++
		}
	}
	return n
}

// quit stops all nodes; the first reason is what Run returns.
func (s *supervisor) quit(reason error) {
	if s.quitting {
		return
	}
	s.quitting, s.failure = true, reason
	for _, host := range s.Hosts {
		if n := s.nodes[host]; n.state == starting || n.state == up {
			s.stop(n)
		}
	}
}

func (s *supervisor) take(e event) {
	n := s.nodes[e.host]
	switch {
	case e.order != "":
		s.obey(e.order)
	case n == nil || n.cmd != e.cmd:
		// of a process that was replaced
	case e.ended:
		s.ended(n, e.err)
	case n.state == starting:
		s.serves(n, e.url)
	}
}

func (s *supervisor) serves(n *node, url string) {
	n.state, n.url = up, url
	if s.ready {
		s.say("started %s %s", n.host, url)
		return
	}
	s.say("%s %s", n.host, url)
	urls := map[string]string{}
	for _, other := range s.nodes {
		if other.state != up {
			return
		}
		urls[other.host] = other.url
	}
	s.ready = true
	s.say("ready")
	if s.Ready != nil {
		s.Ready(urls)
	}
}

func (s *supervisor) ended(n *node, err error) {
	was := n.state
	n.cmd, n.state = nil, down
	if n.kill != nil {
		n.kill.Stop()
		n.kill = nil
	}
	reason := "exit status 0"
	if err != nil {
		reason = err.Error()
	}
	switch was {
	case stopping:
		if err != nil {
			s.say("stopped %s: %s", n.host, reason)
			return
		}
		s.say("stopped %s", n.host)
	case dying:
		s.say("killed %s", n.host)
	default:
		s.say("exited %s: %s", n.host, reason)
		if !s.ready {
			s.quit(fmt.Errorf("node %s did not come up: %s", n.host, reason))
		}
	}
}

// start starts a node's process.
func (s *supervisor) start(n *node) {
	cmd := s.Command(n.host)
	stdout := &lineWriter{line: func(line string) {
		if url, ok := strings.CutPrefix(line, "http "); ok {
			s.events <- event{host: n.host, cmd: cmd, url: url}
		}
	}}
	stderr := &lineWriter{line: func(line string) { s.log.print(n.host, line) }}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	tie(cmd)
	n.cmd, n.state = cmd, starting
	if err := cmd.Start(); err != nil {
		s.ended(n, err)
		return
	}
	go func() {
		err := cmd.Wait()
		stdout.flush()
		stderr.flush()
		s.events <- event{host: n.host, cmd: cmd, ended: true, err: err}
	}()
}

// stop asks a node to end, and kills it if it does not.
func (s *supervisor) stop(n *node) {
	n.state = stopping
	process := n.cmd.Process
	if err := process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.end(process)
		return
	}
	n.kill = time.AfterFunc(stopTime, func() { s.end(process) })
}

// end kills a process; its end is seen by Wait.
func (s *supervisor) end(process *os.Process) {
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.log.print("dev", "cannot kill: "+err.Error())
	}
}

// obey carries out one order.
func (s *supervisor) obey(order string) {
	verb, host, _ := strings.Cut(strings.TrimSpace(order), " ")
	n := s.nodes[strings.TrimSpace(host)]
	switch {
	case verb == "":
	case verb == "quit" && host == "":
		s.quit(nil)
	case s.quitting:
	case verb != "start" && verb != "stop" && verb != "kill":
		s.say("error: %q is none of: stop HOST, start HOST, kill HOST, quit", order)
	case n == nil:
		s.say("error: no host %q: there are %s", host, strings.Join(s.Hosts, ", "))
	case verb == "start" && n.state != down:
		s.say("error: %s is running", n.host)
	case verb == "start":
		s.start(n)
	case n.state == down:
		s.say("error: %s is not running", n.host)
	case verb == "kill":
		n.state = dying
		s.end(n.cmd.Process)
	case n.state == starting || n.state == up:
		s.stop(n)
	}
}

// readOrders passes on lines of Orders until the supervisor is over.
func (s *supervisor) readOrders(over <-chan struct{}) {
	lines := bufio.NewScanner(s.Orders)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		select {
		case s.events <- event{order: lines.Text()}:
		case <-over:
			return
		}
	}
}
