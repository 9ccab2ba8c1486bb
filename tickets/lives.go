package tickets

import "bluerings/hlc"

// A name lives from the first ticket that carries an expire until that
// expire, which later tickets of the same life may extend. To tell lives
// apart, take all tickets of the name in the order (timestamp, origin) and
// hold against each the greatest expire of the life so far:
//
//   - not later than that: it belongs to the life;
//   - later, and it carries an expire: it begins the next life;
//   - later, and it carries none: it is an orphan and does nothing, unless an
//     extension that is still on its way turns out to cover it.
//
// Only the last life counts. From this follow the shortcuts of placeOf: within
// a life, whatever lies between its first ticket and its expire is covered by
// the tickets before it; and between the last life and the end of time there
// are only orphans.

// life is what must be remembered of a name's tickets to place another one.
type life struct {
	born   hlc.Timestamp // of its first ticket; 0: no ticket with an expire is known
	expire hlc.Timestamp
	first  OriginIndex   // of its first ticket
	orphan hlc.Timestamp // the first orphan after this life; 0 none
}

// place is where a ticket falls in the life of its name.
type place uint8

const (
	inside place = iota // it belongs to the present life
	begins              // it begins a new life, and no orphan lies after it
	after               // it is an orphan
	past                // it lies before the present life and leaves it as it is
	rejoin              // by it, other tickets change their life: fold anew
)

func (t *Table) placeOf(l life, o OriginIndex, tk *Ticket) place {
	switch {
	case l.born != 0 && t.before(tk.At, o, l.born, l.first):
		if tk.Expire >= l.born {
			return rejoin
		}
		return past
	case l.born == 0 || tk.At > l.expire:
		if tk.Expire == 0 {
			return after
		}
		if l.orphan != 0 {
			return rejoin
		}
		return begins
	case l.orphan != 0 && tk.Expire >= l.orphan:
		return rejoin
	default:
		return inside
	}
}

// before is the order of tickets: timestamp, then host, then epoch.
func (t *Table) before(at hlc.Timestamp, o OriginIndex, bt hlc.Timestamp, p OriginIndex) bool {
	if at != bt {
		return at < bt
	}
	return o != p && t.origins[o].Compare(t.origins[p]) < 0
}
