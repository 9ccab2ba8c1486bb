package blackbox

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	crashClients  = 16
	crashCounters = 5
)

// update is one change that a client asked for, until it knows the outcome.
type update struct {
	method, path, body string
	id, amount         string
	n                  int    // number among the updates of its client
	element            string // sets
}

// wish is what a client did so far; one goroutine uses it at a time.
type wish struct {
	client  int
	draw    *rand.Rand
	n       int
	pending *update // to be tried again
	// Updates of counters by id, with counter and amount.
	acked, open map[string]update
	tickets     map[string]ticket // by id, as acknowledged
	// Texts are written in order: the last acknowledged, and the last tried.
	textAcked, textTried int
	added, removed       map[string]bool // elements; false: tried, true: acknowledged
	ackedOthers          int
	openOthers           int
	retries              int
}

func newWish(client int, draw *rand.Rand) *wish {
	return &wish{
		client: client, draw: draw, acked: make(map[string]update), open: make(map[string]update),
		tickets: make(map[string]ticket), added: make(map[string]bool), removed: make(map[string]bool),
	}
}

func (w *wish) textPath() string { return fmt.Sprintf("/v1/texts/text-%d", w.client) }
func (w *wish) setPath() string  { return fmt.Sprintf("/v1/sets/set-%d", w.client) }

// next makes up an update and notes that it may be applied from now on.
func (w *wish) next() *update {
	w.n++
	u := &update{n: w.n, id: fmt.Sprintf("%d/%d", w.client, w.n), method: "PUT"}
	switch kind := w.draw.IntN(10); {
	case kind < 6:
		u.method, u.path = "POST", fmt.Sprintf("/v1/counters/counter-%d", w.draw.IntN(crashCounters))
		u.amount = fmt.Sprintf("%d.%02d", w.draw.IntN(2000)-1000, 1+w.draw.IntN(99))
		u.body = fmt.Sprintf(`{"amount":%q,"id":%q}`, u.amount, u.id)
		w.open[u.id] = *u
		return u
	case kind < 8:
		u.path, u.body = w.textPath(), fmt.Sprintf(`{"text":"%d","id":%q}`, u.n, u.id)
		w.textTried = u.n
	case kind < 9 || len(w.added) == 0:
		u.element = fmt.Sprint("e", u.n)
		u.path, u.body = w.setPath()+"/elements/"+u.element, fmt.Sprintf(`{"id":%q}`, u.id)
		w.added[u.element] = false
	default:
		u.method, u.element = "DELETE", w.someElement()
		u.path, u.body = w.setPath()+"/elements/"+u.element, fmt.Sprintf(`{"id":%q}`, u.id)
		w.removed[u.element] = false
	}
	w.openOthers++
	return u
}

// someElement is one that was added and not removed, or else the first.
func (w *wish) someElement() string {
	for n := w.n - 1; n > 0; n-- {
		e := fmt.Sprint("e", n)
		_, gone := w.removed[e]
		if _, there := w.added[e]; there && !gone {
			return e
		}
	}
	for e := range w.added {
		return e
	}
	panic("no element was added yet")
}

// confirm notes that an update was acknowledged.
func (w *wish) confirm(u *update, c changed) error {
	if c.Ticket.ID != u.id && u.element == "" {
		return fmt.Errorf("update %s was answered with the ticket of %q", u.id, c.Ticket.ID)
	}
	switch {
	case u.amount != "":
		delete(w.open, u.id)
		w.acked[u.id], w.tickets[u.id] = *u, c.Ticket
		return nil
	case u.element == "":
		w.textAcked = max(w.textAcked, u.n)
	case u.method == "DELETE":
		w.removed[u.element] = true
	default:
		w.added[u.element] = true
	}
	w.openOthers--
	w.ackedOthers++
	return nil
}

// work updates until the node is gone. What was under way then is tried again
// in the next round, or, one time in three, given up for ever.
func (w *wish) work(p *process) error {
	for {
		u := w.pending
		if u == nil {
			u = w.next()
		} else {
			w.retries++
		}
		w.pending = u
		a, err := p.call(u.method, u.path, u.body)
		if err != nil {
			if w.draw.IntN(3) == 0 {
				w.pending = nil
			}
			return nil
		}
		var c changed
		status := a.status
		if status == 503 { // shutting down, or still starting
			return nil
		}
		if err := a.into(status, &c); err != nil || status > 201 {
			return fmt.Errorf("%s %s %s: status %d: %s", u.method, u.path, u.body, status, a.body)
		}
		if err := w.confirm(u, c); err != nil {
			return err
		}
		w.pending = nil
	}
}

// crash is a node, what was asked of it, and what its ledgers have shown.
type crash struct {
	t      *testing.T
	draw   *rand.Rand
	http   string
	data   string
	node   *process
	wishes []*wish
	before int // tickets before the clients began
	seen   ledgers
}

func (c *crash) start() *process {
	c.node = serve(c.t, c.http, "--data", c.data, "--host", "a", "--pub", "tcp://127.0.0.1:0", "--log-level", "warn")
	return c.node
}

func (c *crash) tickets() int {
	var s struct{ Tickets int }
	if err := c.node.get("/v1/statistics", &s); err != nil {
		c.t.Fatal(err)
	}
	return s.Tickets
}

// round lets the clients work until end has ended the process.
func (c *crash) round(end func()) {
	c.t.Helper()
	failures := make(chan error, len(c.wishes))
	var all sync.WaitGroup
	for _, w := range c.wishes {
		all.Go(func() {
			if err := w.work(c.node); err != nil {
				failures <- err
			}
		})
	}
	end()
	all.Wait()
	select {
	case err := <-failures:
		c.t.Fatal(err)
	default:
	}
}

func (c *crash) check() {
	c.t.Helper()
	acked, open := make(map[string]update), make(map[string]update)
	least, most := c.before, c.before
	for _, w := range c.wishes {
		for id, u := range w.acked {
			acked[id] = u
		}
		for id, u := range w.open {
			open[id] = u
		}
		least += len(w.acked) + w.ackedOthers
		most += len(w.acked) + w.ackedOthers + len(w.open) + w.openOthers
		c.checkText(w)
		c.checkSet(w)
	}
	// Texts and sets have no ledger over HTTP: the number of all tickets tells
	// that none of theirs was counted twice or lost.
	if n := c.tickets(); n < least || n > most {
		c.t.Fatalf("%d tickets, must be %d to %d", n, least, most)
	}
	found := make(map[string]ticket)
	for i := range crashCounters {
		c.checkCounter(fmt.Sprint("counter-", i), acked, open, found)
	}
	for id, u := range acked {
		if _, ok := found[id]; !ok {
			c.t.Fatalf("update %s of %s by %s was acknowledged and is lost", id, u.path, u.amount)
		}
	}
	for _, w := range c.wishes {
		for id, want := range w.tickets {
			if got := found[id]; got.Origin != want.Origin || got.Seq != want.Seq || got.Timestamp != want.Timestamp {
				c.t.Fatalf("update %s was acknowledged as %+v and stands as %+v", id, want, got)
			}
		}
	}
}

func (c *crash) checkCounter(name string, acked, open map[string]update, found map[string]ticket) {
	c.t.Helper()
	entries, err := c.node.ledger(name)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.seen.note(name, entries); err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Op != "counter.update" {
			continue
		}
		if _, twice := found[e.ID]; twice {
			c.t.Fatalf("update %s stands in the ledgers twice", e.ID)
		}
		found[e.ID] = e
		u, ok := acked[e.ID]
		if !ok {
			u, ok = open[e.ID]
		}
		if !ok || u.path != "/v1/counters/"+name || amount(c.t, u.amount).Cmp(amount(c.t, e.Amount)) != 0 {
			c.t.Fatalf("%s: ticket %+v was asked for as %+v", name, e, u)
		}
	}
	var value changed
	if err := c.node.get("/v1/counters/"+name, &value); err != nil {
		c.t.Fatal(err)
	}
	if sum := sumOf(c.t, entries); sum.Cmp(amount(c.t, value.Value)) != 0 {
		c.t.Fatalf("%s is %s, its ledger adds up to %s", name, value.Value, sum.FloatString(2))
	}
}

func (c *crash) checkText(w *wish) {
	c.t.Helper()
	var now changed
	if err := c.node.get(w.textPath(), &now); err != nil {
		c.t.Fatal(err)
	}
	n := 0
	if _, err := fmt.Sscan(now.Text, &n); err != nil || n < w.textAcked || n > w.textTried {
		c.t.Fatalf("%s is %q, must be from %d to %d", w.textPath(), now.Text, w.textAcked, w.textTried)
	}
}

func (c *crash) checkSet(w *wish) {
	c.t.Helper()
	var now changed
	if err := c.node.get(w.setPath()+"?limit=1000", &now); err != nil {
		c.t.Fatal(err)
	}
	for element, acknowledged := range w.added {
		removed, tried := w.removed[element]
		present := slices.Contains(now.Elements, element)
		if acknowledged && !tried && !present || removed && present {
			c.t.Fatalf("%s: element %s: added %t, removed %t, present %t", w.setPath(), element, acknowledged, removed, present)
		}
	}
	for _, element := range now.Elements {
		if _, asked := w.added[element]; !asked {
			c.t.Fatalf("%s has %s, which nobody added", w.setPath(), element)
		}
	}
}

// amount reads a number exactly.
func amount(t *testing.T, text string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is not an amount", text)
	}
	return r
}

func sumOf(t *testing.T, entries []ticket) *big.Rat {
	t.Helper()
	sum := new(big.Rat)
	for _, e := range entries {
		if e.Op == "counter.update" && !e.Superseded {
			sum.Add(sum, amount(t, e.Amount))
		}
	}
	return sum
}

func TestCrashes(t *testing.T) {
	kills := 24
	if testing.Short() {
		kills = 5
	}
	c := newCrash(t)
	for i := range kills {
		c.round(func() {
			life := time.Duration(5+c.draw.IntN(400)) * time.Millisecond
			switch i % 8 {
			case 3: // while the index is written, every five seconds
				if !testing.Short() {
					life = 5*time.Second - time.Duration(c.draw.IntN(300))*time.Millisecond
				}
			case 6: // after a good end the index is whole
				<-time.After(life)
				c.node.stop()
				return
			}
			<-time.After(life)
			c.node.kill()
		})
		if c.draw.IntN(3) == 0 { // once more while it starts
			c.start()
			<-time.After(time.Duration(c.draw.IntN(60)) * time.Millisecond)
			c.node.kill()
		}
		c.start().ready()
		c.check()
	}
	acked, open, retries := 0, 0, 0
	for _, w := range c.wishes {
		acked, open, retries = acked+len(w.acked)+w.ackedOthers, open+len(w.open)+w.openOthers, retries+w.retries
	}
	t.Logf("%d ends, %d updates acknowledged, %d left open, %d tried again", kills, acked, open, retries)
	c.node.stop()
	if code, out := run(t, "verify", c.data); code != 0 || !strings.Contains(out, " 0 differences") {
		t.Fatalf("verify: exit %d\n%s", code, out)
	}
	alterations(t, c.data)
}

// newCrash starts a node on which every client has its names.
func newCrash(t *testing.T) *crash {
	c := &crash{
		t: t, draw: draws(t), http: fmt.Sprintf("127.0.0.1:%d", freePort(t)),
		data: filepath.Join(t.TempDir(), "data"), seen: make(ledgers),
	}
	c.start().ready()
	for i := range crashCounters {
		c.node.must("PUT", fmt.Sprint("/v1/counters/counter-", i), `{"expire":"never"}`)
	}
	for i := range crashClients {
		w := newWish(i, rand.New(rand.NewPCG(c.draw.Uint64(), uint64(i))))
		c.node.must("PUT", w.textPath(), `{"text":"0","expire":"never"}`)
		c.node.must("PUT", w.setPath(), `{"expire":"never"}`)
		c.wishes = append(c.wishes, w)
	}
	c.before = c.tickets()
	return c
}
