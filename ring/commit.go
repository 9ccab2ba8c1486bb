package ring

import (
	"context"
	"errors"
	"math"
	"runtime"
	"time"

	"bluerings/ring/boltstore"
	"bluerings/ring/replica"
)

// waiter is who waits for a batch.
type waiter struct {
	calls []*call
	done  chan struct{} // of those who wait without a call; made when first asked for
	err   error
}

// waiter finds or makes the waiter of a batch. The lock must be held.
func (n *Node) waiter(batch uint64) *waiter {
	w, ok := n.waiters[batch]
	if !ok {
		w = new(waiter)
		n.waiters[batch] = w
	}
	return w
}

// await is waiter for somebody who will wait until it is done.
func (n *Node) await(batch uint64) *waiter {
	w := n.waiter(batch)
	if w.done == nil {
		w.done = make(chan struct{})
	}
	return w
}

// commitLoop makes durable what has accumulated, one transaction at a time.
// While one is on its way to the disk, mintLoop prepares the next.
func (n *Node) commitLoop() {
	interval := n.cfg.Durability.Interval
	for {
		select {
		case <-n.stop:
			return
		case <-n.kick:
		}
		for batch := n.nextBatch(); batch != nil; {
			batch = n.commit(batch)
		}
		if interval > 0 {
			select {
			case <-n.stop:
				return
			case <-time.After(interval):
			case <-n.hurry:
			}
		}
	}
}

// nextBatch seals what has accumulated, if anything.
func (n *Node) nextBatch() *replica.Batch {
	n.mu.Lock()
	n.takeIn()
	var batch *replica.Batch
	if !n.company.waitsWith(n.pendingCalls()) {
		batch = n.replica.SealBatch(n.now())
	}
	answered := n.takeAnswered()
	n.mu.Unlock()
	n.intake.wake(answered)
	return batch
}

// commit persists a batch. It returns the next, if that need not wait.
func (n *Node) commit(batch *replica.Batch) (next *replica.Batch) {
	batch.Encode() // while others may have the lock
	begun := time.Now()
	err := n.store.Commit(batch)
	took := time.Since(begun)
	n.meters.committed(took, batch)
	for errors.Is(err, boltstore.ErrNoSpace) && n.cfg.Durability.Interval > 0 {
		if !n.retryLater(err) {
			return nil
		}
		err = n.store.Commit(batch)
	}
	n.mu.Lock()
	more, answered := false, 0
	if err == nil {
		more, err = n.persisted(batch)
	} else if errors.Is(err, boltstore.ErrNoSpace) {
		n.setFull(true)
		n.log.Warn("no room on disk", "err", err)
		if n.replica.Refused(batch.Number) == nil {
			n.waiting = 0
			n.finish(batch.Number+1, ErrFull)
			return nil
		}
	}
	if err == nil {
		n.takeIn()
		before := len(n.answered) // those who need no commit
		n.release(batch.Number, nil)
		answered = len(n.answered) - before
		err = n.proceed(more)
	}
	if err != nil {
		n.fail(err) // under the lock: whoever comes later is told
		n.release(batch.Number, ErrUncertain)
		n.finish(batch.Number+1, ErrClosed) // it was not begun, and never will be
		return nil
	}
	return n.goOn(took, answered)
}

// proceed applies what others sent in the batch that is durable, a portion at
// a time, and lets go of the lock in between. The lock must be held.
func (n *Node) proceed(more bool) (err error) {
	for more && err == nil {
		answered := n.takeAnswered()
		n.unlockAndSend()
		n.intake.wake(answered)
		runtime.Gosched() // callers come first
		n.mu.Lock()
		more, err = n.replica.Proceed(n.now())
	}
	return err
}

// goOn seals the next batch, if it need not wait, gives the answers and lets
// go of the lock. The batch before took so long, and answered so many calls.
func (n *Node) goOn(took time.Duration, answered int) (next *replica.Batch) {
	switch {
	case n.cfg.Durability.Interval > 0:
	case n.replica.MayGather():
		n.kickLater()
	case !n.replica.Crowded() && n.awaitsCompany(took, answered):
	default:
		next = n.replica.SealBatch(n.now())
	}
	calls, delays := n.takeAnswered(), n.replica.Delays()
	n.unlockAndSend()
	for _, d := range delays {
		n.meters.remote.Observe(d.Seconds())
	}
	if next != nil {
		n.intake.wakeLater(calls) // the disk first
		return next
	}
	n.intake.wake(calls)
	// Those whose answers just left may have more: one commit for all of them
	// is cheaper than two.
	runtime.Gosched()
	return nil
}

// awaitsCompany tells whether the next commit waits for more callers, and sees
// to it that the wait ends.
func (n *Node) awaitsCompany(took time.Duration, answered int) bool {
	patience := n.company.expect(took, answered, n.pendingCalls())
	if patience == 0 {
		return false
	}
	round := n.company.round
	time.AfterFunc(patience, func() {
		n.mu.Lock()
		over := n.company.giveUp(round)
		n.mu.Unlock()
		if over {
			signal(n.kick)
		}
	})
	return true
}

// pendingCalls are those that wait for the next batch. The lock must be held.
func (n *Node) pendingCalls() int {
	if w, ok := n.waiters[n.replica.NextNumber()]; ok {
		return len(w.calls)
	}
	return 0
}

// gatherGiven is how long tickets given on request wait for more of them to go
// to the disk with.
const gatherGiven = 10 * time.Millisecond

// kickLater has what accumulates committed in a while.
func (n *Node) kickLater() {
	if !n.gathering.Swap(true) {
		time.AfterFunc(gatherGiven, func() {
			n.gathering.Store(false)
			signal(n.kick)
		})
	}
}

// persisted takes in that a batch is durable. The lock must be held.
func (n *Node) persisted(batch *replica.Batch) (more bool, err error) {
	if more, err = n.replica.Persisted(n.now(), batch.Number); err != nil {
		return false, err
	}
	n.commits.Add(1)
	n.setFull(false)
	if n.cfg.Durability.Interval > 0 {
		n.waiting -= ownTickets(batch, n.replica)
	}
	if err := n.begunAnew(batch); err != nil {
		n.log.Warn("the mark of a restored directory could not be taken away", "err", err)
	}
	return more, nil
}

// finish tells everybody who waits for batches through number that it ends
// here, and lets go of the lock.
func (n *Node) finish(number uint64, err error) {
	n.release(number, err)
	answered := n.takeAnswered()
	n.unlockAndSend()
	n.intake.wake(answered)
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

// release answers everybody who waits for batches through number. The lock
// must be held, and takeAnswered must follow.
func (n *Node) release(number uint64, err error) {
	now := n.time()
	for b, w := range n.waiters {
		if b > number {
			continue
		}
		for _, c := range w.calls {
			n.complete(c, now, err)
		}
		n.answered = append(n.answered, w.calls...)
		if w.err = err; w.done != nil {
			close(w.done)
		}
		delete(n.waiters, b)
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
	n.takeIn()
	number := n.replica.Unstored()
	var w *waiter
	if number > 0 {
		w = n.await(number)
	}
	answered := n.takeAnswered()
	n.mu.Unlock()
	n.intake.wake(answered)
	if w == nil {
		return nil
	}
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

// abandon answers whoever still waits when all loops have ended: that is
// somebody only where the disk failed or the time for closing was too short.
func (n *Node) abandon() {
	n.mu.Lock()
	n.finish(math.MaxUint64, ErrUncertain)
	n.intake.wakeAnswered()
}

// dead tells whether the disk failed, so that nobody would answer any more.
func (n *Node) dead() bool {
	select {
	case <-n.failed:
		return true
	default:
		return false
	}
}
