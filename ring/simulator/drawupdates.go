package simulator

import (
	"fmt"
	"slices"
	"time"

	"bluerings/tickets"
)

// updates draws what clients do: at each node its own rate, retries elsewhere,
// and names that expire.
func (d *drawing) updates() {
	mean := d.between(time.Second, 15*time.Second)
	names := 4
	if d.chance(0.15) {
		names = 40 // many tickets of one name take much longer to play
		mean = d.between(60*time.Millisecond, time.Second)
	}
	retries, brief := d.Float64()*0.5, 0.0
	if d.chance(0.4) {
		brief = d.Float64() * 0.6
	}
	d.names, d.brief = names, brief
	hosts := d.plan.Topology.Members()
	for i := range d.nodes {
		self, _ := d.plan.Topology.Node(hosts[i])
		if !self.Updates() {
			continue
		}
		own := d.between(mean/3, 2*mean)
		for at := d.soon(own); at < d.plan.Duration; at += d.soon(own) {
			s := Step{At: at, Kind: Update, Node: i, Change: d.change(names, brief)}
			d.plan.Steps = append(d.plan.Steps, s)
			for s.ID != "" && d.chance(retries) {
				s = d.retry(s)
			}
		}
	}
}

// update is one more, of a node that takes any, at a time that matters.
func (d *drawing) update(at time.Duration, n int) {
	self, _ := d.plan.Topology.Node(d.plan.Topology.Members()[n])
	if self.Updates() && at < d.plan.Duration {
		d.plan.Steps = append(d.plan.Steps, Step{At: at, Kind: Update, Node: n, Change: d.change(d.names, d.brief)})
	}
}

func (d *drawing) ref() string { return fmt.Sprintf("u%d", len(d.plan.Steps)) }

func (d *drawing) change(names int, brief float64) Change {
	c := Change{Name: fmt.Sprintf("name %d", d.IntN(names)), Ref: d.ref()}
	switch d.IntN(10) {
	case 0, 1:
		c.Op, c.Text = tickets.TextSet, fmt.Sprint(d.IntN(1000))
	case 2:
		c.Op, c.Text = tickets.SetAdd, fmt.Sprint(d.IntN(20))
	case 3:
		c.Op, c.Text = tickets.SetRemove, fmt.Sprint(d.IntN(20))
	default:
		c.Op, c.Amount = tickets.CounterAdd, d.Int64N(2000)-1000
	}
	if d.chance(0.5) {
		c.ID = "id " + c.Ref
	}
	if d.chance(brief) {
		c.Name = fmt.Sprintf("brief %d", d.IntN(6))
		c.Life = d.between(time.Second, 20*time.Second)
		switch d.IntN(5) {
		case 0:
			c.Life = -1
		case 1:
			c.Op, c.Amount, c.Text = tickets.CounterSetup, 0, ""
		}
		if c.ID != "" && d.chance(0.3) {
			c.ID = fmt.Sprintf("id of all %d", d.IntN(8)) // used again in other lives
		}
	}
	return c
}

// retry sends an update again: at any node, and now and then with another
// amount.
func (d *drawing) retry(s Step) Step {
	s.At += d.between(0, 5*time.Second)
	if d.chance(0.1) {
		s.At += d.between(0, 30*time.Second)
	}
	s.Node = d.IntN(d.nodes)
	s.Ref = d.ref()
	if s.Op == tickets.CounterAdd && d.chance(0.2) {
		s.Amount += 1 + d.Int64N(5)
	}
	if s.At < d.plan.Duration {
		d.plan.Steps = append(d.plan.Steps, s)
	}
	return s
}

// storms are the stretches of time with faults; between them the ring has time
// to mend, as real rings have.
func (d *drawing) storms() [][2]time.Duration {
	end := d.plan.Duration
	if d.chance(0.4) {
		return [][2]time.Duration{{0, end}}
	}
	var storms [][2]time.Duration
	for at := d.between(0, 20*time.Second); at < end; {
		until := min(end, at+d.between(10*time.Second, 40*time.Second))
		storms = append(storms, [2]time.Duration{at, until})
		at = until + d.between(20*time.Second, 120*time.Second)
	}
	return slices.Clip(storms)
}
