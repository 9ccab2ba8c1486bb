//go:build linux

package chaos

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"bluerings/hlc"
	"bluerings/ring/boltstore"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// ledger is all tickets of names that live for ever, as a disk has them, folded
// in the most naive way.
type ledger struct {
	entries []entry           // in the order of timestamp, host and epoch
	ends    map[string]uint64 // by origin
}

// entry is a ticket; counted is false for the later ones with one id.
type entry struct {
	origin, host string
	seq          uint64
	at           hlc.Timestamp
	op, name     string
	content      string
	id           string
	counted      bool
}

// readLedger reads the data directory of a node that does not run, without the
// names that begin with a prefix.
func readLedger(dir, host, ring, without string) (*ledger, error) {
	s, err := boltstore.Open(dir, boltstore.Options{Host: host, Ring: ring, Kind: value.Decimal})
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }() // only read
	l := &ledger{ends: make(map[string]uint64)}
	var all []tickets.Ticket
	ends := s.Ends()
	for i, origin := range s.Origins() {
		l.ends[origin.String()] = ends[i]
		err := s.Blocks(tickets.OriginIndex(i), 1, ends[i], func(b replica.Block) (bool, error) {
			run, err := tickets.DecodeRun(value.Decimal, b.Run)
			if err != nil {
				return false, err
			}
			for _, t := range run.Tickets {
				if !strings.HasPrefix(t.Name, without) {
					t.Origin = origin
					all = append(all, t)
				}
			}
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b tickets.Ticket) int {
		if a.Before(&b) {
			return -1
		}
		return 1
	})
	for i := range all {
		l.add(&all[i])
	}
	l.fold()
	return l, nil
}

func (l *ledger) add(t *tickets.Ticket) {
	e := entry{
		origin: t.Origin.String(), host: t.Origin.Host, seq: t.Seq, at: t.At,
		op: t.Op.String(), name: t.Name, content: t.Text, id: t.ID,
	}
	if t.Op == tickets.CounterAdd {
		e.content = t.Amount.String(value.Decimal)
	}
	l.entries = append(l.entries, e)
}

// fold marks the first entry of each id.
func (l *ledger) fold() {
	seen := make(map[[2]string]bool)
	for i := range l.entries {
		e := &l.entries[i]
		key := [2]string{e.op[:3] + e.name, e.id}
		e.counted = e.id == "" || !seen[key]
		seen[key] = true
	}
}

// digest is the same for the same tickets.
func (l *ledger) digest() string {
	h := sha256.New()
	for i := range l.entries {
		fmt.Fprintf(h, "%+v\n", l.entries[i])
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// compare holds what the nodes say of names against the recount.
func (l *ledger) compare(said map[string]state) (broken []string) {
	for path, now := range said {
		switch {
		case strings.HasSuffix(path, "/tickets"):
			broken = append(broken, l.compareMarks(strings.TrimSuffix(strings.TrimPrefix(path, "/v1/counters/"), "/tickets"), now.Tickets)...)
		case strings.HasPrefix(path, "/v1/counters/"):
			if want := l.sum(strings.TrimPrefix(path, "/v1/counters/")); want.Cmp(rat(now.Value)) != 0 {
				broken = append(broken, fmt.Sprintf("%s is %s, its tickets add up to %s", path, now.Value, want.FloatString(2)))
			}
		case strings.HasPrefix(path, "/v1/texts/"):
			if want := l.winner(strings.TrimPrefix(path, "/v1/texts/")); want != now.Text {
				broken = append(broken, fmt.Sprintf("%s is %q, its last ticket says %q", path, now.Text, want))
			}
		case strings.HasPrefix(path, "/v1/sets/"):
			name, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/sets/"), "?")
			if want := l.elements(name); !slices.Equal(want, now.Elements) {
				broken = append(broken, fmt.Sprintf("%s is %q, its tickets make %q", path, now.Elements, want))
			}
		}
	}
	return broken
}

// listed is a ticket in the ledger of a counter that a node gives.
type listed struct {
	Origin, ID, Op string
	Seq            uint64
	Superseded     bool
}

// compareMarks holds the ledger of a counter against the recount: each ticket is
// there once, and of those with one id all but the first are superseded.
func (l *ledger) compareMarks(name string, said []listed) (broken []string) {
	complain := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	marks, times := make(map[ticketKey]bool, len(said)), make(map[string]int)
	for _, s := range said {
		if s.Op != "counter.update" { // it sets the lifetime
			continue
		}
		key := ticketKey{s.Origin, s.Seq}
		if _, twice := marks[key]; twice {
			complain("the ledger of %s has %+v twice", name, s)
		}
		marks[key] = s.Superseded
		if !s.Superseded && s.ID != "" {
			times[s.ID]++
		}
	}
	for id, n := range times {
		if n > 1 {
			complain("update %s of %s counts %d times", id, name, n)
		}
	}
	onDisk := 0
	for i := range l.entries {
		e := &l.entries[i]
		if e.op != "counter.update" || e.name != name {
			continue
		}
		onDisk++
		if superseded, there := marks[ticketKey{e.origin, e.seq}]; !there || superseded == e.counted {
			complain("ticket %+v is in the ledger of %s: %t, superseded: %t", *e, name, there, superseded)
		}
	}
	if onDisk != len(marks) {
		complain("the ledger of %s has %d tickets, the disk %d", name, len(marks), onDisk)
	}
	return broken
}

// rat reads a number; nil text is no number and equals none.
func rat(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return big.NewRat(1, 7919)
	}
	return r
}

func (l *ledger) sum(name string) *big.Rat {
	sum := new(big.Rat)
	for i := range l.entries {
		if e := &l.entries[i]; e.op == "counter.update" && e.name == name && e.counted {
			sum.Add(sum, rat(e.content))
		}
	}
	return sum
}

// winner is the text of the greatest (timestamp, host): the entries are in that
// order.
func (l *ledger) winner(name string) (text string) {
	for i := range l.entries {
		if e := &l.entries[i]; e.op == "text.set" && e.name == name && e.counted {
			text = e.content
		}
	}
	return text
}

// elements are those added and never removed, in order.
func (l *ledger) elements(name string) []string {
	there := make(map[string]bool)
	for _, op := range []string{"set.add", "set.remove"} {
		for i := range l.entries {
			if e := &l.entries[i]; e.op == op && e.name == name && e.counted {
				there[e.content] = op == "set.add"
			}
		}
	}
	var elements []string
	for e, present := range there {
		if present {
			elements = append(elements, e)
		}
	}
	slices.Sort(elements)
	return elements
}

// judge holds the tickets against what clients asked for and were told:
// what is acknowledged is there, and nothing else is that nobody asked for. Lost
// are the acknowledged ones that only a lost disk had. That of tickets with one
// id one counts is for compare.
func (l *ledger) judge(updates map[string]*update, doomed []doom) (lost []*update, broken []string) {
	complain := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	found := make(map[ticketKey]*entry, len(l.entries))
	for i := range l.entries {
		e := &l.entries[i]
		found[ticketKey{e.origin, e.seq}] = e
		if e.id == "" {
			continue
		}
		if u := updates[e.id]; u == nil || u.Name != e.name || u.Op != e.op || !e.says(u) {
			complain("ticket %+v was asked for as %+v", *e, u)
		}
	}
	for id, u := range updates {
		if u.Acked.IsZero() || u.Ticket.Origin == "" {
			continue
		}
		e := found[ticketKey{u.Ticket.Origin, u.Ticket.Seq}]
		switch {
		case e != nil && (e.id != u.Ticket.ID || e.at != hlc.FromTime(u.Ticket.Timestamp)):
			complain("update %s was acknowledged as %+v and stands as %+v", id, u.Ticket, *e)
		case e != nil:
		case !u.Replicated && u.Ticket.Seq > l.ends[u.Ticket.Origin] && excused(u, doomed):
			lost = append(lost, u)
		default:
			complain("update %s was acknowledged at %s as %+v (replicated: %t) and is lost; its log ends at %d",
				id, stamp(u.Acked), u.Ticket, u.Replicated, l.ends[u.Ticket.Origin])
		}
	}
	return lost, broken
}

// ticketKey is what identifies a ticket.
type ticketKey struct {
	origin string
	seq    uint64
}

func (e *entry) says(u *update) bool {
	if e.op == "counter.update" {
		return rat(e.content).Cmp(rat(u.Content)) == 0
	}
	return e.content == u.Content
}

// before is how long before its host's disk was lost an update was acknowledged.
func (u *update) before(doomed []doom) time.Duration {
	for _, d := range doomed {
		if d.host == u.Ticket.Host && d.at.After(u.Acked) {
			return d.at.Sub(u.Acked)
		}
	}
	return 0
}

// excused tells whether the disk of the host that minted the ticket was lost
// after it was acknowledged.
func excused(u *update, doomed []doom) bool {
	return slices.ContainsFunc(doomed, func(d doom) bool {
		return d.host == u.Ticket.Host && d.at.After(u.Asked)
	})
}

// judgeFacts recounts every value that was reported final.
func (l *ledger) judgeFacts(facts []*fact) (broken []string) {
	byName := make(map[string][]*fact)
	for _, f := range facts {
		name := strings.TrimPrefix(f.path, "/v1/counters/")
		byName[name] = append(byName[name], f)
	}
	for name, fs := range byName {
		slices.SortFunc(fs, func(a, b *fact) int { return timeOf(a).Compare(timeOf(b)) })
		sum, next := new(big.Rat), 0
		for _, f := range fs {
			at := hlc.FromTime(timeOf(f))
			for ; next < len(l.entries) && l.entries[next].at <= at; next++ {
				if e := &l.entries[next]; e.op == "counter.update" && e.name == name && e.counted {
					sum.Add(sum, rat(e.content))
				}
			}
			if sum.Cmp(rat(f.value)) != 0 {
				broken = append(broken, fmt.Sprintf("%s as of %s was final as %s, said %s; its tickets add up to %s", f.path, f.at, f.value, f.by, sum.FloatString(2)))
			}
		}
	}
	return broken
}

func timeOf(f *fact) time.Time {
	at, err := time.Parse(time.RFC3339Nano, f.at)
	if err != nil {
		panic(err) // made by stamp
	}
	return at
}
