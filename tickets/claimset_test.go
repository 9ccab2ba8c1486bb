package tickets

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestClaimSetIsAMap compares it with one, with hashes that have much in common.
func TestClaimSetIsAMap(t *testing.T) {
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		var set claimSet
		want := make(map[[16]byte]Ref)
		for range 30_000 {
			var hash [16]byte
			binary.LittleEndian.PutUint64(hash[8*rnd.IntN(2):], rnd.Uint64N(1<<(3+seed))<<(rnd.IntN(3)*20))
			if ref, found := set.get(&hash); found != (want[hash] != Ref{}) || ref != want[hash] {
				t.Fatalf("seed %d: %x is %v, %v; want %v", seed, hash, ref, found, want[hash])
			}
			if rnd.IntN(2) == 0 {
				ref := Ref{OriginIndex(rnd.IntN(3)), 1 + rnd.Uint64N(1000)}
				set.put(hash, ref)
				want[hash] = ref
			}
		}
		if set.count != len(want) {
			t.Errorf("seed %d: %d ids, want %d", seed, set.count, len(want))
		}
		set.each(func(hash [16]byte, ref Ref) {
			if want[hash] != ref {
				t.Fatalf("seed %d: lists %x as %v, want %v", seed, hash, ref, want[hash])
			}
			delete(want, hash)
		})
		if len(want) > 0 {
			t.Errorf("seed %d: %d ids are not listed", seed, len(want))
		}
	}
	if size := unsafe.Sizeof(claimCell{}); size != claimCellBytes {
		t.Errorf("a cell takes %d bytes", size)
	}
}
