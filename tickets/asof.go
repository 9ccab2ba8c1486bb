package tickets

import (
	"errors"
	"fmt"
	"slices"

	"bluerings/hlc"
	"bluerings/value"
)

// Marks finds the flushed marks of a name.
type Marks interface {
	// Mark returns the earliest mark of a chain at or after a time; ok is
	// false if there is none.
	Mark(slot uint32, o OriginIndex, at hlc.Timestamp) (seq uint64, sum value.Number, ok bool, err error)
}

// View is a copy of what is needed to tell a counter's values of earlier
// times. It shares nothing that changes with the table.
type View struct {
	Slot         uint32
	Key          Key
	Born, Expire hlc.Timestamp // of the present life
	Total        value.Number

	kind   value.Kind
	chains []chain
	losers []loser
	marks  []Mark // pending; those of one chain rise
}

// View copies what as-of reads of a name need.
func (t *Table) View(slot uint32) View {
	var scratch fold
	f := t.fold(slot, &scratch)
	return View{
		Slot: slot, Key: t.Key(slot), Born: f.born, Expire: f.expire, Total: f.total,
		kind: t.kind, chains: slices.Clone(f.chains), losers: slices.Clone(f.losers),
		marks: slices.Concat(t.marks.taken[slot], t.marks.fresh[slot]),
	}
}

// SumAt is the value of a counter as of a time: the sum of the counted tickets
// of the present life up to and including it. Before Born it is zero.
//
// The present life is, in each chain, one stretch: whatever is not before its
// first ticket and not after its expire. So the value is the chain's gross sum
// at that time less the gross sum before the life, less the losers. Walking
// back from a mark, each chain costs at most markEvery tickets.
func (v *View) SumAt(at hlc.Timestamp, past Past, marks Marks) (value.Number, error) {
	if v.Born == 0 || at < v.Born {
		return value.Number{}, nil
	}
	if at >= v.Expire {
		return v.Total, nil
	}
	var sum value.Number
	for i := range v.chains {
		c := &v.chains[i]
		gross, err := v.grossAt(c, at, past, marks)
		if err != nil {
			return value.Number{}, fmt.Errorf("value of %q as of %v: %w", v.Key.Name, at, err)
		}
		sum = sum.Add(v.kind, gross.Sub(v.kind, c.base))
	}
	for i := range v.losers {
		if l := &v.losers[i]; l.At <= at {
			sum = sum.Sub(v.kind, l.Amount)
		}
	}
	return sum, nil
}

// grossAt is the gross sum of a chain through its last ticket at or before a
// time.
func (v *View) grossAt(c *chain, at hlc.Timestamp, past Past, marks Marks) (value.Number, error) {
	seq, sum, err := v.restAfter(c, at, marks)
	for err == nil {
		tk, back, missing := recall(past, v.Key, Ref{c.Origin, seq})
		if errors.Is(missing, ErrCollected) {
			return sum, nil // it is of an earlier life
		}
		if missing != nil {
			return sum, missing
		}
		if tk.At <= at {
			return sum, nil
		}
		sum = sum.Sub(v.kind, tk.Amount)
		if back == 0 {
			return sum, nil
		}
		seq -= back
	}
	return sum, err
}

// restAfter is the earliest place in a chain, at or after a time, whose gross
// sum is known.
func (v *View) restAfter(c *chain, at hlc.Timestamp, marks Marks) (uint64, value.Number, error) {
	if marks != nil {
		seq, sum, ok, err := marks.Mark(v.Slot, c.Origin, at)
		if err != nil || ok && seq <= c.Head {
			return seq, sum, err
		}
	}
	if m, ok := earliest(v.marks, c.Origin, at); ok {
		return m.Seq, m.Sum, nil
	}
	return c.Head, c.Sum, nil
}
