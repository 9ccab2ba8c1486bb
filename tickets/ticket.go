package tickets

import (
	"cmp"
	"fmt"
	"sort"
	"strings"

	"bluerings/hlc"
	"bluerings/value"
)

// Origin names one log: a host and one life of its data directory. The epoch
// is minted when the directory is created, restored or found to be behind
// what others have seen of it, so that no number is used twice in a log.
type Origin struct {
	Host  string
	Epoch uint64
}

// String is "host/epoch" with the epoch in hexadecimal.
func (o Origin) String() string { return fmt.Sprintf("%s/%x", o.Host, o.Epoch) }

// Compare orders origins by host, then epoch.
func (o Origin) Compare(p Origin) int {
	return cmp.Or(strings.Compare(o.Host, p.Host), cmp.Compare(o.Epoch, p.Epoch))
}

// Family separates the name spaces: a counter and a text may share a name.
type Family uint8

// The families of names.
const (
	Counters Family = 1 + iota
	Texts
	Sets
)

// String is the family as in URLs: counters, texts, sets.
func (f Family) String() string {
	return [...]string{"invalid", "counters", "texts", "sets"}[min(int(f), 3)*btoi(f <= Sets)]
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Op says what a ticket does to its name.
type Op uint8

// The operations.
const (
	CounterSetup Op = iota // makes a counter known, or extends its expiry
	CounterAdd             // adds Amount
	TextSetup              // extends a text's expiry
	TextSet                // sets the register to Text
	SetSetup               // makes a set known, or extends its expiry
	SetAdd                 // adds element Text
	SetRemove              // removes element Text for good
	opEnd
)

// Family of the name that the operation is about.
func (op Op) Family() Family {
	switch op {
	case CounterSetup, CounterAdd:
		return Counters
	case TextSetup, TextSet:
		return Texts
	default:
		return Sets
	}
}

// String is the operation as in batches: counter.setup, counter.update …
func (op Op) String() string {
	if op >= opEnd {
		return fmt.Sprintf("op(%d)", uint8(op))
	}
	return [...]string{
		"counter.setup", "counter.update", "text.setup", "text.set",
		"set.setup", "set.add", "set.remove",
	}[op]
}

// Ticket is one immutable change.
type Ticket struct {
	Origin Origin
	Seq    uint64        // dense from 1 within the origin
	At     hlc.Timestamp // strictly increasing within the origin
	Op     Op
	Name   string
	Amount value.Number  // CounterAdd only
	Text   string        // TextSet: the text; SetAdd, SetRemove: the element; CounterAdd: the amount as sent, if not canonical
	Expire hlc.Timestamp // the name lives at least until then; 0 says nothing
	ID     string        // client id: tickets of one name with one id are one fact; empty: none
	Ref    string        // free text for audit
}

// Key is the name with its family.
func (t *Ticket) Key() Key { return Key{t.Op.Family(), t.Name} }

// Before orders tickets by (timestamp, host, epoch), the order in which
// ledgers are read and in which the first of two tickets with one id wins.
func (t *Ticket) Before(u *Ticket) bool {
	return cmp.Or(cmp.Compare(t.At, u.At), t.Origin.Compare(u.Origin)) < 0
}

// Same tells whether two tickets with one id say the same: the operation,
// and the amount or text. When, where and for how long do not matter.
func (t *Ticket) Same(u *Ticket, kind value.Kind) bool {
	if t.Op != u.Op {
		return false
	}
	if t.Op == CounterAdd {
		return t.Amount.Equal(kind, u.Amount)
	}
	return t.Text == u.Text
}

// Key identifies what tickets are folded into.
type Key struct {
	Family Family
	Name   string
}

// Ref points at a ticket: the local index of its origin, and its number.
type Ref struct {
	Origin OriginIndex
	Seq    uint64
}

// OriginIndex is this node's short name for an origin. It never leaves the
// node.
type OriginIndex uint32

// Run is a stretch of one log. It covers First to Last without a gap; tickets
// inside that expired and were collected are left out of Tickets.
type Run struct {
	Origin      Origin
	First, Last uint64
	Tickets     []Ticket
}

// Cut is the part of a run from number first to number last, or nil if they
// share nothing. It shares the tickets with the run.
func (r *Run) Cut(first, last uint64) *Run {
	first, last = max(first, r.First), min(last, r.Last)
	if first > last {
		return nil
	}
	at := func(seq uint64) int {
		return sort.Search(len(r.Tickets), func(i int) bool { return r.Tickets[i].Seq >= seq })
	}
	return &Run{Origin: r.Origin, First: first, Last: last, Tickets: r.Tickets[at(first):at(last+1)]}
}
