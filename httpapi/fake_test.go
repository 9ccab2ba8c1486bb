package httpapi

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/value"
)

var _ Node = (*ring.Node)(nil)

// fakeNode is a node of its own ring, in memory. Its clock stands still but
// for a second with every ticket.
type fakeNode struct {
	mu       sync.Mutex
	kind     value.Kind
	clock    hlc.Timestamp
	names    map[tickets.Key]*fakeName
	verdict  ring.Verdict
	replicas int   // members that hold every ticket at once
	fail     error // of the next Apply as a whole
	outcome  error // of every command
	notReady error
	broken   bool // panics
	seq      uint64
}

type fakeName struct {
	expire   hlc.Timestamp
	sum      value.Number
	text     string
	elements map[string]bool // false: removed
	entries  []ring.LedgerEntry
}

func newFake() *fakeNode {
	return &fakeNode{
		kind: value.Decimal, clock: hlc.FromTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
		names: make(map[tickets.Key]*fakeName), verdict: ring.Verdict{Coherent: true},
	}
}

func (n *fakeNode) Apply(_ context.Context, commands []ring.Command) ([]ring.Outcome, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken {
		panic("the fake is broken")
	}
	if n.fail != nil {
		return nil, n.fail
	}
	outcomes := make([]ring.Outcome, len(commands))
	for i := range commands {
		outcomes[i] = n.apply(&commands[i])
	}
	return outcomes, nil
}

func (n *fakeNode) apply(c *ring.Command) (o ring.Outcome) {
	key := tickets.Key{Family: c.Op.Family(), Name: c.Name}
	name := n.names[key]
	switch {
	case n.outcome != nil:
		return ring.Outcome{Err: n.outcome}
	case c.RequireCoherence && !n.verdict.Coherent:
		return ring.Outcome{Err: ring.ErrNotCoherent}
	case name == nil && c.Expire == 0:
		return ring.Outcome{Err: ring.ErrUnknown}
	case name == nil:
		name, o.Created = &fakeName{elements: map[string]bool{}}, true
		n.names[key] = name
	}
	t := tickets.Ticket{Op: c.Op, Name: c.Name, Amount: c.Amount, Text: c.Text, Expire: c.Expire, ID: c.ID, Ref: c.Ref}
	for i := range name.entries {
		if old := &name.entries[i].Ticket; c.ID != "" && old.ID == c.ID {
			if !old.Same(&t, n.kind) {
				return ring.Outcome{Err: ring.ErrIDReused}
			}
			return ring.Outcome{Ticket: *old, Replayed: true, Reading: n.reading(key)}
		}
	}
	n.seq++
	n.clock = n.clock.Add(time.Second)
	t.Origin, t.Seq, t.At = tickets.Origin{Host: "a", Epoch: 0x1f}, n.seq, n.clock
	name.entries = append(name.entries, ring.LedgerEntry{Ticket: t})
	name.expire = max(name.expire, c.Expire)
	switch c.Op {
	case tickets.CounterAdd:
		name.sum = name.sum.Add(n.kind, c.Amount)
	case tickets.TextSet:
		name.text = c.Text
	case tickets.SetAdd:
		if _, removed := name.elements[c.Text]; !removed {
			name.elements[c.Text] = true
		}
	case tickets.SetRemove:
		name.elements[c.Text] = false
	}
	o.Ticket, o.Reading = t, n.reading(key)
	return o
}

func (n *fakeNode) reading(key tickets.Key) ring.Reading {
	name := n.names[key]
	return ring.Reading{Key: key, Value: name.sum, Text: name.text, Size: len(name.present("", "", 1<<30)), Expire: name.expire}
}

func (f *fakeName) present(prefix, after string, limit int) []string {
	var list []string
	for e, in := range f.elements {
		if in && strings.HasPrefix(e, prefix) && e > after {
			list = append(list, e)
		}
	}
	slices.Sort(list)
	return list[:min(limit, len(list))]
}

func (n *fakeNode) Read(key tickets.Key) (ring.Reading, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names[key] == nil {
		return ring.Reading{}, false
	}
	return n.reading(key), true
}

func (n *fakeNode) ReadAt(_ context.Context, key tickets.Key, at hlc.Timestamp) (ring.Reading, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := n.names[key]
	if name == nil {
		return ring.Reading{}, ring.ErrUnknown
	}
	if at < name.entries[0].Ticket.At.Add(-time.Hour) {
		return ring.Reading{}, ring.ErrExpired
	}
	r := ring.Reading{Key: key, Expire: name.expire}
	for i := range name.entries {
		if t := &name.entries[i].Ticket; t.At <= at && t.Op == tickets.CounterAdd {
			r.Value = r.Value.Add(n.kind, t.Amount)
		}
	}
	return r, nil
}

func (n *fakeNode) Ledger(_ context.Context, key tickets.Key, q ring.LedgerQuery) ([]ring.LedgerEntry, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []ring.LedgerEntry
	for _, e := range n.names[key].entries {
		at := e.Ticket.At
		if at >= q.From && (q.To == 0 || at <= q.To) && (q.After == nil || at > q.After.At) {
			list = append(list, e)
		}
	}
	if q.Limit > 0 {
		list = list[:min(q.Limit, len(list))]
	}
	return list, nil
}

func (n *fakeNode) Element(set, element string) (present, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := n.names[tickets.Key{Family: tickets.Sets, Name: set}]
	if name == nil {
		return false, false
	}
	return name.elements[element], true
}

func (n *fakeNode) Elements(set, prefix, after string, limit int) ([]string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := n.names[tickets.Key{Family: tickets.Sets, Name: set}]
	if name == nil {
		return nil, false
	}
	return name.present(prefix, after, limit), true
}

func (n *fakeNode) List(family tickets.Family, prefix, after string, limit int) []ring.Reading {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []ring.Reading
	for key := range n.names {
		if key.Family == family && strings.HasPrefix(key.Name, prefix) && key.Name > after {
			list = append(list, n.reading(key))
		}
	}
	slices.SortFunc(list, func(a, b ring.Reading) int { return cmp.Compare(a.Key.Name, b.Key.Name) })
	return list[:min(limit, len(list))]
}

func (n *fakeNode) Verdict() ring.Verdict {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.verdict
}

func (n *fakeNode) Status() ring.Status {
	v := n.Verdict()
	s := ring.Status{
		Host: "a", Ring: "test", Kind: n.kind, Durability: "always", Coherent: v.Coherent, FinalThrough: v.FinalThrough,
		Members: []ring.Member{
			{Host: "a", Role: "member", Epoch: 0x1f, Connected: true, HearsAll: true, Complete: v.FinalThrough, Closed: n.Now()},
			{Host: "b", Role: "member", Heard: -1},
		},
		Vector: tickets.Vector{{Origin: tickets.Origin{Host: "a", Epoch: 0x1f}, Seq: 1}},
	}
	if !v.Coherent {
		s.Reasons = []ring.Reason{{Code: "not_heard", Host: "b", Detail: "for 3s"}}
		s.BlockedBy = []string{"b"}
	}
	return s
}

func (n *fakeNode) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

// The waits end at once, or with their context.
func (n *fakeNode) WaitCoherent(ctx context.Context) error {
	return until(ctx, n.Verdict().Coherent)
}

func (n *fakeNode) WaitFinal(ctx context.Context, at hlc.Timestamp) error {
	return until(ctx, n.Verdict().FinalThrough >= at)
}

func (n *fakeNode) WaitReplicas(ctx context.Context, _ tickets.Origin, _ uint64, k int) (int, error) {
	return min(k, n.replicas), until(ctx, n.replicas >= k)
}

func until(ctx context.Context, holds bool) error {
	if holds {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (n *fakeNode) Statistics() ring.Statistics { return ring.Statistics{Tickets: n.seq} }

func (n *fakeNode) Links() []ring.LinkState {
	return []ring.LinkState{{From: "a", To: "b", State: "down"}, {From: "b", To: "a", State: "unknown"}}
}

func (n *fakeNode) Ready() error { return n.notReady }

func (n *fakeNode) Backup(w io.Writer) error {
	_, err := io.WriteString(w, "a tar")
	return err
}

func (n *fakeNode) Digest(_ context.Context, at hlc.Timestamp) (string, error) {
	return at.String(), nil
}

func (n *fakeNode) Now() hlc.Timestamp {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.clock
}

func (n *fakeNode) Kind() value.Kind { return n.kind }
