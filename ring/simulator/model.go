package simulator

import (
	"fmt"

	"bluerings/tickets"
	"bluerings/value"
)

type model struct {
	winner map[string]*tickets.Ticket // by key and id
	totals map[string]value.Number
	texts  map[string]*tickets.Ticket
	sets   map[string]map[string]bool // element -> removed
}

// fold is the dumbest way to work out what everything must be.
func (s *Simulation) fold() *model {
	m := &model{
		make(map[string]*tickets.Ticket), make(map[string]value.Number),
		make(map[string]*tickets.Ticket), make(map[string]map[string]bool),
	}
	each := func(f func(t *tickets.Ticket)) {
		for origin, log := range s.logs {
			for i := range log {
				if s.nodes[s.hosts[0]].holds(origin) > uint64(i) {
					f(&log[i].ticket)
				}
			}
		}
	}
	id := func(t *tickets.Ticket) string { return t.Key().Family.String() + t.Name + "\x00" + t.ID }
	each(func(t *tickets.Ticket) {
		if old := m.winner[id(t)]; t.ID != "" && (old == nil || t.Before(old)) {
			m.winner[id(t)] = t
		}
	})
	each(func(t *tickets.Ticket) {
		if t.ID != "" && m.winner[id(t)] != t {
			return
		}
		switch t.Op {
		case tickets.CounterAdd:
			m.totals[t.Name] = m.totals[t.Name].Add(s.kind(), t.Amount)
		case tickets.TextSet:
			if old := m.texts[t.Name]; old == nil || old.Before(t) {
				m.texts[t.Name] = t
			}
		case tickets.SetAdd, tickets.SetRemove:
			if m.sets[t.Name] == nil {
				m.sets[t.Name] = make(map[string]bool)
			}
			m.sets[t.Name][t.Text] = m.sets[t.Name][t.Text] || t.Op == tickets.SetRemove
		}
	})
	return m
}

// compare checks a node's table against the model.
func (s *Simulation) compare(n *node) {
	m := s.fold()
	for name, want := range m.totals {
		slot, ok := n.table.Lookup(tickets.Key{Family: tickets.Counters, Name: name})
		s.check(ok, "%s does not know the counter %q", n.host, name)
		got := n.table.Total(slot)
		if !got.Equal(s.kind(), want) {
			s.explain(n, slot, name, m)
		}
		s.check(got.Equal(s.kind(), want), "%s: counter %q is %s, must be %s", n.host, name, got.String(s.kind()), want.String(s.kind()))
	}
	for name, want := range m.texts {
		slot, _ := n.table.Lookup(tickets.Key{Family: tickets.Texts, Name: name})
		got, _, ok := n.table.Text(slot)
		s.check(ok && got == want.Text, "%s: text %q is %q, must be %q", n.host, name, got, want.Text)
	}
	for name, want := range m.sets {
		slot, _ := n.table.Lookup(tickets.Key{Family: tickets.Sets, Name: name})
		for element, removed := range want {
			s.check(n.table.Element(slot, element) == !removed, "%s: set %q, element %q: present %v", n.host, name, element, removed)
		}
	}
}

func (s *Simulation) dropped(n *node, err error) {
	s.tracef("%s drops a message: %v", n.host, err)
}

// explain traces how a wrong total came about.
func (s *Simulation) explain(n *node, slot uint32, name string, m *model) {
	for _, c := range n.table.Chains(slot) {
		var sum value.Number
		count := 0
		for i := range s.logs[n.replica.Origin(c.Origin)] {
			if t := &s.logs[n.replica.Origin(c.Origin)][i].ticket; t.Name == name && t.Op == tickets.CounterAdd {
				sum = sum.Add(s.kind(), t.Amount)
				count++
			}
		}
		s.tracef("chain of %s: sum %s of %d, must be %s of %d", n.replica.Origin(c.Origin), c.Sum.String(s.kind()), c.Count, sum.String(s.kind()), count)
	}
	for _, l := range n.table.Superseded(slot) {
		s.tracef("loser %v %d %s", n.replica.Origin(l.Ref.Origin), l.Ref.Seq, l.Amount.String(s.kind()))
	}
	losers := make(map[string]bool)
	for _, l := range n.table.Superseded(slot) {
		losers[fmt.Sprint(n.replica.Origin(l.Ref.Origin), l.Ref.Seq)] = true
	}
	for origin, log := range s.logs {
		for i := range log {
			t := &log[i].ticket
			if t.Name != name || t.Op != tickets.CounterAdd {
				continue
			}
			lost := t.ID != "" && m.winner[t.Key().Family.String()+t.Name+"\x00"+t.ID] != t
			if has := losers[fmt.Sprint(origin, t.Seq)]; has != lost {
				s.tracef("ticket %d of %s, %s, id %q: superseded %v, must be %v", t.Seq, origin, t.At, t.ID, has, lost)
			}
		}
	}
}
