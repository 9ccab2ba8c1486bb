package tickets

import (
	"fmt"
	"math"

	"bluerings/value"
)

// Applied is what became of a ticket.
type Applied struct {
	Slot       uint32
	Created    bool // there was no row for its name
	Superseded bool // another ticket of the same life has its id; one of the two does not count
	Conflict   bool // and says something else
}

// Apply folds a ticket in. The tickets of one origin come in their order,
// those of different origins in any. Nothing of tk is retained.
//
// After an error the table is no longer the state of any set of tickets.
func (t *Table) Apply(o OriginIndex, tk *Ticket) (Applied, error) {
	p := t.Aim(tk.Key())
	return t.ApplyAt(&p, o, tk)
}

// ApplyAt is Apply for a ticket whose name was looked for already; p must be
// the place of its name.
func (t *Table) ApplyAt(p *Place, o OriginIndex, tk *Ticket) (Applied, error) {
	if int(o) >= len(t.origins) {
		return Applied{}, fmt.Errorf("apply: log %d is not known", o)
	}
	slot, created, err := t.slotOf(p)
	if err != nil {
		return Applied{}, err
	}
	applied := Applied{Slot: slot, Created: created}
	r := t.rows.at(slot)
	t.touch(slot, r)
	if r.family == Counters && r.flags&rowSpread == 0 {
		if done, err := t.applyCompact(slot, r, p, o, tk); done || err != nil {
			return applied, err
		}
	}
	err = t.applyFold(o, tk, &applied)
	return applied, err
}

// applyCompact is the common case: a small amount for a living counter, or
// the first ticket of a new one. It changes nothing and returns false where
// the case is another.
func (t *Table) applyCompact(slot uint32, r *row, p *Place, o OriginIndex, tk *Ticket) (bool, error) {
	several := r.flags&rowSeveral != 0
	first := !several && r.count == 0
	own := !several && (first || r.link == uint32(o)) // the chain is in the row itself
	total := value.FromCompact(r.total, r.scale)
	head, tally, sum := r.head, r.count, total
	var n *node
	if !own {
		head, tally, sum = 0, 0, value.Number{}
		if several {
			n = t.nodes.find(r.link, o)
		}
		if n != nil {
			head, tally, sum = n.head, n.count, value.FromCompact(n.sum, n.scale)
		}
	}
	if tk.Seq <= head {
		return false, outOfOrder(o, tk, head)
	}
	if at := t.placeOf(t.lifeOf(r), o, tk); at != inside && !(first && at == begins) {
		return false, nil
	}
	total, sum = total.Add(t.kind, tk.Amount), sum.Add(t.kind, tk.Amount)
	coef, scale, small := total.Compact()
	sumCoef, sumScale, sumSmall := sum.Compact()
	if !small || !sumSmall || tally == math.MaxUint32 {
		return false, nil
	}
	if tk.ID != "" {
		if free, err := t.claim(p, o, tk, first); !free || err != nil {
			return false, err
		}
	}
	if !own && n == nil {
		n = t.addNode(r, o)
	}
	if n != nil {
		n.head, n.count, n.sum, n.scale = tk.Seq, tally+1, sumCoef, sumScale
	} else {
		r.head, r.count, r.link = tk.Seq, tally+1, uint32(o)
	}
	r.total, r.scale, r.expire = coef, scale, max(r.expire, tk.Expire)
	if first {
		r.born = tk.At
	}
	t.mark(slot, o, tk, uint64(tally)+1, sum)
	return true, nil
}

// lifeOf reads the life out of a row that is not spread.
func (t *Table) lifeOf(r *row) life {
	l := life{born: r.born, expire: r.expire, first: OriginIndex(r.link)}
	if r.flags&rowSeveral != 0 {
		l.first = t.nodes.at(r.link).origin
	}
	return l
}

// addNode makes room for the chain of another origin in a row that is single
// or several.
func (t *Table) addNode(r *row, o OriginIndex) *node {
	if r.flags&rowSeveral == 0 {
		i := t.nodes.alloc()
		*t.nodes.at(i) = node{head: r.head, count: r.count, origin: OriginIndex(r.link), sum: r.total, scale: r.scale}
		r.head, r.count, r.link = 0, 0, i
		r.flags |= rowSeveral
	}
	front := t.nodes.at(r.link)
	i := t.nodes.alloc()
	n := t.nodes.at(i)
	*n = node{origin: o, next: front.next}
	front.next = i
	return n
}

// applyFold is the general case.
func (t *Table) applyFold(o OriginIndex, tk *Ticket, applied *Applied) error {
	f := t.open(applied.Slot)
	if c := f.chain(o); c != nil && tk.Seq <= c.Head {
		return outOfOrder(o, tk, c.Head)
	}
	at := t.placeOf(f.life, o, tk)
	if at == begins {
		f.begin(o, tk)
	}
	c := f.extend(t.kind, o, tk)
	t.mark(applied.Slot, o, tk, c.Count, c.Sum)
	var err error
	switch at {
	case past:
		c.base = c.base.Add(t.kind, tk.Amount)
	case after:
		f.orphaned(tk.At)
	case rejoin:
		err = t.refold(tk.Key(), f, Ref{o, tk.Seq}, applied)
	default:
		f.expire = max(f.expire, tk.Expire)
		err = t.admit(f, o, tk, applied)
	}
	if err != nil {
		return fmt.Errorf("apply ticket %d of log %d: %w", tk.Seq, o, err)
	}
	t.pack(applied.Slot, f)
	return nil
}

// admit folds in a ticket of the present life.
func (t *Table) admit(f *fold, o OriginIndex, tk *Ticket, applied *Applied) error {
	if tk.ID != "" {
		x := &told{*tk, Ref{o, tk.Seq}}
		counts, err := t.settle(tk.Key(), f, x, applied)
		if err != nil || !counts {
			return err
		}
		if applied.Superseded && tk.Op.Family() != Counters {
			return t.refold(tk.Key(), f, x.ref, applied) // texts and sets cannot subtract
		}
	}
	t.count(f, o, tk)
	return nil
}

func outOfOrder(o OriginIndex, tk *Ticket, head uint64) error {
	return fmt.Errorf("apply: ticket %d of log %d comes after ticket %d", tk.Seq, o, head)
}
