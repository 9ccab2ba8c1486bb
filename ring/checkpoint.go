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
	checkpointEvery = 30 * time.Second
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
	// the node closes; where more changed, folding is quicker.
	maxLastRows = 20_000
	// tiring is after how many tickets what was needed for them is given back
	// when the node is idle, as it is after the start.
	tiring = 10_000
	// rowsTogether are encoded under the lock at once, in about 0.2 ms.
	rowsTogether = 512
)

func (n *Node) checkpointLoop() {
	ticker := time.NewTicker(checkpointLook)
	defer ticker.Stop()
	last, written := time.Now(), n.stored()
	seen, rested := written, uint64(math.MaxUint64)
	for {
		select {
		case <-n.stop:
			return
		case <-n.draining:
			return
		case <-ticker.C:
		}
		stored := n.stored()
		idle := stored == seen
		seen = stored
		rows, claims := n.unflushed()
		if idle && rows == 0 && claims == 0 && (rested > stored || stored-rested >= tiring) {
			n.rest()
			rested = stored
		}
		if rows == 0 && claims == 0 || !idle && !n.due(stored-written, claims, time.Since(last)) {
			continue
		}
		ctx, cancel := n.untilDrained(time.Minute)
		if err := n.checkpoint(ctx); err != nil && !n.closing.Load() {
			n.log.Warn("the index could not be written, it will be tried again", "err", err)
		}
		cancel()
		last, written = time.Now(), stored
	}
}

// due tells whether the index should be brought up to date although there is
// other work.
func (n *Node) due(tail uint64, claims int, since time.Duration) bool {
	n.mu.RLock()
	lacks := n.replica.Lacks()
	n.mu.RUnlock()
	times := 1
	if lacks > farBehind {
		times = patience
	}
	return tail >= uint64(times)*maxTail || claims >= times*maxClaims || since >= time.Duration(times)*checkpointEvery
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
// itself.
func (n *Node) lastCheckpoint(ctx context.Context) error {
	if rows, _ := n.unflushed(); rows > maxLastRows {
		return nil
	}
	return n.checkpoint(ctx)
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
	c := &replica.Checkpoint{Covers: n.replica.Covers(), Rows: make([]replica.Row, 0, changed)}
	orphans := n.orphans
	n.mu.Unlock()
	collected := make(map[replica.Claim]bool, len(orphans))
	for _, claim := range orphans {
		collected[claim] = true
	}
	for _, claim := range flush.Claims() {
		if claim := replica.Claim(claim); !collected[claim] {
			c.Claims = append(c.Claims, claim)
			n.claims.add(claim.Hash)
		}
	}
	var rows []tickets.RowAt
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n.mu.Lock()
		rows, more = flush.Rows(rows[:0], rowsTogether)
		n.mu.Unlock()
		for _, row := range rows {
			c.Rows = append(c.Rows, replica.Row(row))
		}
		runtime.Gosched()
	}
	n.mu.RLock()
	marks := flush.Marks()
	n.mu.RUnlock()
	for _, m := range marks {
		c.Marks = append(c.Marks, replica.Mark(m))
	}
	if err := n.settle(ctx); err != nil {
		return err
	}
	var err error
	if c.Drop, err = n.orphaned(orphans); err != nil {
		return err
	}
	if err := n.store.Checkpoint(ctx, c); err != nil {
		return err
	}
	n.mu.Lock()
	n.table.Flushed()
	n.orphans = n.orphans[len(orphans):]
	n.mu.Unlock()
	return n.renewClaims(len(c.Drop))
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
