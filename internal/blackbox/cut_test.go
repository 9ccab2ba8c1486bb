package blackbox

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A link is one direction only. In a star, leaf c that hears but is not heard,
// and leaf c that is heard but does not hear, both make the ring incoherent
// for everybody, whether the link breaks or only keeps things back.
func TestOneDirectionCut(t *testing.T) {
	for _, cut := range []struct {
		what     string
		from, to string
		stall    bool
		short    bool
	}{
		{"hears but is not heard, stalled", "c", "a", true, true},
		{"hears but is not heard, broken", "c", "a", false, false},
		{"is heard but does not hear, stalled", "a", "c", true, false},
		{"is heard but does not hear, broken", "a", "c", false, true},
	} {
		t.Run(cut.what, func(t *testing.T) {
			if testing.Short() && !cut.short {
				t.Skip("a subset is enough")
			}
			t.Parallel()
			c := newCluster(t, exampleFile(t, "star-5"))
			link := c.proxied(cut.from, cut.to)
			c.startAll()
			c.update("whole", 3, c.writers()...)
			before := c.agree(shared(15))

			begun := time.Now()
			if cut.stall {
				link.stall()
			} else {
				link.cut()
			}
			c.named("c", c.others("c")...)
			c.named("a", "c") // c cannot tell what is wrong, but with whom
			c.update("cut", 3, c.writers()...)
			if cut.from == "c" {
				c.stuck(begun, c.topo.Members()...) // nobody gets c's promises
			} else {
				c.stuck(begun, "c") // the others know all, and are a majority
			}

			healed := time.Now()
			link.heal()
			c.coherent()
			c.agree(shared(30))
			t.Logf("whole, and final beyond the end of the cut, %s after it", time.Since(healed).Round(time.Millisecond))
			c.still(before)
			c.update("after", 1, c.writers()...)
			c.agree(shared(35))
		})
	}
}

// proxied puts a proxy into the link by which to subscribes to from.
func (c *cluster) proxied(from, to string) *proxy {
	c.t.Helper()
	own := *c.topo
	own.Nodes = append(own.Nodes[:0:0], c.topo.Nodes...)
	var p *proxy
	for i := range own.Nodes {
		if n := &own.Nodes[i]; n.Host == from {
			p = newProxy(c.t, strings.TrimPrefix(n.Pub, "tcp://"))
			n.Pub = "tcp://" + p.listener.Addr().String()
		}
	}
	c.file[to] = c.write("topology-"+to+".toml", &own)
	return p
}

// stuck checks that hosts which cannot know everything that came after the cut
// call none of it final, and say whom they wait for.
func (c *cluster) stuck(cut time.Time, hosts ...string) {
	c.t.Helper()
	// Promises that were under way when the link was cut may still count.
	limit := cut.Add(c.peerTimeout())
	for _, host := range hosts {
		eventually(c.t, host+" waits", func() error {
			s, err := c.nodes[host].state()
			switch {
			case err != nil:
				return err
			case s.FinalThrough.After(limit):
				c.t.Fatalf("%s is final through %s, and was cut off at %s", host, stamp(s.FinalThrough), stamp(cut))
			case s.Now.Before(limit.Add(c.peerTimeout() / 2)):
				return fmt.Errorf("it is too early to tell")
			case len(s.BlockedBy) == 0:
				return fmt.Errorf("it does not say whom final_through waits for")
			}
			return nil
		})
	}
}
