package ring

import (
	"runtime"
	"time"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

const (
	// maxBulk is how much may wait for the slowest good subscriber, in bytes,
	// before stretches wait: what is flooded stands behind it.
	maxBulk = 1 << 20
	// Blocks below smallBlock, in bytes, are put together until they have
	// about fullRun bytes, so that a log written in many small commits is not
	// given in as many messages.
	smallBlock = 8 << 10
	fullRun    = 32 << 10
	// mostTogether is how many numbers a run of several blocks covers.
	mostTogether = 4096
)

// While a node has callers of its own, it gives the tickets that others lack no
// faster than so: whoever takes them in may share its processors and its disk,
// and what is flooded need not stand behind them. Where it stores more itself,
// it gives half as many again, or nobody would ever catch up.
const (
	givenPerSecond      = 400_000  // tickets
	givenBytesPerSecond = 64 << 20 // of their encoding
	// calledLately is how long after an update there may be another.
	calledLately = time.Second
	// manyGifts are so many requests that whoever asked may lose patience.
	manyGifts = 32
)

// mayTakeItsTime tells whether what is given should be paced.
func (n *Node) mayTakeItsTime() bool {
	return n.now().Mono-time.Duration(n.called.Load()) < calledLately && len(n.gifts) < manyGifts
}

// forwardLoop floods on what has to be read from the store first.
func (n *Node) forwardLoop() { n.publishAll(n.forwards, new(pacer)) }

// giveLoop answers requests.
func (n *Node) giveLoop() { n.publishAll(n.gifts, new(pacer)) }

func (n *Node) publishAll(queue chan replica.Stretch, p *pacer) {
	for {
		select {
		case <-n.stop:
			return
		case s := <-queue:
			if err := n.publishStretch(s, p); err != nil {
				n.log.Warn("a range could not be published", "topic", s.Topic, "err", err)
			}
		}
	}
}

// pacer spreads over time what is given.
type pacer struct {
	free    time.Time // when all before is paid for
	stored  uint64    // tickets that the node had taken in at
	counted time.Time
	rate    float64 // tickets that may be given in a second, since then
}

// heed counts once a second how many tickets the node takes in itself.
func (p *pacer) heed(now time.Time, stored func() uint64) {
	since := now.Sub(p.counted)
	if since < time.Second {
		return
	}
	before := p.stored
	p.stored, p.counted, p.rate = stored(), now, givenPerSecond
	if since < time.Minute { // else it had been at rest
		p.rate = max(p.rate, 1.5*float64(p.stored-before)/since.Seconds())
	}
}

// rest is how long to wait before so much is given.
func (p *pacer) rest(now time.Time, count uint64, bytes int) time.Duration {
	const slack = 2 * time.Millisecond // a timer may be late by that
	relief := max(1, p.rate/givenPerSecond)
	cost := max(time.Duration(count)*time.Second/givenPerSecond, time.Duration(bytes)*time.Second/givenBytesPerSecond)
	cost = time.Duration(float64(cost) / relief)
	if earliest := now.Add(-slack); p.free.Before(earliest) {
		p.free = earliest
	}
	wait := p.free.Sub(now)
	p.free = p.free.Add(cost)
	return max(0, wait)
}

func (n *Node) publishStretch(s replica.Stretch, p *pacer) error {
	b := bulk{n: n, s: s, pace: p}
	err := n.store.Blocks(s.Origin, s.From, s.To, b.add)
	if err != nil {
		return err
	}
	b.flush()
	return nil
}

// bulk publishes the blocks of a stretch.
type bulk struct {
	n     *Node
	s     replica.Stretch
	pace  *pacer
	small *tickets.Run // of blocks put together, or nil
	bytes int          // that they had
}

func (b *bulk) add(block replica.Block) (more bool, err error) {
	first, last := max(block.First, b.s.From), min(block.Last, b.s.To)
	whole := first == block.First && last == block.Last
	if len(block.Run) >= smallBlock {
		run := block.Run
		if !whole {
			if run, err = cutRun(b.n.kind, run, first, last); err != nil {
				return false, err
			}
		}
		return b.flush() && b.publish(run, first, last), nil
	}
	run, err := tickets.DecodeRun(b.n.kind, block.Run)
	if err != nil {
		return false, err
	}
	run = run.Cut(first, last)
	if b.small != nil && last-b.small.First >= mostTogether && !b.flush() {
		return false, nil
	}
	if b.small == nil {
		b.small = run
	} else {
		b.small.Last = run.Last
		b.small.Tickets = append(b.small.Tickets, run.Tickets...)
	}
	if b.bytes += len(block.Run); b.bytes >= fullRun {
		return b.flush(), nil
	}
	return true, nil
}

// flush publishes what was put together; false where the node stops.
func (b *bulk) flush() bool {
	run := b.small
	if run == nil {
		return true
	}
	b.small, b.bytes = nil, 0
	return b.publish(tickets.NewEncoder(b.n.kind).AppendRun(nil, run), run.First, run.Last)
}

func (b *bulk) publish(run []byte, first, last uint64) bool {
	n := b.n
	for n.bus.Backlog() > maxBulk {
		if !n.pause(time.Millisecond) {
			return false
		}
	}
	if b.s.Given && n.mayTakeItsTime() {
		now := time.Now()
		b.pace.heed(now, n.stored)
		if !n.pause(b.pace.rest(now, last-first+1, len(run))) {
			return false
		}
	}
	message := n.replica.Frame(run, b.s.Given)
	n.bus.Publish(b.s.Topic, message)
	if b.s.Given {
		n.meters.repairBytes.Add(float64(len(message)))
	}
	n.sent.Add(1)
	n.sentTix.Add(last - first + 1)
	runtime.Gosched() // callers come first
	return true
}

// pause returns false where the node stops meanwhile.
func (n *Node) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-n.stop:
		return false
	case <-time.After(d):
		return true
	}
}
