package ring

import (
	"context"
	"errors"
	"time"

	"bluerings/ring/boltstore"
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
	outcomes := make([]Outcome, len(cmds))
	w, err := n.submit(cmds, outcomes)
	if err != nil {
		return nil, err
	}
	if w != nil {
		signal(n.kick)
		<-w.done
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	for i := range outcomes {
		o := &outcomes[i]
		if w != nil && w.err != nil && o.Err == nil {
			o.Err = w.err
		}
		if o.Err == nil {
			o.Reading, _ = n.reading(tickets.Key{Family: cmds[i].Op.Family(), Name: cmds[i].Name})
		}
	}
	return outcomes, nil
}

// submit mints under the lock and finds the batch to wait for, if any.
func (n *Node) submit(cmds []Command, outcomes []Outcome) (*waiter, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing.Load() {
		return nil, ErrClosed
	}
	if n.waiting+len(cmds) > n.cfg.MaxWaiting {
		return nil, ErrBusy
	}
	if n.full && n.cfg.Durability.Interval > 0 {
		return nil, ErrFull
	}
	now := n.now()
	coherent := n.replica.Coherent(now)
	last, minted := uint64(0), false
	for i := range cmds {
		c := &cmds[i]
		if c.RequireCoherence && !coherent {
			outcomes[i].Err = ErrNotCoherent
			continue
		}
		r := n.replica.Submit(now, &replica.Command{
			Op: c.Op, Name: c.Name, Amount: c.Amount, Text: c.Text, Expire: c.Expire, ID: c.ID, Ref: c.Ref,
		})
		outcomes[i] = Outcome{Err: publicError(r.Err), Ticket: r.Ticket, Replayed: r.Replayed, Created: r.Created}
		last = max(last, r.Batch)
		if r.Err == nil && !r.Replayed && r.Ticket.Seq > 0 {
			minted = true
			n.waiting++
		}
	}
	if n.cfg.Durability.Interval > 0 {
		if minted {
			signal(n.kick)
		}
		return nil, nil
	}
	if last == 0 {
		return nil, nil
	}
	return n.waiter(last), nil
}

func (n *Node) waiter(batch uint64) *waiter {
	w, ok := n.waiters[batch]
	if !ok {
		w = &waiter{done: make(chan struct{})}
		n.waiters[batch] = w
	}
	return w
}

func publicError(err error) error {
	for _, pair := range [...][2]error{
		{replica.ErrUnknown, ErrUnknown},
		{replica.ErrIDReused, ErrIDReused},
		{replica.ErrReadOnly, ErrReadOnly},
		{replica.ErrValueTooLarge, ErrValueTooLarge},
		{replica.ErrExpireInPast, ErrExpireInPast},
	} {
		if errors.Is(err, pair[0]) {
			return pair[1]
		}
	}
	return err
}

// commitLoop makes durable what has accumulated, one transaction at a time.
func (n *Node) commitLoop() {
	for {
		select {
		case <-n.stop:
			return
		case <-n.kick:
		}
		for n.commit() {
		}
		if d := n.cfg.Durability.Interval; d > 0 && !n.urgent.Load() {
			select {
			case <-n.stop:
				return
			case <-time.After(d):
			}
			for n.commit() {
			}
		}
	}
}

// commit persists one batch. It returns false when there was none, or when it
// could not be stored.
func (n *Node) commit() bool {
	n.mu.Lock()
	batch := n.replica.NextBatch(n.now())
	n.mu.Unlock()
	if batch == nil {
		return false
	}
	begun := time.Now()
	err := n.store.Commit(batch)
	n.meters.committed(time.Since(begun), batch)
	for errors.Is(err, boltstore.ErrNoSpace) && n.cfg.Durability.Interval > 0 {
		if !n.retryLater(err) {
			return false
		}
		err = n.store.Commit(batch)
	}
	n.mu.Lock()
	if err == nil {
		err = n.replica.Persisted(n.now(), batch.Number)
		n.commits.Add(1)
		n.setFull(false)
	} else if errors.Is(err, boltstore.ErrNoSpace) {
		n.setFull(true)
		n.log.Warn("no room on disk", "err", err)
		if refused := n.replica.Refused(batch.Number); refused == nil {
			n.release(batch.Number+1, ErrFull)
			n.waiting = 0
			n.unlockAndSend()
			return false
		}
	}
	if err != nil {
		n.release(batch.Number+1, ErrUncertain)
		n.unlockAndSend()
		n.fail(err)
		return false
	}
	if err := n.begunAnew(batch); err != nil {
		n.log.Warn("the mark of a restored directory could not be taken away", "err", err)
	}
	n.release(batch.Number, nil)
	n.waiting -= ownTickets(batch, n.replica)
	n.unlockAndSend()
	return true
}

// begunAnew takes the mark of a restored directory away, once the log of its
// new life is durable.
func (n *Node) begunAnew(b *replica.Batch) error {
	if !n.store.Restored() {
		return nil
	}
	for _, o := range b.Origins {
		if n.replica.Owns(o.Index) {
			return n.store.ClearRestored()
		}
	}
	return nil
}

// retryLater waits a while for room on the disk.
func (n *Node) retryLater(err error) bool {
	n.mu.Lock()
	if !n.full {
		n.log.Warn("no room on disk: what was acknowledged waits in memory", "err", err)
	}
	n.setFull(true)
	n.mu.Unlock()
	select {
	case <-n.stop:
		return false
	case <-time.After(200 * time.Millisecond):
		return true
	}
}

func (n *Node) setFull(full bool) {
	if n.full && !full {
		n.log.Info("there is room on disk again")
	}
	n.full = full
}

func ownTickets(b *replica.Batch, r *replica.Replica) int {
	own := 0
	for i := range b.Blocks {
		if r.Owns(b.Blocks[i].Origin) {
			own += int(b.Blocks[i].Last - b.Blocks[i].First + 1)
		}
	}
	return own
}

// release tells everybody who waits for batches through number. The lock must
// be held.
func (n *Node) release(number uint64, err error) {
	for b, w := range n.waiters {
		if b <= number {
			w.err = err
			close(w.done)
			delete(n.waiters, b)
		}
	}
}

// fail reports that the node cannot go on.
func (n *Node) fail(err error) {
	n.log.Error("the disk failed, the node has to stop", "err", err)
	select {
	case n.fatal <- err:
	default:
	}
}

// settle waits until everything that was accepted is durable.
func (n *Node) settle(ctx context.Context) error {
	n.urgent.Store(true)
	defer n.urgent.Store(false)
	n.mu.Lock()
	number := n.replica.Unstored()
	if number == 0 {
		n.mu.Unlock()
		return nil
	}
	w := n.waiter(number)
	n.mu.Unlock()
	signal(n.kick)
	select {
	case <-w.done:
		return w.err
	case err := <-n.fatal:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
