package topologies

import (
	"cmp"
	"slices"
)

// Link is one directed subscription: To subscribes to From at Endpoint, so data and pings flow
// From -> To. Links from a receiver carry pings only.
type Link struct {
	From, To string
	Endpoint string // From's pub
}

// Links returns all links, sorted by From, then To.
func (t *Topology) Links() []Link {
	g := t.graph()
	links := make([]Link, 0, g.size())
	for from, to := range g.out {
		to.each(func(i int) {
			links = append(links, Link{From: g.hosts[from], To: g.hosts[i], Endpoint: t.Nodes[from].Pub})
		})
	}
	slices.SortFunc(links, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return links
}

// Upstreams returns the links by which host subscribes to others, sorted by From.
func (t *Topology) Upstreams(host string) []Link {
	g := t.graph()
	i, ok := g.index[host]
	if !ok {
		return nil
	}
	links := make([]Link, 0, g.in[i].count())
	g.in[i].each(func(from int) {
		links = append(links, Link{From: g.hosts[from], To: host, Endpoint: t.Nodes[from].Pub})
	})
	slices.SortFunc(links, func(a, b Link) int { return cmp.Compare(a.From, b.From) })
	return links
}

// Downstreams returns the hosts that subscribe to host, sorted.
func (t *Topology) Downstreams(host string) []string {
	g := t.graph()
	i, ok := g.index[host]
	if !ok {
		return nil
	}
	hosts := g.names(g.out[i])
	slices.Sort(hosts)
	return hosts
}

// link adds the subscriptions that the shape asks for. It passes over what Check complains
// about, such as unknown hosts.
func (t *Topology) link(g *graph) {
	switch t.Shape {
	case FullMesh:
		everyone := func(int) bool { return true }
		g.join(everyone, everyone)
	case Star:
		hub := func(i int) bool { return slices.Contains(t.Hubs, g.hosts[i]) }
		g.join(hub, func(int) bool { return true })
	case Ring:
		t.linkRing(g)
	case Hierarchy:
		t.linkHierarchy(g)
	case Custom:
		t.linkCustom(g)
	}
}

func (t *Topology) linkRing(g *graph) {
	for i := range g.hosts {
		next := (i + 1) % len(g.hosts)
		g.connect(i, next)
		if t.Direction != OneWay {
			g.connect(next, i)
		}
	}
}

func (t *Topology) linkHierarchy(g *graph) {
	apex := func(i int) bool { return t.Nodes[i].Apex }
	g.join(apex, apex)
	for i, a := range t.Nodes {
		for j, b := range t.Nodes {
			if a.Apex && a.Site == b.Site {
				g.connect(i, j)
				g.connect(j, i)
			}
		}
	}
}

func (t *Topology) linkCustom(g *graph) {
	names := t.names()
	for to, n := range t.Nodes {
		for _, name := range n.SubscribeTo {
			if from, ok := names[name]; ok {
				g.connect(from, to)
			}
		}
	}
}

// names maps what subscribe_to may say, hosts and pub endpoints, to the index of the node.
func (t *Topology) names() map[string]int {
	names := make(map[string]int, 2*len(t.Nodes))
	for i, n := range slices.Backward(t.Nodes) {
		if n.Pub != "" {
			names[n.Pub] = i
		}
	}
	for i, n := range slices.Backward(t.Nodes) {
		names[n.Host] = i
	}
	return names
}
