package replica

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
)

// SealBatch seals what has accumulated into a batch, which is for the store
// once Encode was called. It returns nil when there is nothing to persist, or
// while a batch is on its way.
func (r *Replica) SealBatch(now Now) *Batch {
	if r.flying != nil || (r.batch.empty() && !r.metaDue) {
		return nil
	}
	r.numbers++
	b := r.batch
	b.number = r.numbers
	out := &Batch{Number: b.number, Origins: b.origins, enc: r.ownEnc}
	r.recent.reset(b.own.count)
	links := b.links
	for _, part := range b.own.parts {
		list := part.tickets
		run := &tickets.Run{Origin: list[0].Origin, First: list[0].Seq, Last: list[len(list)-1].Seq, Tickets: list}
		block := Block{Origin: r.byName[run.Origin], First: run.First, Last: run.Last}
		if r.cfg.Async {
			n := skipVarints(links, len(list))
			block.Links, links = links[:n:n], links[n:]
		} else {
			block.Links = r.chainLinks(block.Origin, list, part.places)
		}
		out.Blocks, out.own = append(out.Blocks, block), append(out.own, run)
	}
	var rest batch
	if !r.cfg.Async { // else nobody waits for it, but the rest would for the next interval
		rest = b.split(batchPortions * r.cfg.Portion)
	}
	for i := range b.runs {
		t := &b.runs[i]
		out.Blocks = append(out.Blocks, Block{Origin: t.index, First: t.run.First, Last: t.run.Last, Run: t.encoded, Links: t.links})
	}
	b.blocks = out.Blocks[:len(out.own)]
	b.promise = max(r.promised, max(now.Wall, r.clock.Last()).Add(promiseAhead))
	if r.leaving {
		b.promise = r.clock.Last() // no more will be promised, so the next run need not start ahead
		r.left = true
	}
	if r.metaDue || b.promise-r.promised > hlc.Timestamp(promiseAhead/4) {
		out.Meta = r.encodeMeta(b.promise)
		b.seals, b.others, r.recordedAt = r.seals(), r.closed(r.own), now.Mono
	} else {
		b.promise = r.promised
	}
	r.metaDue = false
	b.gone, r.gone = r.gone, nil
	r.flying, r.batch = &b, rest
	return out
}

// Encode encodes the tickets in the batch that were minted here. It may run
// while the replica goes on, until the batch is persisted or refused.
func (b *Batch) Encode() {
	for i, run := range b.own {
		b.Blocks[i].Run = b.enc.encode(run)
	}
	b.own = nil
}

// ownEncoder encodes one batch after the other.
type ownEncoder struct {
	enc     *tickets.Encoder
	scratch []byte
}

// encode is the encoding of a run, in bytes of its own.
func (e *ownEncoder) encode(run *tickets.Run) []byte {
	e.scratch = e.enc.AppendRun(e.scratch[:0], run)
	return bytes.Clone(e.scratch)
}

func (r *Replica) placesOf(list []tickets.Ticket) []tickets.Place {
	places := make([]tickets.Place, len(list))
	for i := range list {
		places[i] = r.table.Aim(list[i].Key())
	}
	r.table.FindAll(places)
	return places
}

// chainLinks lists for each ticket how far back in its log the ticket before of
// the same name is. Those before it in the batch are in recent.
func (r *Replica) chainLinks(i tickets.OriginIndex, part []tickets.Ticket, places []tickets.Place) []byte {
	links := make([]byte, 0, 2*len(part))
	for k := range part {
		seq, p := part[k].Seq, &places[k]
		var link uint64
		if before := r.recent.exchange(r.table, p, seq); before > 0 {
			link = seq - before
		} else {
			link = r.linkOf(p, i, seq)
		}
		links = binary.AppendUvarint(links, link)
	}
	return links
}

func skipVarints(b []byte, n int) int {
	i := 0
	for ; n > 0; i++ {
		if b[i] < 0x80 {
			n--
		}
	}
	return i
}

// Persisted says that the batch on its way is durable. Only now its tickets
// count, are promised and are sent. The tickets of others in it may be many:
// while more is true, Proceed must be called before the next batch can go.
func (r *Replica) Persisted(now Now, number uint64) (more bool, err error) {
	b := r.flying
	if b == nil || b.number != number || b.stored {
		return false, fmt.Errorf("batch %d is not on its way", number)
	}
	if r.failed != nil {
		return false, r.failed
	}
	b.stored = true
	r.promised, r.recorded = b.promise, max(r.recorded, b.others)
	r.droppable = append(r.droppable, b.gone...)
	r.sealed(b.seals)
	if b.own.count > 0 {
		if err := r.ownPersisted(b); err != nil {
			return false, err
		}
	}
	b.ids, b.expires = nil, nil // the table knows
	return r.Proceed(now)
}

// Proceed applies the next portion of the batch that is durable. Calls of
// other methods may come in between.
func (r *Replica) Proceed(now Now) (more bool, err error) {
	b := r.flying
	if b == nil || !b.stored {
		return false, nil
	}
	for left := r.cfg.Portion; len(b.runs) > 0; b.runs = b.runs[1:] {
		t := &b.runs[0]
		l := &r.logs[t.index]
		part := t.run.Tickets[t.applied:]
		part = part[:min(len(part), left)]
		places := t.places[t.applied:]
		for k := range part {
			if err := r.apply(&places[k], t.index, &part[k]); err != nil {
				return false, err
			}
			l.held = part[k].Seq
		}
		left -= len(part)
		if t.applied += len(part); t.applied < len(t.run.Tickets) {
			return true, nil
		}
		l.held = t.run.Last
		if n := len(t.run.Tickets); t.flooded && n > 0 && len(r.delays) < maxDelays {
			r.delays = append(r.delays, max(0, time.Duration(now.Wall-t.run.Tickets[n-1].At)))
		}
		l.upcoming.prune(l.held, l.taken)
		r.meetPromises(t.index)
		r.scheduleForward(now, l)
	}
	r.flying = nil
	r.resume(now)
	r.evaluate(now)
	return false, nil
}

func (r *Replica) ownPersisted(b *batch) error {
	i := r.byName[b.own.at(0).Origin]
	l := &r.logs[i]
	if !r.cfg.Async {
		for _, part := range b.own.parts {
			for k := range part.tickets {
				if err := r.apply(&part.places[k], i, &part.tickets[k]); err != nil {
					return err
				}
			}
		}
	}
	if len(r.cfg.Downstreams) > 0 {
		for k := range b.blocks {
			o := &b.blocks[k]
			r.effects.Publish = append(r.effects.Publish, Publication{TopicTickets, r.Frame(o.Run, false), int(o.Last - o.First + 1)})
		}
	}
	l.held = b.own.last().Seq
	l.published = l.held
	r.recycle(&b.own)
	return nil
}

// Refused says that the batch on its way was not stored, cleanly: its own
// tickets never were, and what others sent will be asked for again.
func (r *Replica) Refused(number uint64) error {
	if r.flying == nil || r.flying.number != number || r.flying.stored {
		return fmt.Errorf("batch %d is not on its way", number)
	}
	if r.cfg.Async {
		return fmt.Errorf("tickets that were counted already cannot be stored")
	}
	// Tickets minted meanwhile carry later numbers, so they go as well.
	for i := range r.logs {
		l := &r.logs[i]
		l.taken = l.held
		l.upcoming = upcoming{}
		l.last = 0 // what was refused may come again
	}
	origins := append(r.flying.origins, r.batch.origins...)
	r.gone = append(r.flying.gone, r.gone...)
	r.flying, r.batch, r.left = nil, batch{origins: origins}, false
	r.numbers++ // whoever waits for the batch that was accumulating is refused too
	r.metaDue = true
	return nil
}

func (r *Replica) apply(p *tickets.Place, i tickets.OriginIndex, t *tickets.Ticket) error {
	applied, err := r.table.ApplyAt(p, i, t)
	if err != nil {
		return err
	}
	r.counts.Stored++
	if applied.Superseded {
		r.counts.Superseded++
	}
	if applied.Conflict {
		r.counts.Conflicts++
	}
	return nil
}

// Delays are how long some of the tickets that were flooded here took from
// their timestamp until they counted, by the two clocks; each is told once.
func (r *Replica) Delays() []time.Duration {
	delays := r.delays
	r.delays = nil
	return delays
}

// Owns tells whether this node mints in a log.
func (r *Replica) Owns(i tickets.OriginIndex) bool { return int(i) == r.own }

// NextNumber is the number that the next batch will have.
func (r *Replica) NextNumber() uint64 { return r.numbers + 1 }

// Unstored is the number of the last batch that must be durable for everything
// that was minted here to be so; 0 if all is, and nothing that others sent
// waits either.
func (r *Replica) Unstored() uint64 {
	switch {
	case !r.batch.empty():
		return r.numbers + 1
	case r.leaving && !r.left:
		return r.numbers + 1
	case r.flying != nil && !r.flying.stored:
		return r.flying.number
	}
	return 0
}

// Leave ends minting and promising: the next batch records how far both went.
func (r *Replica) Leave() { r.leaving, r.metaDue = true, true }

// Crowded tells that so much waits for the disk that the next batch should
// not wait for more: soon nothing would be asked for.
func (r *Replica) Crowded() bool { return r.batch.bytes > maxAheadBytes/2 }

// MayGather tells that only tickets given on request have accumulated, and not
// many yet: nobody waits for them, and together with more of them they cost
// the disk less.
func (r *Replica) MayGather() bool {
	b := &r.batch
	return len(b.runs) > 0 && !b.flooded && b.bytes < gatherBytes && b.own.count == 0 && len(b.origins) == 0 && !r.metaDue
}

// MetaDue tells that the mark behind our promises has to move on, by a batch.
func (r *Replica) MetaDue() bool { return r.metaDue && r.flying == nil }
