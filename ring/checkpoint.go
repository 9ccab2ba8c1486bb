package ring

import (
	"context"
	"math"
	"runtime"
	"time"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

// When the index is brought up to date: what is newer is folded again at the
// next start, which takes about half a microsecond a ticket. Writing rows costs
// several times that, so it waits until there is nothing else to do, or until
// the start would take long, or memory fill.
const (
	checkpointLook  = time.Second
	checkpointEvery = 5 * time.Minute
	// checkpointRetry is how long after a failure it is tried again.
	checkpointRetry = 30 * time.Second
	// maxTail is how many tickets are left to fold, and maxClaims how many ids
	// stay in memory, about.
	maxTail   = 1_500_000
	maxClaims = 500_000
	// farBehind is how many tickets a node lacks that takes its time for all
	// this: it waits patience times as long, holds so many times as much, and
	// spares the disk, which has all the names again to write each time.
	farBehind = 200_000
	patience  = 4
	// maxLastRows is how many rows, each in a page of its own, are written when
	// the node closes; where more changed, folding is quicker, unless the index
	// is as good as empty and lacks foldedAtOnce tickets or more for each row.
	// Then all of up to mostLastRows are written one after the other, in about
	// half a microsecond each, if there is lastRowTime for each.
	maxLastRows  = 20_000
	foldedAtOnce = 3
	mostLastRows = 1_500_000
	lastRowTime  = 4 * time.Microsecond
	// tiring is after how many tickets what was needed for them is given back
	// when the node is idle, as it is after the start.
	tiring = 10_000
	// rowsTogether are encoded under the lock at once, in about 0.2 ms.
	rowsTogether = 512
	// stepItems is some 2 MB.
	stepItems = 16 << 10
	stepRest  = 2
	// indexTime is how long writing the index may take, the rests included.
	indexTime = 10 * time.Minute
)

func (n *Node) checkpointLoop() {
	ticker := time.NewTicker(n.cfg.look)
	defer ticker.Stop()
	last, looked, failed := time.Now(), time.Now(), time.Time{}
	seen, rested := n.stored(), uint64(math.MaxUint64)
	for {
		select {
		case <-n.stop:
			return
		case <-n.draining:
			return
		case <-ticker.C:
		}
		since := time.Since(looked)
		if since < n.cfg.look/2 {
			continue // the look before came late
		}
		looked = time.Now()
		stored := n.stored()
		// Where the look itself is late, the process may have been stopped, and
		// work wait for it.
		idle := stored == seen && since < 2*n.cfg.look
		seen = stored
		rows, claims := n.unflushed()
		if idle && rows == 0 && claims == 0 && (rested > stored || stored-rested >= tiring) {
			n.rest()
			rested = stored
		}
		if rows == 0 && claims == 0 || time.Since(failed) < checkpointRetry || !idle && !n.due(claims, time.Since(last)) {
			continue
		}
		ctx, cancel := n.untilDrained(indexTime)
		err := n.checkpoint(ctx)
		cancel()
		switch {
		case err == nil:
			last = time.Now()
		case !n.closing.Load():
			n.log.Warn("the index could not be written, it will be tried again", "err", err)
			failed = time.Now()
		}
	}
}

// due tells whether the index should be brought up to date although there is
// other work.
func (n *Node) due(claims int, since time.Duration) bool {
	n.mu.RLock()
	lacks := n.replica.Lacks()
	n.mu.RUnlock()
	times := 1
	if lacks > farBehind {
		times = patience
	}
	return n.tail() >= uint64(times)*maxTail || claims >= times*maxClaims || since >= time.Duration(times)*checkpointEvery
}

// rest gives back memory that the next work will ask for again.
func (n *Node) rest() {
	n.mu.Lock()
	n.replica.Rest()
	n.shelf.clear()
	n.mu.Unlock()
	n.store.Rest()
	if n.cfg.Rested != nil {
		n.cfg.Rested()
	}
}

// untilDrained is a context for what need not be finished: it ends when the
// node begins to close.
func (n *Node) untilDrained(limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	n.done.Go(func() {
		select {
		case <-n.stop:
			cancel()
		case <-n.draining:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}

// stored is how many tickets the table has taken in.
func (n *Node) stored() uint64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.replica.Counts().Stored
}

func (n *Node) unflushed() (rows, claims int) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	rows, claims = n.table.Unflushed()
	return rows, claims + len(n.orphans)
}

// lastCheckpoint makes the next start quicker, unless it would take longer
// itself. Nothing is lost where time does not suffice.
func (n *Node) lastCheckpoint(ctx context.Context) error {
	rows, _ := n.unflushed()
	if rows > maxLastRows && !n.worthWriting(ctx, rows) {
		return nil
	}
	err := n.checkpoint(ctx)
	if err != nil && ctx.Err() != nil {
		n.log.Info("closed before the index was written: the next start takes longer", "err", err)
		return nil
	}
	return err
}

// worthWriting tells whether a node that closes should write so many rows.
func (n *Node) worthWriting(ctx context.Context, rows int) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < time.Duration(rows)*lastRowTime {
		return false
	}
	tail := n.tail()
	return rows <= mostLastRows && tail >= foldedAtOnce*uint64(rows) && n.indexed <= tail // in steps, see anew
}

// tail is how many tickets the index lacks.
func (n *Node) tail() uint64 {
	n.flushing.Lock()
	defer n.flushing.Unlock()
	n.mu.RLock()
	defer n.mu.RUnlock()
	return total(n.replica.Covers()) - n.indexed
}

// checkpoint writes what changed to the index. The index must not know of
// tickets that the ledger lacks, so it waits for them first.
func (n *Node) checkpoint(ctx context.Context) error {
	n.flushing.Lock()
	defer n.flushing.Unlock()
	changed, claims := n.unflushed()
	if changed == 0 && claims == 0 {
		return nil
	}
	n.mu.Lock()
	flush := n.table.BeginFlush()
	covers, orphans := n.replica.Covers(), n.orphans
	n.mu.Unlock()
	last := &replica.Checkpoint{Covers: covers, Claims: n.unclaimed(flush, orphans)}
	if err := n.settle(ctx); err != nil {
		return err
	}
	var err error
	if last.Drop, err = n.orphaned(orphans); err != nil {
		return err
	}
	dropped := len(last.Drop)
	if n.anew(covers) && changed+claims > n.cfg.stepItems {
		err = n.inSteps(ctx, flush, last)
	} else {
		_, err = n.encodeRows(ctx, flush, last, math.MaxInt)
	}
	if err != nil {
		return err
	}
	n.mu.RLock()
	marks := flush.Marks()
	n.mu.RUnlock()
	for _, m := range marks {
		last.Marks = append(last.Marks, replica.Mark(m))
	}
	if err := n.store.Checkpoint(ctx, last); err != nil {
		return err
	}
	n.indexed = total(covers)
	n.mu.Lock()
	n.table.Flushed()
	n.orphans = n.orphans[len(orphans):]
	n.mu.Unlock()
	return n.renewClaims(dropped)
}

// anew tells whether at least half of what the index is to cover is not in it.
// Then it may be lost for as long as it is being written: folding the rest of
// the tickets too would no more than double the time of a start.
func (n *Node) anew(covers []uint64) bool { return n.indexed <= total(covers)/2 }

func total(covers []uint64) (tickets uint64) {
	for _, seq := range covers {
		tickets += seq
	}
	return tickets
}

// unclaimed are the ids that the index lacks, but for those whose tickets were
// collected meanwhile.
func (n *Node) unclaimed(flush *tickets.Flush, orphans []replica.Claim) (list []replica.Claim) {
	collected := make(map[replica.Claim]bool, len(orphans))
	for _, claim := range orphans {
		collected[claim] = true
	}
	for _, claim := range flush.Claims() {
		if claim := replica.Claim(claim); !collected[claim] {
			list = append(list, claim)
			n.claims.add(claim.Hash)
		}
	}
	return list
}

// inSteps writes rows and ids in transactions of their own, before the last
// one says what the index covers: until then it is of no use to a start. That
// holds a step in memory rather than all of it, and the disk is free for
// commits in between: while there is other work, the index is written a third
// of the time.
func (n *Node) inSteps(ctx context.Context, flush *tickets.Flush, last *replica.Checkpoint) error {
	n.indexed = 0
	drop := last.Drop // first: a new life of a name may have taken an id again
	last.Drop = nil
	for more := true; more; {
		began, stored := time.Now(), n.stored()
		step := &replica.Checkpoint{Drop: drop}
		drop = nil
		var err error
		if more, err = n.encodeRows(ctx, flush, step, n.cfg.stepItems); err != nil {
			return err
		}
		if err := n.step(ctx, step, began, stored); err != nil {
			return err
		}
	}
	for len(last.Claims) > n.cfg.stepItems {
		began, stored := time.Now(), n.stored()
		step := &replica.Checkpoint{Claims: last.Claims[:n.cfg.stepItems]}
		last.Claims = last.Claims[n.cfg.stepItems:]
		if err := n.step(ctx, step, began, stored); err != nil {
			return err
		}
	}
	return nil
}

// step writes a step that began when so many tickets were stored, and rests
// stepRest times as long as it took if there are more now.
func (n *Node) step(ctx context.Context, step *replica.Checkpoint, began time.Time, stored uint64) error {
	if err := n.store.Checkpoint(ctx, step); err != nil {
		return err
	}
	if n.stored() == stored {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(stepRest * time.Since(began)):
		return nil
	}
}

// encodeRows appends rows to a checkpoint, about limit of them, and tells
// whether there are more.
func (n *Node) encodeRows(ctx context.Context, flush *tickets.Flush, c *replica.Checkpoint, limit int) (more bool, err error) {
	var rows []tickets.RowAt
	for more = true; more && len(c.Rows) < limit; {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n.mu.Lock()
		rows, more = flush.Rows(rows[:0], min(rowsTogether, limit-len(c.Rows)))
		n.mu.Unlock()
		for _, row := range rows {
			c.Rows = append(c.Rows, replica.Row(row))
		}
		runtime.Gosched()
	}
	return more, nil
}

// orphaned are the ids that still belong to collected tickets in the index: a
// new life of the name may have taken one since. Nobody but checkpoints, one
// at a time, changes the index.
func (n *Node) orphaned(orphans []replica.Claim) (drop [][16]byte, err error) {
	for _, o := range orphans {
		ref, found, err := n.store.Claim(o.Hash)
		if err != nil {
			return nil, err
		}
		if found && ref == o.Ref {
			drop = append(drop, o.Hash)
		}
	}
	return drop, nil
}
