package tickets

import (
	"hash/maphash"
	"strings"
	"unsafe"

	"bluerings/hlc"
	"bluerings/value"
)

// Lookup finds the row of a name, be it alive or expired.
func (t *Table) Lookup(key Key) (slot uint32, ok bool) {
	if key.Family < Counters || key.Family > Sets {
		return 0, false
	}
	hash := maphash.String(t.seed, key.Name)
	return t.find(t.index[key.Family].of(hash), hash, key.Name)
}

// Back is the number of the last ticket of a name in a log, 0 if there is none.
func (t *Table) Back(key Key, o OriginIndex) uint64 {
	slot, ok := t.Lookup(key)
	if !ok {
		return 0
	}
	return t.BackAt(slot, o)
}

// BackAt is Back for the name in a slot.
func (t *Table) BackAt(slot uint32, o OriginIndex) uint64 {
	r := t.rows.at(slot)
	switch {
	case r.flags&rowSpread != 0:
		if c := t.spread[slot].chain(o); c != nil {
			return c.Head
		}
	case r.flags&rowSeveral != 0:
		if n := t.nodes.find(r.link, o); n != nil {
			return n.head
		}
	case r.link == uint32(o):
		return r.head
	}
	return 0
}

// Key is the name in a slot. The string may be kept.
func (t *Table) Key(slot uint32) Key { return Key{t.rows.at(slot).family, t.nameOf(slot)} }

// Len is the number of rows of a family, alive and expired.
func (t *Table) Len(family Family) int { return t.index[family].len() }

// Alive tells whether a name is in its life at a time that is not past.
func (t *Table) Alive(slot uint32, now hlc.Timestamp) bool {
	return t.rows.at(slot).expire != 0 && now <= t.rows.at(slot).expire
}

// Expire is the end of a name's present or last life, 0 if it never had one.
func (t *Table) Expire(slot uint32) hlc.Timestamp { return t.rows.at(slot).expire }

// Born is the timestamp of the first ticket of that life, 0 if there is none.
func (t *Table) Born(slot uint32) hlc.Timestamp { return t.rows.at(slot).born }

// Total is the value of a counter.
func (t *Table) Total(slot uint32) value.Number {
	r := t.rows.at(slot)
	if r.flags&rowSpread != 0 {
		return t.spread[slot].total
	}
	return value.FromCompact(r.total, r.scale)
}

// Text is the value of a register and when it was set; ok is false if it was
// never set in the present life.
func (t *Table) Text(slot uint32) (text string, at hlc.Timestamp, ok bool) {
	if f := t.spread[slot]; f != nil {
		return f.text.text, f.text.at, f.text.at != 0
	}
	return "", 0, false
}

func (t *Table) set(slot uint32) *set {
	if f := t.spread[slot]; f != nil {
		return f.set
	}
	return nil
}

// Size is the number of elements in a set.
func (t *Table) Size(slot uint32) int {
	if s := t.set(slot); s != nil {
		return s.present
	}
	return 0
}

// Element tells whether an element is in a set.
func (t *Table) Element(slot uint32, element string) (present bool) {
	s := t.set(slot)
	if s == nil {
		return false
	}
	removed, known := s.removed.Get(element)
	return known && !removed
}

// Elements lists the elements of a set that start with prefix and come after
// another, in byte order, at most limit of them.
func (t *Table) Elements(slot uint32, prefix, after string, limit int) []string {
	s := t.set(slot)
	if s == nil {
		return nil
	}
	var found []string
	s.removed.Ascend(max(prefix, after), func(element string, removed bool) bool {
		if len(found) >= limit || !strings.HasPrefix(element, prefix) {
			return false
		}
		if !removed && (element != after || after == "") {
			found = append(found, element)
		}
		return true
	})
	return found
}

// Chains lists the logs that touched a name, by their index.
func (t *Table) Chains(slot uint32) []Chain {
	var scratch fold
	f := t.fold(slot, &scratch)
	list := make([]Chain, len(f.chains))
	for i := range list {
		list[i] = f.chains[i].Chain
	}
	return list
}

// Present is Chains with sums of the present life only.
func (t *Table) Present(slot uint32) []Chain {
	var scratch fold
	f := t.fold(slot, &scratch)
	list := make([]Chain, len(f.chains))
	for i, c := range f.chains {
		list[i] = c.Chain
		list[i].Sum = c.Sum.Sub(t.kind, c.base)
	}
	return list
}

// Superseded lists the tickets of the present life that do not count because
// an earlier one has their id, in the order of tickets.
func (t *Table) Superseded(slot uint32) []Loser {
	f := t.spread[slot]
	if f == nil || len(f.losers) == 0 {
		return nil
	}
	list := make([]Loser, len(f.losers))
	for i := range list {
		list[i] = f.losers[i].Loser
	}
	return list
}

// Expired lists names whose life ended before a time, at most limit of them;
// it goes on where the last call ended, and with fewer it has seen them all.
// Names with a ticket minted at or after that time are not among them: it may
// belong to a life whose beginning is still on its way. It needs the table alone.
func (t *Table) Expired(before hlc.Timestamp, limit int) []uint32 {
	var list []uint32
	for range t.slots {
		if len(list) >= limit {
			break
		}
		slot := t.swept
		if t.swept++; t.swept >= t.slots {
			t.swept = 0
		}
		if t.rows.has(slot) && t.overBefore(slot, before) {
			list = append(list, slot)
		}
	}
	return list
}

func (t *Table) overBefore(slot uint32, before hlc.Timestamp) bool {
	r := t.rows.at(slot)
	if r.flags&rowLive == 0 || max(r.expire, r.born) >= before {
		return false
	}
	f := t.spread[slot]
	return f == nil || f.lastOrphan < before
}

// MemoryBytes estimates what the table keeps in memory.
func (t *Table) MemoryBytes() int {
	sum := len(t.names.chunks) * arenaChunk
	for _, chunk := range t.rows.chunks {
		if chunk != nil {
			sum += int(unsafe.Sizeof(*chunk))
		}
	}
	sum += len(t.nodes.chunks) * slabSize * int(unsafe.Sizeof(node{}))
	for family := range t.index {
		sum += t.index[family].bytes()
		for _, b := range t.order[family].blocks {
			sum += 4*cap(b) + 24
		}
	}
	for _, f := range t.spread {
		sum += f.bytes()
	}
	sum += 4 * (cap(t.dirty.rows) + cap(t.dirty.taken) + cap(t.free))
	sum += t.claims.fresh.bytes() + t.claims.taken.bytes()
	return sum + 128*(len(t.marks.fresh)+len(t.marks.taken))
}

func (f *fold) bytes() int {
	sum := int(unsafe.Sizeof(*f)) + 16 + cap(f.chains)*int(unsafe.Sizeof(chain{})) +
		cap(f.losers)*int(unsafe.Sizeof(loser{})) + len(f.text.text)
	if f.set != nil {
		sum += int(unsafe.Sizeof(set{})) + f.set.bytes + 32*f.set.removed.Len()
	}
	return sum
}
