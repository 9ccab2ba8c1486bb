package ring

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func TestClaimFilterForgetsNothing(t *testing.T) {
	const seed, count = 1, 600_000 // three levels
	hash := func(rnd *rand.ChaCha8) (h [16]byte) {
		binary.LittleEndian.PutUint64(h[:], rnd.Uint64())
		binary.LittleEndian.PutUint64(h[8:], rnd.Uint64())
		return h
	}
	var f claimFilter
	rnd := rand.NewChaCha8([32]byte{seed})
	for range count {
		h := hash(rnd)
		f.add(h)
		if f.lacks(h) {
			t.Fatal("an unfinished filter denies an id")
		}
	}
	if n := len(*f.levels.Load()); n != 3 {
		t.Errorf("%d levels", n)
	}
	f.whole.Store(true)
	for rnd, i := rand.NewChaCha8([32]byte{seed}), 0; i < count; i++ {
		if f.lacks(hash(rnd)) {
			t.Fatalf("seed %d: id %d is denied", seed, i)
		}
	}
	mistaken := 0
	for range count { // goes on where adding ended
		if !f.lacks(hash(rnd)) {
			mistaken++
		}
	}
	if share := float64(mistaken) / count; share > 0.03 {
		t.Errorf("%.3f of the ids that were never added would be looked for", share)
	}
}
