//go:build linux

package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// check compares what all nodes say at the end, with each other, with what
// clients were told, and with a naive recount of the tickets on each disk. The
// nodes are stopped then.
func (r *Ring) check(ctx context.Context, load Load, last time.Time) error {
	said, err := r.said(ctx, load, last)
	if err != nil {
		return err
	}
	r.checkFacts(ctx)
	r.checkLogs()
	var first *ledger
	for _, n := range r.nodes {
		if err := n.stop(); err != nil {
			r.violate("%v", err)
			continue
		}
		if err := run(r.Program, "verify", n.disk.data()); err != nil {
			r.violate("%s: %v", n.host, err)
		}
		own, err := readLedger(n.disk.data(), n.host, r.topo.Ring, "x")
		if err != nil {
			r.violate("read the ledger of %s: %v", n.host, err)
			continue
		}
		if first == nil {
			first = own
		}
		if a, b := own.digest(), first.digest(); a != b {
			r.violate("the tickets on the disks of %s and %s differ", n.host, r.nodes[0].host)
		}
	}
	if first == nil {
		return nil
	}
	for _, broken := range first.compare(said) {
		r.violate("%s", broken)
	}
	lost, broken := first.judge(r.history.all(), r.doomed)
	for _, b := range broken {
		r.violate("%s", b)
	}
	for _, b := range first.judgeFacts(r.history.facts) {
		r.violate("%s", b)
	}
	r.count("updates asked for, of names that live", len(r.history.all()))
	r.count("updates lost with the only disk that had them", len(lost))
	longest := make(map[string]time.Duration) // by log
	for _, u := range lost {
		longest[u.Ticket.Origin] = max(longest[u.Ticket.Origin], u.before(r.doomed))
	}
	for origin, before := range longest {
		r.Log("log %s ends at ticket %d: what comes after was lost with its disk, up to %s after it was acknowledged", origin, first.ends[origin], before)
	}
	r.count("tickets of names that live", len(first.entries))
	r.count("facts", len(r.history.facts))
	return nil
}

// said is what all nodes say of each name, if they say the same.
func (r *Ring) said(ctx context.Context, load Load, last time.Time) (map[string]state, error) {
	all := make(map[string]state)
	paths := append(load.names(), "/v1/digest?at="+stamp(last))
	for i := range load.Counters {
		paths = append(paths, fmt.Sprintf("/v1/counters/c%d/tickets", i))
	}
	for _, path := range paths {
		first := ""
		for _, n := range r.nodes {
			if strings.HasPrefix(path, "/v1/sets/") {
				path = strings.TrimSuffix(path, "?limit=1000") + "?limit=1000"
			}
			text, now, err := n.say(ctx, path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", n.host, err)
			}
			if first == "" {
				first, all[path] = text, now
			}
			if text != first {
				r.violate("%s: %s says %s, %s says %s", path, r.nodes[0].host, first, n.host, text)
			}
		}
	}
	return all, nil
}

// state is what a node says of a name, as far as it must be the same
// everywhere.
type state struct {
	Value, Text, Digest, Expire string
	Elements                    []string
	Final                       bool
	Tickets                     []listed // of a ledger
}

// say reads what stands at a path: text is the same wherever the same is said.
func (n *node) say(ctx context.Context, path string) (text string, now state, err error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	if !strings.HasSuffix(path, "/tickets") {
		err = n.get(ctx, path, &now)
		return fmt.Sprintf("%+v", now), now, err
	}
	req, err := http.NewRequestWithContext(ctx, "GET", n.url+path, nil)
	if err != nil {
		return "", now, err
	}
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := web.Do(req)
	if err != nil {
		return "", now, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return "", now, fmt.Errorf("GET %s: status %d", path, resp.StatusCode)
	}
	h := sha256.New()
	for lines := json.NewDecoder(io.TeeReader(resp.Body, h)); err == nil; {
		var t listed
		if err = lines.Decode(&t); err == nil {
			now.Tickets = append(now.Tickets, t)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return fmt.Sprintf("a ledger with hash %x", h.Sum(nil)), now, err
}

// checkFacts reads everything that was final once again, from every node.
func (r *Ring) checkFacts(ctx context.Context) {
	for _, n := range r.nodes {
		o := &observer{ring: r, node: n}
		for _, f := range r.history.facts {
			final, err := o.readFact(ctx, &fact{path: f.path, at: f.at, by: n.host})
			if err != nil || !final {
				r.violate("%s: %s as of %s was final, and now final is %t: %v", n.host, f.path, f.at, final, err)
				return
			}
		}
	}
}

// checkLogs looks for crashes.
func (r *Ring) checkLogs() {
	for _, n := range r.nodes {
		text, err := os.ReadFile(n.log)
		if err != nil {
			r.violate("%v", err)
		}
		for _, word := range []string{"panic:", "fatal error:", "DATA RACE"} {
			if _, after, found := strings.Cut(string(text), word); found {
				r.violate("%s wrote: %s%.2000s", n.host, word, after)
			}
		}
	}
}
