package simulator

import (
	"slices"
	"time"

	"bluerings/ring/replica"
)

// waiter is what waits for a batch.
type waiter struct {
	batch uint64
	done  func(stored bool)
}

func (n *node) wait(batch uint64, done func(stored bool)) {
	n.waiting = append(n.waiting, waiter{batch, done})
}

// release tells those who wait for batches through number.
func (n *node) release(number uint64, stored bool) bool {
	waiting := n.waiting
	n.waiting = nil
	for _, w := range waiting {
		if w.batch > number {
			n.waiting = append(n.waiting, w)
			continue
		}
		if !n.effect() {
			return false
		}
		w.done(stored)
	}
	return true
}

// commit starts to make durable what has accumulated, unless it is at that.
func (n *node) commit() {
	if n.writing != nil || n.sim.now < n.pause {
		return
	}
	if b := n.replica.SealBatch(n.now()); b != nil {
		n.writing, n.written = b, false
		if n.effect() {
			n.store(b)
		}
	}
}

func (n *node) store(b *replica.Batch) {
	s, life := n.sim, n.life
	most := s.plan.DiskTime
	if s.calm {
		most = min(most, 5*time.Millisecond)
	}
	wait := n.rng.between(100*time.Microsecond, most) + n.rng.between(0, n.slowDisk)
	if n.full {
		wait += 20 * time.Millisecond
	}
	s.in(wait, func() {
		switch {
		case n.life != life || !n.up:
		case n.full && n.async():
			s.in(200*time.Millisecond, func() {
				if n.life == life && n.up {
					n.store(b)
				}
			})
		case n.full:
			n.do(life, func() { n.refused(b) })
		default: // the disk works on while the process is paused
			b.Encode() // late, as a node does: it must not matter what goes on meanwhile
			n.disk.commit(s, b)
			n.written = true
			s.stored(n, b)
			s.in(n.rng.between(0, 100*time.Microsecond), func() { n.do(life, func() { n.persisted(b) }) })
		}
	})
}

func (n *node) persisted(b *replica.Batch) {
	s := n.sim
	n.writing = nil
	n.proceed(n.replica.Persisted(n.now(), b.Number))
	n.early = slices.DeleteFunc(n.early, func(op *operation) bool { return s.isStored(op) })
	if !n.release(b.Number, true) {
		return
	}
	life := n.life
	if every := s.plan.Interval[n.index]; every > 0 {
		n.pause = s.now + every
		s.in(every, func() { n.do(life, n.after) })
	}
	if n.after(); n.closing && n.life == life && n.up && n.replica.Unstored() == 0 {
		n.end()
	}
}

// proceed applies what is durable, a portion at a time; other things happen in
// between.
func (n *node) proceed(more bool, err error) {
	s, life := n.sim, n.life
	if err != nil {
		s.fail("stored", "%s cannot fold what it has: %v", n.host, err)
	}
	if more {
		s.in(n.rng.between(0, 50*time.Microsecond), func() {
			n.do(life, func() {
				n.proceed(n.replica.Proceed(n.now()))
				n.after()
			})
		})
	}
}

// refused is what becomes of a batch when there is no room: it is gone, and
// with it whatever was minted after it.
func (n *node) refused(b *replica.Batch) {
	s := n.sim
	s.Result.Refusals++
	s.tracef("%s has no room for batch %d", n.host, b.Number)
	n.writing = nil
	if err := n.replica.Refused(b.Number); err != nil {
		s.fail("stored", "%s: %v", n.host, err)
	}
	if n.release(b.Number+1, false) {
		n.after()
	}
}
