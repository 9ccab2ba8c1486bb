package ring

import (
	"context"
	"errors"
	"runtime"
	"time"

	"bluerings/hlc"
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
	w, err := n.submit(call{cmds, outcomes})
	if err != nil {
		return nil, err
	}
	if w != nil {
		signal(n.kick)
		<-w.done
	}
	return outcomes, nil
}

// call is what one caller of Apply asked, and is told.
type call struct {
	cmds     []Command
	outcomes []Outcome
}

// complete fills in the readings, or the error of the commit. The lock must
// be held.
func (n *Node) complete(c call, now hlc.Timestamp, err error) {
	for i := range c.outcomes {
		o := &c.outcomes[i]
		switch {
		case o.Err != nil:
		case err != nil:
			o.Err = err
		default:
			o.Reading, _ = n.reading(tickets.Key{Family: c.cmds[i].Op.Family(), Name: c.cmds[i].Name}, now)
		}
	}
}

// submit mints under the lock and finds the batch to wait for, if any.
func (n *Node) submit(c call) (*waiter, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing.Load() {
		return nil, ErrClosed
	}
	select {
	case <-n.failed:
		return nil, ErrUncertain // nobody would answer
	default:
	}
	if n.waiting+len(c.cmds) > n.cfg.MaxWaiting {
		return nil, ErrBusy
	}
	if n.full && n.cfg.Durability.Interval > 0 {
		return nil, ErrFull
	}
	now := n.now()
	coherent := n.replica.Coherent(now)
	last, before := uint64(0), n.waiting
	for i := range c.cmds {
		cmd, o := &c.cmds[i], &c.outcomes[i]
		if cmd.RequireCoherence && !coherent {
			o.Err = ErrNotCoherent
			continue
		}
		r := n.replica.Submit(now, &replica.Command{
			Op: cmd.Op, Name: cmd.Name, Amount: cmd.Amount, Text: cmd.Text, Expire: cmd.Expire, ID: cmd.ID, Ref: cmd.Ref,
		})
		if r.Err != nil {
			o.Err = publicError(r.Err)
			continue
		}
		o.Ticket, o.Replayed, o.Created = r.Ticket, r.Replayed, r.Created
		last = max(last, r.Batch)
		if !r.Replayed && r.Ticket.Seq > 0 {
			n.waiting++
		}
	}
	if n.cfg.Durability.Interval == 0 && last > 0 {
		w := n.waiter(last)
		w.calls = append(w.calls, c)
		return w, nil
	}
	n.complete(c, now.Wall, nil)
	if n.waiting > before {
		signal(n.kick)
	}
	if n.waiting >= gather {
		signal(n.hurry)
	}
	return nil, nil
}

// gather is how many updates wait for the interval to pass, at the most.
const gather = 1 << 16

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
			// Those whose answers just left may have more: one commit for
			// all of them is cheaper than two.
			runtime.Gosched()
		}
		if d := n.cfg.Durability.Interval; d > 0 {
			select {
			case <-n.stop:
				return
			case <-time.After(d):
			case <-n.hurry:
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
	more := false
	if err == nil {
		more, err = n.replica.Persisted(n.now(), batch.Number)
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
		n.fail(err) // under the lock: whoever comes later is told
		n.release(batch.Number+1, ErrUncertain)
		n.unlockAndSend()
		return false
	}
	if err := n.begunAnew(batch); err != nil {
		n.log.Warn("the mark of a restored directory could not be taken away", "err", err)
	}
	n.release(batch.Number, nil)
	n.waiting -= ownTickets(batch, n.replica)
	for more && err == nil {
		n.unlockAndSend()
		runtime.Gosched() // callers come first
		n.mu.Lock()
		more, err = n.replica.Proceed(n.now())
	}
	delays := n.replica.Delays()
	n.unlockAndSend()
	for _, d := range delays {
		n.meters.remote.Observe(d.Seconds())
	}
	if err != nil {
		n.fail(err)
	}
	return err == nil
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
	now := n.Now()
	for b, w := range n.waiters {
		if b <= number {
			w.err = err
			for _, c := range w.calls {
				n.complete(c, now, err)
			}
			close(w.done)
			delete(n.waiters, b)
		}
	}
}

// fail reports that the node cannot go on. Only the committer calls it.
func (n *Node) fail(err error) {
	select {
	case <-n.failed:
		return // it was told
	default:
	}
	n.log.Error("the disk failed, the node has to stop", "err", err)
	n.failure = err
	close(n.failed)
	n.fatal <- err
}

// settle waits until everything that was accepted is durable.
func (n *Node) settle(ctx context.Context) error {
	n.mu.Lock()
	number := n.replica.Unstored()
	if number == 0 {
		n.mu.Unlock()
		return nil
	}
	w := n.waiter(number)
	n.mu.Unlock()
	signal(n.kick)
	signal(n.hurry)
	select {
	case <-w.done:
		return w.err
	case <-n.failed:
		return n.failure
	case <-ctx.Done():
		return ctx.Err()
	}
}
