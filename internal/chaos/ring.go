//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"bluerings/topologies"
)

// Patience is how long anything may take that has to happen in the end: long
// enough for a busy machine.
const Patience = 60 * time.Second

// Config says what to run.
type Config struct {
	Program string   // a build with the tag chaos, for clocks to jump
	Dir     string   // for data, logs, copies; the caller removes it
	Shape   string   // as topologies.Generate takes
	Nodes   int      // at least 3
	Serve   []string // more flags
	Draw    *rand.Rand
	Log     func(format string, args ...any)
}

// Ring is a ring of processes.
type Ring struct {
	Config
	net     *network
	topo    *topologies.Topology
	nodes   []*node
	history *history
	skipped map[string]string // fault kind: why it cannot be had here
	starts  chan func()       // run on one thread that lasts as long as the ring

	mu         sync.Mutex
	violations []string
	outages    []*outage
	doomed     []doom
	ahead      time.Time // until then somebody may date tickets ahead of the clock
	counts     map[string]int
}

// outage is a time in which a member was dead, stopped or cut off.
type outage struct {
	what       string
	host       string    // of the member, if it is one
	heard      bool      // it is heard, and hears nobody
	begin, end time.Time // end is zero while it lasts
}

// doom is the end of a disk: tickets that only it had are lost.
type doom struct {
	host string
	at   time.Time
}

// Open makes the network and the disks and starts all nodes. Close must be
// called, also after an error.
func Open(c Config) (*Ring, error) {
	r := &Ring{Config: c, history: newHistory(), skipped: make(map[string]string), starts: make(chan func()), counts: make(map[string]int)}
	go func() {
		runtime.LockOSThread() // never unlocked: the children die with this thread
		for start := range r.starts {
			start()
		}
	}()
	var err error
	if r.net, err = newNetwork(c.Nodes); err != nil {
		return r, err
	}
	if r.topo, err = topologies.Generate(c.Shape, c.Nodes); err != nil {
		return r, err
	}
	if err := r.place(); err != nil {
		return r, err
	}
	for _, n := range r.nodes {
		if err := n.launch(); err != nil {
			return r, err
		}
	}
	for _, n := range r.nodes {
		if err := n.serving(); err != nil {
			return r, err
		}
	}
	return r, r.await("coherent at first", r.coherent)
}

// starter runs a function on the thread that children are tied to.
func (r *Ring) starter(start func() error) error {
	result := make(chan error)
	r.starts <- func() { result <- start() }
	return <-result
}

// place gives every node its addresses, its disk and its topology file.
func (r *Ring) place() error {
	pub, web := 4000, 8080
	for i := range r.topo.Nodes {
		t := &r.topo.Nodes[i]
		if r.net.subnet == "" {
			pub, web = freePort(), freePort()
		}
		t.Pub, t.HTTP = fmt.Sprintf("tcp://%s:%d", r.net.hosts[i], pub), fmt.Sprintf("%s:%d", r.net.hosts[i], web)
		d, why := newDisk(r.Dir, i)
		if d == nil {
			return why
		}
		n := &node{
			ring: r, index: i, host: t.Host, url: "http://" + t.HTTP, disk: d,
			clock: filepath.Join(r.Dir, "clock-"+t.Host), log: filepath.Join(r.Dir, "log-"+t.Host),
		}
		r.nodes = append(r.nodes, n)
		if err := n.setClock(0); err != nil {
			return err
		}
		if why != nil {
			for _, kind := range []string{"power cut", "full disk"} {
				r.skipped[kind] = fmt.Sprintf("no file system on a loop device: %v", why)
			}
		}
	}
	if r.net.why != nil {
		for _, kind := range []string{"packet loss", "answers lost"} {
			r.skipped[kind] = fmt.Sprintf("no network namespaces: %v", r.net.why)
		}
	}
	for i := range r.nodes {
		if err := r.writeTopology(i); err != nil {
			return err
		}
	}
	return nil
}

func (r *Ring) topologyFile(i int) string {
	return filepath.Join(r.Dir, "topology-"+r.nodes[i].host+".toml")
}

// writeTopology writes the file of node i, in which the links into it that have
// a proxy lead there: with namespaces one link into the first node, else all.
func (r *Ring) writeTopology(i int) error {
	own := *r.topo
	own.Nodes = slices.Clone(r.topo.Nodes)
	for _, l := range r.topo.Upstreams(r.nodes[i].host) {
		from := slices.IndexFunc(own.Nodes, func(n topologies.Node) bool { return n.Host == l.From })
		if from == i || r.net.subnet != "" && (i != 0 || len(r.net.proxies) > 0) {
			continue
		}
		at, err := r.net.proxied(from, i, strings.TrimPrefix(own.Nodes[from].Pub, "tcp://"))
		if err != nil {
			return err
		}
		own.Nodes[from].Pub = "tcp://" + at
	}
	return os.WriteFile(r.topologyFile(i), own.Encode(), 0o600)
}

// Close ends all processes and removes everything but what is below Dir.
func (r *Ring) Close() error {
	var errs []error
	for _, n := range r.nodes {
		if _, runs := n.process(); runs {
			n.kill()
		}
	}
	close(r.starts)
	for _, n := range r.nodes {
		errs = append(errs, n.disk.close())
	}
	if r.net != nil {
		errs = append(errs, r.net.close())
	}
	return errors.Join(errs...)
}

// violate notes a broken promise.
func (r *Ring) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.violations) < 50 {
		r.violations = append(r.violations, text)
		r.Log("VIOLATION: %s", text)
	}
}

// Violations are the promises that were seen broken.
func (r *Ring) Violations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.violations)
}

// Skipped are the kinds of fault that this machine does not let us make, with
// the reason.
func (r *Ring) Skipped() map[string]string { return r.skipped }

// Logs are what the nodes wrote at the end.
func (r *Ring) Logs() string {
	var b strings.Builder
	for _, n := range r.nodes {
		text, _ := os.ReadFile(n.log)
		fmt.Fprintf(&b, "---- %s\n%s\n", n.host, text[max(0, len(text)-4000):])
	}
	return b.String()
}

func (r *Ring) count(what string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what] += n
}

// out notes that a member is gone from now on; the function returned ends it.
// It is called once it is gone, and ended before it comes back.
func (r *Ring) out(o outage) (end func()) {
	o.begin = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outages = append(r.outages, &o)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if o.end.IsZero() {
			o.end = time.Now()
		}
	}
}

// await asks again and again until look finds nothing to complain about.
func (r *Ring) await(what string, look func() error) error {
	begun := time.Now()
	for tick := time.NewTicker(100 * time.Millisecond); ; <-tick.C {
		err := look()
		if err == nil {
			tick.Stop()
			return nil
		}
		if time.Since(begun) > Patience {
			return fmt.Errorf("not %s within %s: %w", what, Patience, err)
		}
	}
}

// status is the answer of GET /v1/coherence, as far as it is asked for.
type status struct {
	Coherent     bool
	Now          time.Time
	FinalThrough time.Time `json:"final_through"`
	BlockedBy    []string  `json:"blocked_by"`
	Reasons      []struct{ Code, Host, Detail string }
	Vector       map[string]uint64
}

func (n *node) status() (s status, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err = n.get(ctx, "/v1/coherence", &s)
	return s, err
}

// coherent tells why not all nodes find the ring whole.
func (r *Ring) coherent() error {
	for _, n := range r.nodes {
		s, err := n.status()
		if err != nil {
			return fmt.Errorf("%s: %w", n.host, err)
		}
		if !s.Coherent {
			return fmt.Errorf("%s: %+v", n.host, s.Reasons)
		}
	}
	return nil
}

// freePort is a port that nobody listens on, below those that outgoing
// connections get.
func freePort() int {
	for {
		port := 12000 + rand.IntN(20000)
		if listenable(port) {
			return port
		}
	}
}
