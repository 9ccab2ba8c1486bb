package simulator

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"time"

	"bluerings/topologies"
)

// Shrink looks for the least plan in which the same checker fails: it leaves
// out steps, then nodes and conditions, then shortens what is left, and
// begins again until nothing more can go (delta debugging, after Zeller and
// Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002). It
// ends early with ctx.
func (p *Plan) Shrink(ctx context.Context, checker string) *Plan {
	s := &shrinking{ctx: ctx, checker: checker, best: p}
	for before := -1; ctx.Err() == nil && s.kept != before; {
		before = s.kept
		s.time()
		s.steps()
		s.nodes()
		s.conditions()
		s.details()
	}
	return s.best
}

type shrinking struct {
	ctx     context.Context
	checker string
	kept    int
	best    *Plan
}

// try plays a plan and keeps it if it still fails.
func (s *shrinking) try(p Plan) bool {
	if s.ctx.Err() != nil {
		return false
	}
	r := p.Play(nil)
	if r.Failure == nil || r.Failure.Checker != s.checker {
		return false
	}
	s.kept++
	s.best = &p
	return true
}

// time leaves out what comes after the failure.
func (s *shrinking) time() {
	r := s.best.Play(nil)
	if r.Failure == nil {
		return
	}
	p := *s.best
	p.Steps = slices.DeleteFunc(slices.Clone(p.Steps), func(st Step) bool { return st.At > r.Failure.At })
	if len(p.Steps) < len(s.best.Steps) {
		s.try(p)
	}
	last := time.Duration(0)
	for i := range s.best.Steps {
		last = max(last, s.best.Steps[i].At)
	}
	for _, end := range [...]time.Duration{last + time.Millisecond, last + 5*time.Second, r.Failure.At + time.Millisecond} {
		p := *s.best
		if p.Duration = end; end < s.best.Duration && s.try(p) {
			return
		}
	}
}

// steps leaves out stretches of steps, ever shorter ones.
func (s *shrinking) steps() {
	for size := (len(s.best.Steps) + 1) / 2; size >= 1; size /= 2 {
		for at := 0; at < len(s.best.Steps); {
			p := *s.best
			p.Steps = slices.Concat(p.Steps[:at], p.Steps[min(at+size, len(p.Steps)):])
			if !s.try(p) {
				at += size
			}
			if s.ctx.Err() != nil {
				return
			}
		}
	}
}

// nodes leaves out nodes, with their steps.
func (s *shrinking) nodes() {
	for i := len(s.best.Topology.Nodes) - 1; i >= 0 && len(s.best.Topology.Nodes) > 1; i-- {
		if p, ok := s.best.without(i); ok {
			s.try(p)
		}
	}
}

// without is the plan without a node; false if the rest is no topology.
func (p *Plan) without(i int) (Plan, bool) {
	host := p.Topology.Members()[i]
	is := func(h string) bool { return h == host }
	t := *p.Topology
	t.Hubs = slices.DeleteFunc(slices.Clone(t.Hubs), is)
	t.Nodes = slices.DeleteFunc(slices.Clone(t.Nodes), func(n topologies.Node) bool { return n.Host == host })
	for k := range t.Nodes {
		n := &t.Nodes[k]
		n.SubscribeTo = slices.DeleteFunc(slices.Clone(n.SubscribeTo), is)
	}
	q := *p
	q.Topology, q.Steps = &t, nil
	q.Skew = slices.Delete(slices.Clone(p.Skew), i, i+1)
	q.Interval = slices.Delete(slices.Clone(p.Interval), i, i+1)
	moved := func(k int) int { return k - max(cmp.Compare(k, i), 0) }
	for _, st := range p.Steps {
		links := st.Links
		if st.Links = nil; st.Node == i && links == nil {
			continue
		}
		for _, l := range links {
			if l[0] != i && l[1] != i {
				st.Links = append(st.Links, [2]int{moved(l[0]), moved(l[1])})
			}
		}
		if st.Node = moved(st.Node); links != nil {
			if st.Node = 0; len(st.Links) == 0 {
				continue
			}
		}
		q.Steps = append(q.Steps, st)
	}
	return q, !bad(&t)
}

// conditions makes the conditions gentle, one after another.
func (s *shrinking) conditions() {
	for _, gentle := range []func(*Conditions){
		func(c *Conditions) { c.Loss = 0 },
		func(c *Conditions) { c.Duplicate = 0 },
		func(c *Conditions) { c.Late = 0 },
		func(c *Conditions) { c.DiskTime = min(c.DiskTime, 500*time.Microsecond) },
		func(c *Conditions) { c.Latency = min(c.Latency, 500*time.Microsecond) },
		func(c *Conditions) { c.Skew = make([]time.Duration, len(c.Skew)) },
		func(c *Conditions) { c.Interval = make([]time.Duration, len(c.Interval)) },
	} {
		p := *s.best
		if gentle(&p.Conditions); !reflect.DeepEqual(p.Conditions, s.best.Conditions) {
			s.try(p)
		}
	}
}

// details makes the steps that are left simpler, and rounds their times.
func (s *shrinking) details() {
	for i := range s.best.Steps {
		for _, simple := range []func(*Step){
			func(st *Step) { st.At = st.At.Round(100 * time.Millisecond) },
			func(st *Step) { st.For = st.For.Round(100 * time.Millisecond) },
			func(st *Step) { st.After = 0 },
			func(st *Step) { st.Shift = st.Shift.Round(time.Second) },
			func(st *Step) { st.Shift = 0 },
			func(st *Step) { st.Life = 0 },
			func(st *Step) { st.ID = "" },
		} {
			p := *s.best
			p.Steps = slices.Clone(p.Steps)
			if simple(&p.Steps[i]); p.Steps[i].differs(&s.best.Steps[i]) {
				slices.SortStableFunc(p.Steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
				s.try(p)
			}
		}
	}
}

func (st *Step) differs(o *Step) bool {
	return st.At != o.At || st.For != o.For || st.After != o.After || st.Shift != o.Shift || st.Life != o.Life || st.ID != o.ID
}
