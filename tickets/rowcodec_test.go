package tickets

import (
	"bytes"
	"errors"
	"testing"

	"bluerings/hlc"
	"bluerings/value"
)

// FuzzRestore feeds bytes to Restore: an error, or a row that reads the same
// and can be used.
func FuzzRestore(f *testing.F) {
	fix := newFixture(&testing.T{}, 3)
	fix.apply(0, add("x", 10, 20, 1, "i"))
	fix.apply(1, add("x", 12, 0, 1<<62, "i"))
	fix.apply(2, add("x", 13, 0, 1<<62, ""))
	fix.apply(2, add("x", 50, 0, 5, ""))
	fix.apply(0, add("y", 50, 60, 5, ""))
	fix.apply(0, Ticket{Op: TextSet, Name: "t", At: 51, Text: "text", Expire: 99})
	fix.apply(0, Ticket{Op: SetAdd, Name: "s", At: 52, Text: "e", Expire: 99})
	fix.apply(0, Ticket{Op: SetRemove, Name: "s", At: 53, Text: "f"})
	for _, r := range fix.table.TakeDirty().Rows {
		f.Add(r.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, _ := newMemory(value.Integer, nil).restart(lawOrigins[:3], markEvery)
		if err := table.Restore(7, data); err != nil {
			if !errors.Is(err, ErrRow) || table.Len(Counters)+table.Len(Texts)+table.Len(Sets) != 0 {
				t.Fatalf("%v, and %d rows", err, table.Len(Counters))
			}
			return
		}
		var scratch fold
		if again := table.appendRow(nil, 7, &scratch); !bytes.Equal(again, data) {
			t.Fatalf("%x became %x", data, again)
		}
		seen(table, 7)
		table.View(7)
		if table.Restore(7, data) == nil || table.Restore(8, data) == nil || table.Restore(maxSlots, data) == nil {
			t.Fatal("restored twice")
		}
		tk := Ticket{Op: CounterAdd, Name: table.Key(7).Name, Seq: 1 << 62, At: hlc.Never - 1, ID: "i"}
		_, _ = table.Apply(2, &tk) // may fail, must not panic
	})
}
