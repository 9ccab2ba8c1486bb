package topologies

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (c *checker) star() {
	if len(c.t.Hubs) == 0 && !c.bad("hubs") {
		c.error("shape", `name one or several, such as hubs = ["a"]`, "a star has no hubs")
	}
	hosts := c.t.Members()
	seen := map[string]bool{}
	for i, hub := range c.t.Hubs {
		path := itemPath("hubs", i)
		if hub == "" && c.bad(path) {
			continue
		}
		if seen[hub] {
			c.error(path, "list it once", "hub %q is listed twice", hub)
		}
		seen[hub] = true
		if _, known := slices.BinarySearch(hosts, hub); !known {
			c.error(path, c.suggest(hub, hosts), "hub %q is no host of this ring", hub)
		}
	}
	for i, n := range c.t.Nodes {
		if seen[n.Host] && !n.Forwards() {
			c.error(nodePath(i, "role"), "make it a member or a router, or choose another hub", "hub %q is a receiver, which forwards nothing", n.Host)
		}
	}
}

func (c *checker) hierarchy() {
	apex := map[string]bool{}
	for i, n := range c.t.Nodes {
		if n.Site == "" && !c.bad(nodePath(i, "site")) {
			c.error(nodePath(i, "site"), `name its site, such as site = "paris"`, "node %q has no site", n.Host)
		}
		if n.Apex && !n.Forwards() {
			c.error(nodePath(i, "role"), "make it a member or a router, or choose another apex", "apex %q is a receiver, which forwards nothing", n.Host)
		}
		apex[n.Site] = apex[n.Site] || n.Apex
	}
	for i, n := range c.t.Nodes {
		if headed, known := apex[n.Site]; n.Site != "" && known && !headed {
			c.error(nodePath(i, "site"), "set apex = true on one or several of its nodes", "site %q has no apex", n.Site)
			delete(apex, n.Site)
		}
	}
}

func (c *checker) custom() {
	names := c.t.names()
	known := make([]string, 0, len(names))
	for name := range names {
		known = append(known, name)
	}
	slices.Sort(known)
	for i, n := range c.t.Nodes {
		seen := map[int]bool{}
		for j, name := range n.SubscribeTo {
			path := itemPath(nodePath(i, "subscribe_to"), j)
			if name == "" && c.bad(path) {
				continue
			}
			from, ok := names[name]
			switch {
			case !ok:
				c.unknown(path, name, known)
			case from == i:
			case seen[from]:
				c.error(path, "list it once", "%q is listed twice", c.t.Nodes[from].Host)
			default:
				seen[from] = true
			}
		}
	}
}

// unknown complains about an entry of subscribe_to that is neither host nor pub of a node.
func (c *checker) unknown(path, name string, known []string) {
	if !strings.Contains(name, "://") {
		c.error(path, c.suggest(name, known), "%q is no host of this ring", name)
		return
	}
	if _, ok := c.endpoint(path, name); ok {
		remedy := "write it as in the pub of a node, or add a node with this pub"
		if near := c.nearest(name, known); near != "" {
			remedy = fmt.Sprintf("did you mean %q?", near)
		}
		c.error(path, remedy, "%q is the pub of no node", name)
	}
}

// whole checks what only makes sense when every part is right.
func (c *checker) whole() {
	g := c.t.graph()
	if !g.connected(g.all()) {
		c.cutOff(g)
		return
	}
	c.asymmetric(g)
	c.timers(g)
	if len(c.t.Nodes) > 0 && !slices.ContainsFunc(c.t.Nodes, Node.Updates) {
		c.warning("nodes", "make one of them a member", "no node takes updates")
	}
}

// cutOff summarises who does not reach whom: one problem for all origins that miss the same nodes.
func (c *checker) cutOff(g *graph) {
	live := g.all()
	var missed []set
	origins := map[string][]string{} // by what they miss
	for i, host := range g.hosts {
		_, reached := g.spread(i, live)
		rest := live.clone()
		rest.remove(reached)
		if rest.count() == 0 {
			continue
		}
		key := fmt.Sprint(rest)
		if origins[key] == nil {
			missed = append(missed, rest)
		}
		origins[key] = append(origins[key], host)
	}
	for _, rest := range missed {
		from, to := listed(origins[fmt.Sprint(rest)]), g.names(rest)
		remedy := fmt.Sprintf("let %s, or a node it hears, subscribe to one that hears %s", to[0], from)
		if c.t.Shape != Custom {
			remedy = "let a member or router stand between them; receivers forward nothing"
		}
		path := nodePath(g.index[to[0]], "subscribe_to")
		c.error(path, remedy, "what %s sends does not reach %s", from, listed(to))
	}
}

// asymmetric warns of one-way links among two-way ones. Where all links are one-way, they are
// meant to be.
func (c *checker) asymmetric(g *graph) {
	if c.t.Shape != Custom {
		return
	}
	oneWay := c.t.asymmetries()
	if len(oneWay) == g.size() {
		return
	}
	for _, l := range oneWay {
		c.warning(nodePath(g.index[l.To], "subscribe_to"),
			fmt.Sprintf("add %q to subscribe_to of %q if that is not meant", l.To, l.From),
			"%q subscribes to %q, but not the other way round", l.To, l.From)
	}
}

// timers checks the timers that nodes run with, each problem once.
func (c *checker) timers(g *graph) {
	p := g.paths()
	timers := c.t.timers(g, p)
	var longest time.Duration
	for _, own := range timers {
		longest = max(longest, own.PingInterval)
	}
	seen := map[string]bool{}
	for i, n := range c.t.Nodes {
		own := timers[n.Host]
		path := "timers.peer_timeout"
		if n.Timers.PeerTimeout != nil || n.Timers.PingInterval != nil {
			path = nodePath(i, path)
		}
		if seen[path] {
			continue
		}
		seen[path] = true
		if least := 2 * longest; own.PeerTimeout < least {
			c.error(path, fmt.Sprintf("use at least %v, twice the longest ping interval", least), "%s is too short: %v", path, own.PeerTimeout)
		} else if least := min(maxPeerTimeout, time.Duration(2*p.diameter+1)*longest); own.PeerTimeout < least {
			c.warning(path, fmt.Sprintf("use at least %v: evidence goes there and back, up to a ping interval at each hop", least),
				"%s of %v is short for a diameter of %d: peers will seem lost that are not", path, own.PeerTimeout, p.diameter)
		}
	}
}
