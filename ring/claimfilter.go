package ring

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"bluerings/ring/replica"
)

// claimFilter tells of most ids that are not in the index that they are not,
// so that a new id costs no look at the disk. It is a split block Bloom filter
// (Putze, Sanders and Singler 2007; Apache Parquet has the form used here): one
// bit in each of the eight words of one block. It grows by levels of double size
// (Almeida et al. 2007, without the tightening), and takes 1.5 to 3 bytes an id. It is
// made anew when most ids in it have left the index with their tickets.
//
// Ids are added before the table lets go of them; those of former runs are
// added in the background after the start, and until then it knows nothing.
type claimFilter struct {
	levels atomic.Pointer[[]*filterLevel]
	whole  atomic.Bool // all that is in the index was added
	adding sync.Mutex
	added  int // since it was made
	gone   int // of them, which left the index
}

type filterBlock [8]atomic.Uint32

type filterLevel struct {
	blocks []filterBlock // a power of two
	room   int           // ids that may still be added
}

const (
	firstFilterBlocks = 1 << 13
	idsPerBlock       = 21 // about one in 200 that were never added looks as if it was
)

// lacks tells that an id is certainly not in the index.
func (f *claimFilter) lacks(hash [16]byte) bool {
	if !f.whole.Load() {
		return false
	}
	if levels := f.levels.Load(); levels != nil {
		for _, l := range *levels {
			if l.has(hash) {
				return false
			}
		}
	}
	return true
}

// add takes in the hash of an id.
func (f *claimFilter) add(hash [16]byte) {
	f.adding.Lock()
	defer f.adding.Unlock()
	f.added++
	var levels []*filterLevel
	if p := f.levels.Load(); p != nil {
		levels = *p
	}
	n := len(levels)
	if n == 0 || levels[n-1].room == 0 {
		size := firstFilterBlocks << n
		grown := append(levels[:n:n], &filterLevel{blocks: make([]filterBlock, size), room: size * idsPerBlock})
		f.levels.Store(&grown)
		levels, n = grown, n+1
	}
	if levels[n-1].add(hash) {
		levels[n-1].room--
	}
}

// place goes by the second half of a hash: hashes come in their order, so that
// those of one level have much of the first half in common.
func (l *filterLevel) place(hash [16]byte) (block *filterBlock, bits uint64) {
	spread := binary.LittleEndian.Uint64(hash[8:])
	return &l.blocks[spread&uint64(len(l.blocks)-1)], spread >> 24
}

func (l *filterLevel) has(hash [16]byte) bool {
	block, bits := l.place(hash)
	for i := range block {
		if block[i].Load()&(1<<(bits>>(5*i)&31)) == 0 {
			return false
		}
	}
	return true
}

// add returns false where nothing changed.
func (l *filterLevel) add(hash [16]byte) (changed bool) {
	block, bits := l.place(hash)
	for i := range block {
		bit := uint32(1) << (bits >> (5 * i) & 31)
		if block[i].Load()&bit == 0 {
			block[i].Or(bit)
			changed = true
		}
	}
	return changed
}

// fillClaims adds what the index held at the start.
func (n *Node) fillClaims() {
	err := n.store.EachClaim(func(c replica.Claim) error {
		n.claims.add(c.Hash)
		if n.closing.Load() {
			return ErrClosed
		}
		return nil
	})
	switch {
	case err == nil:
		n.claims.whole.Store(true)
	case !n.closing.Load():
		n.log.Warn("ids will be looked for on disk", "err", err)
	}
}

// renewClaims makes the filter anew if most of what was added to it left the
// index, now so many more. Only a checkpoint that is done may call it: nobody
// else adds, and the table holds what the index has not.
func (n *Node) renewClaims(left int) error {
	f := &n.claims
	if f.gone += left; !f.whole.Load() || f.gone <= max(f.added/2, firstFilterBlocks*idsPerBlock) {
		return nil
	}
	fresh := new(claimFilter)
	err := n.store.EachClaim(func(c replica.Claim) error {
		fresh.add(c.Hash)
		if n.closing.Load() {
			return ErrClosed
		}
		return nil
	})
	if n.closing.Load() {
		return nil // its last use
	}
	if err == nil {
		f.levels.Store(fresh.levels.Load())
		f.added, f.gone = fresh.added, 0
	}
	return err
}
