package ring

import (
	"context"
	"fmt"
	"testing"
	"time"

	"bluerings/ring/replica"
)

// TestPacerSpreadsWhatIsGiven: in a second no more goes out than it says, by
// number and by bytes, however large the portions are and however late their
// timers; and what was not used does not accumulate.
func TestPacerSpreadsWhatIsGiven(t *testing.T) {
	for _, portion := range []struct {
		count uint64
		bytes int
	}{{1, 50}, {1000, 32 << 10}, {4096, 1 << 20}, {1, 4 << 20}} {
		var p pacer
		now := time.Unix(1000, 0)
		p.rest(now, 100*portion.count, 100*portion.bytes)
		now = now.Add(time.Hour)
		begun, count, bytes := now, uint64(0), 0
		for now.Sub(begun) < time.Second {
			now = now.Add(p.rest(now, portion.count, portion.bytes) + time.Duration(count%3)*100*time.Microsecond)
			count, bytes = count+portion.count, bytes+portion.bytes
		}
		took := now.Sub(begun).Seconds() + 0.002
		if most := took * givenPerSecond; float64(count-portion.count) > most {
			t.Errorf("%+v: %d tickets in %.3f s", portion, count, took)
		}
		if most := took * givenBytesPerSecond; float64(bytes-portion.bytes) > most {
			t.Errorf("%+v: %d bytes in %.3f s", portion, bytes, took)
		}
		if portion.count >= 1000 && float64(count) < 0.9*givenPerSecond && float64(bytes) < 0.9*givenBytesPerSecond {
			t.Errorf("%+v: only %d tickets and %d bytes in %.3f s", portion, count, bytes, took)
		}
	}
}

// TestPacerKeepsAhead: a node that stores more than it would give by itself
// gives half as many again.
func TestPacerKeepsAhead(t *testing.T) {
	var p pacer
	now, stored := time.Unix(1000, 0), uint64(1_000_000_000)
	p.heed(now, func() uint64 { return stored })
	for _, x := range []struct {
		own, gives uint64 // a second
	}{{0, givenPerSecond}, {givenPerSecond / 2, givenPerSecond}, {1_000_000, 1_500_000}, {10, givenPerSecond}} {
		stored, now = stored+2*x.own, now.Add(2*time.Second)
		p.heed(now, func() uint64 { return stored })
		p.heed(now.Add(time.Second/2), func() uint64 { t.Error("it counts too often"); return 0 })
		begun, count := now, uint64(0)
		for now.Sub(begun) < time.Second {
			now = now.Add(p.rest(now, 1000, 10_000))
			count += 1000
		}
		if count < x.gives*95/100 || count > x.gives*105/100 {
			t.Errorf("it stores %d a second and gives %d, want %d", x.own, count, x.gives)
		}
		now, p.free = begun, time.Time{}
	}
}

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
