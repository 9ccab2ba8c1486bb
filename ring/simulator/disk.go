package simulator

import (
	"cmp"
	"fmt"
	"slices"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

// disk is what a node has made durable. It outlives the process.
type disk struct {
	fresh   bool
	origins []tickets.Origin
	blocks  [][]*block // by origin
	meta    []byte
	last    *disk // before the last commit
}

// block is a stored block, decoded once.
type block struct {
	replica.Block
	*decodedRun
}

type decodedRun struct {
	run   *tickets.Run
	links []uint64
}

// decode decodes an encoded run; each only once, however many nodes have it.
func (s *Simulation) decode(b []byte) *tickets.Run {
	d, ok := s.decoded[&b[0]]
	if !ok {
		run, err := tickets.DecodeRun(s.kind(), b)
		if err != nil {
			s.fail("stored", "a block does not decode: %v", err)
		}
		d = &decodedRun{run: run}
		s.decoded[&b[0]] = d
	}
	return d.run
}

func (s *Simulation) block(b replica.Block) *block {
	run := s.decode(b.Run)
	if run.First != b.First || run.Last != b.Last {
		s.fail("stored", "block %d to %d holds %d to %d", b.First, b.Last, run.First, run.Last)
	}
	d := &decodedRun{run: run, links: make([]uint64, len(run.Tickets))}
	rest := b.Links
	for i := range d.links {
		d.links[i], rest = uvarint(rest)
	}
	return &block{b, d}
}

func uvarint(b []byte) (v uint64, rest []byte) {
	for i, shift := 0, 0; ; i, shift = i+1, shift+7 {
		v |= uint64(b[i]&0x7f) << shift
		if b[i] < 0x80 {
			return v, b[i+1:]
		}
	}
}

// clone is a copy that shares what never changes: blocks are replaced, lists
// only grow.
func (d *disk) clone() *disk {
	c := &disk{fresh: d.fresh, origins: slices.Clip(d.origins), meta: d.meta, blocks: slices.Clone(d.blocks)}
	for i := range c.blocks {
		c.blocks[i] = slices.Clip(c.blocks[i])
	}
	return c
}

func (d *disk) end(i int) uint64 {
	if b := d.blocks[i]; len(b) > 0 {
		return b[len(b)-1].Last
	}
	return 0
}

// stored is what a process finds when it starts.
func (d *disk) stored() replica.Stored {
	st := replica.Stored{Origins: d.origins, Meta: d.meta, NewLife: d.fresh}
	for i := range d.origins {
		st.Ends = append(st.Ends, d.end(i))
	}
	return st
}

func (d *disk) holds(origin tickets.Origin) uint64 {
	for i, o := range d.origins {
		if o == origin {
			return d.end(i)
		}
	}
	return 0
}

// commit makes a batch durable, all of it.
func (d *disk) commit(s *Simulation, b *replica.Batch) {
	d.last = d.clone()
	for _, o := range b.Origins {
		if int(o.Index) != len(d.origins) {
			s.fail("stored", "origin %v gets index %d, the disk has %d", o.Origin, o.Index, len(d.origins))
		}
		d.origins, d.blocks = append(d.origins, o.Origin), append(d.blocks, nil)
	}
	for _, b := range b.Blocks {
		if b.First != d.end(int(b.Origin))+1 {
			s.fail("stored", "block %d to %d of log %d follows %d", b.First, b.Last, b.Origin, d.end(int(b.Origin)))
		}
		d.blocks[b.Origin] = append(d.blocks[b.Origin], s.block(b))
	}
	for _, b := range b.Rewrite {
		d.rewrite(s, b)
	}
	if b.Meta != nil {
		d.meta = b.Meta
	}
	d.fresh = false
}

func (d *disk) rewrite(s *Simulation, b replica.Block) {
	list := slices.Clone(d.blocks[b.Origin])
	at := find(list, b.First)
	if at < 0 || list[at].First != b.First || list[at].Last != b.Last {
		s.fail("stored", "block %d to %d of log %d is rewritten and not there", b.First, b.Last, b.Origin)
	}
	list[at] = s.block(b)
	d.blocks[b.Origin] = list
}

// find is the place of the block that covers a number, -1 if there is none.
func find(list []*block, seq uint64) int {
	at, _ := slices.BinarySearchFunc(list, seq, func(b *block, seq uint64) int {
		if b.Last < seq {
			return -1
		}
		return 1
	})
	if at < len(list) && list[at].First <= seq {
		return at
	}
	return -1
}

// ticket reads a ticket and its link; tickets.ErrCollected if its block is there
// without it.
func (d *disk) ticket(ref tickets.Ref) (*tickets.Ticket, uint64, error) {
	if int(ref.Origin) < len(d.blocks) {
		list := d.blocks[ref.Origin]
		if at := find(list, ref.Seq); at >= 0 {
			b := list[at]
			k, ok := slices.BinarySearchFunc(b.run.Tickets, ref.Seq, func(t tickets.Ticket, seq uint64) int { return cmp.Compare(t.Seq, seq) })
			if !ok {
				return nil, 0, tickets.ErrCollected
			}
			return &b.run.Tickets[k], b.links[k], nil
		}
	}
	return nil, 0, fmt.Errorf("there is no ticket %d of log %d", ref.Seq, ref.Origin)
}
