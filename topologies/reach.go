package topologies

// graph is the topology as sets of indices into Nodes, for questions about reachability.
// Data flows along out; only nodes in forwards pass on what they took in.
type graph struct {
	hosts    []string
	index    map[string]int
	out, in  []set
	forwards set
}

// graph builds the graph of the shape. Of nodes with the same host the first counts in index.
func (t *Topology) graph() *graph {
	n := len(t.Nodes)
	g := &graph{index: make(map[string]int, n), forwards: newSet(n)}
	for i, node := range t.Nodes {
		g.hosts = append(g.hosts, node.Host)
		g.out, g.in = append(g.out, newSet(n)), append(g.in, newSet(n))
		if _, ok := g.index[node.Host]; !ok {
			g.index[node.Host] = i
		}
		if node.Forwards() {
			g.forwards.add(i)
		}
	}
	t.link(g)
	return g
}

// connect adds a link; a link of a node with itself is none.
func (g *graph) connect(from, to int) {
	if from != to {
		g.out[from].add(to)
		g.in[to].add(from)
	}
}

// join links every node of one kind with every node of the other, in both directions.
func (g *graph) join(a, b func(int) bool) {
	for i := range g.hosts {
		if !a(i) {
			continue
		}
		for j := range g.hosts {
			if b(j) {
				g.connect(i, j)
				g.connect(j, i)
			}
		}
	}
}

// size is the number of links.
func (g *graph) size() int {
	n := 0
	for _, to := range g.out {
		n += to.count()
	}
	return n
}

// names returns the hosts of a set, in the order of the file.
func (g *graph) names(s set) []string {
	names := make([]string, 0, s.count())
	s.each(func(i int) { names = append(names, g.hosts[i]) })
	return names
}

// all is the set of all nodes.
func (g *graph) all() set {
	s := newSet(len(g.hosts))
	for i := range g.hosts {
		s.add(i)
	}
	return s
}

// reversed is the graph with all links turned round. It shares its sets with g.
func (g *graph) reversed() *graph {
	return &graph{hosts: g.hosts, index: g.index, out: g.in, in: g.out, forwards: g.forwards}
}

// hop is one step of a spread: the nodes first reached by it, and those of the step before whose
// forwarding reached them. The origin itself is no relay.
type hop struct {
	reached set
	relays  set
}

// spread follows what origin sends, hop by hop, through the nodes in live. It returns the hops,
// so that their number is the distance to the farthest node reached, and all nodes reached,
// the origin among them.
func (g *graph) spread(origin int, live set) (hops []hop, reached set) {
	n := len(g.hosts)
	reached, frontier := newSet(n), newSet(n)
	reached.add(origin)
	frontier.add(origin)
	for {
		h := hop{reached: newSet(n), relays: newSet(n)}
		frontier.each(func(i int) {
			if i != origin && !g.forwards.has(i) {
				return
			}
			fresh := g.out[i].clone()
			fresh.intersect(live)
			if !fresh.exceeds(reached) {
				return
			}
			h.reached.union(fresh)
			if i != origin {
				h.relays.add(i)
			}
		})
		h.reached.remove(reached)
		if h.reached.count() == 0 {
			return hops, reached
		}
		hops = append(hops, h)
		reached.union(h.reached)
		frontier = h.reached
	}
}

// connected reports whether, with only the nodes in live, each one's data reaches every other.
//
// With a forwarding node f that is so if and only if f reaches all and all reach f: every path
// o -> f -> d then serves. Without one, only direct links carry anything.
func (g *graph) connected(live set) bool {
	centre := -1
	live.each(func(i int) {
		if g.forwards.has(i) && centre < 0 {
			centre = i
		}
	})
	if centre >= 0 {
		_, there := g.spread(centre, live)
		_, back := g.reversed().spread(centre, live)
		return !live.exceeds(there) && !live.exceeds(back)
	}
	whole := true
	live.each(func(i int) {
		_, there := g.spread(i, live)
		whole = whole && !live.exceeds(there)
	})
	return whole
}

// paths sums up the spreads of all nodes.
type paths struct {
	diameter int
	relays   set // nodes on a shortest path between two others
}

func (g *graph) paths() paths {
	p := paths{relays: newSet(len(g.hosts))}
	live := g.all()
	for i := range g.hosts {
		hops, _ := g.spread(i, live)
		p.diameter = max(p.diameter, len(hops))
		for _, h := range hops {
			p.relays.union(h.relays)
		}
	}
	return p
}

// Diameter is the number of links between the two nodes farthest from each other, by the
// shortest path over forwarding nodes: 0 for a single node, 1 for a full mesh. Pairs without a
// path, which Check refuses, are left out.
func (t *Topology) Diameter() int { return t.graph().paths().diameter }
