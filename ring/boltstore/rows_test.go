package boltstore

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"bluerings/ring/replica"
)

// TestRowsAreAMap holds checkpoints of rows against a map: in any order, some
// slots twice, removed, never there.
func TestRowsAreAMap(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	s := mustOpen(t, t.TempDir(), options())
	want := make(map[uint32]string)
	for round := range 60 {
		var c replica.Checkpoint
		for range rng.IntN(200) {
			r := replica.Row{Slot: rng.Uint32N(300)}
			if rng.IntN(10) == 0 {
				r.Slot = ^uint32(0) - rng.Uint32N(40)
			}
			if delete(want, r.Slot); rng.IntN(3) > 0 {
				r.Data = fmt.Append([]byte{}, r.Slot, make([]byte, rng.IntN(1+rng.IntN(300))))
				want[r.Slot] = string(r.Data)
			}
			c.Rows = append(c.Rows, r)
		}
		if err := s.Checkpoint(context.Background(), &c); err != nil {
			t.Fatal(err)
		}
		got := make(map[uint32]string)
		var slots []uint32
		if err := s.EachRow(func(r replica.Row) error {
			got[r.Slot] = string(r.Data)
			slots = append(slots, r.Slot)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got, want) || !slices.IsSorted(slots) {
			t.Fatalf("seed %d, round %d: %d rows in the order %d, want %d", seed, round, len(got), slots, len(want))
		}
	}
}

// FuzzRows gives what a damaged disk might to the reader of rows. The checksum
// is right, as if the bytes had been damaged before it was made.
func FuzzRows(f *testing.F) {
	f.Add([]byte{0, 0, 0, 9}, merge(nil, group{}, []replica.Row{{Slot: 146, Data: []byte("row")}, {Slot: 159, Data: []byte("other")}}))
	f.Add([]byte{0xff, 0, 0, 0}, []byte{0, 0})
	f.Fuzz(func(t *testing.T, key, rows []byte) {
		g, err := decodeGroup(key, seal(slices.Clone(rows), 0, tagRow, key))
		if err != nil {
			wantError(t, err, ErrDamaged)
			return
		}
		var list []replica.Row
		if err := g.each(func(r replica.Row) error {
			if got := groupOf(r.Slot); string(got[:]) != string(key) {
				t.Fatalf("slot %d under %x", r.Slot, key)
			}
			list = append(list, r)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if again, err := decodeGroup(key, seal(merge(nil, group{}, list), 0, tagRow, key)); err != nil || len(again.rows) > len(rows) {
			t.Fatalf("%x became %x, %v", rows, again.rows, err)
		}
	})
}
