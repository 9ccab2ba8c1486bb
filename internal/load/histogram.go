package load

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets whose width is at most a 32nd of what they hold. The zero
// Histogram is empty. It is not safe for concurrent use.
type Histogram struct {
	counts [64 * steps]uint64
	total  uint64
	max    time.Duration
}

const (
	stepBits = 5
	steps    = 1 << stepBits // buckets per doubling
)

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	d = max(0, d)
	h.counts[bucket(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// bucket is the index of the bucket that holds n.
func bucket(n uint64) int {
	if n < steps {
		return int(n)
	}
	shift := bits.Len64(n) - 1 - stepBits
	return (shift+1)*steps + int(n>>shift) - steps
}

// top is the largest number in a bucket.
func top(i int) uint64 {
	if i < steps {
		return uint64(i)
	}
	shift := i/steps - 1
	return (uint64(i%steps)+steps+1)<<shift - 1
}

// Merge adds what another histogram counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// Count is how many durations were added.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the longest duration, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the least duration that a share q (0 to 1) of all did not exceed, rounded up to
// the end of its bucket.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.total))
	var seen uint64
	for i, n := range h.counts {
		seen += n
		if n > 0 && (seen > rank || seen == h.total) {
			return min(h.max, time.Duration(top(i)))
		}
	}
	return h.max
}
