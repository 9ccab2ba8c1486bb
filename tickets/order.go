package tickets

import (
	"slices"
	"strings"
	"sync"

	"bluerings/hlc"
)

// order lists the slots of a family in the byte order of their names: a list
// of blocks, each a sorted list. It is built when it is first read, and kept
// up to date from then on.
type order struct {
	build  sync.Mutex // readers may come together; the first one builds
	built  bool
	blocks [][]uint32 // none is empty
}

// orderBlock is the size at which a block is split in halves.
const orderBlock = 1024

// ready builds the order unless that was done before.
func (x *order) ready(t *Table, family Family) {
	x.build.Lock()
	defer x.build.Unlock()
	if x.built {
		return
	}
	all := make([]uint32, 0, t.index[family].len())
	for slot := range t.slots {
		if t.rows.has(slot) && t.rows.at(slot).flags&rowLive != 0 && t.rows.at(slot).family == family {
			all = append(all, slot)
		}
	}
	slices.SortFunc(all, func(a, b uint32) int { return strings.Compare(t.nameOf(a), t.nameOf(b)) })
	for chunk := range slices.Chunk(all, orderBlock*3/4) {
		x.blocks = append(x.blocks, slices.Clone(chunk))
	}
	x.built = true
}

// seek returns the position of the first name that is not less than name.
func (x *order) seek(t *Table, name string) (block, at int) {
	compare := func(slot uint32, name string) int { return strings.Compare(t.nameOf(slot), name) }
	block, _ = slices.BinarySearchFunc(x.blocks, name, func(b []uint32, name string) int {
		return compare(b[len(b)-1], name)
	})
	if block < len(x.blocks) {
		at, _ = slices.BinarySearchFunc(x.blocks[block], name, compare)
	}
	return block, at
}

func (x *order) add(t *Table, slot uint32) {
	if !x.built {
		return
	}
	if len(x.blocks) == 0 {
		x.blocks = [][]uint32{{slot}}
		return
	}
	i, at := x.seek(t, t.nameOf(slot))
	if i == len(x.blocks) {
		i--
		at = len(x.blocks[i])
	}
	b := slices.Insert(x.blocks[i], at, slot)
	if len(b) >= orderBlock {
		x.blocks = slices.Insert(x.blocks, i+1, slices.Clone(b[len(b)/2:]))
		b = b[:len(b)/2]
	}
	x.blocks[i] = b
}

func (x *order) remove(t *Table, slot uint32) {
	if !x.built {
		return
	}
	i, at := x.seek(t, t.nameOf(slot))
	if x.blocks[i] = slices.Delete(x.blocks[i], at, at+1); len(x.blocks[i]) == 0 {
		x.blocks = slices.Delete(x.blocks, i, i+1)
	}
}

// Names lists the living names of a family that start with prefix and come
// after a name, in byte order, at most limit of them. The first call sorts
// all names of the family.
func (t *Table) Names(family Family, prefix, after string, limit int, now hlc.Timestamp) []uint32 {
	x := &t.order[family]
	x.ready(t, family)
	var found []uint32
	block, at := x.seek(t, max(prefix, after))
	for ; block < len(x.blocks); block, at = block+1, 0 {
		for _, slot := range x.blocks[block][at:] {
			name := t.nameOf(slot)
			if len(found) >= limit || !strings.HasPrefix(name, prefix) {
				return found
			}
			if name != after && t.Alive(slot, now) {
				found = append(found, slot)
			}
		}
	}
	return found
}
