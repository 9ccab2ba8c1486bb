package ring

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	python    = "/usr/bin/python3"
	subscribe = "../docs/examples/subscribe.py"
)

// TestLibzmqReadsTheFlood has a program that knows only docs/PROTOCOL.md count
// along with a node, by libzmq.
func TestLibzmqReadsTheFlood(t *testing.T) {
	if exec.Command(python, "-c", "import zmq").Run() != nil {
		t.Skip("no libzmq for Python")
	}
	topo := generate(t, "full-mesh", 2) // a node alone does not publish: nobody listens
	var nodes []*Node
	for _, h := range topo.Members() {
		self, _ := topo.Node(h)
		n := open(t, Config{Topology: topo, Host: h, Data: t.TempDir() + "/data", Bind: []string{self.Pub}})
		defer closeNode(t, n)
		nodes = append(nodes, n)
	}
	n := nodes[0]
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	const updates = 300
	cmd := exec.CommandContext(ctx, python, subscribe, n.PubAddrs()[0], fmt.Sprint(updates), n.Kind().String())
	var complaints strings.Builder
	cmd.Stderr = &complaints
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "ready" {
		cancel()
		_ = cmd.Wait()
		t.Fatalf("%q %s", lines.Text(), complaints.String())
	}
	amounts := []string{"1.25", "-0.003", "12345678901234567890123.5", "7", "-40"}
	for i := range updates {
		add(t, n, fmt.Sprintf("counter-%d", i%7), amounts[i%len(amounts)], fmt.Sprintf("id %d", i))
	}
	counters := 0
	for ; lines.Scan(); counters++ {
		name, total, _ := strings.Cut(lines.Text(), " ")
		if want := n.total(name); total != want {
			t.Errorf("%s: %s by libzmq, the node has %s", name, total, want)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	if counters != 7 {
		t.Errorf("%d counters", counters)
	}
}
