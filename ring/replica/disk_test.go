package replica

import (
	"fmt"
	"slices"
	"testing"

	"bluerings/tickets"
	"bluerings/value"
)

// disk is what a node of a transcript has made durable.
type disk struct {
	t       testing.TB
	used    bool
	origins []tickets.Origin
	runs    [][]*tickets.Run // by origin
	meta    []byte
}

func (d *disk) end(i int) uint64 {
	if n := len(d.runs[i]); n > 0 {
		return d.runs[i][n-1].Last
	}
	return 0
}

func (d *disk) clone() *disk {
	c := &disk{t: d.t, used: d.used, origins: slices.Clone(d.origins), meta: d.meta}
	for _, runs := range d.runs {
		c.runs = append(c.runs, slices.Clone(runs))
	}
	return c
}

func (d *disk) commit(b *Batch) {
	d.used = true
	for _, o := range b.Origins {
		if int(o.Index) != len(d.origins) {
			d.t.Fatalf("origin %s has index %d, want %d", o.Origin, o.Index, len(d.origins))
		}
		d.origins, d.runs = append(d.origins, o.Origin), append(d.runs, nil)
	}
	for _, block := range b.Blocks {
		run, err := tickets.DecodeRun(value.Integer, block.Run)
		if err != nil {
			d.t.Fatal(err)
		}
		if end := d.end(int(block.Origin)); block.First != end+1 || run.First != block.First || run.Last != block.Last {
			d.t.Fatalf("block %d..%d holds %d..%d and follows %d", block.First, block.Last, run.First, run.Last, end)
		}
		d.runs[block.Origin] = append(d.runs[block.Origin], run)
	}
	if b.Meta != nil {
		d.meta = b.Meta
	}
}

// replica starts a replica on what is stored.
func (d *disk) replica(cfg Config, now Now) *Replica {
	table := tickets.NewTable(cfg.Kind, d)
	stored := Stored{Origins: slices.Clone(d.origins), Meta: d.meta, NewLife: !d.used}
	for i, o := range d.origins {
		table.AddOrigin(tickets.OriginIndex(i), o)
		stored.Ends = append(stored.Ends, d.end(i))
		for _, run := range d.runs[i] {
			for k := range run.Tickets {
				if _, err := table.Apply(tickets.OriginIndex(i), &run.Tickets[k]); err != nil {
					d.t.Fatal(err)
				}
			}
		}
	}
	r, err := New(cfg, stored, table, d, now)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// read gives the runs of a stretch of a log.
func (d *disk) read(o tickets.Origin, from, to uint64) (out []*tickets.Run) {
	i := slices.Index(d.origins, o)
	for _, run := range d.runs[i] {
		if run.Last < from || run.First > to {
			continue
		}
		cut := &tickets.Run{Origin: o, First: max(run.First, from), Last: min(run.Last, to)}
		for k := range run.Tickets {
			if s := run.Tickets[k].Seq; s >= from && s <= to {
				cut.Tickets = append(cut.Tickets, run.Tickets[k])
			}
		}
		out = append(out, cut)
	}
	return out
}

// Claim implements tickets.Past: no claim leaves the table here.
func (d *disk) Claim([16]byte) (tickets.Ref, bool, error) { return tickets.Ref{}, false, nil }

// Ticket implements tickets.Past.
func (d *disk) Ticket(ref tickets.Ref) (tickets.Ticket, uint64, error) {
	var found *tickets.Ticket
	back := uint64(0)
	for _, run := range d.runs[ref.Origin] {
		for k := range run.Tickets {
			if run.Tickets[k].Seq == ref.Seq {
				found = &run.Tickets[k]
			}
		}
	}
	if found == nil {
		return tickets.Ticket{}, 0, fmt.Errorf("no ticket %d of log %d", ref.Seq, ref.Origin)
	}
	for _, run := range d.runs[ref.Origin] {
		for k := range run.Tickets {
			if t := &run.Tickets[k]; t.Seq < ref.Seq && t.Key() == found.Key() {
				back = ref.Seq - t.Seq
			}
		}
	}
	return *found, back, nil
}
