package ring

import (
	"context"
	"fmt"
	"testing"
	"time"

	"bluerings/ring/replica"
)

// TestSmallBlocksAreGivenTogether: a log of many single commits reaches a late
// node in few messages, whatever the ranges it asks for.
func TestSmallBlocksAreGivenTogether(t *testing.T) {
	topo := generate(t, "full-mesh", 2)
	hosts, dir := topo.Members(), t.TempDir()
	start := func(i int) *Node {
		self, _ := topo.Node(hosts[i])
		return open(t, Config{Topology: topo, Host: hosts[i], Data: fmt.Sprint(dir, "/", i), Bind: []string{self.Pub}})
	}
	first := start(0)
	defer closeNode(t, first)
	const updates = 2000
	for i := range updates {
		add(t, first, fmt.Sprint("counter ", i%10), "1", fmt.Sprint("id ", i))
	}
	late := start(1)
	defer closeNode(t, late)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := late.WaitFinal(ctx, first.Now()); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if got := late.total(fmt.Sprint("counter ", i)); got != fmt.Sprint(updates/10) {
			t.Errorf("counter %d is %s", i, got)
		}
	}
	blocks := 0
	i, _ := late.replica.Index(first.replica.Origin(0))
	if err := late.store.Blocks(i, 1, updates, func(replica.Block) (bool, error) { blocks++; return true, nil }); err != nil {
		t.Fatal(err)
	}
	if blocks > 20 {
		t.Errorf("%d blocks for %d tickets", blocks, updates)
	}
}
