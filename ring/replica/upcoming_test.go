package replica

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// TestUpcomingKnowsTheLastOfEachName plays a log whose tickets are taken in
// ahead of being applied, while names get rows, lose them, and others get
// their slots.
func TestUpcomingKnowsTheLastOfEachName(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		table := tickets.NewTable(value.Integer, nil)
		table.AddOrigin(0, tickets.Origin{Host: "a", Epoch: 1})
		var u upcoming
		last := make(map[tickets.Key]uint64)
		var log []tickets.Ticket
		held := 0
		for range 20_000 {
			switch what := rnd.IntN(100); {
			case what < 60:
				key := tickets.Key{Family: tickets.Counters, Name: fmt.Sprint("name ", rnd.IntN(50+int(seed)*100))}
				seq := uint64(len(log) + 1)
				log = append(log, tickets.Ticket{
					Origin: tickets.Origin{Host: "a", Epoch: 1}, Seq: seq, At: hlc.Timestamp(seq), Op: tickets.CounterAdd,
					Name: key.Name, Amount: value.FromInt64(1), Expire: hlc.Never,
				})
				p := table.Aim(key)
				before, want := u.exchange(table, &p, seq), last[key]
				if before != want && (before != 0 || want > uint64(held)) {
					t.Fatalf("seed %d: ticket %d of %s comes after %d, said %d; %d are applied", seed, seq, key.Name, want, before, held)
				}
				last[key] = seq
			case what < 98 && held < len(log):
				end := held + 1
				if rnd.IntN(500) == 0 {
					end = len(log)
				}
				for ; held < end; held++ {
					if _, err := table.Apply(0, &log[held]); err != nil {
						t.Fatal(err)
					}
				}
				u.prune(uint64(held), uint64(len(log)))
			case held > 0:
				if slot, ok := table.Lookup(log[rnd.IntN(held)].Key()); ok && rnd.IntN(10) == 0 {
					table.Forget(slot)
				}
			}
		}
	}
}
