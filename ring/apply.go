package ring

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
)

// Apply mints tickets for commands and waits until they are durable in the
// sense of the node's durability. The outcomes come in the order of the
// commands; an error means that nothing was attempted.
//
// The wait for the disk does not end with ctx: an update whose answer is not
// awaited is stored all the same.
func (n *Node) Apply(ctx context.Context, cmds []Command) ([]Outcome, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := calls.Get().(*call)
	c.prepare(n.table, cmds)
	err := n.accept(c)
	outcomes := c.outcomes
	c.forget()
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

func (n *Node) accept(c *call) error {
	if n.cfg.Durability.Interval > 0 {
		return n.applyNow(c)
	}
	if err := n.intake.leave(c, n.cfg.MaxWaiting); err != nil {
		return err
	}
	<-c.done
	return c.err
}

// call is what one caller of Apply asks, and is told.
type call struct {
	cmds     []Command
	outcomes []Outcome
	places   []tickets.Place // of the names of cmds
	err      error           // why nothing was attempted
	done     chan struct{}   // one word once answered
}

var calls = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

// prepare does what can be done while nobody waits for the lock.
func (c *call) prepare(table *tickets.Table, cmds []Command) {
	c.cmds, c.outcomes = cmds, make([]Outcome, len(cmds))
	for i := range cmds {
		c.places = append(c.places, table.Aim(tickets.Key{Family: cmds[i].Op.Family(), Name: cmds[i].Name}))
		if id := cmds[i].ID; id != "" {
			c.places[i].ClaimHash(id)
		}
	}
}

// keepPlaces bounds what a call keeps for its next use.
const keepPlaces = 1024

func (c *call) forget() {
	c.cmds, c.outcomes, c.err = nil, nil, nil
	if clear(c.places); cap(c.places) <= keepPlaces {
		c.places = c.places[:0]
	} else {
		c.places = nil
	}
	calls.Put(c)
}

// intake is where callers that wait for the disk leave what they ask, until
// somebody mints all of it at once; and where the answers lie that are to be
// given by somebody with more time than the committer. Its lock is held for
// a few instructions only.
type intake struct {
	mu       sync.Mutex
	left     []*call
	answered []*call
	waiting  int // commands left and not answered
	closed   bool
	ready    chan struct{} // there is something in it
}

// leave puts a call where it will be taken up.
func (in *intake) leave(c *call, most int) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed:
		return ErrClosed
	case in.waiting+len(c.cmds) > most:
		return ErrBusy
	}
	in.waiting += len(c.cmds)
	if in.left = append(in.left, c); len(in.left) == 1 {
		signal(in.ready)
	}
	return nil
}

// take empties the intake into a list.
func (in *intake) take(list []*call) []*call {
	in.mu.Lock()
	defer in.mu.Unlock()
	list = append(list[:0], in.left...)
	clear(in.left)
	in.left = in.left[:0]
	return list
}

// close refuses all later calls.
func (in *intake) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
}

func (in *intake) depth() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.waiting
}

// wake gives callers their answers.
func (in *intake) wake(list []*call) {
	if len(list) == 0 {
		return
	}
	commands := 0
	for _, c := range list {
		commands += len(c.cmds)
	}
	in.mu.Lock()
	in.waiting -= commands
	in.mu.Unlock()
	for _, c := range list {
		c.done <- struct{}{}
	}
}

// wakeLater has them given by mintLoop.
func (in *intake) wakeLater(list []*call) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.answered = append(in.answered, list...)
	signal(in.ready)
}

func (in *intake) wakeAnswered() {
	in.mu.Lock()
	list := in.answered
	in.answered = nil
	in.mu.Unlock()
	in.wake(list)
}

// mintLoop answers and mints while the committer waits for the disk.
func (n *Node) mintLoop() {
	for {
		select {
		case <-n.stop:
			return
		case <-n.intake.ready:
		}
		n.intake.wakeAnswered()
		// Whoever is about to ask for something may do so first: then all is
		// minted at once. Where nobody is, this takes no time.
		runtime.Gosched()
		n.mu.Lock()
		n.takeIn()
		pending := n.replica.Unstored() != 0 && !n.company.waitsWith(n.pendingCalls())
		answered := n.takeAnswered()
		n.mu.Unlock()
		if pending {
			signal(n.kick)
		}
		n.intake.wake(answered)
	}
}

// takeIn mints what lies in the intake. The lock must be held, and takeAnswered
// must follow.
func (n *Node) takeIn() {
	n.taken = n.intake.take(n.taken)
	if len(n.taken) == 0 {
		return
	}
	now := n.now()
	n.called.Store(int64(now.Mono))
	n.findAll(n.taken)
	for _, c := range n.taken {
		if n.dead() {
			c.err = ErrClosed
		} else if batch, _ := n.mint(now, c); batch > 0 {
			w := n.waiter(batch)
			w.calls = append(w.calls, c)
			continue
		} else {
			n.complete(c, n.replica.Time(now), nil)
		}
		n.answered = append(n.answered, c)
	}
	clear(n.taken)
}

// findAll looks for the names of all calls, those of single commands together.
func (n *Node) findAll(list []*call) {
	n.places = n.places[:0]
	for _, c := range list {
		if len(c.places) == 1 {
			n.places = append(n.places, c.places[0])
		} else {
			n.table.FindAll(c.places)
		}
	}
	n.table.FindAll(n.places)
	next := 0
	for _, c := range list {
		if len(c.places) == 1 {
			c.places[0] = n.places[next]
			next++
		}
	}
	clear(n.places)
}

// takeAnswered hands over the calls to be woken once the lock is free.
func (n *Node) takeAnswered() []*call {
	list := n.answered
	n.answered = nil
	return list
}

// mint mints the commands of a call. It returns the last batch they are in, 0
// if none, and how many tickets were minted. The lock must be held.
func (n *Node) mint(now replica.Now, c *call) (batch uint64, minted int) {
	for i := range c.cmds {
		o := &c.outcomes[i]
		r := n.replica.SubmitAt(now, &c.cmds[i], &c.places[i])
		if r.Err != nil {
			o.Err = publicError(r.Err)
			continue
		}
		o.Replayed, o.Created = r.Replayed, r.Created
		batch = max(batch, r.Batch)
		if r.Ticket != nil {
			o.Ticket = *r.Ticket
			if !r.Replayed {
				minted++
			}
		}
	}
	return batch, minted
}

// applyNow is for durability that acknowledges at once.
func (n *Node) applyNow(c *call) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closing.Load() || n.dead():
		return ErrClosed
	case n.waiting+len(c.cmds) > n.cfg.MaxWaiting:
		return ErrBusy
	case n.full:
		return ErrFull
	}
	now := n.now()
	n.called.Store(int64(now.Mono))
	n.table.FindAll(c.places)
	_, minted := n.mint(now, c)
	n.complete(c, n.replica.Time(now), nil)
	if n.waiting += minted; minted > 0 {
		signal(n.kick)
	}
	if n.waiting >= gather {
		signal(n.hurry)
	}
	return nil
}

// gather is how many updates wait for the interval to pass, at the most.
const gather = 1 << 16

// complete fills in the readings, or the error of the commit. The lock must
// be held.
func (n *Node) complete(c *call, now hlc.Timestamp, err error) {
	for i := range c.outcomes {
		o := &c.outcomes[i]
		switch {
		case o.Err != nil:
		case errors.Is(err, ErrClosed) && o.Replayed:
			o.Err = ErrUncertain // as the commit of the ticket that it repeats
		case err != nil:
			o.Err = err
		default:
			if slot, known := n.table.Find(&c.places[i]); known && n.table.Alive(slot, now) {
				n.readSlot(&o.Reading, slot, c.places[i].Key)
			}
		}
	}
}

func publicError(err error) error {
	for _, pair := range [...][2]error{
		{replica.ErrUnknown, ErrUnknown},
		{replica.ErrIDReused, ErrIDReused},
		{replica.ErrReadOnly, ErrReadOnly},
		{replica.ErrValueTooLarge, ErrValueTooLarge},
		{replica.ErrExpireInPast, ErrExpireInPast},
		{replica.ErrNotCoherent, ErrNotCoherent},
	} {
		if errors.Is(err, pair[0]) {
			return pair[1]
		}
	}
	return err
}
