//go:build linux

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	callTimeout = 1500 * time.Millisecond
	mostTries   = 12
)

// Load says what clients do. Names in Living live for ever and are checked to
// the last ticket; those of the rest expire within minutes.
type Load struct {
	Clients  int
	Pause    time.Duration // of a client between requests; drawn from half to one and a half of it
	Batch    int           // most lines of a batch
	Singles  float64       // share of requests that are one update
	Expiring float64       // share of batches that go to expiring names
	Life     time.Duration // of expiring names
	Counters int
	Texts    int
	Sets     int
	Elements int // a set gets no more different ones
}

// client asks for updates, one request at a time, and tries those whose outcome
// it does not know again, anywhere.
type client struct {
	ring *Ring
	load Load
	name int
	draw *rand.Rand
	n    int
}

// names are all names that live for ever, as paths.
func (l *Load) names() (paths []string) {
	for i := range l.Counters {
		paths = append(paths, fmt.Sprintf("/v1/counters/c%d", i))
	}
	for i := range l.Texts {
		paths = append(paths, fmt.Sprintf("/v1/texts/t%d", i))
	}
	for i := range l.Sets {
		paths = append(paths, fmt.Sprintf("/v1/sets/s%d", i))
	}
	return paths
}

// setUp makes the names known to all nodes.
func (r *Ring) setUp(l Load) error {
	for _, path := range l.names() {
		body := `{"expire":"never"}`
		if strings.HasPrefix(path, "/v1/texts/") {
			body = `{"expire":"never","text":"new"}`
		}
		a, err := r.nodes[0].call(context.Background(), "PUT", path, []byte(body), "application/json")
		if err != nil {
			return err
		}
		if a.status > 201 {
			return fmt.Errorf("PUT %s: status %d: %s", path, a.status, a.body)
		}
	}
	return r.await("known everywhere", func() error {
		for _, n := range r.nodes {
			for _, path := range l.names() {
				ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
				err := n.get(ctx, path, &struct{}{})
				cancel()
				if err != nil {
					return fmt.Errorf("%s: %w", n.host, err)
				}
			}
		}
		return nil
	})
}

// work makes requests until ctx ends.
func (c *client) work(ctx context.Context) {
	for ctx.Err() == nil {
		var us []*update
		expiring := false
		if c.draw.Float64() < c.load.Singles {
			us = append(us, c.next())
		} else {
			expiring = c.draw.Float64() < c.load.Expiring
			for range 1 + c.draw.IntN(c.load.Batch) {
				if expiring {
					us = append(us, c.nextExpiring())
				} else {
					us = append(us, c.next())
				}
			}
		}
		if !expiring {
			c.ring.history.asked(us...)
		}
		c.see(ctx, us)
		c.rest(ctx, c.load.Pause)
	}
}

func (c *client) rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d/2 + time.Duration(c.draw.Int64N(int64(d)+1))):
	}
}

// next makes up an update of a name that lives for ever.
func (c *client) next() *update {
	c.n++
	u := &update{ID: fmt.Sprintf("%d/%d", c.name, c.n), Asked: time.Now()}
	if c.draw.IntN(4) == 0 { // a node on an empty disk may not know the name
		u.Expire = "never"
	}
	switch kind := c.draw.IntN(10); {
	case kind < 7:
		u.Op, u.Name = "counter.update", fmt.Sprint("c", c.draw.IntN(c.load.Counters))
		u.Content = fmt.Sprintf("%d.%02d", c.draw.IntN(2000)-1000, 1+c.draw.IntN(99))
	case kind < 8:
		u.Op, u.Name, u.Content = "text.set", fmt.Sprint("t", c.draw.IntN(c.load.Texts)), u.ID
	case kind < 9:
		u.Op, u.Name, u.Content = "set.add", fmt.Sprint("s", c.draw.IntN(c.load.Sets)), fmt.Sprint("e", c.draw.IntN(c.load.Elements))
	default:
		u.Op, u.Name, u.Content = "set.remove", fmt.Sprint("s", c.draw.IntN(c.load.Sets)), fmt.Sprint("e", c.draw.IntN(c.load.Elements))
	}
	return u
}

// nextExpiring makes up an update of a counter that nobody will know soon.
func (c *client) nextExpiring() *update {
	c.n++
	now := time.Now()
	return &update{
		Op: "counter.update", Name: fmt.Sprintf("x%d-%d", now.Unix()/int64(max(1, c.load.Life.Seconds())), c.draw.IntN(20)),
		Content: fmt.Sprint(1 + c.draw.IntN(1000)), ID: fmt.Sprintf("%d/%d", c.name, c.n), Asked: now, Expire: c.load.Life.String(),
	}
}

// see sends updates until each is answered, or it gives up, which it does now
// and then. Every try may go to another node.
func (c *client) see(ctx context.Context, us []*update) {
	batch := len(us) > 1
	replicas := c.draw.IntN(2)
	for range mostTries {
		n := c.ring.nodes[c.draw.IntN(len(c.ring.nodes))]
		call, cancel := context.WithTimeout(ctx, callTimeout)
		var err error
		if batch {
			us, err = c.sendBatch(call, n, us, replicas)
		} else {
			us, err = c.sendOne(call, n, us[0], replicas)
		}
		cancel()
		c.ring.count("requests", 1)
		if err != nil {
			c.ring.count("requests without answer", 1)
		}
		if len(us) == 0 || ctx.Err() != nil || c.draw.IntN(6) == 0 {
			return
		}
		c.ring.count("updates tried again", len(us))
		c.rest(ctx, 100*time.Millisecond)
	}
}

// told is what an answer, or a line of it, says.
type told struct {
	Status     int
	Code       string
	Detail     string
	Replicated *int
	Ticket     *ticketID
}

func (c *client) sendOne(ctx context.Context, n *node, u *update, replicas int) (left []*update, err error) {
	var path string
	method, body := "PUT", map[string]string{"id": u.ID}
	if u.Expire != "" {
		body["expire"] = u.Expire
	}
	switch u.Op {
	case "counter.update":
		method, path, body["amount"] = "POST", "/v1/counters/"+u.Name, u.Content
	case "text.set":
		path, body["text"] = "/v1/texts/"+u.Name, u.Content
	case "set.add":
		path = "/v1/sets/" + u.Name + "/elements/" + u.Content
	default:
		method, path = http.MethodDelete, "/v1/sets/"+u.Name+"/elements/"+u.Content
	}
	text, err := json.Marshal(body)
	if err != nil {
		return []*update{u}, err
	}
	a, err := n.call(ctx, method, path+asking(replicas), text, "application/json")
	if err != nil {
		return []*update{u}, err
	}
	var t told
	if err := json.Unmarshal(a.body, &t); err != nil {
		c.ring.violate("%s: %s %s: status %d, body %q: %v", n.host, method, path, a.status, a.body, err)
	}
	t.Status = a.status
	if c.done(n, u, &t, replicas) {
		return nil, nil
	}
	return []*update{u}, nil
}

func asking(replicas int) string {
	if replicas == 0 {
		return ""
	}
	return "?" + url.Values{"replicas": {fmt.Sprint(replicas)}, "wait": {"1s"}}.Encode()
}

func (c *client) sendBatch(ctx context.Context, n *node, us []*update, replicas int) (left []*update, err error) {
	var body bytes.Buffer
	for _, u := range us {
		line := map[string]string{"op": u.Op, "name": u.Name, "id": u.ID}
		switch u.Op {
		case "counter.update":
			line["amount"] = u.Content
		case "text.set":
			line["text"] = u.Content
		default:
			line["element"] = u.Content
		}
		if u.Expire != "" {
			line["expire"] = u.Expire
		}
		if err := json.NewEncoder(&body).Encode(line); err != nil {
			return us, err
		}
	}
	a, err := n.call(ctx, "POST", "/v1/batch"+asking(replicas), body.Bytes(), "application/x-ndjson")
	if err != nil {
		return us, err
	}
	if a.status != 200 {
		var t told
		_ = json.Unmarshal(a.body, &t) // the status says enough
		t.Status = a.status
		c.done(n, us[0], &t, replicas)
		return us, nil
	}
	d := json.NewDecoder(bytes.NewReader(a.body))
	for i, u := range us {
		var t told
		if err := d.Decode(&t); err != nil {
			c.ring.violate("%s: line %d of the answer to a batch of %d: %v", n.host, i+1, len(us), err)
			return append(left, us[i:]...), err
		}
		if !c.done(n, u, &t, replicas) {
			left = append(left, u)
		}
	}
	return left, nil
}

// done tells whether the answer settles the update.
func (c *client) done(n *node, u *update, t *told, replicas int) bool {
	switch t.Status {
	case 200, 201, 202:
	case 404, 408, 429, 503, 507: // not known there yet, or no answer that settles it
		c.ring.count(fmt.Sprintf("answers %d %s", t.Status, t.Code), 1)
		return false
	default:
		c.ring.violate("%s: %s %s id %s %q: status %d %s %s", n.host, u.Op, u.Name, u.ID, u.Content, t.Status, t.Code, t.Detail)
		return false
	}
	c.ring.count("updates acknowledged", 1)
	if t.Ticket == nil {
		t.Ticket = &ticketID{}
	}
	// An element that was there, or gone, already is answered without a ticket of its own.
	if t.Ticket.ID != u.ID && !strings.HasPrefix(u.Op, "set.") {
		c.ring.violate("%s: update %s was answered with the ticket of %q", n.host, u.ID, t.Ticket.ID)
	}
	c.ring.history.acked(u, *t.Ticket, replicas > 0 && t.Status != 202)
	return true
}
