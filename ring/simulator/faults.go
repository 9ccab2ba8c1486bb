package simulator

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Faults is a set of kinds of fault; none of them stands for all.
type Faults uint16

// faultNames are the kinds of fault, by their bits.
var faultNames = []string{"kill", "stop", "disk", "pause", "cut", "stall", "loss", "clock", "full", "slow"}

// The kinds of fault.
const (
	faultKill  Faults = 1 << iota // crashes that leave the disk alone
	faultStop                     // ends with good manners
	faultDisk                     // disks lost, rewound and reverted, each with a crash
	faultPause                    // processes that stand still
	faultCut                      // links cut, isolation, splits, flapping
	faultStall                    // links through which nothing gets for a while
	faultLoss                     // messages that vanish or come twice
	faultClock                    // clocks off, moved and standing still
	faultFull                     // disks without room
	faultSlow                     // slow disks and processes
)

// FaultNames lists the kinds of fault that ParseFaults knows.
func FaultNames() []string { return slices.Clone(faultNames) }

// ParseFaults reads kinds of fault, separated by commas.
func ParseFaults(list string) (f Faults, err error) {
	for name := range strings.SplitSeq(list, ",") {
		i := slices.Index(faultNames, strings.TrimSpace(name))
		if i < 0 {
			return 0, fmt.Errorf("unknown kind of fault %q: use some of %s", name, strings.Join(faultNames, ","))
		}
		f |= 1 << i
	}
	return f, nil
}

// String lists the kinds as ParseFaults reads them.
func (f Faults) String() string {
	var names []string
	for i, name := range faultNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// only leaves out of the plan what is of other kinds. It is drawn whole before, so
// that what stays is as without it.
func (p *Plan) only(f Faults) {
	if f == 0 {
		return
	}
	kept := p.Steps[:0]
	for _, s := range p.Steps {
		if s.reduce(f) {
			kept = append(kept, s)
		}
	}
	p.Steps = kept
	c := &p.Conditions
	if f&faultLoss == 0 {
		c.Loss, c.Duplicate = 0, 0
	}
	if f&faultClock == 0 {
		clear(c.Skew)
	}
	if f&faultSlow == 0 {
		c.DiskTime = min(c.DiskTime, 2*time.Millisecond)
	}
}

// faultOf is the fault that a kind of step is, but for crashes.
var faultOf = [kinds]Faults{
	Update: ^Faults(0), Stop: faultStop, Pause: faultPause, Cut: faultCut, Stall: faultStall, Jump: faultClock, Freeze: faultClock,
	Full: faultFull, SlowDisk: faultSlow, SlowNode: faultSlow, Copy: faultDisk,
}

// reduce leaves of a step what is of the kinds; false if that is nothing.
func (s *Step) reduce(f Faults) bool {
	if s.Kind != Crash {
		return f&faultOf[s.Kind] != 0
	}
	if f&faultClock == 0 {
		s.Shift = 0
	}
	if s.Disk == Kept || f&faultDisk == 0 {
		s.Disk = Kept
		return f&faultKill != 0
	}
	return true
}
