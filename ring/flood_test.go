package ring

import (
	"context"
	"testing"
	"time"

	"bluerings/tickets"
	"bluerings/value"
)

// TestAtLowLoadTheFloodIsEnough: updates made one at a time reach the other
// node each in one message, and nothing is ever asked for again.
func TestAtLowLoadTheFloodIsEnough(t *testing.T) {
	topo, dir := generate(t, "full-mesh", 2), t.TempDir()
	var nodes []*Node
	for _, host := range topo.Members() {
		n := member(t, topo, host, dir, Durability{})
		defer closeNode(t, n)
		nodes = append(nodes, n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, n := range nodes {
		if err := n.WaitCoherent(ctx); err != nil { // so both links work
			t.Fatal(err)
		}
	}
	key := tickets.Key{Family: tickets.Counters, Name: "probe"}
	const updates = 100
	for i := range int64(updates) {
		from, to := nodes[i%2], nodes[(i+1)%2]
		add(t, from, key.Name, "1", "")
		err := to.wait(ctx, func() bool {
			r, ok := to.reading(key)
			return ok && r.Value.Equal(to.Kind(), value.FromInt64(i+1))
		})
		if err != nil {
			t.Fatalf("update %d: %v", i+1, err)
		}
	}
	for _, n := range nodes {
		n.mu.Lock()
		c := n.replica.Counts()
		n.mu.Unlock()
		if c.Asked != 0 || c.Given != 0 || c.Duplicates != 0 || c.Tickets != updates/2 {
			t.Errorf("%s asked %d times, gave %d times, was sent %d tickets, %d of them twice", n.Host(), c.Asked, c.Given, c.Tickets, c.Duplicates)
		}
	}
}
