package hlc

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNextIsStrictlyIncreasingWhateverTheWallDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewClock(Timestamp(rapid.Int64Range(0, 1e12).Draw(t, "floor")), time.Second)
		last := c.Last()
		for range rapid.IntRange(1, 100).Draw(t, "events") {
			wall := Timestamp(rapid.Int64Range(1, 1e12).Draw(t, "wall"))
			if rapid.Bool().Draw(t, "observe") {
				remote := Timestamp(rapid.Int64Range(1, 1e12).Draw(t, "remote"))
				before := c.Last()
				if ok := c.Observe(remote, wall); !ok && c.Last() != before {
					t.Fatalf("refused %d at wall %d, yet the clock moved from %d to %d", remote, wall, before, c.Last())
				} else if !ok && remote <= wall.Add(time.Second) {
					t.Fatalf("refused %d at wall %d though within the skew", remote, wall)
				}
			}
			next := c.Next(wall)
			if next <= last || next < wall {
				t.Fatalf("issued %d after %d at wall %d", next, last, wall)
			}
			last = next
		}
	})
}

func TestObserveMakesLaterEventsGreater(t *testing.T) {
	c := NewClock(0, time.Second)
	if !c.Observe(5e9, 4.5e9) {
		t.Fatal("refused a clock half a second ahead")
	}
	if got := c.Next(4.6e9); got != 5e9+1 {
		t.Fatalf("got %d", got)
	}
	if c.Observe(9e9, 4.6e9) {
		t.Fatal("followed a clock four seconds ahead")
	}
}

func TestTimestampTextAndBounds(t *testing.T) {
	at := FromTime(time.Date(2026, 1, 2, 3, 4, 5, 60, time.UTC))
	if got := at.String(); got != "2026-01-02T03:04:05.000000060Z" {
		t.Fatal(got)
	}
	if Never.String() != "never" || Never.Add(-time.Hour) != Never {
		t.Fatal("never must stay never")
	}
	if got := Latest.Add(time.Hour); got != Latest {
		t.Fatal(got)
	}
	if got := Timestamp(5).Add(-time.Hour); got != 1 {
		t.Fatal(got)
	}
	if FromTime(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)) != 1 ||
		FromTime(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)) != Latest {
		t.Fatal("clamping")
	}
}
