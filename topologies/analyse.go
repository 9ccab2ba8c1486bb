package topologies

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report is what Analyse finds out about a topology.
type Report struct {
	Ring, Value, Shape string
	Roles              map[string]int // number of nodes by role
	Nodes, Links       int
	Diameter           int      // see Topology.Diameter
	SinglePoints       []string // hosts without which some others no longer reach each other, sorted
	Asymmetries        []Link   // links without one in the opposite direction, sorted

	// MessagesPerUpdate is how many messages travel over links for one update, on average over
	// the nodes that take updates, when nothing is lost and nobody knows more than his own log.
	MessagesPerUpdate float64
	// Convergence is how long the forwarding delays on the way to the farthest node add up to, at
	// most, when nothing is lost. The network's own time comes on top, Diameter times.
	Convergence time.Duration
	// Repair is how much longer it takes, at most, when one message is lost: until a ping shows
	// it, and the flood delay.
	Repair time.Duration
	// PeerTimeout is the longest peer timeout of a node: by then a silent peer is noticed.
	PeerTimeout time.Duration
}

// Analyse returns the properties of a topology that passes Check.
func (t *Topology) Analyse() Report {
	g := t.graph()
	p := g.paths()
	r := Report{
		Ring: t.Ring, Value: t.Value, Shape: t.Shape, Roles: map[string]int{},
		Nodes: len(t.Nodes), Links: g.size(), Diameter: p.diameter,
		SinglePoints: g.singlePoints(), Asymmetries: t.asymmetries(),
	}
	timers := t.timers(g, p)
	for _, n := range t.Nodes {
		role := n.Role
		if role == "" {
			role = Member
		}
		r.Roles[role]++
		own := timers[n.Host]
		r.Repair = max(r.Repair, own.PingInterval+own.FloodDelay)
		r.PeerTimeout = max(r.PeerTimeout, own.PeerTimeout)
	}
	t.flood(g, timers, &r)
	return r
}

// flood works out what one update costs, following it from every node that takes any.
func (t *Topology) flood(g *graph, timers map[string]*EffectiveTimers, r *Report) {
	live := g.all()
	messages, origins := 0, 0
	for i, n := range t.Nodes {
		if !n.Updates() {
			continue
		}
		origins++
		messages += g.out[i].count()
		hops, _ := g.spread(i, live)
		var delay time.Duration
		for _, h := range hops {
			var slowest time.Duration
			h.relays.each(func(v int) {
				messages += g.out[v].count()
				slowest = max(slowest, timers[g.hosts[v]].ForwardDelay)
			})
			delay += slowest
		}
		r.Convergence = max(r.Convergence, delay)
	}
	if origins > 0 {
		r.MessagesPerUpdate = float64(messages) / float64(origins)
	}
}

// singlePoints are the hosts whose loss cuts others off from each other, sorted.
func (g *graph) singlePoints() []string {
	var hosts []string
	live := g.all()
	for i, host := range g.hosts {
		live.del(i)
		if !g.connected(live) {
			hosts = append(hosts, host)
		}
		live.add(i)
	}
	slices.Sort(hosts)
	return hosts
}

func (t *Topology) asymmetries() []Link {
	g := t.graph()
	return slices.DeleteFunc(t.Links(), func(l Link) bool {
		return g.out[g.index[l.To]].has(g.index[l.From])
	})
}

// String is the report as lines of text for people.
func (r Report) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-26s%s\n", name, fmt.Sprintf(format, args...))
	}
	line("ring", "%s (%s values)", r.Ring, r.Value)
	line("shape", "%s", r.Shape)
	var roles []string
	for _, role := range []string{Member, Router, Receiver} {
		if n := r.Roles[role]; n > 0 {
			roles = append(roles, fmt.Sprintf("%d %s", n, role))
		}
	}
	line("nodes", "%d (%s)", r.Nodes, strings.Join(roles, ", "))
	line("links", "%d", r.Links)
	line("diameter", "%d", r.Diameter)
	line("single points of failure", "%s", orNone(r.SinglePoints))
	var oneWay []string
	for _, l := range r.Asymmetries {
		oneWay = append(oneWay, l.From+" -> "+l.To)
	}
	line("one-way links", "%s", orNone(oneWay))
	line("messages per update", "%.1f", r.MessagesPerUpdate)
	line("convergence", "%s of forwarding and %d network hops; %s more after a loss", r.Convergence, r.Diameter, r.Repair)
	line("peer timeout", "%s", r.PeerTimeout)
	return b.String()
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return listed(names)
}
