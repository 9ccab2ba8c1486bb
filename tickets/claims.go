package tickets

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// Past looks up what has left memory. A Table asks it for claims when a
// ticket with an id arrives, and for tickets only when ids collide or lives
// have to be told apart anew. Implementations must also know the ticket that
// is being applied and all before it.
type Past interface {
	// Claim returns the ticket that an id belongs to, as flushed to the index.
	Claim(hash [16]byte) (Ref, bool, error)
	// Ticket returns a stored ticket, and how many numbers back in its log
	// the ticket before of the same name is, 0 if there is none. For a ticket
	// that has been collected, the error is ErrCollected.
	Ticket(ref Ref) (t Ticket, back uint64, err error)
}

// ErrCollected is what Past.Ticket returns for a ticket that expired and was
// collected. Then all before it in the same chain were collected too.
var ErrCollected = errors.New("the ticket expired and was collected")

// ClaimHash stands for an id of a name in the index: the first half of the
// SHA-256 of "bluerings claim 1", the family as a byte, the length of the name
// as two bytes, big endian, the name and the id.
func ClaimHash(key Key, id string) [16]byte {
	var buf [20 + MaxNameBytes + MaxIDBytes]byte
	b := append(buf[:0], "bluerings claim 1"...)
	b = append(b, byte(key.Family))
	b = binary.BigEndian.AppendUint16(b, uint16(len(key.Name)))
	b = append(append(b, key.Name...), id...)
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

func factOf(hash [16]byte) uint64 { return binary.BigEndian.Uint64(hash[:]) }

// ClaimOf returns the ticket that an id of a name belongs to: of all tickets
// with that id in one life of the name, the first. That life may be over: the
// claim holds for the present life only if the ticket is not before Born.
func (t *Table) ClaimOf(key Key, id string) (Ref, bool, error) {
	return t.claimOf(ClaimHash(key, id))
}

func (t *Table) claimOf(hash [16]byte) (Ref, bool, error) {
	if ref, ok := t.claims.fresh.get(&hash); ok {
		return ref, true, nil
	}
	if ref, ok := t.claims.taken.get(&hash); ok {
		return ref, true, nil
	}
	return t.past.Claim(hash)
}

// claim takes a ticket's id for it, unless another ticket has it. For the
// first ticket of a name there is no need to look.
func (t *Table) claim(p *Place, o OriginIndex, tk *Ticket, first bool) (free bool, err error) {
	hash := p.ClaimHash(tk.ID)
	if !first {
		if _, taken, err := t.claimOf(hash); taken || err != nil {
			return false, err
		}
	}
	t.claims.fresh.put(hash, Ref{o, tk.Seq})
	return true, nil
}

// holder returns the ticket of the present life that an id belongs to.
func (t *Table) holder(key Key, f *fold, hash [16]byte) (*told, error) {
	ref, ok, err := t.claimOf(hash)
	if err != nil || !ok {
		return nil, err
	}
	h, _, err := t.recall(key, ref)
	switch {
	case errors.Is(err, ErrCollected):
		return nil, nil
	case err != nil:
		return nil, err
	case t.before(h.At, ref.Origin, f.born, f.first):
		return nil, nil // of an earlier life
	}
	return h, nil
}

// told is a ticket as Past tells it.
type told struct {
	Ticket
	ref Ref
}

func (d *told) loser(winner *told, t *Table, hash [16]byte) loser {
	return loser{Loser{d.At, d.ref, d.Amount, !d.Same(&winner.Ticket, t.kind)}, factOf(hash)}
}

// recall reads a ticket of a name from the past, and checks that it is one.
func (t *Table) recall(key Key, ref Ref) (*told, uint64, error) {
	return recall(t.past, key, ref)
}

func recall(past Past, key Key, ref Ref) (*told, uint64, error) {
	tk, back, err := past.Ticket(ref)
	if err != nil {
		return nil, 0, err
	}
	if tk.Key() != key || tk.Seq != ref.Seq || back >= ref.Seq {
		return nil, 0, fmt.Errorf("ticket %d of log %d is number %d, about %s %q, linked %d back: not a ticket of %s %q",
			ref.Seq, ref.Origin, tk.Seq, tk.Key().Family, tk.Name, back, key.Family, key.Name)
	}
	return &told{tk, ref}, back, nil
}

// settle decides a ticket of the present life whose id may be known. It
// returns whether the ticket counts; what counted in its place until now has
// been taken back.
func (t *Table) settle(key Key, f *fold, x *told, applied *Applied) (counts bool, err error) {
	hash := ClaimHash(key, x.ID)
	h, err := t.holder(key, f, hash)
	if err != nil {
		return false, err
	}
	if h == nil || h.ref == x.ref {
		t.claims.fresh.put(hash, x.ref)
		return true, nil
	}
	applied.Superseded, applied.Conflict = true, !x.Same(&h.Ticket, t.kind)
	if t.before(h.At, h.ref.Origin, x.At, x.ref.Origin) {
		t.lose(f, x.loser(h, t, hash))
		return false, nil
	}
	t.claims.fresh.put(hash, x.ref)
	for i := range f.losers { // of the same fact: what counts may say something else now
		l := &f.losers[i]
		if l.fact != factOf(hash) {
			continue
		}
		lost, _, err := t.recall(key, l.Ref)
		if err != nil {
			return false, err
		}
		l.Conflict = !lost.Same(&x.Ticket, t.kind)
	}
	t.lose(f, h.loser(x, t, hash))
	f.total = f.total.Sub(t.kind, h.Amount)
	return true, nil
}
