package ring

import (
	"context"
	"io"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
)

// Read is the present state of a name; false if it is not known, or expired.
func (n *Node) Read(key tickets.Key) (Reading, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.reading(key)
}

// reading reads under the lock.
func (n *Node) reading(key tickets.Key) (r Reading, ok bool) {
	slot, ok := n.table.Lookup(key)
	if !ok || !n.alive(slot) {
		return Reading{}, false
	}
	n.readSlot(&r, slot, key)
	return r, true
}

// alive tells whether a name has not expired. The clock is read only where it
// could have.
func (n *Node) alive(slot uint32) bool {
	return n.table.Expire(slot) == hlc.Never || n.table.Alive(slot, n.time())
}

// readSlot fills in an empty reading.
func (n *Node) readSlot(r *Reading, slot uint32, key tickets.Key) {
	r.Key, r.Expire = key, n.table.Expire(slot)
	switch key.Family {
	case tickets.Counters:
		r.Value = n.table.Total(slot)
	case tickets.Texts:
		r.Text, _, _ = n.table.Text(slot)
	case tickets.Sets:
		r.Size = n.table.Size(slot)
	}
}

// ReadAt is the value of a counter as of a time: the sum of its counted
// tickets with timestamps up to and including at. ErrUnknown if the counter is
// not known now, ErrExpired if at lies in an earlier life of its name.
func (n *Node) ReadAt(ctx context.Context, key tickets.Key, at hlc.Timestamp) (Reading, error) {
	view, ok, err := n.view(ctx, key)
	if err != nil {
		return Reading{}, err
	}
	if !ok || key.Family != tickets.Counters {
		return Reading{}, ErrUnknown
	}
	reading := Reading{Key: key, Expire: view.Expire}
	if at < view.Born {
		return reading, n.beforeBirth(ctx, key, view.Born, at)
	}
	walk := &walker{store: n.store, kind: n.kind}
	reading.Value, err = view.SumAt(at, &past{store: n.store, kind: n.kind, walk: walk}, marks{n.store, n.kind})
	return reading, err
}

// beforeBirth tells whether a name can be said to have had no tickets at a
// time before its present life.
func (n *Node) beforeBirth(ctx context.Context, key tickets.Key, born, at hlc.Timestamp) error {
	n.mu.RLock()
	collected := n.replica.Collected()
	n.mu.RUnlock()
	if at <= collected {
		return ErrExpired
	}
	earlier, err := n.Ledger(ctx, key, LedgerQuery{To: born - 1, Limit: 1})
	if err == nil && len(earlier) > 0 && earlier[0].Ticket.At <= at {
		return ErrExpired
	}
	return err
}

// view copies what is needed to walk a name's tickets outside the lock, once
// all of them are in the store.
func (n *Node) view(ctx context.Context, key tickets.Key) (tickets.View, bool, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	slot, ok := n.table.Lookup(key)
	if !ok || !n.alive(slot) {
		return tickets.View{}, false, nil
	}
	view := n.table.View(slot)
	if n.cfg.Durability.Interval > 0 {
		n.mu.RUnlock()
		err := n.settle(ctx)
		n.mu.RLock()
		if err != nil {
			return tickets.View{}, false, err
		}
	}
	return view, true, nil
}

// Element tells whether a set is known and whether an element is in it.
func (n *Node) Element(set, element string) (present, known bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	slot, ok := n.table.Lookup(tickets.Key{Family: tickets.Sets, Name: set})
	if !ok || !n.alive(slot) {
		return false, false
	}
	return n.table.Element(slot, element), true
}

// Elements lists what is in a set, in byte order, strictly after after; false
// if the set is not known.
func (n *Node) Elements(set, prefix, after string, limit int) ([]string, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	slot, ok := n.table.Lookup(tickets.Key{Family: tickets.Sets, Name: set})
	if !ok || !n.alive(slot) {
		return nil, false
	}
	return n.table.Elements(slot, prefix, after, limit), true
}

// List reads names in byte order, strictly after after.
func (n *Node) List(family tickets.Family, prefix, after string, limit int) []Reading {
	n.mu.RLock()
	defer n.mu.RUnlock()
	slots := n.table.Names(family, prefix, after, limit, n.time())
	readings := make([]Reading, len(slots))
	for i, slot := range slots {
		n.readSlot(&readings[i], slot, n.table.Key(slot))
	}
	return readings
}

// Verdict is what every answer says of the ring.
func (n *Node) Verdict() Verdict {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return Verdict{n.replica.Coherent(n.now()), n.replica.Final()}
}

// Status describes the ring as this node sees it.
func (n *Node) Status() Status {
	n.mu.Lock()
	s := n.replica.State(n.now())
	vector := n.replica.Vector()
	n.mu.Unlock()
	status := Status{
		Host: n.cfg.Host, Ring: n.cfg.Topology.Ring, Kind: n.kind, Durability: n.cfg.Durability.String(),
		Coherent: s.Coherent, Since: s.Since, FinalThrough: s.Final, CompleteThrough: s.Complete,
		BlockedBy: s.BlockedBy, Vector: vector,
	}
	for _, r := range s.Reasons {
		status.Reasons = append(status.Reasons, Reason(r))
	}
	for _, m := range s.Members {
		node, _ := n.cfg.Topology.Node(m.Host)
		status.Members = append(status.Members, Member{
			Host: m.Host, Role: node.Role, Epoch: m.Epoch, Connected: m.Connected, Heard: m.Heard,
			HearsAll: m.HearsAll, Behind: m.Behind, Lag: m.Lag, Lacks: m.Lacks, Offset: m.Offset,
			Complete: m.Complete, Closed: m.Closed,
		})
	}
	return status
}

// Links lists the links of the topology; of those between two others this
// node knows nothing.
func (n *Node) Links() []LinkState {
	n.mu.Lock()
	s := n.replica.State(n.now())
	n.mu.Unlock()
	up := make(map[string]bool)
	for _, l := range s.Links {
		up[l.Upstream] = l.Up
	}
	var links []LinkState
	for _, l := range n.cfg.Topology.Links() {
		state := "unknown"
		if l.To == n.cfg.Host {
			state = "down"
			if up[l.From] {
				state = "up"
			}
		}
		links = append(links, LinkState{From: l.From, To: l.To, State: state})
	}
	return links
}

// wait waits until test, called under the lock, is true. It looks again
// whenever something changed, and at every tick.
func (n *Node) wait(ctx context.Context, test func() bool) error {
	n.looking.Add(1)
	defer n.looking.Add(-1)
	for {
		n.mu.RLock()
		ok, changed := test(), n.changed
		n.mu.RUnlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-n.draining:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WaitCoherent waits until the ring is coherent.
func (n *Node) WaitCoherent(ctx context.Context) error {
	return n.wait(ctx, func() bool { return n.replica.Coherent(n.now()) })
}

// WaitFinal waits until values as of at are final.
func (n *Node) WaitFinal(ctx context.Context, at hlc.Timestamp) error {
	return n.wait(ctx, func() bool { return n.replica.Final() >= at })
}

// WaitReplicas waits until k other members are known to hold a ticket durably.
// It returns how many do, also when ctx ends first.
func (n *Node) WaitReplicas(ctx context.Context, origin tickets.Origin, seq uint64, k int) (int, error) {
	holders := 0
	err := n.wait(ctx, func() bool {
		holders = n.replica.Holders(origin, seq)
		return holders >= k
	})
	return holders, err
}

// Statistics counts since the start of the process.
func (n *Node) Statistics() Statistics {
	n.mu.RLock()
	defer n.mu.RUnlock()
	c := n.replica.Counts()
	s := Statistics{
		Recv: c.Messages, RecvTickets: c.Tickets, Sent: n.sent.Load(), SentTickets: n.sentTix.Load(),
		Stored: c.Stored, Duplicates: c.Duplicates, Superseded: c.Superseded, Conflicts: c.Conflicts, Replayed: c.Replayed,
		Counters: n.table.Len(tickets.Counters), Texts: n.table.Len(tickets.Texts), Sets: n.table.Len(tickets.Sets),
		Commits: n.commits.Load(), QueueDepth: n.waiting + n.intake.depth(), DiskBytes: n.store.DiskBytes(),
	}
	for _, e := range n.replica.Vector() {
		s.Tickets += e.Seq
	}
	return s
}

// Backup writes a consistent copy of the node's ledger, for Restore.
func (n *Node) Backup(w io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.settle(ctx); err != nil {
		return err
	}
	return n.store.Backup(w)
}
