package tickets

import "unsafe"

// bucketSize makes a bucket one cache line.
const bucketSize = 12

// bucket holds slots whose hashes lead to it or to a bucket before it.
type bucket struct {
	tags   [bucketSize]uint8 // seven bits of the hash and a one; 0: empty
	slots  [bucketSize]uint32
	passed uint32 // slots that found this bucket full and went on
}

// index finds slots by the hash of their names. It is an open hash table of
// buckets; it knows no names, so the table tells whether a slot is meant.
type index struct {
	buckets []bucket // a power of two
	count   int
}

// parts is the index of a family in parts of their own, by other bits of the
// hash than those that lead to a bucket and those of the tag. A part grows
// alone, because nobody can do anything while names find new places: with a
// million of them that took a fifth of a second.
type parts [1 << partBits]index

const partBits = 6

func (p *parts) of(hash uint64) *index { return &p[hash>>(57-partBits)&(1<<partBits-1)] }

// len is how many slots are in it.
func (p *parts) len() (n int) {
	for i := range p {
		n += p[i].count
	}
	return n
}

// bytes is what its buckets take in memory.
func (p *parts) bytes() (n int) {
	for i := range p {
		n += len(p[i].buckets) * int(unsafe.Sizeof(bucket{}))
	}
	return n
}

func tagOf(hash uint64) uint8 { return uint8(hash>>57) | 0x80 }

// full tells whether the index must grow before the next insert.
func (x *index) full() bool { return x.count*5 >= len(x.buckets)*bucketSize*4 }

// grow doubles the buckets; hashOf must know the hash of every slot.
func (x *index) grow(hashOf func(slot uint32) uint64) {
	old := x.buckets
	x.buckets, x.count = make([]bucket, max(1, 2*len(old))), 0
	for i := range old {
		for j, tag := range old[i].tags {
			if tag != 0 {
				x.insert(hashOf(old[i].slots[j]), old[i].slots[j])
			}
		}
	}
}

// insert adds a slot that is not there; the index must not be full.
func (x *index) insert(hash uint64, slot uint32) {
	mask := uint64(len(x.buckets) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		b := &x.buckets[at]
		for i, tag := range b.tags {
			if tag == 0 {
				b.tags[i], b.slots[i] = tagOf(hash), slot
				x.count++
				return
			}
		}
		b.passed++
	}
}

// remove takes out a slot that is there.
func (x *index) remove(hash uint64, slot uint32) {
	mask, tag := uint64(len(x.buckets)-1), tagOf(hash)
	for at := hash & mask; ; at = (at + 1) & mask {
		b := &x.buckets[at]
		for i, have := range b.tags {
			if have == tag && b.slots[i] == slot {
				b.tags[i] = 0
				x.count--
				return
			}
		}
		b.passed--
	}
}
