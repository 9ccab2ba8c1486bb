package simulator

import (
	"fmt"
	"strings"
	"time"
)

// Result counts what happened.
type Result struct {
	Seed     uint64
	Nodes    int
	Shape    string
	Virtual  time.Duration // per node
	NodeTime time.Duration // of all nodes together
	Failure  *Failure

	Counts
}

// Counts are what can be summed up over seeds.
type Counts struct {
	Seeds, Events, Pings                                      int
	Updates, Acked, Refused, Uncertain, Forgone               int
	Crashes, Stops, Pauses, Cuts, LinksCut, Clocks, Backwards int
	Stalls                                                    int
	Lost, Rewound, Reverted, Full, Slow, Refusals             int
	FinalReports, CoherentReports, AsOf, Collected, Stored    int
	Bytes                                                     uint64
	RestBytes                                                 uint64 // received by all nodes in restTime
	RestNodes                                                 int
	Converged                                                 time.Duration // the longest time that a ring took to mend
}

// restTime is how long a ring is watched at rest.
const restTime = 5 * time.Second

// RestRate is what a node receives at rest, in bytes a second.
func (c *Counts) RestRate() float64 {
	return float64(c.RestBytes) / restTime.Seconds() / float64(max(c.RestNodes, 1))
}

// Add sums up the counts of several results.
func (r *Result) Add(o Result) {
	r.NodeTime += o.NodeTime
	c, d := &r.Counts, &o.Counts
	for _, pair := range [...][2]*int{
		{&c.Seeds, &d.Seeds},
		{&c.Events, &d.Events},
		{&c.Pings, &d.Pings},
		{&c.Updates, &d.Updates},
		{&c.Acked, &d.Acked},
		{&c.Refused, &d.Refused},
		{&c.Uncertain, &d.Uncertain},
		{&c.Forgone, &d.Forgone},
		{&c.Crashes, &d.Crashes},
		{&c.Stops, &d.Stops},
		{&c.Pauses, &d.Pauses},
		{&c.Cuts, &d.Cuts},
		{&c.LinksCut, &d.LinksCut},
		{&c.Stalls, &d.Stalls},
		{&c.Clocks, &d.Clocks},
		{&c.Backwards, &d.Backwards},
		{&c.Lost, &d.Lost},
		{&c.Rewound, &d.Rewound},
		{&c.Reverted, &d.Reverted},
		{&c.Full, &d.Full},
		{&c.Slow, &d.Slow},
		{&c.Refusals, &d.Refusals},
		{&c.FinalReports, &d.FinalReports},
		{&c.CoherentReports, &d.CoherentReports},
		{&c.AsOf, &d.AsOf},
		{&c.Collected, &d.Collected},
		{&c.Stored, &d.Stored},
		{&c.RestNodes, &d.RestNodes},
	} {
		*pair[0] += *pair[1]
	}
	c.Bytes += d.Bytes
	c.RestBytes += d.RestBytes
	c.Converged = max(c.Converged, d.Converged)
}

// String lists the counts, and how dense the faults were.
func (r Result) String() string {
	hours := max(r.NodeTime.Hours(), 1e-9)
	var b strings.Builder
	fmt.Fprintf(&b, "faults: %d crashes, %d clean stops, %d partitions of %d links, %d links stalled, %d pauses, %d clocks moved (%d back), %d disks lost, %d rewound, %d reverted, %d full, %d slow disks and nodes\n",
		r.Crashes, r.Stops, r.Cuts, r.LinksCut, r.Stalls, r.Pauses, r.Clocks, r.Backwards, r.Lost, r.Rewound, r.Reverted, r.Full, r.Slow)
	fmt.Fprintf(&b, "in a node-hour: %.1f crashes, %.1f partitions, %.1f pauses, %.1f clocks moved, %.1f disks lost or put back\n",
		float64(r.Crashes)/hours, float64(r.Cuts)/hours, float64(r.Pauses)/hours, float64(r.Clocks)/hours, float64(r.Lost+r.Rewound+r.Reverted)/hours)
	fmt.Fprintf(&b, "clients: %d updates, %d acknowledged, %d refused, %d without an answer, %d forgone with weaker durability\n",
		r.Updates, r.Acked, r.Refused, r.Uncertain, r.Forgone)
	fmt.Fprintf(&b, "checked: %d tickets stored, %d finality reports, %d coherence reports, %d values as of final times; %d names collected; the slowest ring mended in %s\n",
		r.Stored, r.FinalReports, r.CoherentReports, r.AsOf, r.Collected, r.Converged.Round(time.Millisecond))
	fmt.Fprintf(&b, "traffic: %d events, %d pings, %d bytes; at rest a node received %.0f bytes a second", r.Events, r.Pings, r.Bytes, r.RestRate())
	return b.String()
}
