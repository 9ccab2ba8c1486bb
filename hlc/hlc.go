// Package hlc is the hybrid logical clock that stamps tickets.
//
// It follows Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical Physical
// Clocks" (OPODIS 2014), in the compact form of its section 6: physical and
// logical part share one 64-bit integer. Here the physical part is the wall
// clock in nanoseconds and a logical step is one nanosecond, so a timestamp
// is also a plain point in time, and the clock runs ahead of the wall by one
// nanosecond for each event that the wall did not tell apart.
package hlc

import (
	"fmt"
	"math"
	"time"
)

// Timestamp is nanoseconds since 1970-01-01T00:00:00Z. Zero means "none";
// every stamped event has a timestamp of 1 or more.
type Timestamp int64

const (
	// Never is later than every event.
	Never Timestamp = math.MaxInt64
	// Latest is the last timestamp that an event may carry: 2262-01-01.
	// Between it and Never lies room for arithmetic with durations.
	Latest Timestamp = 9214646400 * 1e9
)

// FromTime converts a wall clock reading. Times outside the range of
// Timestamp are clamped to 1 and Latest.
func FromTime(t time.Time) Timestamp {
	if s := t.Unix(); s >= int64(Latest)/1e9 {
		return Latest
	} else if s < 0 {
		return 1
	}
	return max(1, Timestamp(t.UnixNano()))
}

// Time is the timestamp as a point in time, in UTC.
func (t Timestamp) Time() time.Time { return time.Unix(0, int64(t)).UTC() }

// Layout is RFC 3339 with all nine digits of the nanoseconds, so that the
// texts of timestamps sort as the timestamps do.
const Layout = "2006-01-02T15:04:05.000000000Z"

// String is the timestamp in RFC 3339 with nanoseconds, "never" for Never.
func (t Timestamp) String() string {
	if t == Never {
		return "never"
	}
	return t.Time().Format(Layout)
}

// MarshalJSON writes the form of String; none (0) is null.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return fmt.Appendf(nil, "%q", t.String()), nil
}

// Add moves the timestamp by d, stopping at 1 and Latest; Never stays Never.
func (t Timestamp) Add(d time.Duration) Timestamp {
	if t == Never {
		return Never
	}
	switch sum := t + Timestamp(d); {
	case d > 0 && (sum < t || sum > Latest):
		return Latest
	case d < 0 && sum < 1:
		return 1
	default:
		return sum
	}
}

// Clock issues strictly increasing timestamps. It reads no time by itself:
// the caller passes the wall clock. It is not safe for concurrent use.
type Clock struct {
	last    Timestamp
	maxSkew time.Duration
}

// NewClock makes a clock whose timestamps are all greater than floor and that
// follows remote clocks at most maxSkew ahead of the wall.
func NewClock(floor Timestamp, maxSkew time.Duration) *Clock {
	return &Clock{last: floor, maxSkew: maxSkew}
}

// Next issues a timestamp: the wall clock, or one step past the last one
// issued or observed where the wall has not moved beyond it.
func (c *Clock) Next(wall Timestamp) Timestamp {
	c.last = max(wall, c.last+1)
	return c.last
}

// Observe merges a remote timestamp, so that whatever is issued next is
// greater. It refuses, and leaves the clock alone, when remote is more than
// the permitted skew ahead of the wall clock.
func (c *Clock) Observe(remote, wall Timestamp) bool {
	if remote > c.last && remote > wall.Add(c.maxSkew) {
		return false
	}
	c.last = max(c.last, remote)
	return true
}

// Floor makes every later timestamp greater than t, whatever the skew.
func (c *Clock) Floor(t Timestamp) { c.last = max(c.last, t) }

// Last is the greatest timestamp issued or observed.
func (c *Clock) Last() Timestamp { return c.last }
