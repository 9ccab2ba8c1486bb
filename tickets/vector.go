package tickets

import (
	"slices"
	"strconv"
	"strings"
)

// Entry is one origin's part of a vector.
type Entry struct {
	Origin Origin
	Seq    uint64
}

// Vector tells, for every origin, how long the prefix of its log is that
// somebody holds. Entries are sorted by origin; none has the number 0.
type Vector []Entry

func (v Vector) find(o Origin) (int, bool) {
	return slices.BinarySearchFunc(v, o, func(e Entry, o Origin) int { return e.Origin.Compare(o) })
}

// Get is the length of the prefix held of o, 0 if nothing is.
func (v Vector) Get(o Origin) uint64 {
	if i, ok := v.find(o); ok {
		return v[i].Seq
	}
	return 0
}

// Extend sets the prefix of o to seq where that makes it longer.
func (v *Vector) Extend(o Origin, seq uint64) {
	i, ok := v.find(o)
	switch {
	case ok:
		(*v)[i].Seq = max((*v)[i].Seq, seq)
	case seq > 0:
		*v = slices.Insert(*v, i, Entry{o, seq})
	}
}

// Covers tells whether v holds everything that w holds.
func (v Vector) Covers(w Vector) bool {
	for _, e := range w {
		if v.Get(e.Origin) < e.Seq {
			return false
		}
	}
	return true
}

// Join is the smallest vector that covers both. It shares nothing with them.
func (v Vector) Join(w Vector) Vector {
	joined := slices.Clone(v)
	for _, e := range w {
		joined.Extend(e.Origin, e.Seq)
	}
	return joined
}

// Range is a stretch of a log, both ends included.
type Range struct {
	Origin   Origin
	From, To uint64
}

// Missing lists what v lacks of w, in the order of origins.
func (v Vector) Missing(w Vector) []Range {
	var ranges []Range
	for _, e := range w {
		if have := v.Get(e.Origin); have < e.Seq {
			ranges = append(ranges, Range{e.Origin, have + 1, e.Seq})
		}
	}
	return ranges
}

// String lists the entries as host/epoch:seq.
func (v Vector) String() string {
	var b strings.Builder
	for i, e := range v {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(e.Origin.String())
		b.WriteByte(':')
		b.WriteString(strconv.FormatUint(e.Seq, 10))
	}
	return b.String()
}
