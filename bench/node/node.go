// Package node runs the program under measurement: real processes of `bluerings serve` on loopback.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"bluerings/bench/machine"
	"bluerings/internal/client"
	"bluerings/topologies"
)

// Node is one process.
type Node struct {
	*machine.Process
	*client.Client
	Host string
	Addr string // host:port of the HTTP interface
	Data string // its data directory
}

// Options say how a node is started.
type Options struct {
	Program    string // path of bluerings
	Data       string
	Durability string               // as `serve` takes it; empty for always
	Topology   *topologies.Topology // nil: alone
	Host       string               // in the topology
	Args       []string             // further flags
}

// startTime is how long a node may take until it serves: ten million tickets may have to be folded.
const startTime = 3 * time.Minute

// Start starts a node and waits until it serves.
func Start(ctx context.Context, o Options) (*Node, error) {
	args := []string{"serve", "--data", o.Data, "--log-level", "warn"}
	if o.Durability != "" {
		args = append(args, "--durability", o.Durability)
	}
	if o.Topology == nil {
		o.Host = "a"
		args = append(args, "--host", o.Host, "--http", "127.0.0.1:0", "--pub", "tcp://127.0.0.1:0")
	} else {
		file := o.Data + ".toml"
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, o.Topology.Encode(), 0o644); err != nil {
			return nil, err
		}
		args = append(args, "--topology", file, "--host", o.Host)
	}
	n := &Node{Host: o.Host, Data: o.Data}
	serves := make(chan string, 1)
	cmd := exec.Command(o.Program, append(args, o.Args...)...)
	var err error
	n.Process, err = machine.Start("bluerings "+o.Host, cmd, func(line string) {
		if url, ok := strings.CutPrefix(line, "http "); ok {
			serves <- url
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case url := <-serves:
		n.Addr = strings.TrimPrefix(url, "http://")
		n.Client, err = client.New(client.Options{URL: url, Connections: 64})
		return n, err
	case <-n.Ended():
		return nil, n.Failure()
	case <-ctx.Done():
		n.Kill()
		return nil, ctx.Err()
	case <-time.After(startTime):
		n.Kill()
		return nil, fmt.Errorf("bluerings %s did not serve within %s", o.Host, startTime)
	}
}

// Ring is several nodes of one topology.
type Ring struct {
	Topology *topologies.Topology
	Nodes    []*Node // those that run, in the order they were started
	program  string
	dir      string
}

// NewRing plans a ring of n nodes of a shape, on free ports, with data under dir. None runs yet.
func NewRing(program, dir, shape string, n int) (*Ring, error) {
	t, err := topologies.Generate(shape, n)
	if err != nil {
		return nil, err
	}
	ports, err := machine.Ports(2 * n)
	if err != nil {
		return nil, err
	}
	for i := range t.Nodes {
		t.Nodes[i].Pub = fmt.Sprintf("tcp://127.0.0.1:%d", ports[2*i])
		t.Nodes[i].HTTP = fmt.Sprintf("127.0.0.1:%d", ports[2*i+1])
	}
	return &Ring{Topology: t, program: program, dir: dir}, nil
}

// Host is the name of the i-th node.
func (r *Ring) Host(i int) string { return r.Topology.Nodes[i].Host }

// Data is the directory of the i-th node.
func (r *Ring) Data(i int) string { return filepath.Join(r.dir, r.Host(i)) }

// Start starts the i-th node, and the next time again, on what it has stored.
func (r *Ring) Start(ctx context.Context, i int, args ...string) (*Node, error) {
	n, err := Start(ctx, Options{Program: r.program, Data: r.Data(i), Topology: r.Topology, Host: r.Host(i), Args: args})
	if err == nil {
		r.Nodes = append(r.Nodes, n)
	}
	return n, err
}

// StartAll starts all nodes and waits until each finds the ring coherent.
func (r *Ring) StartAll(ctx context.Context) error {
	for i := range r.Topology.Nodes {
		if _, err := r.Start(ctx, i); err != nil {
			return err
		}
	}
	for _, n := range r.Nodes {
		if err := n.WaitCoherent(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends all nodes that run.
func (r *Ring) Stop() {
	for _, n := range r.Nodes {
		n.Stop()
	}
	r.Nodes = nil
}

// errNotCoherent is the end of a wait.
var errNotCoherent = errors.New("the ring did not become coherent")
