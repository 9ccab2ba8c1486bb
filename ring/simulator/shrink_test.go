package simulator

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"bluerings/tickets"
	"bluerings/topologies"
)

// impatient is a plan in which something breaks that docs/GUARANTEES.md does not
// promise: a disk is lost, the clock is set back, and there is an update at once. Much
// else happens, too.
func impatient(t *testing.T) *Plan {
	p := planOf(t, topologies.FullMesh, 3, time.Minute,
		Step{At: 23 * time.Second, Node: 0, Kind: Crash, Disk: Lost, Shift: -time.Hour, For: time.Second},
		Step{At: 24*time.Second + 100*time.Microsecond, Node: 0, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "name", Amount: 1, Ref: "early"}},
	)
	p.Seed, p.Loss = 4711, 0.01
	for i := range 20 {
		at := time.Duration(i+1) * 2 * time.Second
		p.Steps = append(p.Steps,
			Step{At: at, Node: 1 + i%2, Kind: Update, Change: Change{Op: tickets.CounterAdd, Name: "other", Amount: 1, Ref: strings.Repeat("u", i+1)}},
			Step{At: at + time.Second/2, Node: i % 3, Kind: SlowNode, For: time.Second / 2, Shift: time.Millisecond},
		)
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return int(a.At - b.At) })
	return p
}

// TestShrink leaves of a plan that fails what it needs to fail alike, and of the
// plan it was given everything.
func TestShrink(t *testing.T) {
	p := impatient(t)
	whole := p.String()
	f := p.Play(nil).Failure
	if f == nil {
		t.Fatalf("seed %d: nothing fails", p.Seed)
	}
	least := p.Shrink(t.Context(), f.Checker)
	if p.String() != whole {
		t.Errorf("seed %d: the plan itself has changed:\n%s", p.Seed, p)
	}
	again := least.Play(nil).Failure
	if again == nil || again.Checker != f.Checker {
		t.Fatalf("seed %d: %v becomes %v with\n%s", p.Seed, f, again, least)
	}
	if len(least.Steps) != 2 || least.Steps[0].Kind != Crash || least.Steps[1].Ref != "early" {
		t.Errorf("seed %d: more than two of %d steps are left, or others:\n%s", p.Seed, len(p.Steps), least)
	}
	if least.Loss != 0 || len(least.Topology.Nodes) > 2 || least.Duration > 30*time.Second {
		t.Errorf("seed %d: conditions, nodes or time are left that it does not need:\n%s", p.Seed, least)
	}
}

// TestShrinkEnds returns what it has when it is told to end.
func TestShrinkEnds(t *testing.T) {
	p := impatient(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if least := p.Shrink(ctx, p.Play(nil).Failure.Checker); least != p {
		t.Errorf("seed %d: a plan was tried after the end:\n%s", p.Seed, least)
	}
}

// TestShrinkKeepsTheChecker does not take one failure for another.
func TestShrinkKeepsTheChecker(t *testing.T) {
	p := impatient(t)
	if least := p.Shrink(t.Context(), "waste"); least != p {
		t.Errorf("seed %d: a plan that does not fail alike was kept:\n%s", p.Seed, least)
	}
}

// TestTranscript holds what is printed of a plan that fails.
func TestTranscript(t *testing.T) {
	p := impatient(t)
	plan := p.String()
	for _, want := range []string{
		"seed 4711: full-mesh of 3 nodes for 1m0s", "loss 0.010",
		"23s  crash a after 0 effects, disk lost by -1h0m0s for 1s\n", `24.0001s  update a counter.update "name" +1`,
	} {
		if !strings.Contains(plan, want) {
			t.Errorf("%q is not in the plan:\n%s", want, plan)
		}
	}
	var out bytes.Buffer
	r := p.Play(&out)
	for _, want := range []string{"a starts at ", "23s  crash a after 0 effects, disk lost", "the disk of a is lost\n", "a stores ticket 1 of a/"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in what happens:\n%s", want, &out)
		}
	}
	if said := r.Failure.Error(); !strings.HasPrefix(said, "seed 4711: "+r.Failure.Checker+": ") {
		t.Errorf("the failure reads %q", said)
	}
}
