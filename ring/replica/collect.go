package replica

import (
	"bluerings/hlc"
	"bluerings/tickets"
)

// Gone is a name that was taken out of the table: its tickets may be dropped
// from the ledger.
type Gone struct {
	Key   tickets.Key
	Heads []tickets.Chain // where its tickets are found
}

// Collect takes names out of the table whose life ended before a time, at most
// limit of them, and tells whether there were any. Nobody can extend them any
// more if before is final: an extension would be dated before their expiry.
//
// The next batch puts on record how far names were collected. Only then
// TakeGone hands them over, for else a crash in between would let a read as of
// that time take the gap for nothing.
func (r *Replica) Collect(before hlc.Timestamp, limit int) bool {
	before = min(before, r.final)
	expired := r.table.Expired(before, limit)
	for _, slot := range expired {
		r.gone = append(r.gone, Gone{r.table.Key(slot), r.table.Chains(slot)})
		// A clock ahead of its wall may date a ticket after the expiry it asks
		// for: then only Born lies behind the lives before.
		r.collected = max(r.collected, r.table.Expire(slot), r.table.Born(slot))
		r.table.Forget(slot)
	}
	r.metaDue = r.metaDue || len(expired) > 0
	return len(expired) > 0
}

// TakeGone hands over the names whose collection is on record.
func (r *Replica) TakeGone() []Gone {
	gone := r.droppable
	r.droppable = nil
	return gone
}

// Collected is the latest expiry of a name whose tickets were collected.
func (r *Replica) Collected() hlc.Timestamp { return r.collected }
