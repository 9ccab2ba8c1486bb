package tickets

import (
	"encoding/binary"
	"hash/maphash"
)

// claimSet says which ticket an id belongs to. It is an open hash table that
// asks memory for one line an id, and is made of shards that grow one by one, so that
// nobody waits for all of it to grow. The hashes are spread anew by a secret
// factor, because whoever chooses ids chooses their hashes.
type claimSet struct {
	shards []claimShard // claimShards of them, or none while it is empty
	factor uint64       // odd
	count  int
}

const (
	claimShardBits = 10
	claimShards    = 1 << claimShardBits
	minClaimCells  = 4
	claimCellBytes = 32
)

type claimShard struct {
	cells []claimCell // a power of two, at most three quarters full
	used  int
}

// claimCell with number 0 is empty.
type claimCell struct {
	hash   [16]byte
	seq    uint64
	origin OriginIndex
}

// cell is that of a hash, or the empty one where it belongs. There must be cells.
func (s *claimShard) cell(hash *[16]byte, spread uint64) *claimCell {
	mask := uint64(len(s.cells) - 1)
	for at := spread; ; at++ {
		if c := &s.cells[at&mask]; c.seq == 0 || c.hash == *hash {
			return c
		}
	}
}

// place is the shard of a hash, and what leads to its cell.
func (s *claimSet) place(hash *[16]byte) (*claimShard, uint64) {
	product := binary.LittleEndian.Uint64(hash[8:]) * s.factor
	return &s.shards[product>>(64-claimShardBits)], product >> 22
}

func (s *claimSet) get(hash *[16]byte) (Ref, bool) {
	if s.count == 0 {
		return Ref{}, false
	}
	shard, spread := s.place(hash)
	if len(shard.cells) == 0 {
		return Ref{}, false
	}
	c := shard.cell(hash, spread)
	return Ref{c.origin, c.seq}, c.seq != 0
}

// put says that an id belongs to a ticket from now on.
func (s *claimSet) put(hash [16]byte, ref Ref) {
	if s.shards == nil {
		s.shards, s.factor = make([]claimShard, claimShards), new(maphash.Hash).Sum64()|1
	}
	shard, spread := s.place(&hash)
	if 4*(shard.used+1) > 3*len(shard.cells) {
		s.grow(shard)
	}
	c := shard.cell(&hash, spread)
	if c.seq == 0 {
		shard.used++
		s.count++
	}
	*c = claimCell{hash, ref.Seq, ref.Origin}
}

func (s *claimSet) grow(shard *claimShard) {
	former := shard.cells
	shard.cells = make([]claimCell, max(minClaimCells, 2*len(former)))
	for i := range former {
		if c := &former[i]; c.seq != 0 {
			_, spread := s.place(&c.hash)
			*shard.cell(&c.hash, spread) = *c
		}
	}
}

// each passes all ids, in no order.
func (s *claimSet) each(visit func(hash [16]byte, ref Ref)) {
	for i := range s.shards {
		for _, c := range s.shards[i].cells {
			if c.seq != 0 {
				visit(c.hash, Ref{c.origin, c.seq})
			}
		}
	}
}

// bytes is what it takes in memory, about.
func (s *claimSet) bytes() int {
	sum := 0
	for i := range s.shards {
		sum += claimCellBytes*len(s.shards[i].cells) + claimCellBytes
	}
	return sum
}
