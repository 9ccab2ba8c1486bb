package simulator

import (
	"fmt"
	"time"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/topologies"
	"bluerings/value"
)

// disk is what a node has made durable. It outlives the process.
type disk struct {
	fresh   bool
	origins []tickets.Origin
	blocks  [][]replica.Block // by origin
	meta    []byte
}

func (d *disk) clone() *disk {
	c := &disk{fresh: d.fresh, origins: append([]tickets.Origin(nil), d.origins...), meta: d.meta}
	for _, b := range d.blocks {
		c.blocks = append(c.blocks, append([]replica.Block(nil), b...))
	}
	return c
}

func (d *disk) end(i int) uint64 {
	if b := d.blocks[i]; len(b) > 0 {
		return b[len(b)-1].Last
	}
	return 0
}

func (d *disk) commit(b *replica.Batch) {
	for range b.Origins {
		d.blocks = append(d.blocks, nil)
	}
	for _, o := range b.Origins {
		if int(o.Index) != len(d.origins) {
			panic(fmt.Sprintf("origin %v gets index %d, the disk has %d", o.Origin, o.Index, len(d.origins)))
		}
		d.origins = append(d.origins, o.Origin)
	}
	for _, block := range b.Blocks {
		if block.First != d.end(int(block.Origin))+1 {
			panic(fmt.Sprintf("block %d-%d of log %d follows %d", block.First, block.Last, block.Origin, d.end(int(block.Origin))))
		}
		d.blocks[block.Origin] = append(d.blocks[block.Origin], block)
	}
	if b.Meta != nil {
		d.meta = b.Meta
	}
	d.fresh = false
}

// node is one host: its disk, and a process that may be down or paused.
type node struct {
	sim    *Simulation
	host   string
	timers topologies.EffectiveTimers
	disk   *disk
	skew   time.Duration // wall clock minus true time
	boots  uint64

	up     bool
	paused bool
	// offSince is when the process went down or was paused.
	offSince time.Duration
	late     []func() // what happened while paused
	life     int      // of the process: events of earlier lives are void
	table    *tickets.Table
	replica  *replica.Replica
	started  time.Duration
	writing  *replica.Batch
	written  bool                    // but the process does not know yet
	receipt  map[uint64][]*operation // by batch
	final    hlc.Timestamp
	copy     *disk // an old copy, to be put back some day
}

// Claim implements tickets.Past: no claim ever leaves the table here.
func (n *node) Claim([16]byte) (tickets.Ref, bool, error) { return tickets.Ref{}, false, nil }

// Ticket implements tickets.Past.
func (n *node) Ticket(ref tickets.Ref) (tickets.Ticket, uint64, error) {
	for _, b := range n.disk.blocks[ref.Origin] {
		if ref.Seq < b.First || ref.Seq > b.Last {
			continue
		}
		run, err := tickets.DecodeRun(n.sim.kind(), b.Run)
		if err != nil {
			return tickets.Ticket{}, 0, err
		}
		links := b.Links
		for i := range run.Tickets {
			link, size := uvarint(links)
			links = links[size:]
			if run.Tickets[i].Seq == ref.Seq {
				return run.Tickets[i], link, nil
			}
		}
	}
	return tickets.Ticket{}, 0, fmt.Errorf("%s has no ticket %d of log %d", n.host, ref.Seq, ref.Origin)
}

func uvarint(b []byte) (v uint64, n int) {
	for shift := 0; ; shift += 7 {
		v |= uint64(b[n]&0x7f) << shift
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
}

func (n *node) now() replica.Now {
	return replica.Now{Wall: hlc.Timestamp(epochStart + int64(n.sim.now) + int64(n.skew)), Mono: n.sim.now - n.started + 1}
}

const epochStart = int64(1_800_000_000) * int64(time.Second)

// start boots a process on the disk.
func (n *node) start() {
	s := n.sim
	n.boots++
	n.life++
	n.up, n.paused, n.late, n.writing = true, false, nil, nil
	n.started = s.now
	n.receipt = make(map[uint64][]*operation)
	n.table = tickets.NewTable(s.kind(), n)
	stored := replica.Stored{Origins: n.disk.origins, Meta: n.disk.meta, NewLife: n.disk.fresh}
	for i, o := range n.disk.origins {
		n.table.AddOrigin(tickets.OriginIndex(i), o)
		stored.Ends = append(stored.Ends, n.disk.end(i))
	}
	for i := range n.disk.blocks {
		for _, b := range n.disk.blocks[i] {
			run, err := tickets.DecodeRun(s.kind(), b.Run)
			s.check(err == nil, "a stored block does not decode: %v", err)
			for k := range run.Tickets {
				_, err := n.table.Apply(tickets.OriginIndex(i), &run.Tickets[k])
				s.check(err == nil, "replay: %v", err)
			}
		}
	}
	r, err := replica.New(s.config(n), stored, n.table, n, n.now())
	s.check(err == nil, "start of %s: %v", n.host, err)
	n.replica = r
	s.tracef("%s starts, boot %d, %s", n.host, n.boots, r.Vector())
	s.linksOf(n.host)
	n.tick()
}

// do runs f in the present life of the process: now, or when it goes on.
func (n *node) do(life int, f func()) {
	switch {
	case !n.up || n.life != life:
	case n.paused:
		n.late = append(n.late, func() { n.do(life, f) })
	default:
		f()
	}
}

func (n *node) tick() {
	life := n.life
	n.replica.Tick(n.now())
	n.after()
	wait := max(n.replica.NextTick()-n.now().Mono, 100*time.Microsecond)
	n.sim.in(wait, func() { n.do(life, n.tick) })
}

// after carries out effects, starts the next commit and looks at what the node
// reports now.
func (n *node) after() {
	n.send(n.replica.Effects())
	n.commit()
	n.sim.observe(n)
}

func (n *node) commit() {
	if n.writing != nil {
		return
	}
	b := n.replica.NextBatch(n.now())
	if b == nil {
		return
	}
	n.writing, n.written = b, false
	life := n.life
	n.sim.in(n.sim.between(100*time.Microsecond, n.sim.faults.SlowDisk), func() {
		if n.life != life || !n.up {
			return
		}
		// The disk works on while the process is paused.
		n.disk.commit(b)
		n.written = true
		n.sim.stored(n, b)
		n.do(life, func() {
			n.writing = nil
			more, err := n.replica.Persisted(n.now(), b.Number)
			n.sim.check(err == nil, "persisted: %v", err)
			if more {
				n.proceed()
			}
			for _, op := range n.receipt[b.Number] {
				n.sim.acknowledged(n, op)
			}
			delete(n.receipt, b.Number)
			n.after()
		})
	})
}

// proceed applies what is durable, a portion at a time.
func (n *node) proceed() {
	life := n.life
	n.sim.in(10*time.Microsecond, func() {
		n.do(life, func() {
			more, err := n.replica.Proceed(n.now())
			n.sim.check(err == nil, "proceed: %v", err)
			if more {
				n.proceed()
			}
			n.after()
		})
	})
}

// crash ends the process. What is being written is there or not.
func (n *node) crash() {
	if !n.up {
		return
	}
	n.sim.tracef("%s crashes", n.host)
	n.sim.Result.Crashes++
	if n.writing != nil && !n.written && n.sim.rng.IntN(2) == 0 {
		n.disk.commit(n.writing)
		n.sim.stored(n, n.writing)
	}
	n.up, n.replica, n.table, n.writing = false, nil, nil, nil
	n.offSince = n.sim.now
	n.life++
	n.sim.linksOf(n.host)
}

func (n *node) pause(d time.Duration) {
	if !n.up || n.paused {
		return
	}
	n.sim.tracef("%s is paused for %s", n.host, d)
	n.paused = true
	n.offSince = n.sim.now
	life := n.life
	n.sim.in(d, func() {
		if n.life != life {
			return
		}
		n.paused = false
		late := n.late
		n.late = nil
		for _, f := range late {
			f()
		}
	})
}

func (n *node) send(e replica.Effects) {
	for _, q := range e.Unask {
		delete(n.sim.link(q.Upstream, n.host).topics, q.Topic)
	}
	for _, q := range e.Ask {
		n.sim.link(q.Upstream, n.host).ask(q.Topic)
	}
	for _, p := range e.Publish {
		n.sim.publish(n.host, p.Topic, p.Payload)
	}
	for _, st := range e.Stretches {
		for _, b := range n.disk.blocks[st.Origin] {
			if b.Last < st.From || b.First > st.To {
				continue
			}
			run, err := tickets.DecodeRun(n.sim.kind(), b.Run)
			n.sim.check(err == nil, "a stored block does not decode: %v", err)
			cut := tickets.NewEncoder(n.sim.kind()).AppendRun(nil, run.Cut(st.From, st.To))
			n.sim.publish(n.host, st.Topic, n.replica.Frame(cut, st.Given))
		}
	}
}

func (s *Simulation) kind() value.Kind { return value.Integer }
