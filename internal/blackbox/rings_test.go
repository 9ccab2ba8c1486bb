//go:build unix

package blackbox

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"bluerings/topologies"
)

func TestRings(t *testing.T) {
	for _, ring := range []struct {
		file   string
		victim string // is killed, and comes back
		short  bool
	}{
		{"pair", "b", true},
		{"mesh-3", "c", false},
		{"star-5", "a", false}, // the hub
		{"dual-star", "b", false},
		{"ring-5", "c", false},
		{"one-way-ring-3", "b", true},
		{"counter-rotating-ring", "e", false},
		{"two-sites", "lyo1", true},
	} {
		t.Run(ring.file, func(t *testing.T) {
			if testing.Short() && !ring.short {
				t.Skip("a subset is enough")
			}
			t.Parallel()
			survives(newCluster(t, exampleFile(t, ring.file)), ring.victim)
		})
	}
	t.Run("generated hierarchy", func(t *testing.T) {
		if testing.Short() {
			t.Skip("a subset is enough")
		}
		t.Parallel()
		topo, err := topologies.Generate(topologies.Hierarchy, 4)
		if err != nil {
			t.Fatal(err)
		}
		survives(newCluster(t, topo), "d")
	})
}

// survives takes a ring through updates everywhere, and the death and return
// of one node.
func survives(c *cluster, victim string) {
	c.t.Helper()
	c.startAll()
	writers := c.writers()
	c.update("first", 10, writers...)
	total := 10 * len(writers)
	before := c.agree(shared(total))

	c.update("last words", 3, victim)
	total += 3
	c.nodes[victim].kill()
	delete(c.nodes, victim)
	c.named(victim, c.others(victim)...)
	others := slices.DeleteFunc(slices.Clone(writers), func(h string) bool { return h == victim })
	c.update("alone", 5, others...)
	total += 5 * len(others)
	c.still(before)

	begun := time.Now()
	c.start(victim)
	c.update("back", 5, writers...)
	total += 5 * len(writers)
	c.coherent()
	c.t.Logf("coherent again %s after the start of %s", time.Since(begun).Round(time.Millisecond), victim)
	c.agree(shared(total))
	c.still(before)
	for _, p := range c.nodes {
		p.stop()
	}
	for _, host := range c.topo.Members() {
		if code, out := run(c.t, "verify", c.data(host)); code != 0 {
			c.t.Errorf("verify of %s: exit %d\n%s", host, code, out)
		}
	}
}

// A node whose disk is gone gets its own tickets back from the others, and
// goes on counting in a log of its own.
func TestLostDisk(t *testing.T) {
	t.Parallel()
	c := newCluster(t, exampleFile(t, "mesh-3")).startAll()
	c.update("first", 10, "a", "b", "c")
	before := c.agree(shared(30))
	c.nodes["b"].kill()
	if err := os.RemoveAll(c.data("b")); err != nil {
		t.Fatal(err)
	}
	c.update("without b", 5, "a", "c")
	c.start("b")
	c.coherent()
	c.update("again", 5, "a", "b", "c")
	c.agree(shared(30 + 10 + 15))
	c.still(before)
}

// A node whose directory was put back from an old copy does not use a number
// again that it used since, whether it hears the others at once or not.
func TestOldCopy(t *testing.T) {
	for _, alone := range []bool{false, true} {
		t.Run(fmt.Sprintf("alone=%t", alone), func(t *testing.T) {
			if testing.Short() && !alone {
				t.Skip("the harder one is enough")
			}
			t.Parallel()
			oldCopy(newCluster(t, exampleFile(t, "star-5")), alone)
		})
	}
}

func oldCopy(c *cluster, alone bool) {
	c.t.Helper()
	t := c.t
	c.startAll()
	c.update("first", 10, "a", "b", "c")
	c.agree(shared(30))
	c.nodes["b"].stop()
	backup := c.dir + "/copy"
	if err := os.CopyFS(backup, os.DirFS(c.data("b"))); err != nil {
		t.Fatal(err)
	}
	c.start("b")
	c.coherent()
	c.update("forgotten", 10, "b")
	before := c.agree(shared(40))
	c.nodes["b"].kill()
	if err := os.RemoveAll(c.data("b")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(c.data("b"), os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	if alone {
		for _, host := range c.others("b") {
			c.nodes[host].signal(syscall.SIGSTOP)
		}
	}
	c.start("b")
	c.update("rewound", 10, "b")
	if alone {
		for _, host := range c.others("b") {
			c.nodes[host].signal(syscall.SIGCONT)
		}
	}
	c.update("after", 5, "a", "b", "e")
	c.coherent()
	c.update("last", 5, "b")
	c.agree(shared(40 + 10 + 15 + 5))
	c.still(before)
	c.nodes["b"].kill()
	c.start("b")
	c.update("once more", 5, "b")
	c.agree(shared(75))
}

// A process that is stopped and goes on is found out by the others, and does
// not believe what it reads from its sockets afterwards. Leaf e of the star is
// known to leaf b only by hearsay.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	c := newCluster(t, exampleFile(t, "star-5")).startAll()
	c.update("first", 5, c.writers()...)
	before := c.agree(shared(25))
	for _, victim := range []string{"e", "a"} {
		p := c.nodes[victim]
		p.signal(syscall.SIGSTOP)
		c.named(victim, c.others(victim)...)
		eventually(t, "the others wait for "+victim, func() error {
			s, err := c.nodes["b"].state()
			if err == nil && !slices.Contains(s.BlockedBy, victim) {
				err = fmt.Errorf("final_through is blocked by %v", s.BlockedBy)
			}
			return err
		})
		c.update("without "+victim, 2, "b", "c")
		resumed := time.Now()
		p.signal(syscall.SIGCONT)
		c.coherent()
		s, err := p.state()
		if err != nil {
			t.Fatal(err)
		}
		if s.Since.Before(resumed) {
			t.Errorf("%s claims to be coherent since %s, but was stopped until %s", victim, stamp(s.Since), stamp(resumed))
		}
		t.Logf("%s: coherent again %s after SIGCONT", victim, s.Since.Sub(resumed).Round(time.Millisecond))
	}
	c.agree(shared(25 + 8))
	c.still(before)
}
