package replica

import (
	"encoding/binary"
	"errors"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// Command is one change asked of this node. Its texts are checked already.
type Command struct {
	Op     tickets.Op
	Name   string
	Amount value.Number
	Text   string
	Expire hlc.Timestamp
	ID     string
	Ref    string
}

// Receipt is what became of a command. It is durable once batch Batch is; 0
// means at once.
type Receipt struct {
	Err      error
	Ticket   tickets.Ticket
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
	promise hlc.Timestamp
	stored  bool // and the tickets of others in it are being applied
	// What the tickets in it will have done, for commands that follow.
	ids     map[[16]byte]int // index in own
	expires map[tickets.Key]hlc.Timestamp
}

type takenRun struct {
	index          tickets.OriginIndex
	run            *tickets.Run
	encoded, links []byte
	applied        int  // tickets
	flooded        bool // came by itself: tells how long that takes
}

func (b *batch) empty() bool { return len(b.origins) == 0 && b.own.count == 0 && len(b.runs) == 0 }

// ownTickets are the tickets minted for a batch, in the parts that become
// blocks. A part never grows, so nothing is copied, and is used again.
type ownTickets struct {
	parts [][]tickets.Ticket // each of maxBlockTickets, but the last
	count int
}

// add makes room for one more ticket.
func (o *ownTickets) add(r *Replica) *tickets.Ticket {
	if o.count%maxBlockTickets == 0 {
		o.parts = append(o.parts, r.sparePart())
	}
	o.count++
	part := &o.parts[len(o.parts)-1]
	*part = (*part)[:len(*part)+1]
	return &(*part)[len(*part)-1]
}

func (o *ownTickets) at(k int) *tickets.Ticket {
	return &o.parts[k/maxBlockTickets][k%maxBlockTickets]
}

func (o *ownTickets) last() *tickets.Ticket { return o.at(o.count - 1) }

func (r *Replica) sparePart() []tickets.Ticket {
	n := len(r.spare)
	if n == 0 {
		return make([]tickets.Ticket, 0, maxBlockTickets)
	}
	part := r.spare[n-1]
	r.spare = r.spare[:n-1]
	return part
}

// recycle keeps some of the parts of a batch that is done with.
func (r *Replica) recycle(o *ownTickets) {
	for _, part := range o.parts[:min(len(o.parts), maxSpareParts-len(r.spare))] {
		clear(part) // what its strings point at is free to go
		r.spare = append(r.spare, part[:0])
	}
	*o = ownTickets{}
}

// Submit mints a ticket for a command, or says why not. The ticket goes into
// the next batch.
func (r *Replica) Submit(now Now, c *Command) Receipt {
	if !r.cfg.Updates {
		return Receipt{Err: ErrReadOnly}
	}
	if r.failed != nil {
		return Receipt{Err: r.failed}
	}
	if c.Expire != 0 && c.Expire <= now.Wall {
		return Receipt{Err: ErrExpireInPast}
	}
	key := tickets.Key{Family: c.Op.Family(), Name: c.Name}
	var claim [16]byte
	if c.ID != "" {
		claim = tickets.ClaimHash(key, c.ID)
		if receipt, known := r.replay(now, key, claim, c); known {
			return receipt
		}
	}
	alive, expire, err := r.alive(key, now, c)
	if err != nil {
		return Receipt{Err: err}
	}
	if !alive && c.Expire == 0 {
		return Receipt{Err: ErrUnknown}
	}
	if alive && c.ID == "" && (c.Op == tickets.CounterSetup || c.Op == tickets.TextSetup || c.Op == tickets.SetSetup) && c.Expire <= expire {
		return Receipt{Batch: r.pendingBatch(key)} // says nothing new
	}
	if r.own < 0 {
		r.newLife = true
		r.decideEpoch()
	}
	l := &r.logs[r.own]
	l.taken++
	t := r.batch.own.add(r)
	*t = tickets.Ticket{
		Origin: l.origin, Seq: l.taken, At: r.clock.Next(now.Wall), Op: c.Op, Name: c.Name,
		Amount: c.Amount, Text: c.Text, Expire: c.Expire, ID: c.ID, Ref: c.Ref,
	}
	l.last = t.At
	if err := r.keep(t, key, claim); err != nil {
		return Receipt{Err: err}
	}
	return Receipt{Ticket: *t, Batch: r.numbers + 1, Created: !alive}
}

// keep notes what the ticket added last to the batch does.
func (r *Replica) keep(t *tickets.Ticket, key tickets.Key, claim [16]byte) error {
	b := &r.batch
	if r.cfg.Async {
		b.links = binary.AppendUvarint(b.links, r.linkOf(key, tickets.OriginIndex(r.own), t.Seq))
		if err := r.apply(tickets.OriginIndex(r.own), t); err != nil {
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
			b.expires[key] = max(b.expires[key], t.Expire)
		}
	}
	b.bytes += len(t.Name) + len(t.Text) + len(t.ID) + len(t.Ref) + 16
	return nil
}

func (r *Replica) linkOf(key tickets.Key, i tickets.OriginIndex, seq uint64) uint64 {
	if back := r.table.Back(key, i); back > 0 {
		return seq - back
	}
	return 0
}

// alive tells whether the name is known, counting what is on its way to the
// disk, and until when it lives.
func (r *Replica) alive(key tickets.Key, now Now, c *Command) (bool, hlc.Timestamp, error) {
	var expire hlc.Timestamp
	at := max(now.Wall, r.clock.Last()+1) // what would be minted
	if slot, ok := r.table.Lookup(key); ok && r.table.Alive(slot, at) {
		expire = r.table.Expire(slot)
		if at <= r.table.Born(slot) {
			// A host whose clock we do not follow made it known. Our ticket
			// counts only if it carries the expiry along.
			c.Expire = max(c.Expire, expire)
		}
		if c.Op == tickets.CounterAdd {
			if n := r.table.Total(slot).Digits(r.cfg.Kind); n > tickets.MaxValueDigits {
				return false, 0, ErrValueTooLarge
			}
		}
	}
	if r.flying != nil {
		expire = max(expire, r.flying.expires[key])
	}
	expire = max(expire, r.batch.expires[key])
	return expire >= at, expire, nil
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
func (r *Replica) replay(now Now, key tickets.Key, claim [16]byte, c *Command) (Receipt, bool) {
	original, number, known, err := r.original(now, key, claim, c.ID)
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
	return Receipt{Ticket: original, Batch: number, Replayed: true}, true
}

func (r *Replica) original(now Now, key tickets.Key, claim [16]byte, id string) (tickets.Ticket, uint64, bool, error) {
	if i, ok := r.batch.ids[claim]; ok {
		return *r.batch.own.at(i), r.numbers + 1, true, nil
	}
	if r.flying != nil {
		if i, ok := r.flying.ids[claim]; ok {
			return *r.flying.own.at(i), r.flying.number, true, nil
		}
	}
	// Ids are unique within one life of a name.
	slot, known := r.table.Lookup(key)
	if !known || !r.table.Alive(slot, now.Wall) {
		return tickets.Ticket{}, 0, false, nil
	}
	ref, known, err := r.table.ClaimOf(key, id)
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
