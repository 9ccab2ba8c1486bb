package blackbox

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bluerings/topologies"
)

// cluster is a ring of processes on this machine.
type cluster struct {
	t     *testing.T
	topo  *topologies.Topology
	dir   string
	file  map[string]string // topology file by host, where it is not the common one
	nodes map[string]*process
	seen  ledgers
	last  time.Time // timestamp of the latest ticket; a node that came back dates ahead of its clock
}

// exampleFile reads one of the topology files that users start from.
func exampleFile(t *testing.T, name string) *topologies.Topology {
	t.Helper()
	topo, err := topologies.Load(filepath.Join("..", "..", "topologies", name+".toml"))
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// newCluster writes the topology file with ports that are free here. It starts
// nothing yet.
func newCluster(t *testing.T, topo *topologies.Topology) *cluster {
	t.Helper()
	c := &cluster{
		t: t, topo: topo, dir: t.TempDir(), file: make(map[string]string),
		nodes: make(map[string]*process), seen: make(ledgers),
	}
	for i := range topo.Nodes {
		n := &topo.Nodes[i]
		n.Pub, n.Bind = fmt.Sprintf("tcp://127.0.0.1:%d", freePort(t)), ""
		n.HTTP = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	}
	c.write("topology.toml", topo)
	return c
}

func (c *cluster) write(name string, topo *topologies.Topology) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, topo.Encode(), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *cluster) data(host string) string { return filepath.Join(c.dir, "data-"+host) }

// start runs the node of a host and waits until it serves.
func (c *cluster) start(host string) *process {
	c.t.Helper()
	return c.launch(host).ready()
}

func (c *cluster) launch(host string) *process {
	c.t.Helper()
	node, _ := c.topo.Node(host)
	file := c.file[host]
	if file == "" {
		file = filepath.Join(c.dir, "topology.toml")
	}
	p := serve(c.t, node.HTTP, "--topology", file, "--host", host, "--data", c.data(host), "--log-level", "warn")
	c.nodes[host] = p
	return p
}

// startAll runs all nodes and waits until each finds the ring coherent.
func (c *cluster) startAll() *cluster {
	c.t.Helper()
	for _, host := range c.topo.Members() {
		c.launch(host)
	}
	for _, p := range c.nodes {
		p.ready()
	}
	c.coherent()
	return c
}

// coherent waits until every node finds the ring coherent, and says that it is
// ready.
func (c *cluster) coherent() {
	c.t.Helper()
	for host, p := range c.nodes {
		eventually(c.t, host+" is coherent", func() error {
			s, err := p.state()
			if err == nil && !s.Coherent {
				err = fmt.Errorf("%+v", s.Reasons)
			}
			if err == nil {
				err = p.get("/readyz", &struct{}{})
			}
			return err
		})
	}
}

// writers are the hosts that take updates.
func (c *cluster) writers() []string {
	var hosts []string
	for _, n := range c.topo.Nodes {
		if n.Updates() {
			hosts = append(hosts, n.Host)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// peerTimeout is the longest in the ring.
func (c *cluster) peerTimeout() time.Duration {
	longest := time.Duration(0)
	for _, host := range c.topo.Members() {
		longest = max(longest, c.topo.TimersFor(host).PeerTimeout)
	}
	return longest
}

// update adds to counters that all share, to one of the host's own, to a set
// and to a text, n times on every host given, all of which must take it.
func (c *cluster) update(tag string, n int, hosts ...string) {
	c.t.Helper()
	var all sync.WaitGroup
	failures, minted := make(chan error, len(hosts)), make(chan map[string][]ticket, len(hosts))
	for _, host := range hosts {
		all.Go(func() {
			mine := make(map[string][]ticket)
			for i := range n {
				if err := c.updateOne(host, fmt.Sprintf("%s %s %d", tag, host, i), mine); err != nil {
					failures <- fmt.Errorf("%s: %w", host, err)
					return
				}
			}
			minted <- mine
		})
	}
	all.Wait()
	close(failures)
	close(minted)
	for err := range failures {
		c.t.Fatal(err)
	}
	for mine := range minted {
		for name, entries := range mine {
			c.dated(entries)
			if err := c.seen.note(name, entries); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

func (c *cluster) dated(entries []ticket) {
	c.t.Helper()
	for _, e := range entries {
		at, err := time.Parse(time.RFC3339Nano, e.Timestamp)
		if err != nil {
			c.t.Fatal(err)
		}
		if at.After(c.last) {
			c.last = at
		}
	}
}

// updateOne makes one change of each sort under a label of its own.
func (c *cluster) updateOne(host, label string, minted map[string][]ticket) error {
	for _, u := range [][3]string{
		{"POST", "/v1/counters/shared", fmt.Sprintf(`{"amount":"1.01","id":%q,"expire":"never"}`, label)},
		{"POST", "/v1/counters/of-" + host, `{"amount":-3,"expire":"never"}`},
		{"PUT", "/v1/texts/shared", fmt.Sprintf(`{"text":%q,"expire":"never"}`, label)},
		{"PUT", "/v1/sets/shared/elements/" + url.PathEscape(label), `{"expire":"never"}`},
	} {
		a, err := c.nodes[host].call(u[0], u[1], u[2])
		if err != nil {
			return err
		}
		var taken changed
		if err := a.into(a.status, &taken); err != nil || a.status > 201 || taken.Replayed {
			return fmt.Errorf("%v: status %d: %s", u, a.status, a.body)
		}
		if name, counter := strings.CutPrefix(u[1], "/v1/counters/"); counter {
			minted[name] = append(minted[name], taken.Ticket)
		}
	}
	return nil
}

// moment is a time and what the whole ring said of it once it was final.
type moment struct {
	at     time.Time
	digest string
	shared string
}

// agree waits until all nodes are final through now, and the latest ticket,
// and checks that they say
// the same: values, values as of now, digests, ledgers. Want is the value of
// the counter that all share.
func (c *cluster) agree(want string) moment {
	c.t.Helper()
	m := moment{at: time.Now()}
	if c.last.After(m.at) {
		c.t.Logf("the latest ticket is dated %s ahead of the clock", c.last.Sub(m.at).Round(time.Millisecond))
		m.at = c.last
	}
	for host, p := range c.nodes {
		eventually(c.t, host+" is final", func() error {
			s, err := p.state()
			if err == nil && s.FinalThrough.Before(m.at) {
				err = fmt.Errorf("final through %s, blocked by %v, want %s", s.FinalThrough, s.BlockedBy, m.at)
			}
			return err
		})
	}
	m.digest, m.shared = c.digest(m.at), want
	c.still(m)
	c.same("/v1/texts/shared")
	c.same("/v1/sets/shared?limit=1000")
	for _, name := range append(c.ownCounters(), "shared") {
		c.same("/v1/counters/" + name)
		for host, p := range c.nodes {
			entries, err := p.ledger(name)
			if err == nil {
				err = c.seen.note(name, entries)
			}
			if err != nil {
				c.t.Fatalf("%s: %v", host, err)
			}
		}
	}
	return m
}

// ownCounters are the counters that one host alone updates.
func (c *cluster) ownCounters() []string {
	var names []string
	for _, host := range c.writers() {
		names = append(names, "of-"+host)
	}
	return names
}

// same checks that a name stands for the same everywhere.
func (c *cluster) same(path string) {
	c.t.Helper()
	first, from := "", ""
	for host, p := range c.nodes {
		var now changed
		text := ""
		switch a, err := p.call("GET", path, ""); {
		case err != nil:
			c.t.Fatalf("%s %s: %v", host, path, err)
		case a.status != 404:
			if err := a.into(200, &now); err != nil {
				c.t.Fatalf("%s %s: %v", host, path, err)
			}
			text = fmt.Sprintf("%q %q %q", now.Value, now.Text, now.Elements)
		}
		if from == "" {
			first, from = text, host
		}
		if text != first {
			c.t.Fatalf("%s: %s says %s, %s says %s", path, from, first, host, text)
		}
	}
}

// digest is the same on all nodes for a time that is final.
func (c *cluster) digest(at time.Time) string {
	c.t.Helper()
	first := ""
	for host, p := range c.nodes {
		var d struct {
			Digest string
			Final  bool
		}
		if err := p.get("/v1/digest?at="+stamp(at), &d); err != nil {
			c.t.Fatalf("%s: %v", host, err)
		}
		if first == "" {
			first = d.Digest
		}
		if !d.Final || d.Digest != first {
			c.t.Fatalf("%s: as of %s the digest is %s, final %t; another node says %s", host, stamp(at), d.Digest, d.Final, first)
		}
	}
	return first
}

// still checks that a moment that was final is as it was, on every node.
func (c *cluster) still(m moment) {
	c.t.Helper()
	if d := c.digest(m.at); d != m.digest {
		c.t.Fatalf("as of %s the digest was %s and is %s", stamp(m.at), m.digest, d)
	}
	for host, p := range c.nodes {
		var then changed
		if err := p.get("/v1/counters/shared?at="+stamp(m.at), &then); err != nil {
			c.t.Fatalf("%s: %v", host, err)
		}
		if !then.Final || then.Value != m.shared {
			c.t.Fatalf("%s: as of %s the value is %s, final %t; want %s", host, stamp(m.at), then.Value, then.Final, m.shared)
		}
	}
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// shared is the value of the shared counter after so many updates.
func shared(updates int) string {
	if updates%100 == 0 {
		return fmt.Sprint(updates + updates/100)
	}
	text := fmt.Sprintf("%d.%02d", updates+updates/100, updates%100)
	if text[len(text)-1] == '0' {
		return text[:len(text)-1]
	}
	return text
}

// named waits until each of the hosts says that the ring is incoherent because
// of culprit.
func (c *cluster) named(culprit string, hosts ...string) {
	c.t.Helper()
	begun := time.Now()
	var all sync.WaitGroup
	for _, host := range hosts {
		all.Go(func() {
			for deadline := time.Now().Add(patience); c.nodes[host].names(culprit) != nil && time.Now().Before(deadline); {
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	for _, host := range hosts {
		if err := c.nodes[host].names(culprit); err != nil {
			c.t.Fatalf("%s: %v", host, err)
		}
	}
	c.t.Logf("%v named %s after %s; peer_timeout %s", hosts, culprit, took.Round(time.Millisecond), c.peerTimeout())
	if bound := 3 * (c.peerTimeout() + 2*time.Second); took > bound {
		c.t.Errorf("it took longer than %s", bound)
	}
}

// others are the running nodes but for one.
func (c *cluster) others(host string) []string {
	var hosts []string
	for other := range c.nodes {
		if other != host {
			hosts = append(hosts, other)
		}
	}
	slices.Sort(hosts)
	return hosts
}
