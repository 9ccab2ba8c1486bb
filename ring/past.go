package ring

import (
	"encoding/binary"
	"fmt"

	"bluerings/hlc"
	"bluerings/ring/boltstore"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// past looks up earlier tickets in the store, and with replica set also those
// of ours that count but are not stored yet; then the node's lock must be held.
type past struct {
	store   *boltstore.Store
	kind    value.Kind
	replica *replica.Replica
	claims  *claimFilter // in front of the index, or nil
	// walk, where it is set, keeps the last block between calls: for one
	// reader, who does not outlive a collection.
	walk *walker
	// shelf, where it is set, is for many readings of one table, one at a time.
	shelf *shelf
}

// Claim implements tickets.Past.
func (p *past) Claim(hash [16]byte) (tickets.Ref, bool, error) {
	if p.claims != nil && p.claims.lacks(hash) {
		return tickets.Ref{}, false, nil
	}
	return p.store.Claim(hash)
}

// Ticket implements tickets.Past.
func (p *past) Ticket(ref tickets.Ref) (tickets.Ticket, uint64, error) {
	if p.replica != nil {
		if t, link, ok := p.replica.Pending(ref); ok {
			return t, link, nil
		}
	}
	w := p.walk
	switch {
	case w != nil:
	case p.shelf != nil:
		w = p.shelf.reach(ref, &walker{store: p.store, kind: p.kind})
	default:
		w = &walker{store: p.store, kind: p.kind}
	}
	t, link, err := w.Ticket(ref)
	if err != nil {
		return tickets.Ticket{}, 0, err
	}
	return *t, link, nil
}

// decodeLinks reads the links of n tickets.
func decodeLinks(links []byte, n int) ([]uint64, error) {
	backs := make([]uint64, n)
	for i := range backs {
		back, size := binary.Uvarint(links)
		if size <= 0 {
			return nil, fmt.Errorf("%w: the links of a block are cut short", boltstore.ErrDamaged)
		}
		backs[i], links = back, links[size:]
	}
	return backs, nil
}

// walker reads tickets one after another and keeps the last block decoded,
// since neighbours in a chain are often neighbours in a block.
type walker struct {
	store *boltstore.Store
	kind  value.Kind

	origin tickets.OriginIndex
	run    *tickets.Run
	backs  []uint64
}

func (w *walker) Ticket(ref tickets.Ref) (*tickets.Ticket, uint64, error) {
	if !w.has(ref) {
		if err := w.load(ref); err != nil {
			return nil, 0, err
		}
	}
	lo, hi := 0, len(w.run.Tickets)
	for lo < hi {
		mid := (lo + hi) / 2
		if w.run.Tickets[mid].Seq < ref.Seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(w.run.Tickets) || w.run.Tickets[lo].Seq != ref.Seq {
		return nil, 0, fmt.Errorf("%w: ticket %d of log %d was collected", tickets.ErrCollected, ref.Seq, ref.Origin)
	}
	return &w.run.Tickets[lo], w.backs[lo], nil
}

func (w *walker) has(ref tickets.Ref) bool {
	return w.run != nil && w.origin == ref.Origin && w.run.First <= ref.Seq && ref.Seq <= w.run.Last
}

func (w *walker) load(ref tickets.Ref) error {
	b, ok, err := w.store.BlockOf(ref.Origin, ref.Seq)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: ticket %d of log %d is missing", boltstore.ErrDamaged, ref.Seq, ref.Origin)
	}
	run, err := tickets.DecodeRun(w.kind, b.Run)
	if err != nil {
		return fmt.Errorf("%w: %w", boltstore.ErrDamaged, err)
	}
	backs, err := decodeLinks(b.Links, len(run.Tickets))
	if err != nil {
		return err
	}
	w.origin, w.run, w.backs = ref.Origin, run, backs
	return nil
}

// marks finds marks in the index.
type marks struct {
	store *boltstore.Store
	kind  value.Kind
}

// totalLimits bound sums, which outgrow the amounts they are made of.
var totalLimits = value.Limits{Digits: value.MaxDigits, Exponent: value.MaxExponent}

// Mark implements tickets.Marks.
func (m marks) Mark(slot uint32, o tickets.OriginIndex, at hlc.Timestamp) (uint64, value.Number, bool, error) {
	mark, ok, err := m.store.Mark(slot, o, at)
	if err != nil || !ok {
		return 0, value.Number{}, false, err
	}
	sum, rest, err := value.DecodeBinary(m.kind, mark.Sum, totalLimits)
	if err != nil || len(rest) > 0 {
		return 0, value.Number{}, false, fmt.Errorf("%w: a mark of slot %d: %w", boltstore.ErrIndex, slot, err)
	}
	return mark.Seq, sum, true, nil
}
