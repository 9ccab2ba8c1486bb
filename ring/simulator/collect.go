package simulator

import (
	"errors"
	"slices"
	"time"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

// collect removes the tickets of names that expired, as a node does: first it
// is put on record, then blocks are rewritten, a few in each commit.
func (n *node) collect() {
	s, life := n.sim, n.life
	defer s.in(n.rng.between(time.Second, 5*time.Second), func() { n.do(life, n.collect) })
	if n.closing || !n.replica.Collect(n.wall().Add(-s.plan.Grace), 1000) {
		return
	}
	n.wait(n.replica.NextNumber(), func(stored bool) {
		if stored {
			n.rewrite(n.droppable(n.replica.TakeGone()))
		}
	})
	n.after()
}

// droppable lists the blocks with tickets to drop, and those.
func (n *node) droppable(gone []replica.Gone) (blocks []tickets.Ref, drop map[tickets.Ref]bool) {
	drop = make(map[tickets.Ref]bool)
	for _, name := range gone {
		n.sim.Result.Collected++
		for _, c := range name.Heads {
			for ref := (tickets.Ref{Origin: c.Origin, Seq: c.Head}); ; {
				_, back, err := n.disk.ticket(ref)
				if errors.Is(err, tickets.ErrCollected) {
					break
				}
				if err != nil {
					n.sim.fail("stored", "%s collects %q: %v", n.host, name.Key.Name, err)
				}
				drop[ref] = true
				list := n.disk.blocks[ref.Origin]
				if first := (tickets.Ref{Origin: ref.Origin, Seq: list[find(list, ref.Seq)].First}); !slices.Contains(blocks, first) {
					blocks = append(blocks, first)
				}
				if back == 0 {
					break
				}
				ref.Seq -= back
			}
		}
	}
	return blocks, drop
}

// rewrite stores blocks again without what is to be dropped.
func (n *node) rewrite(blocks []tickets.Ref, drop map[tickets.Ref]bool) {
	if len(blocks) == 0 || n.full {
		return
	}
	s, life := n.sim, n.life
	b := &replica.Batch{}
	some := min(len(blocks), 2)
	for _, ref := range blocks[:some] {
		list := n.disk.blocks[ref.Origin]
		b.Rewrite = append(b.Rewrite, n.without(list[find(list, ref.Seq)], drop))
	}
	n.disk.commit(s, b)
	s.in(n.rng.between(0, 10*time.Millisecond), func() { n.do(life, func() { n.rewrite(blocks[some:], drop) }) })
}

func (n *node) without(b *block, drop map[tickets.Ref]bool) replica.Block {
	kept := &tickets.Run{Origin: b.run.Origin, First: b.First, Last: b.Last}
	var links []byte
	rest := b.Links
	for k := range b.run.Tickets {
		_, after := uvarint(rest)
		if t := &b.run.Tickets[k]; !drop[tickets.Ref{Origin: b.Origin, Seq: t.Seq}] {
			kept.Tickets = append(kept.Tickets, *t)
			links = append(links, rest[:len(rest)-len(after)]...)
		}
		rest = after
	}
	return replica.Block{
		Origin: b.Origin, First: b.First, Last: b.Last, Links: links,
		Run: tickets.NewEncoder(n.sim.kind()).AppendRun(nil, kept),
	}
}
