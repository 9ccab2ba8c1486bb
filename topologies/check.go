package topologies

import (
	"fmt"
	"slices"
)

// checker checks what a topology says; paths name its parts as in source.
type checker struct {
	*report
	t *Topology
}

func (t *Topology) check(r *report) {
	c := &checker{report: r, t: t}
	c.top()
	c.nodes()
	switch t.Shape {
	case Star:
		c.star()
	case Hierarchy:
		c.hierarchy()
	case Custom:
		c.custom()
	}
	if !r.list.failed() {
		c.whole()
	}
}

func (c *checker) error(path, remedy, format string, args ...any) {
	c.fail(c.t.place(path), fmt.Sprintf(format, args...), remedy)
}

func (c *checker) warning(path, remedy, format string, args ...any) {
	c.warn(c.t.place(path), fmt.Sprintf(format, args...), remedy)
}

// given reports whether a required value is there, and complains if it is not; a value that
// could not be read has been complained about.
func (c *checker) given(path, value, remedy string) bool {
	if value == "" && !c.bad(path) {
		c.error(path, remedy, "%s is missing", path)
	}
	return value != ""
}

func (c *checker) bad(path string) bool { return c.t.source != nil && c.t.source.bad[path] }

// choice checks that a value is one of those known.
func (c *checker) choice(path, value string, known ...string) {
	if !slices.Contains(known, value) {
		c.error(path, c.suggest(value, known), "%s cannot be %q", path, value)
	}
}

// only complains about a key that another shape would heed.
func (c *checker) only(path, shape string, stated bool) {
	known := slices.Contains([]string{FullMesh, Star, Ring, Hierarchy, Custom}, c.t.Shape)
	if stated && known && c.t.Shape != shape {
		c.error(path, fmt.Sprintf("remove it, or set shape = %q", shape), "%s means nothing in shape %q", path, c.t.Shape)
	}
}

func (c *checker) top() {
	t := c.t
	if c.given("ring", t.Ring, `name the ring, such as ring = "prepaid"`) && !validName(t.Ring) {
		c.error("ring", fmt.Sprintf("use 1 to %d bytes of printable text", MaxNameBytes), "ring cannot be named %q", t.Ring)
	}
	if c.given("value", t.Value, `choose value = "integer", "decimal" or "rational"`) {
		c.choice("value", t.Value, Integer, Decimal, Rational)
	}
	if c.given("shape", t.Shape, `choose shape = "full-mesh", "star", "ring", "hierarchy" or "custom"`) {
		c.choice("shape", t.Shape, FullMesh, Star, Ring, Hierarchy, Custom)
	}
	if t.Direction != "" {
		c.choice("direction", t.Direction, Both, OneWay)
	}
	c.only("direction", Ring, t.Direction != "")
	c.only("hubs", Star, len(t.Hubs) > 0)
	c.bounds("timers", t.Timers)
	switch n := len(t.Nodes); {
	case n == 0 && !c.bad("nodes"):
		c.error("nodes", "add a [[nodes]] section for every node", "there are no nodes")
	case n > MaxNodes:
		c.error("nodes", "split the ring", "%d nodes are more than %d", n, MaxNodes)
	}
}

func (c *checker) bounds(path string, timers Timers) {
	for _, k := range timerKeys {
		if d := *k.field(&timers); d != nil && (*d < k.min || *d > k.max) {
			c.error(path+"."+k.name, fmt.Sprintf("use %v to %v", k.min, k.max), "%s.%s is out of bounds: %v", path, k.name, *d)
		}
	}
}

func (c *checker) nodes() {
	hosts := map[string]int{}
	addresses := map[string]string{} // address to the path that took it
	for i, n := range c.t.Nodes {
		if c.bad(fmt.Sprintf("nodes[%d]", i)) {
			continue
		}
		c.host(i, n, hosts)
		c.pub(i, n, addresses)
		c.http(i, n, addresses)
		if n.Bind != "" {
			c.endpoint(nodePath(i, "bind"), n.Bind)
		}
		if n.Role != "" {
			c.choice(nodePath(i, "role"), n.Role, Member, Router, Receiver)
		}
		if n.Site != "" && !validName(n.Site) {
			c.error(nodePath(i, "site"), fmt.Sprintf("use 1 to %d bytes of printable text", MaxNameBytes), "site cannot be named %q", n.Site)
		}
		c.only(nodePath(i, "apex"), Hierarchy, n.Apex)
		c.only(nodePath(i, "subscribe_to"), Custom, len(n.SubscribeTo) > 0)
		c.bounds(nodePath(i, "timers"), n.Timers)
	}
}

func (c *checker) host(i int, n Node, hosts map[string]int) {
	path := nodePath(i, "host")
	if !c.given(path, n.Host, `name the node, such as host = "a"`) {
		return
	}
	if !validHost(n.Host) {
		c.error(path, fmt.Sprintf("use 1 to %d of the characters A-Z a-z 0-9 . _ -", MaxHostBytes), "host cannot be named %q", n.Host)
		return
	}
	if first, twice := hosts[n.Host]; twice {
		c.error(path, "give every node a name of its own", "host %q is also %s%s", n.Host, nodePath(first, "host"), c.line(nodePath(first, "host")))
		return
	}
	hosts[n.Host] = i
}

// line is " (line n)" where a path stands, if that is known.
func (c *checker) line(path string) string {
	if at := c.t.place(path); at.line > 0 {
		return fmt.Sprintf(" (line %d)", at.line)
	}
	return ""
}

func (c *checker) pub(i int, n Node, taken map[string]string) {
	path := nodePath(i, "pub")
	if n.Pub == "" && len(c.t.Nodes) == 1 {
		return
	}
	if !c.given(path, n.Pub, `state where the others subscribe, such as pub = "tcp://127.0.0.1:4001"`) {
		return
	}
	e, ok := c.endpoint(path, n.Pub)
	if !ok {
		return
	}
	if e.everywhere() {
		c.error(path, fmt.Sprintf("put an address the others can reach in pub, and bind = %q", n.Pub), "nobody can subscribe to %q", n.Pub)
		return
	}
	c.take(path, e.String(), e, taken)
}

// endpoint checks the syntax of an endpoint.
func (c *checker) endpoint(path, text string) (endpoint, bool) {
	e, err := parseEndpoint(text)
	if err != nil {
		c.error(path, endpointRemedy, "%s: %q %v", path, text, err)
		return e, false
	}
	if e.path == "" && e.port == 0 && len(c.t.Nodes) > 1 {
		c.error(path, "choose a port; only a ring of one may leave it to the system", "%s: %q has port 0", path, text)
		return e, false
	}
	return e, true
}

func (c *checker) http(i int, n Node, taken map[string]string) {
	path := nodePath(i, "http")
	if n.HTTP == "" {
		return
	}
	e, err := parseAddress(n.HTTP)
	if err == nil && e.host == "*" {
		err = fmt.Errorf("has no valid host")
	}
	if err != nil {
		c.error(path, httpRemedy, "%s: %q %v", path, n.HTTP, err)
		return
	}
	key := e.String()
	if e.ownMachine() {
		// The same address on another machine is another address: tell machines apart by pub.
		if pub, err := parseEndpoint(n.Pub); err == nil && pub.host != e.host {
			key = pub.host + " " + key
		}
	}
	c.take(path, key, e, taken)
}

// take claims an address for one path; another claim is a problem. Port 0 is nobody's.
func (c *checker) take(path, key string, e endpoint, taken map[string]string) {
	if e.path == "" && e.port == 0 {
		return
	}
	if first, twice := taken[key]; twice {
		c.error(path, "give every node addresses of its own", "%s: %s is also %s%s", path, e, first, c.line(first))
		return
	}
	taken[key] = path
}
