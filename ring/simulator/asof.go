package simulator

import (
	"errors"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// answered is a value as of a final time that a node told.
type answered struct {
	name  string
	at    hlc.Timestamp
	value value.Number
	by    string
}

var errEarlierLife = errors.New("it lies in an earlier life")

// readAt is the value of a counter as of a time, as a node answers it.
func (n *node) readAt(name string, at hlc.Timestamp) (value.Number, error) {
	key := tickets.Key{Family: tickets.Counters, Name: name}
	slot, ok := n.table.Lookup(key)
	if !ok || !n.table.Alive(slot, n.replica.Time(n.now())) {
		return value.Number{}, errors.New("it is not known")
	}
	view := n.table.View(slot)
	if at >= view.Born {
		return view.SumAt(at, n, nil)
	}
	if at <= n.replica.Collected() {
		return value.Number{}, errEarlierLife
	}
	for _, c := range n.table.Chains(slot) {
		for seq := c.Head; ; {
			t, back, err := n.Ticket(tickets.Ref{Origin: c.Origin, Seq: seq})
			switch {
			case errors.Is(err, tickets.ErrCollected):
			case err != nil:
				return value.Number{}, err
			case t.At <= at:
				return value.Number{}, errEarlierLife
			case back > 0:
				seq -= back
				continue
			}
			break
		}
	}
	return value.Number{}, nil
}

// probe asks now and then for a value as of a time that is final, and for one
// that was told before, of any node.
func (s *Simulation) probe() {
	s.in(2*time.Second, s.probe)
	rng := newSource(s.plan.Seed, uint64(s.now))
	n := s.nodes[rng.IntN(len(s.nodes))]
	if !n.up || n.paused || n.final.final == 0 || len(s.plan.Steps) == 0 {
		return
	}
	if k := len(s.answers); k > 0 {
		for range min(k, 3) {
			s.ask(n, s.answers[rng.IntN(k)])
		}
	}
	at := n.final.final.Add(-rng.between(0, 20*time.Second) * time.Duration(rng.IntN(2)))
	for range 2 {
		if st := &s.plan.Steps[rng.IntN(len(s.plan.Steps))]; st.Kind == Update {
			s.newAnswer(n, st.Name, at)
		}
	}
}

// newAnswer asks for a value as of a final time, holds it against all tickets,
// and remembers it.
func (s *Simulation) newAnswer(n *node, name string, at hlc.Timestamp) {
	got, err := n.readAt(name, at)
	if err != nil {
		return
	}
	s.Result.AsOf++
	want := lastLife(s.ticketsOf(tickets.Key{Family: tickets.Counters, Name: name}, at))
	if at > want.expire {
		want.total = value.Number{} // between two lives
	}
	if !got.Equal(kind, want.total) {
		s.fail("as-of", "%s: counter %q as of %s is %s, must be %s", n.host, name, at, got.String(kind), want.total.String(kind))
	}
	told := answered{name, at, got, n.host}
	if k := len(s.answers); k < 100 {
		s.answers = append(s.answers, told)
	} else {
		s.answers[s.Result.AsOf%k] = told
	}
}

// ask asks a node again what was told before; if it answers, it says the same.
func (s *Simulation) ask(n *node, a answered) {
	if n.final.final < a.at {
		return
	}
	got, err := n.readAt(a.name, a.at)
	if err != nil {
		return
	}
	s.Result.AsOf++
	if !got.Equal(kind, a.value) {
		s.fail("as-of", "%s: counter %q as of %s is %s, and %s had said %s", n.host, a.name, a.at, got.String(kind), a.by, a.value.String(kind))
	}
}
