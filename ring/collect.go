package ring

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"bluerings/hlc"
	"bluerings/ring/boltstore"
	"bluerings/ring/replica"
	"bluerings/tickets"
)

// collectTogether is how many names are collected at once.
const collectTogether = 1000

// collectLoop removes the tickets of names that expired long enough ago.
func (n *Node) collectLoop() {
	if n.cfg.ExpiryGrace < 0 {
		return
	}
	ticker := time.NewTicker(min(time.Minute, max(n.cfg.ExpiryGrace/4, 10*time.Millisecond)))
	defer ticker.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-ticker.C:
		}
		more, err := true, error(nil)
		for more && err == nil && !n.closing.Load() {
			more, err = n.collect(n.Now().Add(-n.cfg.ExpiryGrace))
		}
		if err != nil && !errors.Is(err, boltstore.ErrNoSpace) {
			n.log.Warn("expired tickets could not be collected", "err", err)
		}
	}
}

// uncollected is what left the table and is not out of the ledger yet.
type uncollected struct {
	chains  []tickets.Chain // to be walked
	tickets []tickets.Ref   // found by walking
	ids     []replica.Claim // those of the tickets
}

// collect takes names out of the table that expired before a time and before everything final,
// and then their tickets out of the ledger. Nobody can extend them any more:
// an extension would carry a timestamp before their expiry. What it could not
// finish, it does the next time. It tells whether there was anything.
func (n *Node) collect(before hlc.Timestamp) (found bool, err error) {
	n.mu.Lock()
	if found = n.replica.Collect(before, collectTogether); found {
		w := n.await(n.replica.NextNumber())
		n.mu.Unlock()
		signal(n.kick)
		select {
		case <-w.done:
		case <-n.stop:
			return false, nil
		}
		if w.err != nil {
			return found, w.err
		}
		n.mu.Lock()
	}
	for _, name := range n.replica.TakeGone() { // their collection is on record
		n.gone.chains = append(n.gone.chains, name.Heads...)
	}
	n.mu.Unlock()
	walk := walker{store: n.store, kind: n.kind}
	for ; len(n.gone.chains) > 0; n.gone.chains = n.gone.chains[1:] {
		if err := n.gone.walk(&walk, n.gone.chains[0]); err != nil {
			return found, err
		}
	}
	return found, n.rewrite()
}

// walk finds the tickets of a chain.
func (u *uncollected) walk(w *walker, head tickets.Chain) error {
	for seq := head.Head; seq > 0; {
		ref := tickets.Ref{Origin: head.Origin, Seq: seq}
		t, back, err := w.Ticket(ref)
		if errors.Is(err, tickets.ErrCollected) {
			return nil
		}
		if err != nil {
			return err
		}
		u.tickets = append(u.tickets, ref)
		if t.ID != "" {
			u.ids = append(u.ids, replica.Claim{Hash: tickets.ClaimHash(t.Key(), t.ID), Ref: ref})
		}
		if back == 0 {
			return nil
		}
		seq -= back
	}
	return nil
}

func bySeq(a, b tickets.Ref) int {
	return cmp.Or(cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.Seq, b.Seq))
}

// rewriteTogether is how many blocks are stored again in one commit.
const rewriteTogether = 100

// rewrite stores the blocks that hold collected tickets again, without them:
// those of a log from the first on, so that whatever comes in between, what
// lies before a collected ticket was collected too. See tickets.ErrCollected.
func (n *Node) rewrite() error {
	slices.SortFunc(n.gone.tickets, bySeq)
	batch := &replica.Batch{}
	for drop := n.gone.tickets; len(drop) > 0; {
		slim, rest, err := n.without(drop)
		if err != nil {
			return err
		}
		batch.Rewrite, drop = append(batch.Rewrite, slim), rest
		if len(batch.Rewrite) == rewriteTogether || len(drop) == 0 {
			if err := n.store.Commit(batch); err != nil {
				return err
			}
			batch = &replica.Batch{}
		}
	}
	n.mu.Lock()
	n.orphans = append(n.orphans, n.gone.ids...)
	n.shelf.clear()
	n.mu.Unlock()
	n.gone.tickets, n.gone.ids = nil, nil
	return nil
}

// without is the block of the first of the tickets to drop, which are in
// order, without those that lie in it; rest are the others.
func (n *Node) without(drop []tickets.Ref) (b replica.Block, rest []tickets.Ref, err error) {
	b, found, err := n.store.BlockOf(drop[0].Origin, drop[0].Seq)
	if err != nil {
		return b, nil, err
	}
	if !found {
		return b, nil, fmt.Errorf("%w: ticket %d of log %d is missing", boltstore.ErrDamaged, drop[0].Seq, drop[0].Origin)
	}
	run, err := tickets.DecodeRun(n.kind, b.Run)
	if err != nil {
		return b, nil, err
	}
	backs, err := decodeLinks(b.Links, len(run.Tickets))
	if err != nil {
		return b, nil, err
	}
	kept := &tickets.Run{Origin: run.Origin, First: run.First, Last: run.Last}
	var links []byte
	within := 0
	for within < len(drop) && drop[within].Origin == b.Origin && drop[within].Seq <= b.Last {
		within++
	}
	for i := range run.Tickets {
		at := tickets.Ref{Origin: b.Origin, Seq: run.Tickets[i].Seq}
		if _, gone := slices.BinarySearchFunc(drop[:within], at, bySeq); !gone {
			kept.Tickets = append(kept.Tickets, run.Tickets[i])
			links = binary.AppendUvarint(links, backs[i])
		}
	}
	b.Run, b.Links = tickets.NewEncoder(n.kind).AppendRun(nil, kept), links
	return b, drop[within:], nil
}
