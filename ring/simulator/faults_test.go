package simulator

import (
	"strings"
	"testing"
	"time"
)

func TestParseFaults(t *testing.T) {
	f, err := ParseFaults("clock, kill,cut")
	if err != nil || f.String() != "kill,cut,clock" {
		t.Errorf("%q, %v", f, err)
	}
	for _, list := range []string{"", "kill,", "fire", "kill cut", "true"} {
		if f, err := ParseFaults(list); err == nil || !strings.Contains(err.Error(), "kill,stop,disk") {
			t.Errorf("%q is %q, %v", list, f, err)
		}
	}
}

// TestFaultsOfSomeKinds draws seeds with one kind of fault each: nothing of another
// kind is in their plans, and every kind is.
func TestFaultsOfSomeKinds(t *testing.T) {
	for i, name := range FaultNames() {
		only := Faults(1 << i)
		drawn := make(map[Faults]int)
		for seed := range uint64(200) {
			p := Draw(Options{Seed: seed, Faults: only})
			count(p, drawn)
			if seed < 3 {
				p.Duration = min(p.Duration, 20*time.Second)
				if r := p.Play(nil); r.Failure != nil {
					t.Errorf("only %s: %v", name, r.Failure)
				}
			}
		}
		if drawn[only] == 0 || len(drawn) != 1 {
			t.Errorf("only %s: %v in the plans of seeds 0 to 199", name, drawn)
		}
	}
	p := Draw(Options{Seed: 1, Faults: faultCut})
	for _, o := range []Options{{Seed: 1}, {Seed: 1, Faults: 1<<len(faultNames) - 1}} {
		if whole := Draw(o).String(); whole == p.String() || whole != Draw(Options{Seed: 1}).String() {
			t.Errorf("%v: not the plan of its seed", o)
		}
	}
}

// TestTripleStars sees that later seeds draw stars with three hubs, and plays some.
func TestTripleStars(t *testing.T) {
	played := 0
	for seed := uint64(tripleStars); seed < tripleStars+200 && played < 4; seed++ {
		if p := Draw(Options{Seed: seed, Duration: 30 * time.Second}); len(p.Topology.Hubs) == 3 {
			played++
			if r := p.Play(nil); r.Failure != nil {
				t.Error(r.Failure)
			}
		}
	}
	if played < 4 {
		t.Errorf("%d of seeds %d to %d are stars with three hubs", played, uint64(tripleStars), uint64(tripleStars)+199)
	}
}

// count adds what a plan has of each kind of fault.
func count(p *Plan, drawn map[Faults]int) {
	note := func(f Faults, happens bool) {
		if happens {
			drawn[f]++
		}
	}
	note(faultLoss, p.Loss > 0 || p.Duplicate > 0)
	note(faultSlow, p.DiskTime > 2*time.Millisecond)
	for _, skew := range p.Skew {
		note(faultClock, skew != 0)
	}
	for _, s := range p.Steps {
		switch {
		case s.Kind == Crash:
			note(faultKill, s.Disk == Kept)
			note(faultDisk, s.Disk != Kept)
			note(faultClock, s.Shift != 0)
		case s.Kind != Update:
			note(faultOf[s.Kind], true)
		}
	}
}
