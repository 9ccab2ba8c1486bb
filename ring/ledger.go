package ring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// Ledger lists the tickets of a name in the order (timestamp, host, epoch). It
// reads no more of each log than the page takes, and what lies between it and
// the next mark.
func (n *Node) Ledger(ctx context.Context, key tickets.Key, q LedgerQuery) ([]LedgerEntry, error) {
	if q.To == 0 {
		q.To = hlc.Never
	}
	if q.Limit <= 0 {
		q.Limit = math.MaxInt
	}
	if q.After != nil {
		q.From = max(q.From, q.After.At)
	}
	slot, chains, losers, err := n.chains(ctx, key)
	if err != nil {
		return nil, err
	}
	var entries []LedgerEntry
	w := walker{store: n.store, kind: n.kind}
	for _, c := range chains {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part, err := n.chainPage(&w, slot, c, &q)
		if err != nil {
			return nil, err
		}
		entries = append(entries, part...)
	}
	slices.SortFunc(entries, func(a, b LedgerEntry) int {
		switch {
		case a.Ticket.Before(&b.Ticket):
			return -1
		case b.Ticket.Before(&a.Ticket):
			return 1
		}
		return 0
	})
	entries = entries[:min(len(entries), q.Limit)]
	for i := range entries {
		e := &entries[i]
		if l, ok := losers[e.Ticket.Origin.String()+fmt.Sprint(e.Ticket.Seq)]; ok {
			e.Superseded, e.Conflict = true, l.Conflict
		}
	}
	return entries, nil
}

// chains copies where the tickets of a name begin, and which do not count.
func (n *Node) chains(ctx context.Context, key tickets.Key) (uint32, []tickets.Chain, map[string]tickets.Loser, error) {
	if _, ok, err := n.view(ctx, key); err != nil || !ok {
		return 0, nil, nil, errors.Join(err, unknownUnless(ok))
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	slot, ok := n.table.Lookup(key)
	if !ok {
		return 0, nil, nil, ErrUnknown
	}
	losers := make(map[string]tickets.Loser)
	for _, l := range n.table.Superseded(slot) {
		losers[n.replica.Origin(l.Ref.Origin).String()+fmt.Sprint(l.Ref.Seq)] = l
	}
	return slot, n.table.Chains(slot), losers, nil
}

func unknownUnless(ok bool) error {
	if ok {
		return nil
	}
	return ErrUnknown
}

// chainPage collects the first tickets of one chain that a query selects, by
// walking back from the mark that lies so many tickets after its beginning.
func (n *Node) chainPage(w *walker, slot uint32, c tickets.Chain, q *LedgerQuery) ([]LedgerEntry, error) {
	seq, err := n.pageEnd(slot, c, q)
	if err != nil {
		return nil, err
	}
	var page []LedgerEntry
	for seq > 0 {
		t, back, err := w.Ticket(tickets.Ref{Origin: c.Origin, Seq: seq})
		if errors.Is(err, tickets.ErrCollected) {
			break
		}
		if err != nil {
			return nil, err
		}
		if t.At < q.From {
			break
		}
		if t.At <= q.To && q.after(t) {
			page = append(page, LedgerEntry{Ticket: *t})
		}
		if back == 0 {
			break
		}
		seq -= back
	}
	slices.Reverse(page)
	return page[:min(len(page), q.Limit)], nil
}

// pageEnd is a ticket of the chain at or behind the end of the page.
func (n *Node) pageEnd(slot uint32, c tickets.Chain, q *LedgerQuery) (uint64, error) {
	from := q.From
	for covered := 0; ; covered += 128 {
		mark, ok, err := n.store.Mark(slot, c.Origin, from)
		if err != nil {
			return 0, err
		}
		if !ok {
			return c.Head, nil
		}
		if mark.At > q.To || covered >= q.Limit {
			return mark.Seq, nil
		}
		from = mark.At + 1
	}
}

func (q *LedgerQuery) after(t *tickets.Ticket) bool {
	if q.After == nil {
		return true
	}
	at := tickets.Ticket{At: q.After.At, Origin: tickets.Origin{Host: q.After.Host, Epoch: q.After.Epoch}}
	return at.Before(t)
}

// Digest is a SHA-256 over all tickets up to and including at of the present
// lives of names, in the order of origins and numbers. For at <= final_through
// it is the same on every node that has the same names, whichever of their
// earlier lives it has collected.
func (n *Node) Digest(ctx context.Context, at hlc.Timestamp) (string, error) {
	if err := n.settle(ctx); err != nil {
		return "", err
	}
	n.mu.RLock()
	vector, now := n.replica.Vector(), n.time()
	indices := make([]tickets.OriginIndex, len(vector))
	for i, e := range vector {
		indices[i], _ = n.replica.Index(e.Origin)
	}
	n.mu.RUnlock()
	sum := sha256.New()
	var d tickets.Decoder
	var t tickets.Ticket
	var line []byte
	for i, e := range vector {
		err := n.store.Blocks(indices[i], 1, e.Seq, func(b replica.Block) (bool, error) {
			if err := d.Open(n.kind, b.Run); err != nil {
				return false, err
			}
			for d.Next(&t) {
				if t.At > at {
					return false, nil
				}
				n.mu.RLock()
				slot, ok := n.table.Lookup(t.Key())
				ok = ok && n.table.Alive(slot, now) && t.At >= n.table.Born(slot)
				n.mu.RUnlock()
				if ok {
					line = appendCanonical(line[:0], &t, n.kind)
					sum.Write(line)
				}
			}
			return true, errors.Join(d.Err(), ctx.Err())
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func appendCanonical(dst []byte, t *tickets.Ticket, kind value.Kind) []byte {
	return fmt.Appendf(dst, "%q %d %d %d %q %s %q %d %q %q\n", t.Origin.String(), t.Seq, t.At, t.Op, t.Name,
		t.Amount.String(kind), t.Text, t.Expire, t.ID, t.Ref)
}

// cutRun is the part of an encoded run from number from to number to.
func cutRun(kind value.Kind, encoded []byte, from, to uint64) ([]byte, error) {
	run, err := tickets.DecodeRun(kind, encoded)
	if err != nil {
		return nil, err
	}
	return tickets.NewEncoder(kind).AppendRun(nil, run.Cut(from, to)), nil
}
