package topologies

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

func TestTimersFor(t *testing.T) {
	ring24, err := Generate(OneWayRing, 24)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		top  *Topology
		host string
		want EffectiveTimers
	}{
		{"mesh", load(t, "mesh-3.toml"), "a", EffectiveTimers{150 * ms, 1000 * ms, 1000 * ms, 1500 * ms, 1200 * ms}},
		{"hub", load(t, "star-5.toml"), "a", EffectiveTimers{150 * ms, 1200 * ms, 1 * ms, 1500 * ms, 300 * ms}},
		{"leaf", load(t, "star-5.toml"), "b", EffectiveTimers{150 * ms, 1200 * ms, 1000 * ms, 1500 * ms, 300 * ms}},
		{"second hub", load(t, "dual-star.toml"), "b", EffectiveTimers{150 * ms, 1200 * ms, 1 * ms, 1500 * ms, 300 * ms}},
		{"ring", load(t, "ring-5.toml"), "c", EffectiveTimers{150 * ms, 1200 * ms, 1 * ms, 1500 * ms, 300 * ms}},
		{"apex", load(t, "two-sites.toml"), "lyo1", EffectiveTimers{150 * ms, 1500 * ms, 1 * ms, 1500 * ms, 300 * ms}},
		{"leaf of a site", load(t, "two-sites.toml"), "lyo2", EffectiveTimers{150 * ms, 1500 * ms, 1000 * ms, 1500 * ms, 300 * ms}},
		{"router", load(t, "counter-rotating-ring.toml"), "d", EffectiveTimers{150 * ms, 1500 * ms, 1 * ms, 1500 * ms, 300 * ms}},
		{"far", ring24, "x", EffectiveTimers{150 * ms, 7500 * ms, 1 * ms, 1500 * ms, 300 * ms}},
		{"alone", Alone("r", Decimal, "a"), "a", EffectiveTimers{150 * ms, 1000 * ms, 1000 * ms, 1500 * ms, 1200 * ms}},
		{"unknown host", load(t, "mesh-3.toml"), "z", EffectiveTimers{150 * ms, 1000 * ms, 1000 * ms, 1500 * ms, 1200 * ms}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if d := cmp.Diff(test.want, test.top.TimersFor(test.host)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestStatedTimersWin(t *testing.T) {
	top := parse(t, `
ring = "r"
value = "integer"
shape = "full-mesh"
[timers]
ping_interval = "20ms"
forward_delay = "0s"
[[nodes]]
host = "a"
pub = "tcp://127.0.0.1:1"
timers = { forward_delay = "5ms", ping_interval = "400ms" }
[[nodes]]
host = "b"
pub = "tcp://127.0.0.1:2"
[nodes.timers]
connect_delay = "0s"
`)
	// The slow pings of a stretch the peer timeout of both.
	want := map[string]EffectiveTimers{
		"a": {400 * ms, 2400 * ms, 5 * ms, 1500 * ms, 800 * ms},
		"b": {20 * ms, 2400 * ms, 0, 0, 300 * ms},
	}
	for host, timers := range want {
		if d := cmp.Diff(timers, top.TimersFor(host)); d != "" {
			t.Errorf("%s: %s", host, d)
		}
	}
	if top.Timers.PeerTimeout != nil || top.Timers.ForwardDelay == nil || *top.Timers.ForwardDelay != 0 {
		t.Error("0s and not stated are not told apart")
	}
}
