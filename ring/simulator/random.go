package simulator

import (
	"math/rand/v2"
	"time"
)

// source is a stream of random numbers. Every link and every node has its
// own, so that leaving out one step of a plan changes little else.
type source struct{ *rand.Rand }

func newSource(seed, stream uint64) source {
	return source{rand.New(rand.NewPCG(seed, stream*0x9e3779b97f4a7c15+1))}
}

// between draws from [a, b), and is a where that is empty.
func (s source) between(a, b time.Duration) time.Duration {
	if b <= a {
		return a
	}
	return a + time.Duration(s.Int64N(int64(b-a)))
}

// upTo draws from [-d, d).
func (s source) upTo(d time.Duration) time.Duration { return s.between(-d, d) }

func (s source) chance(p float64) bool { return p > 0 && s.Float64() < p }

// soon draws the time until the next of events that are mean apart.
func (s source) soon(mean time.Duration) time.Duration {
	return time.Duration(s.ExpFloat64() * float64(mean))
}
