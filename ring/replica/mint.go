package replica

import (
	"encoding/binary"
	"errors"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// Command is one change asked of this node: what a ticket will say, before it
// has an origin, a number and a timestamp. Its texts are checked already.
type Command struct {
	Op     tickets.Op
	Name   string
	Amount value.Number  // CounterAdd
	Text   string        // see tickets.Ticket
	Expire hlc.Timestamp // absolute; 0 says nothing
	ID     string
	Ref    string
	// RequireCoherence refuses the command with ErrNotCoherent, unapplied,
	// when the ring is not coherent.
	RequireCoherence bool
}

// Receipt is what became of a command. It is durable once batch Batch is; 0
// means at once.
type Receipt struct {
	Err      error
	Ticket   *tickets.Ticket // nil where none was minted
	Batch    uint64
	Replayed bool
	Created  bool
}

// Why a command is refused.
var (
	ErrUnknown       = errors.New("this name is not known")
	ErrIDReused      = errors.New("this id was used for another change")
	ErrReadOnly      = errors.New("this node takes no updates of its own")
	ErrValueTooLarge = errors.New("the value would exceed the limit of digits")
	ErrExpireInPast  = errors.New("expire is not in the future")
	ErrNotCoherent   = errors.New("the ring is not coherent")
)

// batch is a Batch in the making, with what is applied once it is durable.
type batch struct {
	number  uint64
	origins []NewOrigin
	own     ownTickets
	links   []byte  // Async: made at minting
	blocks  []Block // own, as persisted
	runs    []takenRun
	bytes   int
	flooded bool // some of runs
	promise hlc.Timestamp
	others  hlc.Timestamp // how far the promises of others in it reach
	stored  bool          // and the tickets of others in it are being applied
	gone    []Gone
	seals   []tickets.OriginIndex // logs of ours that it seals
	// What the tickets in it will have done, for commands that follow.
	ids     map[[16]byte]int // index in own
	expires map[tickets.Key]hlc.Timestamp
}

type takenRun struct {
	index          tickets.OriginIndex
	run            *tickets.Run
	encoded, links []byte
	places         []tickets.Place // of the names
	applied        int             // tickets
	flooded        bool            // came by itself: tells how long that takes
}

func (b *batch) empty() bool { return len(b.origins) == 0 && b.own.count == 0 && len(b.runs) == 0 }

// ownTickets are the tickets minted for a batch, in the parts that become
// blocks. A part never grows, so nothing is copied, and is used again.
type ownTickets struct {
	parts []part
	count int
}

// part has maxBlockTickets tickets, the last of a batch maybe less, and the
// places of their names.
type part struct {
	tickets []tickets.Ticket
	places  []tickets.Place
}

// add makes room for one more ticket.
func (o *ownTickets) add(r *Replica, p *tickets.Place) (*tickets.Ticket, *tickets.Place) {
	if o.count%maxBlockTickets == 0 {
		o.parts = append(o.parts, r.sparePart())
	}
	n := o.count % maxBlockTickets
	o.count++
	last := &o.parts[len(o.parts)-1]
	last.tickets, last.places = last.tickets[:n+1], append(last.places, *p)
	return &last.tickets[n], &last.places[n]
}

func (o *ownTickets) at(k int) *tickets.Ticket {
	return &o.parts[k/maxBlockTickets].tickets[k%maxBlockTickets]
}

func (o *ownTickets) last() *tickets.Ticket { return o.at(o.count - 1) }

func (r *Replica) sparePart() part {
	n := len(r.spare)
	if n == 0 {
		return part{make([]tickets.Ticket, 0, maxBlockTickets), make([]tickets.Place, 0, maxBlockTickets)}
	}
	spare := r.spare[n-1]
	r.spare = r.spare[:n-1]
	return spare
}

// recycle keeps some of the parts of a batch that is done with.
func (r *Replica) recycle(o *ownTickets) {
	for _, p := range o.parts[:min(len(o.parts), maxSpareParts-len(r.spare))] {
		clear(p.tickets) // what its strings point at is free to go
		clear(p.places)
		r.spare = append(r.spare, part{p.tickets[:0], p.places[:0]})
	}
	*o = ownTickets{}
}

// Rest lets go of what is kept only for its next use.
func (r *Replica) Rest() { r.spare = nil }

// Submit mints a ticket for a command, or says why not. The ticket goes into
// the next batch.
func (r *Replica) Submit(now Now, c *Command) Receipt {
	p := r.table.Aim(tickets.Key{Family: c.Op.Family(), Name: c.Name})
	receipt := r.SubmitAt(now, c, &p)
	if receipt.Ticket != nil {
		t := *receipt.Ticket
		receipt.Ticket = &t
	}
	return receipt
}

// SubmitAt is Submit for a command whose name was looked for already; p must
// be the place of its name. The ticket in the receipt is valid until the next
// call of the replica.
func (r *Replica) SubmitAt(now Now, c *Command, p *tickets.Place) Receipt {
	if err := r.refusal(now, c); err != nil {
		return Receipt{Err: err}
	}
	var claim [16]byte
	if c.ID != "" {
		claim = p.ClaimHash(c.ID)
		if receipt, known := r.replay(now, p, claim, c); known {
			return receipt
		}
	}
	alive, lives, carry, err := r.alive(p, now, c)
	if err != nil {
		return Receipt{Err: err}
	}
	if !alive && carry == 0 {
		return Receipt{Err: ErrUnknown}
	}
	if alive && c.ID == "" && (c.Op == tickets.CounterSetup || c.Op == tickets.TextSetup || c.Op == tickets.SetSetup) && carry <= lives {
		return Receipt{Batch: r.pendingBatch(p.Key)} // says nothing new
	}
	if r.own < 0 {
		r.newLife = true
		r.decideEpoch()
	}
	l := &r.logs[r.own]
	l.taken++
	t, place := r.batch.own.add(r, p)
	t.Origin, t.Seq, t.At, t.Op, t.Name = l.origin, l.taken, r.clock.Next(now.Wall), c.Op, c.Name
	t.Amount, t.Text, t.Expire, t.ID, t.Ref = c.Amount, c.Text, carry, c.ID, c.Ref
	l.last = t.At
	if err := r.keep(t, place, claim); err != nil {
		return Receipt{Err: err}
	}
	return Receipt{Ticket: t, Batch: r.numbers + 1, Created: !alive}
}

// refusal is why a command cannot be taken, whatever its name is.
func (r *Replica) refusal(now Now, c *Command) error {
	switch {
	case !r.cfg.Updates:
		return ErrReadOnly
	case r.failed != nil:
		return r.failed
	case c.RequireCoherence && !r.Coherent(now):
		return ErrNotCoherent
	case c.Expire != 0 && c.Expire <= r.next(now):
		return ErrExpireInPast
	}
	return nil
}

// Time is the wall clock, or what this node has dated, observed or promised last
// where that is later: nothing is minted before it. What is final has passed.
func (r *Replica) Time(now Now) hlc.Timestamp { return max(now.Wall, r.clock.Last(), r.final) }

// next is when a ticket minted now would be dated. A life that ended by then,
// though not by a wall clock that was set back, would end before it began.
func (r *Replica) next(now Now) hlc.Timestamp { return max(now.Wall, r.clock.Last()+1) }

// keep notes what the ticket added last to the batch does.
func (r *Replica) keep(t *tickets.Ticket, p *tickets.Place, claim [16]byte) error {
	b := &r.batch
	if r.cfg.Async {
		b.links = binary.AppendUvarint(b.links, r.linkOf(p, tickets.OriginIndex(r.own), t.Seq))
		if err := r.apply(p, tickets.OriginIndex(r.own), t); err != nil {
			r.failed = err
			return err
		}
	} else {
		if t.ID != "" {
			if b.ids == nil {
				b.ids = make(map[[16]byte]int)
			}
			b.ids[claim] = b.own.count - 1
		}
		if t.Expire != 0 {
			if b.expires == nil {
				b.expires = make(map[tickets.Key]hlc.Timestamp)
			}
			b.expires[p.Key] = max(b.expires[p.Key], t.Expire)
		}
	}
	b.bytes += len(t.Name) + len(t.Text) + len(t.ID) + len(t.Ref) + 16
	return nil
}

func (r *Replica) linkOf(p *tickets.Place, i tickets.OriginIndex, seq uint64) uint64 {
	slot, known := r.table.Find(p)
	if !known {
		return 0
	}
	if back := r.table.BackAt(slot, i); back > 0 {
		return seq - back
	}
	return 0
}

// alive tells whether the name is known, counting what is on its way to the
// disk, until when it lives, and what expiry the ticket has to carry.
func (r *Replica) alive(p *tickets.Place, now Now, c *Command) (alive bool, lives, carry hlc.Timestamp, err error) {
	carry = c.Expire
	at := r.next(now)
	if slot, ok := r.table.Find(p); ok && r.table.Alive(slot, at) {
		lives = r.table.Expire(slot)
		if at <= r.table.Born(slot) {
			// A host whose clock we do not follow made it known. Our ticket
			// counts only if it carries the expiry along.
			carry = max(carry, lives)
		}
		if c.Op == tickets.CounterAdd {
			if n := r.table.Total(slot).Digits(r.cfg.Kind); n > tickets.MaxValueDigits {
				return false, 0, 0, ErrValueTooLarge
			}
		}
	}
	if r.flying != nil && len(r.flying.expires) > 0 {
		lives = max(lives, r.flying.expires[p.Key])
	}
	if len(r.batch.expires) > 0 {
		lives = max(lives, r.batch.expires[p.Key])
	}
	return lives >= at, lives, carry, nil
}

// pendingBatch is the batch that a command which changes nothing must wait
// for, so that what it was told is durable.
func (r *Replica) pendingBatch(key tickets.Key) uint64 {
	if r.cfg.Async {
		return 0
	}
	if _, ok := r.batch.expires[key]; ok {
		return r.numbers + 1
	}
	if r.flying != nil {
		if _, ok := r.flying.expires[key]; ok {
			return r.flying.number
		}
	}
	return 0
}

// replay answers a command whose id is known.
func (r *Replica) replay(now Now, p *tickets.Place, claim [16]byte, c *Command) (Receipt, bool) {
	original, number, known, err := r.original(now, p, claim, c.ID)
	if err != nil {
		return Receipt{Err: err}, true
	}
	if !known {
		return Receipt{}, false
	}
	want := tickets.Ticket{Op: c.Op, Amount: c.Amount, Text: c.Text}
	if !original.Same(&want, r.cfg.Kind) {
		return Receipt{Err: ErrIDReused}, true
	}
	r.counts.Replayed++
	return Receipt{Ticket: &original, Batch: number, Replayed: true}, true
}

func (r *Replica) original(now Now, p *tickets.Place, claim [16]byte, id string) (tickets.Ticket, uint64, bool, error) {
	if i, ok := r.batch.ids[claim]; ok {
		return *r.batch.own.at(i), r.numbers + 1, true, nil
	}
	if r.flying != nil {
		if i, ok := r.flying.ids[claim]; ok {
			return *r.flying.own.at(i), r.flying.number, true, nil
		}
	}
	// Ids are unique within one life of a name.
	slot, known := r.table.Find(p)
	if !known || !r.table.Alive(slot, r.next(now)) {
		return tickets.Ticket{}, 0, false, nil
	}
	ref, known, err := r.table.ClaimOf(p.Key, id)
	if err != nil || !known {
		return tickets.Ticket{}, 0, false, err
	}
	t, _, pending := r.Pending(ref)
	if !pending {
		t, _, err = r.past.Ticket(ref)
	}
	if errors.Is(err, tickets.ErrCollected) || t.At < r.table.Born(slot) {
		return tickets.Ticket{}, 0, false, nil
	}
	return t, 0, err == nil, err
}

// Pending finds a ticket of our own that counts already but is not in the
// store yet, which only happens with Config.Async, and its link.
func (r *Replica) Pending(ref tickets.Ref) (t tickets.Ticket, link uint64, ok bool) {
	if !r.cfg.Async || int(ref.Origin) != r.own {
		return t, 0, false
	}
	for _, b := range [...]*batch{r.flying, &r.batch} {
		if b == nil || b.own.count == 0 || ref.Seq < b.own.at(0).Seq || ref.Seq > b.own.last().Seq {
			continue
		}
		k := int(ref.Seq - b.own.at(0).Seq)
		link, _ = binary.Uvarint(b.links[skipVarints(b.links, k):])
		return *b.own.at(k), link, true
	}
	return t, 0, false
}
