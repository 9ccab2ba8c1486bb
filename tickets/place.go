package tickets

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
)

// Place is where a name is in a table, as far as it was looked for. What was
// found stays good while names are added; when names are forgotten it is
// looked for again. So a Place may be kept, and costs one comparison.
type Place struct {
	Key   Key
	hash  uint64
	slot  uint32
	age   uint32 // Table.forgotten when it was looked for
	known bool
	hint  uint32 // what FindAll has touched

	id    string // for which claim is good
	claim [16]byte
}

// Slot is the row of the name; false if there was none.
func (p *Place) Slot() (slot uint32, known bool) { return p.slot, p.known }

// Aim begins to look for a name. It needs no lock: it may run while the table
// changes.
func (t *Table) Aim(key Key) Place {
	return Place{Key: key, hash: maphash.String(t.seed, key.Name)}
}

// ClaimHash is that of the name and an id, which is not empty. It is kept.
func (p *Place) ClaimHash(id string) [16]byte {
	if p.id != id {
		p.id, p.claim = id, ClaimHash(p.Key, id)
	}
	return p.claim
}

// Find looks for a name, unless it was found before.
func (t *Table) Find(p *Place) (slot uint32, known bool) {
	if !p.known || p.age != t.forgotten {
		p.slot, p.known = t.find(t.index[p.Key.Family].of(p.hash), p.hash, p.Key.Name)
		p.age = t.forgotten
	}
	return p.slot, p.known
}

// findTogether is how many names are looked for side by side: enough to keep
// the memory busy, few enough to stay in the nearest cache.
const findTogether = 32

// FindAll looks for many names. A name that was not used lately costs three
// waits for memory, one after the other: its bucket, its row, and its bytes.
// Here the waits of many names overlap, because each pass asks for what does
// not depend on the others.
func (t *Table) FindAll(places []Place) {
	for len(places) > 1 {
		part := places[:min(findTogether, len(places))]
		places = places[len(part):]
		t.touchBuckets(part)
		t.touchRows(part)
		t.touchNames(part)
		for i := range part {
			t.Find(&part[i])
		}
	}
	for i := range places {
		t.Find(&places[i])
	}
}

func (t *Table) touchBuckets(places []Place) {
	for i := range places {
		p := &places[i]
		if x := t.index[p.Key.Family].of(p.hash); x.count > 0 {
			p.hint = x.buckets[p.hash&uint64(len(x.buckets)-1)].passed
		}
	}
}

// noName is no place in the arena.
const noName = ^uint32(0)

// touchRows leaves the place of the first likely name in hint.
func (t *Table) touchRows(places []Place) {
	for i := range places {
		p := &places[i]
		x := t.index[p.Key.Family].of(p.hash)
		p.hint = noName
		if x.count == 0 {
			continue
		}
		b := &x.buckets[p.hash&uint64(len(x.buckets)-1)]
		if low, high := b.match(tagOf(p.hash)); low|uint64(high) != 0 {
			r := t.rows.at(b.slots[first(low, high)])
			// Half of the rows lie in two lines of the cache: both are read. No
			// total is likely to be that one, and if it is, its name is not touched.
			if p.hint = r.name; r.total == math.MinInt64 {
				p.hint = noName
			}
		}
	}
}

func (t *Table) touchNames(places []Place) {
	for i := range places {
		if at := places[i].hint; at != noName {
			places[i].hint = uint32(t.names.chunks[at>>arenaChunkBits][at&(arenaChunk-1)])
		}
	}
}

const (
	everyByte = 0x0101010101010101
	everyHigh = 0x8080808080808080
)

// match marks the high bit of each byte of tags that is tag. A byte behind a
// match may be marked in error, as in every search for a zero byte by
// subtraction.
func (b *bucket) match(tag uint8) (low uint64, high uint32) {
	low = binary.LittleEndian.Uint64(b.tags[:8]) ^ everyByte*uint64(tag)
	low = (low - everyByte) &^ low & everyHigh
	high = binary.LittleEndian.Uint32(b.tags[8:]) ^ everyByte&(1<<32-1)*uint32(tag)
	high = (high - everyByte&(1<<32-1)) &^ high & (everyHigh & (1<<32 - 1))
	return low, high
}

// first is the lowest place marked by match.
func first(low uint64, high uint32) int {
	if low != 0 {
		return bits.TrailingZeros64(low) / 8
	}
	return 8 + bits.TrailingZeros32(high)/8
}

// find looks for a name in an index.
func (t *Table) find(x *index, hash uint64, name string) (uint32, bool) {
	if x.count == 0 {
		return 0, false
	}
	mask, tag := uint64(len(x.buckets)-1), tagOf(hash)
	at := hash & mask
	for range x.buckets {
		b := &x.buckets[at]
		low, high := b.match(tag)
		for low|uint64(high) != 0 {
			slot := b.slots[first(low, high)]
			if t.nameOf(slot) == name {
				return slot, true
			}
			if low != 0 {
				low &= low - 1
			} else {
				high &= high - 1
			}
		}
		if b.passed == 0 {
			break
		}
		at = (at + 1) & mask
	}
	return 0, false
}

// Forgotten changes whenever a name is forgotten, after which its slot may
// stand for another.
func (t *Table) Forgotten() uint32 { return t.forgotten }
