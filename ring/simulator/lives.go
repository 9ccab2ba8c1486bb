package simulator

import (
	"slices"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// life is what a name stands for, worked out in the dumbest way: from all its
// tickets, in their order.
type life struct {
	born, expire hlc.Timestamp
	total        value.Number
	text         string
	hasText      bool
	elements     map[string]bool // present or not
}

func (j *judge) ticketsOf(key tickets.Key, through hlc.Timestamp) []*tickets.Ticket {
	var all []*tickets.Ticket
	for _, log := range j.logs {
		for i := range log {
			if t := &log[i].ticket; !log[i].lost && t.At <= through && t.Key() == key {
				all = append(all, t)
			}
		}
	}
	slices.SortFunc(all, func(a, b *tickets.Ticket) int {
		if a.Before(b) {
			return -1
		}
		return 1
	})
	return all
}

// lastLife is the last life of a name among tickets in order. Only it counts.
func lastLife(all []*tickets.Ticket) *life {
	var l life
	var members []*tickets.Ticket
	for _, t := range all {
		switch {
		case l.born != 0 && t.At <= l.expire:
			l.expire = max(l.expire, t.Expire)
			members = append(members, t)
		case t.Expire != 0:
			l = life{born: t.At, expire: t.Expire}
			members = append(members[:0], t)
		}
	}
	l.elements = make(map[string]bool)
	known := make(map[string]bool)
	for _, t := range members {
		if t.ID != "" && known[t.ID] {
			continue
		}
		known[t.ID] = true
		l.count(t)
	}
	return &l
}

func (l *life) count(t *tickets.Ticket) {
	switch t.Op {
	case tickets.CounterAdd:
		l.total = l.total.Add(kind, t.Amount)
	case tickets.TextSet:
		l.text, l.hasText = t.Text, true
	case tickets.SetAdd:
		if _, known := l.elements[t.Text]; !known {
			l.elements[t.Text] = true
		}
	case tickets.SetRemove:
		l.elements[t.Text] = false
	}
}

// keys lists all names that ever were.
func (j *judge) keys() []tickets.Key {
	seen := make(map[tickets.Key]bool)
	var keys []tickets.Key
	for _, log := range j.logs {
		for i := range log {
			if k := log[i].ticket.Key(); !seen[k] {
				seen[k] = true
				keys = append(keys, k)
			}
		}
	}
	slices.SortFunc(keys, func(a, b tickets.Key) int {
		if a.Family != b.Family {
			return int(a.Family) - int(b.Family)
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return keys
}

// compare checks what every node says of a name.
func (s *Simulation) compare(key tickets.Key) {
	want := lastLife(s.ticketsOf(key, hlc.Never))
	for _, n := range s.nodes {
		slot, ok := n.table.Lookup(key)
		switch alive := ok && n.table.Alive(slot, n.wall()); {
		case !alive && want.expire <= n.replica.Collected():
			continue // the clock was set back behind an expiry that was final and collected
		case alive != (want.born != 0 && n.wall() <= want.expire):
			s.fail("expiry", "%s: %s %q is alive: %v; it lives from %s to %s", n.host, key.Family, key.Name, alive, want.born, want.expire)
		case !alive:
			continue
		case n.table.Expire(slot) != want.expire || n.table.Born(slot) != want.born:
			s.fail("expiry", "%s: %s %q lives from %s to %s, must be %s to %s", n.host, key.Family, key.Name, n.table.Born(slot), n.table.Expire(slot), want.born, want.expire)
		}
		s.compareValue(n, slot, key, want)
	}
}

func (s *Simulation) compareValue(n *node, slot uint32, key tickets.Key, want *life) {
	switch key.Family {
	case tickets.Counters:
		if got := n.table.Total(slot); !got.Equal(kind, want.total) {
			s.fail("value", "%s: counter %q is %s, must be %s", n.host, key.Name, got.String(kind), want.total.String(kind))
		}
	case tickets.Texts:
		if got, _, ok := n.table.Text(slot); ok != want.hasText || got != want.text {
			s.fail("value", "%s: text %q is %q, must be %q", n.host, key.Name, got, want.text)
		}
	case tickets.Sets:
		size := 0
		for element, present := range want.elements {
			if n.table.Element(slot, element) != present {
				s.fail("value", "%s: element %q of set %q: present is %v", n.host, element, key.Name, !present)
			}
			if present {
				size++
			}
		}
		if got := n.table.Size(slot); got != size {
			s.fail("value", "%s: set %q has %d elements, must have %d", n.host, key.Name, got, size)
		}
	}
}
