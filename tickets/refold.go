package tickets

import (
	"errors"
	"fmt"
	"slices"

	"bluerings/value"
)

// refold folds a name anew from all its tickets, where a new ticket changes
// more than itself. Chains are up to date, the new ticket x included.
func (t *Table) refold(key Key, f *fold, x Ref, applied *Applied) error {
	all, err := t.history(key, f)
	if err != nil {
		return err
	}
	f.clear()
	members, from := f.live(all)
	t.rebase(f, all[from:])
	winners := make(map[string]*told)
	for _, m := range members {
		winner := winners[m.ID]
		if m.ID == "" || winner == nil {
			if m.ID != "" {
				winners[m.ID] = m
				t.claims.fresh.put(ClaimHash(key, m.ID), m.ref)
			}
			t.count(f, m.ref.Origin, &m.Ticket)
			continue
		}
		l := m.loser(winner, t, ClaimHash(key, m.ID))
		f.losers = append(f.losers, l)
		if m.ref == x || winner.ref == x && !applied.Superseded {
			applied.Superseded, applied.Conflict = true, l.Conflict
		}
	}
	return nil
}

// live tells the lives in all tickets of a name apart and keeps the last: it
// returns its tickets, and the place of its first among all.
func (f *fold) live(all []told) (members []*told, from int) {
	f.life, f.lastOrphan = life{}, 0
	for i := range all {
		switch h := &all[i]; {
		case h.At <= f.expire:
			f.expire = max(f.expire, h.Expire)
			members = append(members, h)
		case h.Expire != 0:
			f.life = life{born: h.At, expire: h.Expire, first: h.ref.Origin}
			f.lastOrphan = 0
			members, from = append(members[:0], h), i
		default:
			f.orphaned(h.At)
		}
	}
	return members, from
}

// rebase sets what the chains had before the present life; since are the
// tickets from its first on.
func (t *Table) rebase(f *fold, since []told) {
	for i := range f.chains {
		f.chains[i].base = value.Number{}
		if f.born != 0 {
			f.chains[i].base = f.chains[i].Sum
		}
	}
	if f.born == 0 {
		return
	}
	for i := range since {
		c := f.chain(since[i].ref.Origin)
		c.base = c.base.Sub(t.kind, since[i].Amount)
	}
}

// history reads all tickets of a name, in their order.
func (t *Table) history(key Key, f *fold) ([]told, error) {
	var all []told
	for i := range f.chains {
		ref := Ref{f.chains[i].Origin, f.chains[i].Head}
		for {
			h, back, err := t.recall(key, ref)
			if errors.Is(err, ErrCollected) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("fold %s %q: %w", key.Family, key.Name, err)
			}
			all = append(all, *h)
			if back == 0 {
				break
			}
			ref.Seq -= back
		}
	}
	slices.SortFunc(all, func(a, b told) int {
		if t.before(a.At, a.ref.Origin, b.At, b.ref.Origin) {
			return -1
		}
		return 1
	})
	return all, nil
}
