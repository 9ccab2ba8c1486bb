// Package topologies reads, checks, draws and generates the files that say who is in a ring and
// who subscribes to whom.
//
// One file serves every node of a ring unchanged. A topology is plain data: [Load] and [Parse]
// return one that passed every check, [Generate] and [Alone] make one, and its methods answer
// what the daemon asks (links, timers, members, digest) and what an operator asks
// ([Topology.Analyse], [Topology.Graph]). No method starts, dials or caches anything; methods are
// safe for concurrent use as long as nobody changes the fields.
package topologies

import (
	"slices"
	"time"
)

// The shapes a ring can have.
const (
	FullMesh  = "full-mesh" // every node subscribes to every other
	Star      = "star"      // leaves and hubs subscribe to each other, hubs among themselves too
	Ring      = "ring"      // neighbours in the order of the file, the last next to the first
	Hierarchy = "hierarchy" // a star per site, a full mesh between the apex nodes of all sites
	Custom    = "custom"    // every node lists whom it subscribes to
)

// The directions of shape ring.
const (
	Both   = "both"    // every node subscribes to both its neighbours; the default
	OneWay = "one-way" // every node subscribes to the node before it in the file
)

// The roles a node can have.
const (
	Member   = "member"   // takes updates, forwards those of others; the default
	Router   = "router"   // takes no updates of its own, forwards all
	Receiver = "receiver" // takes in and serves reads, takes no updates, forwards nothing
)

// The kinds of value a ring can count.
const (
	Integer  = "integer"
	Decimal  = "decimal" // the default
	Rational = "rational"
)

// Topology is a ring as its file states it.
type Topology struct {
	Ring      string   // name; rings of different names never mix
	Value     string   // integer, decimal or rational
	Shape     string   // full-mesh, star, ring, hierarchy or custom
	Direction string   // shape ring only: both or one-way; empty means both
	Hubs      []string // shape star only: hosts of the hubs
	Timers    Timers   // for all nodes; nil fields are not stated
	Nodes     []Node   // in the order of the file, which shape ring follows

	source *source // where it was read from, for the positions of problems; nil if it was not
}

// Node is one node of a ring.
type Node struct {
	Host string // unique name in the ring
	Pub  string // endpoint the others subscribe to; may be empty only in a ring of one
	HTTP string // host:port of the HTTP API; empty leaves it to the daemon's default
	Bind string // endpoint to listen on where it differs from Pub; see BindEndpoint
	Role string // member, router or receiver; never empty after Parse
	Site string // groups nodes; needed by shape hierarchy, a label elsewhere
	Apex bool   // shape hierarchy only: a hub of its site, linked with all other apex nodes

	SubscribeTo []string // shape custom only: hosts, or endpoints equal to the pub of a node
	Timers      Timers   // override those of the topology
}

// Timers are the timers a file states. A nil field is not stated, which is not the same as 0s.
type Timers struct {
	PingInterval *time.Duration // 1ms to 1m
	PeerTimeout  *time.Duration // at least twice the ping interval, at most 1h
	ForwardDelay *time.Duration // 0s to 1h
	ConnectDelay *time.Duration // 0s to 1h
	FloodDelay   *time.Duration // 0s to 1h
}

// Alone returns the topology of a single node without peers. Its node has no addresses: the
// daemon's defaults apply.
func Alone(ring, value, host string) *Topology {
	return &Topology{Ring: ring, Value: value, Shape: FullMesh, Nodes: []Node{{Host: host, Role: Member}}}
}

// Node returns the node of that host, and whether there is one.
func (t *Topology) Node(host string) (Node, bool) {
	i := slices.IndexFunc(t.Nodes, func(n Node) bool { return n.Host == host })
	if i < 0 {
		return Node{}, false
	}
	return t.Nodes[i], true
}

// Members returns the hosts of all nodes, whatever their role, sorted.
func (t *Topology) Members() []string {
	hosts := make([]string, 0, len(t.Nodes))
	for _, n := range t.Nodes {
		hosts = append(hosts, n.Host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// BindEndpoint is the endpoint the node listens on for subscribers: Bind, or else Pub.
func (n Node) BindEndpoint() string {
	if n.Bind != "" {
		return n.Bind
	}
	return n.Pub
}

// Updates reports whether the node takes updates of its own.
func (n Node) Updates() bool { return n.Role == Member || n.Role == "" }

// Forwards reports whether the node passes on what it takes in.
func (n Node) Forwards() bool { return n.Role != Receiver }
