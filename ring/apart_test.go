package ring

import (
	"context"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
)

// Nodes that were started apart, each taking updates while the ring was not
// coherent, agree once they are joined: on counters, and on registers.
func TestStartedApartThenJoined(t *testing.T) {
	for _, size := range []int{2, 3} {
		topo := generate(t, "full-mesh", size)
		dir := t.TempDir()
		start := func(h string) *Node {
			self, _ := topo.Node(h)
			return open(t, Config{Topology: topo, Host: h, Data: dir + "/" + h, Bind: []string{self.Pub}})
		}
		last := ""
		for _, h := range topo.Members() {
			n := start(h)
			if n.Verdict().Coherent {
				t.Fatalf("%s is coherent alone", h)
			}
			add(t, n, "sum", "1.25", "")
			add(t, n, "once", "10", "the same id everywhere")
			last = "said by " + h
			out, err := n.Apply(t.Context(), []Command{{Op: tickets.TextSet, Name: "word", Text: last, Expire: hlc.Never}})
			if err != nil || out[0].Err != nil {
				t.Fatal(err, out[0].Err)
			}
			closeNode(t, n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var nodes []*Node
		for _, h := range topo.Members() {
			nodes = append(nodes, start(h))
		}
		mark := nodes[0].Now()
		want := map[int]string{2: "2.5", 3: "3.75"}[size]
		for _, n := range nodes {
			if err := n.WaitFinal(ctx, mark); err != nil {
				t.Fatalf("%s: %v: %+v", n.Host(), err, n.Status())
			}
			if err := n.WaitCoherent(ctx); err != nil {
				t.Fatalf("%s: %v: %+v", n.Host(), err, n.Status().Reasons)
			}
			word, _ := n.Read(tickets.Key{Family: tickets.Texts, Name: "word"})
			if n.total("sum") != want || n.total("once") != "10" || word.Text != last {
				t.Errorf("%s of %d: sum %s, once %s, word %q", n.Host(), size, n.total("sum"), n.total("once"), word.Text)
			}
		}
		for _, n := range nodes {
			closeNode(t, n)
		}
	}
}
