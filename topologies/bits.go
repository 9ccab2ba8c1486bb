package topologies

import "math/bits"

// set is a set of small integers; both operands of an operation have the same length.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) del(i int)      { s[i/64] &^= 1 << (i % 64) }
func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s set) union(o set) {
	for i, w := range o {
		s[i] |= w
	}
}

func (s set) remove(o set) {
	for i, w := range o {
		s[i] &^= w
	}
}

func (s set) intersect(o set) {
	for i, w := range o {
		s[i] &= w
	}
}

// exceeds reports whether s has something that o lacks.
func (s set) exceeds(o set) bool {
	for i, w := range s {
		if w&^o[i] != 0 {
			return true
		}
	}
	return false
}

func (s set) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// each calls f for every element, in ascending order.
func (s set) each(f func(int)) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			f(i*64 + bits.TrailingZeros64(w))
		}
	}
}

func (s set) clone() set { return append(set(nil), s...) }
