package topologies

import (
	"slices"
	"time"
)

// Defaults of the timers; see [Topology.TimersFor].
const (
	DefaultPingInterval = 150 * time.Millisecond
	DefaultConnectDelay = 1500 * time.Millisecond
	MinPeerTimeout      = time.Second            // the least default of the peer timeout
	MeshForwardDelay    = time.Second            // where every other node hears the origin itself
	RelayForwardDelay   = time.Millisecond       // where somebody waits for this node to forward
	MinFloodDelay       = 300 * time.Millisecond // the least default of the flood delay
)

// EffectiveTimers are the timers a node runs with.
type EffectiveTimers struct {
	PingInterval time.Duration // between two pings
	PeerTimeout  time.Duration // evidence of a peer older than this counts no more
	ForwardDelay time.Duration // quiet time before others' tickets are forwarded
	ConnectDelay time.Duration // quiet time after a link comes up before the catch-up on it
	FloodDelay   time.Duration // quiet time after a lag was noticed before its repair
}

// TimersFor returns the timers of a host. What the node states wins over what the topology
// states, and that over these defaults:
//
//   - ping_interval: 150ms.
//   - peer_timeout: max(1s, (2*diameter+4) * the longest ping interval in the ring). Evidence
//     travels to the farthest member and back, waiting up to one interval at every hop.
//   - forward_delay: 1ms at a hub, an apex, a router, and wherever the node lies on a shortest
//     path between two others; else 1s, for then every other node hears the origin itself and
//     forwarding only mends what was lost.
//   - connect_delay: 1.5s.
//   - flood_delay: max(300ms, two ping intervals, 1.2 * the longest forward_delay of those whose
//     forwarding others wait for), so that forwarding has its chance before repair starts. That is 300ms
//     in a star, a ring or a hierarchy and 1.2s in a full mesh, where forwarding takes 1s.
//
// An unknown host gets the timers of a member that nobody waits for.
func (t *Topology) TimersFor(host string) EffectiveTimers {
	g := t.graph()
	return t.timers(g, g.paths())[host].or(t.stated(Node{}))
}

// or fills in for a host that is not in the topology.
func (e *EffectiveTimers) or(stated Timers) EffectiveTimers {
	if e != nil {
		return *e
	}
	ping := or(stated.PingInterval, DefaultPingInterval)
	forward := or(stated.ForwardDelay, MeshForwardDelay)
	return EffectiveTimers{
		PingInterval: ping,
		PeerTimeout:  or(stated.PeerTimeout, max(MinPeerTimeout, 6*ping)),
		ForwardDelay: forward,
		ConnectDelay: or(stated.ConnectDelay, DefaultConnectDelay),
		FloodDelay:   or(stated.FloodDelay, max(MinFloodDelay, 2*ping, forward*6/5)),
	}
}

// timers returns the timers of all hosts.
func (t *Topology) timers(g *graph, p paths) map[string]*EffectiveTimers {
	ping := make([]time.Duration, len(t.Nodes))
	forward := make([]time.Duration, len(t.Nodes))
	var longestForward time.Duration
	for i, n := range t.Nodes {
		stated := t.stated(n)
		relay := t.relay(n) || p.relays.has(i)
		byRole := MeshForwardDelay
		if relay {
			byRole = RelayForwardDelay
		}
		ping[i] = or(stated.PingInterval, DefaultPingInterval)
		forward[i] = or(stated.ForwardDelay, byRole)
		if n.Forwards() && (relay || p.diameter <= 1) {
			longestForward = max(longestForward, forward[i])
		}
	}
	timers := make(map[string]*EffectiveTimers, len(t.Nodes))
	for i, n := range t.Nodes {
		stated := t.stated(n)
		timers[n.Host] = &EffectiveTimers{
			PingInterval: ping[i],
			PeerTimeout:  or(stated.PeerTimeout, max(MinPeerTimeout, time.Duration(2*p.diameter+4)*slices.Max(ping))),
			ForwardDelay: forward[i],
			ConnectDelay: or(stated.ConnectDelay, DefaultConnectDelay),
			FloodDelay:   or(stated.FloodDelay, max(MinFloodDelay, 2*ping[i], longestForward*6/5)),
		}
	}
	return timers
}

// relay reports whether the node was put where it is in order to forward.
func (t *Topology) relay(n Node) bool {
	switch {
	case n.Role == Router:
		return true
	case t.Shape == Star:
		return slices.Contains(t.Hubs, n.Host)
	case t.Shape == Hierarchy:
		return n.Apex
	default:
		return false
	}
}

// stated merges the timers of a node over those of the topology.
func (t *Topology) stated(n Node) Timers {
	merged := t.Timers
	for _, k := range timerKeys {
		if own := *k.field(&n.Timers); own != nil {
			*k.field(&merged) = own
		}
	}
	return merged
}

func or(stated *time.Duration, otherwise time.Duration) time.Duration {
	if stated != nil {
		return *stated
	}
	return otherwise
}

// timerKey is a timer's key in the file, its field, and the values it may take.
type timerKey struct {
	name     string
	field    func(*Timers) **time.Duration
	min, max time.Duration
}

var timerKeys = []timerKey{
	{"ping_interval", func(t *Timers) **time.Duration { return &t.PingInterval }, minPingInterval, maxPingInterval},
	{"peer_timeout", func(t *Timers) **time.Duration { return &t.PeerTimeout }, 2 * minPingInterval, maxPeerTimeout},
	{"forward_delay", func(t *Timers) **time.Duration { return &t.ForwardDelay }, 0, maxDelay},
	{"connect_delay", func(t *Timers) **time.Duration { return &t.ConnectDelay }, 0, maxDelay},
	{"flood_delay", func(t *Timers) **time.Duration { return &t.FloodDelay }, 0, maxDelay},
}
