package simulator

import (
	"errors"
	"slices"
	"time"

	"bluerings/hlc"
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
	n.drop() // what it hands over may go, whatever is on its way
	n.wait(n.replica.NextNumber(), func(stored bool) {
		if stored {
			n.drop()
		}
	})
	n.after()
}

func (n *node) drop() { n.rewrite(n.droppable(n.replica.TakeGone())) }

// onRecord is how far names were collected, as the disk has it.
func (n *node) onRecord() hlc.Timestamp {
	empty := tickets.NewTable(kind, n)
	for i, o := range n.disk.origins {
		empty.AddOrigin(tickets.OriginIndex(i), o)
	}
	r, err := replica.New(n.config, n.disk.stored(), empty, n, n.now())
	if err != nil {
		n.sim.fail("stored", "%s would not start: %v", n.host, err)
	}
	return r.Collected()
}

// droppable lists the blocks with tickets to drop, and those.
func (n *node) droppable(gone []replica.Gone) (blocks []tickets.Ref, drop map[tickets.Ref]bool) {
	if len(gone) == 0 {
		return nil, nil
	}
	drop = make(map[tickets.Ref]bool)
	record := n.onRecord()
	for _, name := range gone {
		n.sim.Result.Collected++
		for _, c := range name.Heads {
			for ref := (tickets.Ref{Origin: c.Origin, Seq: c.Head}); ; {
				t, back, err := n.disk.ticket(ref)
				if errors.Is(err, tickets.ErrCollected) {
					break
				}
				if err != nil {
					n.sim.fail("stored", "%s collects %q: %v", n.host, name.Key.Name, err)
				}
				if t.Expire > record {
					n.sim.fail("collected", "%s collects %q, which expired at %s, and has on record %s", n.host, name.Key.Name, t.Expire, record)
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
