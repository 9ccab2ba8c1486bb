package tickets

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidwall/btree"

	"bluerings/hlc"
	"bluerings/value"
)

// fold is the state of one name, written out. It is a function of the set of
// the name's tickets, whatever the order in which they came.
type fold struct {
	life
	lastOrphan hlc.Timestamp // the last orphan after the present life; 0 none
	total      value.Number  // of the counted tickets of the present life
	chains     []chain       // by origin index
	losers     []loser       // of the present life, in the order of tickets
	text       register
	set        *set
}

// Chain is one name's tickets in one log.
type Chain struct {
	Origin OriginIndex
	Head   uint64       // number of the last ticket
	Count  uint64       // tickets
	Sum    value.Number // gross: of all its amounts, counted or not, past lives included
}

type chain struct {
	Chain
	base value.Number // gross sum of what lies before the present life; 0 before the first life
}

func (c chain) compare(d chain) int { return cmp.Compare(c.Origin, d.Origin) }

// Loser is a ticket of the present life that does not count, because an
// earlier one carries the same id.
type Loser struct {
	At       hlc.Timestamp
	Ref      Ref
	Amount   value.Number
	Conflict bool // it says something else than the one that counts
}

type loser struct {
	Loser
	fact uint64 // start of its ClaimHash: losers of one fact have this in common
}

// register is a text: the ticket with the greatest (timestamp, origin) wins.
type register struct {
	text   string
	at     hlc.Timestamp // 0: never set
	origin OriginIndex
}

// set is a two-phase set: true means removed, and for good.
type set struct {
	removed btree.Map[string, bool]
	present int
	bytes   int
}

func (s *set) apply(element string, remove bool) {
	removed, known := s.removed.Get(element)
	if removed || known && !remove {
		return
	}
	if known {
		s.present--
	} else {
		element = strings.Clone(element)
		s.bytes += len(element)
	}
	if !remove {
		s.present++
	}
	s.removed.Set(element, remove)
}

// chain returns the chain of o, nil if o never touched the name.
func (f *fold) chain(o OriginIndex) *chain {
	i, ok := slices.BinarySearchFunc(f.chains, o, func(c chain, o OriginIndex) int { return cmp.Compare(c.Origin, o) })
	if !ok {
		return nil
	}
	return &f.chains[i]
}

// extend appends a ticket to its chain.
func (f *fold) extend(kind value.Kind, o OriginIndex, tk *Ticket) *chain {
	c := f.chain(o)
	if c == nil {
		i, _ := slices.BinarySearchFunc(f.chains, o, func(c chain, o OriginIndex) int { return cmp.Compare(c.Origin, o) })
		f.chains = slices.Insert(f.chains, i, chain{Chain: Chain{Origin: o}})
		c = &f.chains[i]
	}
	c.Head = tk.Seq
	c.Count++
	c.Sum = c.Sum.Add(kind, tk.Amount)
	return c
}

// begin makes tk the first ticket of a new life. All chains, tk's included,
// are as they are without tk.
func (f *fold) begin(o OriginIndex, tk *Ticket) {
	for i := range f.chains {
		f.chains[i].base = f.chains[i].Sum
	}
	f.life = life{born: tk.At, expire: tk.Expire, first: o}
	f.lastOrphan = 0
	f.clear()
}

// clear takes back the effect of all tickets.
func (f *fold) clear() {
	f.total, f.losers, f.text, f.set = value.Number{}, nil, register{}, nil
}

// count gives a ticket of the present life its effect.
func (t *Table) count(f *fold, o OriginIndex, tk *Ticket) {
	switch tk.Op {
	case CounterAdd:
		f.total = f.total.Add(t.kind, tk.Amount)
	case TextSet:
		if f.text.at == 0 || t.before(f.text.at, f.text.origin, tk.At, o) {
			f.text = register{strings.Clone(tk.Text), tk.At, o}
		}
	case SetAdd, SetRemove:
		if f.set == nil {
			f.set = new(set)
		}
		f.set.apply(tk.Text, tk.Op == SetRemove)
	}
}

// lose notes a ticket of the present life that does not count.
func (t *Table) lose(f *fold, l loser) {
	i, _ := slices.BinarySearchFunc(f.losers, l, func(a, b loser) int {
		if t.before(a.At, a.Ref.Origin, b.At, b.Ref.Origin) {
			return -1
		}
		return 1
	})
	f.losers = slices.Insert(f.losers, i, l)
}

// orphaned notes an orphan after the present life.
func (f *fold) orphaned(at hlc.Timestamp) {
	if f.orphan == 0 || at < f.orphan {
		f.orphan = at
	}
	f.lastOrphan = max(f.lastOrphan, at)
}
