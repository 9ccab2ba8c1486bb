package simulator

import (
	"time"

	"bluerings/hlc"
	"bluerings/ring/replica"
)

// epochStart is when every history begins.
const epochStart = hlc.Timestamp(1_800_000_000 * int64(time.Second))

// clock is the wall clock of a host: off by skew, or standing still.
type clock struct {
	skew   time.Duration
	frozen bool
	stands hlc.Timestamp
}

func (c *clock) at(now time.Duration) hlc.Timestamp {
	if c.frozen {
		return c.stands
	}
	return epochStart.Add(now + c.skew)
}

// shift moves the clock.
func (n *node) shift(by time.Duration) {
	s := n.sim
	s.Result.Clocks++
	if by < 0 {
		s.Result.Backwards++
	}
	n.clock.skew += by
	if n.clock.frozen {
		n.clock.stands = n.clock.stands.Add(by)
	}
}

// freeze lets the clock stand still for a while; then it is right again, or
// goes on from where it stood.
func (n *node) freeze(d time.Duration, behind bool) {
	if n.clock.frozen {
		return
	}
	s := n.sim
	s.Result.Clocks++
	n.clock.stands, n.clock.frozen = n.clock.at(s.now), true
	s.in(d, func() {
		if n.clock.frozen = false; behind && !s.calm {
			n.clock.skew -= d
		}
	})
}

func (n *node) wall() hlc.Timestamp { return n.clock.at(n.sim.now) }

func (n *node) now() replica.Now {
	return replica.Now{Wall: n.wall(), Mono: n.sim.now - n.started + 1}
}
