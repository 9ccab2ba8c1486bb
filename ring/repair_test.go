package ring

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestRepairOfTheLongestName: what is asked for travels as a topic, in which
// the longest name of a host has room.
func TestRepairOfTheLongestName(t *testing.T) {
	topo := generate(t, "full-mesh", 2)
	long := strings.Repeat("a", 253)
	topo.Nodes[0].Host = long
	other := topo.Nodes[1].Host
	dir := t.TempDir()
	first := open(t, Config{Topology: topo, Host: long, Data: dir + "/a", Bind: []string{topo.Nodes[0].Pub}})
	defer closeNode(t, first)
	add(t, first, "early", "5", "") // nobody hears it: the other will have to ask
	late := open(t, Config{Topology: topo, Host: other, Data: dir + "/b", Bind: []string{topo.Nodes[1].Pub}})
	defer closeNode(t, late)
	if late.Ready() == nil {
		t.Error("ready before it has what the other has")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := late.WaitFinal(ctx, first.Now()); err != nil {
		t.Fatal(err)
	}
	if got := late.total("early"); got != "5" {
		t.Errorf("it has %s", got)
	}
	if err := late.Ready(); err != nil {
		t.Error(err)
	}
}
