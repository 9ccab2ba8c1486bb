package ring

import (
	"context"
	"testing"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// racing tells that the race detector is on, under which sync.Pool forgets at
// random.
var racing bool

func TestHotPathsCostFewAllocations(t *testing.T) {
	if racing {
		t.Skip("what is pooled is allocated anew now and then")
	}
	none, err := ParseDurability("none")
	if err != nil {
		t.Fatal(err)
	}
	n := open(t, Config{Data: t.TempDir() + "/data", Durability: none})
	defer closeNode(t, n)
	add(t, n, "calls", "1", "")
	key := tickets.Key{Family: tickets.Counters, Name: "calls"}
	if allocs := testing.AllocsPerRun(1000, func() { keptReading, _ = n.Read(key) }); allocs != 0 {
		t.Errorf("a read: %v allocations", allocs)
	}
	for _, size := range []int{1, 64} {
		cmds := make([]Command, size)
		for i := range cmds {
			cmds[i] = Command{Op: tickets.CounterAdd, Name: "calls", Amount: value.FromInt64(7), Expire: hlc.Never}
		}
		work := func() {
			if _, err := n.Apply(context.Background(), cmds); err != nil {
				t.Fatal(err)
			}
		}
		work()
		// The outcomes, and now and then room for more tickets or a commit
		// beside it.
		if allocs := testing.AllocsPerRun(2000, work); allocs > 2 {
			t.Errorf("%d updates without a wait for the disk: %v allocations", size, allocs)
		}
	}
}

// A reading goes here, so that the compiler keeps the work.
var keptReading Reading
