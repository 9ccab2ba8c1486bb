package ring

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/topologies"
	"bluerings/value"
)

func open(t testing.TB, cfg Config) *Node {
	t.Helper()
	if cfg.Topology == nil {
		cfg.Topology = topologies.Alone("test", "decimal", "a")
		cfg.Host = "a"
	}
	n, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func closeNode(t testing.TB, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func add(t testing.TB, n *Node, name, amount, id string) Outcome {
	t.Helper()
	v, err := value.Parse(n.Kind(), amount, tickets.NumberLimits)
	if err != nil {
		t.Fatal(err)
	}
	out, err := n.Apply(context.Background(), []Command{{Op: tickets.CounterAdd, Name: name, Amount: v, ID: id, Expire: hlc.Never}})
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Err != nil {
		t.Fatal(out[0].Err)
	}
	return out[0]
}

func (n *Node) total(name string) string {
	r, ok := n.Read(tickets.Key{Family: tickets.Counters, Name: name})
	if !ok {
		return "unknown"
	}
	return r.Value.String(n.kind)
}

func TestOneNodeKeepsWhatItAcknowledged(t *testing.T) {
	for _, durability := range []string{"always", "interval=5ms", "none"} {
		t.Run(durability, func(t *testing.T) {
			dir := t.TempDir() + "/data"
			d, err := ParseDurability(durability)
			if err != nil {
				t.Fatal(err)
			}
			n := open(t, Config{Data: dir, Durability: d})
			for i := range 500 {
				add(t, n, fmt.Sprint("counter ", i%7), "1.5", fmt.Sprint("id ", i))
			}
			again := add(t, n, "counter 0", "1.5", "id 0")
			if !again.Replayed {
				t.Fatal("a retry was counted")
			}
			mid := n.Now()
			add(t, n, "counter 0", "-100", "")
			r, err := n.ReadAt(t.Context(), tickets.Key{Family: tickets.Counters, Name: "counter 0"}, mid)
			if err != nil || r.Value.String(n.kind) != "108" {
				t.Fatalf("as of before: %s, %v", r.Value.String(n.kind), err)
			}
			if err := n.WaitFinal(t.Context(), mid); err != nil {
				t.Fatal(err)
			}
			if !n.Verdict().Coherent {
				t.Fatalf("a node alone is not coherent: %+v", n.Status().Reasons)
			}
			final := n.Verdict().FinalThrough
			closeNode(t, n)
			n = open(t, Config{Data: dir})
			if got := n.total("counter 0"); got != "8" {
				t.Fatalf("after the restart: %s", got)
			}
			if again := add(t, n, "counter 3", "1.5", "id 3"); !again.Replayed {
				t.Fatal("after the restart, a retry was counted")
			}
			if o := add(t, n, "other", "1", ""); o.Ticket.At > n.now().Wall {
				t.Fatalf("after a clean stop, a ticket is dated %s at %s", o.Ticket.At, n.Now())
			}
			if now := n.Verdict().FinalThrough; now < final {
				t.Fatalf("final_through went back from %s to %s", final, now)
			}
			entries, err := n.Ledger(t.Context(), tickets.Key{Family: tickets.Counters, Name: "counter 0"}, LedgerQuery{Limit: 1000})
			if err != nil || len(entries) != 73 {
				t.Fatalf("ledger has %d entries, %v", len(entries), err)
			}
			closeNode(t, n)
			if found, err := Verify(t.Context(), dir, io.Discard); err != nil || found != 0 {
				t.Fatalf("%d differences, %v", found, err)
			}
		})
	}
}

// freePorts reserves n ports for a moment.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func generate(t testing.TB, shape string, n int) *topologies.Topology {
	t.Helper()
	topo, err := topologies.Generate(shape, n)
	if err != nil {
		t.Fatal(err)
	}
	for i, port := range freePorts(t, len(topo.Nodes)) {
		topo.Nodes[i].Pub = fmt.Sprintf("tcp://127.0.0.1:%d", port)
	}
	again, err := topologies.Parse("test", topo.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestRingsAgree(t *testing.T) {
	for _, shape := range []string{"full-mesh", "star", "ring", "one-way-ring"} {
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			topo := generate(t, shape, 4)
			dir := t.TempDir()
			nodes := make(map[string]*Node)
			start := func(h string) {
				self, _ := topo.Node(h)
				nodes[h] = open(t, Config{Topology: topo, Host: h, Data: dir + "/" + h, Bind: []string{self.Pub}})
			}
			for _, h := range topo.Members() {
				start(h)
			}
			defer func() {
				for _, n := range nodes {
					closeNode(t, n)
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for i := range 100 {
				for _, h := range topo.Members() {
					add(t, nodes[h], "shared", "0.01", fmt.Sprintf("%s %d", h, i))
				}
			}
			first := topo.Members()[0]
			closeNode(t, nodes[first])
			delete(nodes, first)
			for _, n := range nodes {
				add(t, n, "shared", "100", "")
			}
			start(first)
			add(t, nodes[first], "shared", "1000", "")
			mark := nodes[first].Now()
			for h, n := range nodes {
				if err := n.WaitCoherent(ctx); err != nil {
					t.Fatalf("%s: %v: %+v", h, err, n.Status().Reasons)
				}
				if err := n.WaitFinal(ctx, mark); err != nil {
					t.Fatalf("%s: %v: %+v", h, err, n.Status())
				}
				if got := n.total("shared"); got != "1304" {
					t.Errorf("%s has %s", h, got)
				}
			}
			want, err := nodes[first].Digest(ctx, mark)
			for h, n := range nodes {
				if got, err2 := n.Digest(ctx, mark); got != want || err != nil || err2 != nil {
					t.Errorf("%s: digest %s, want %s, %v %v", h, got, want, err, err2)
				}
			}
		})
	}
}
