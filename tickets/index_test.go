package tickets

import (
	"fmt"
	"testing"

	"bluerings/hlc"
)

// TestIndexGrowsInParts: no part has much more than its share of the names, so
// none takes long to grow.
func TestIndexGrowsInParts(t *testing.T) {
	const names = 100_000
	table, _ := crowd(t, names)
	most := 0
	for i := range table.index[Counters] {
		most = max(most, table.index[Counters][i].count)
	}
	share := names / len(table.index[Counters])
	if most > share*3/2 || table.Len(Counters) != names {
		t.Fatalf("a part has %d of %d names, its share is %d", most, table.Len(Counters), share)
	}
	for i := range names {
		if slot, known := table.Lookup(Key{Counters, fmt.Sprintf("tenant/%013d", i)}); !known || table.Born(slot) != hlc.Timestamp(i+1) {
			t.Fatalf("name %d is in slot %d, known: %t", i, slot, known)
		}
	}
}
