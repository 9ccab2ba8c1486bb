package ring

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"bluerings/tickets"
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
	hashes := make([][16]byte, count)
	for i := range hashes {
		hashes[i] = hash(rnd)
	}
	slices.SortFunc(hashes, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) }) // as they come
	for _, h := range hashes {
		f.add(h)
		if f.lacks(h) {
			t.Fatal("an unfinished filter denies an id")
		}
	}
	if n := len(*f.levels.Load()); n != 3 {
		t.Errorf("%d levels", n)
	}
	f.whole.Store(true)
	for i, h := range hashes {
		if f.lacks(h) {
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

// TestFilterForgetsWhatLeftTheIndex: ids of collected tickets do not fill the
// filter for ever, and none that is in the index is lost from it.
func TestFilterForgetsWhatLeftTheIndex(t *testing.T) {
	n := open(t, Config{Data: t.TempDir() + "/data"})
	defer closeNode(t, n)
	waitUntil(t, "the filter is whole", func() bool { return n.claims.whole.Load() })
	left := [16]byte{15: 1}
	n.claims.add(left)
	add(t, n, "c", "1", "kept")
	if err := n.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := tickets.ClaimHash(tickets.Key{Family: tickets.Counters, Name: "c"}, "kept")
	n.flushing.Lock()
	defer n.flushing.Unlock()
	for _, renewed := range []bool{false, true} {
		if err := n.renewClaims(firstFilterBlocks * idsPerBlock); err != nil {
			t.Fatal(err)
		}
		if n.claims.lacks(left) != renewed || n.claims.lacks(kept) {
			t.Errorf("renewed %v: lacks %v, %v", renewed, n.claims.lacks(left), n.claims.lacks(kept))
		}
	}
}
