package ring

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// judge compares what a life begins with to what the ones before left.
func (h *history) judge() {
	h.judgeLedger()
	h.forget()
	stored := h.judgeTickets()
	h.judgeTable()
	h.judgeNaively(stored)
	h.judgeRetries()
	h.stats.tickets = max(h.stats.tickets, len(stored))
}

// judgeLedger: it is as the last commit left it, or as the one under way would
// have, and nothing in between; so are the marks of the replica.
func (h *history) judgeLedger() {
	got := state{make(map[tickets.Origin]uint64), h.n.store.Meta()}
	for i, o := range h.n.store.Origins() {
		if end := h.n.store.Ends()[i]; end > 0 {
			got.ends[o] = end
		}
	}
	is := func(s *state) bool { return maps.Equal(got.ends, s.ends) && string(got.meta) == string(s.meta) }
	lost := false
	switch {
	case h.flying != nil && is(h.flying):
		h.held = *h.flying
	case is(&h.held):
		lost = h.flying != nil
	default:
		h.fail("the ledger ends at %v, acknowledged is %v, under way was %+v; meta is the same: %v", got.ends, h.held.ends, h.flying, string(got.meta) == string(h.held.meta))
	}
	if h.flying = nil; lost {
		h.stats.torn++
	}
	marked := h.n.store.Restored()
	if marked && !h.wasMarked && !lost {
		h.fail("the directory says that it may be behind, and is not")
	}
	if marked {
		h.stats.marked++
	}
	h.wasMarked = marked
	for _, a := range h.acked {
		if a.seq > h.held.ends[a.origin] {
			h.fail("ticket %d of %s was acknowledged and is lost", a.seq, a.origin)
		}
	}
}

// judgeTickets: every ticket is as it was submitted. What is missing was
// collected, and the node knows.
func (h *history) judgeTickets() (stored []tickets.Ticket) {
	s := h.n.store
	for i, o := range s.Origins() {
		next := uint64(1)
		gone := func(to uint64) {
			for ; next < to; next++ {
				was := h.submitted[place{o, next}]
				if !strings.Contains(was, `"short `) || h.n.replica.Collected() == 0 {
					h.fail("ticket %d of %s is gone: %s", next, o, was)
				}
				h.stats.collected++
			}
		}
		err := s.Blocks(tickets.OriginIndex(i), 1, s.Ends()[i], func(b replica.Block) (bool, error) {
			run, err := tickets.DecodeRun(h.n.kind, b.Run)
			if err != nil {
				return false, err
			}
			for k := range run.Tickets {
				t := &run.Tickets[k]
				gone(t.Seq)
				next++
				if got, want := canonical(t), h.submitted[place{o, t.Seq}]; got != want {
					h.fail("stored is %s, submitted was %s", got, want)
				}
			}
			stored = append(stored, run.Tickets...)
			return true, nil
		})
		if err != nil {
			h.fail("%v", err)
		}
		gone(s.Ends()[i] + 1)
	}
	return stored
}

// judgeTable: what the node made of the index and the rest of the log is what
// all of the log gives.
func (h *history) judgeTable() {
	full := &past{store: h.n.store, kind: h.n.kind, shelf: new(shelf)}
	recount := &Node{store: h.n.store, kind: h.n.kind, table: tickets.NewTable(h.n.kind, ledgerOnly{full})}
	for i, o := range h.n.store.Origins() {
		recount.table.AddOrigin(tickets.OriginIndex(i), o)
	}
	for i, end := range h.n.store.Ends() {
		if err := recount.refold(tickets.OriginIndex(i), 0, end); err != nil {
			h.fail("%v", err)
		}
	}
	now := h.n.Now()
	for family := tickets.Counters; family <= tickets.Sets; family++ {
		got, want := told(h.n, family, now), told(recount, family, now)
		if !reflect.DeepEqual(got, want) {
			h.fail("%s are\n%s\nthe log gives\n%s", family, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// told is all that a table knows of the names of a family that live.
func told(n *Node, family tickets.Family, now hlc.Timestamp) (lines []string) {
	t := n.table
	for _, slot := range t.Names(family, "", "", 1<<30, now) {
		text, at, _ := t.Text(slot)
		line := fmt.Sprintf("%s %s, %q of %s, %q, lives %s to %s, superseded %v:", t.Key(slot).Name, t.Total(slot).String(n.kind),
			text, at, t.Elements(slot, "", "", 1<<30), t.Born(slot), t.Expire(slot), t.Superseded(slot))
		chains := t.Present(slot) // tickets of earlier lives may be collected and in the index
		slices.SortFunc(chains, func(a, b tickets.Chain) int { return int(a.Origin) - int(b.Origin) })
		for _, c := range chains {
			if c.Sum.IsZero() {
				continue
			}
			line += fmt.Sprintf(" %s through %d/%d", c.Sum.String(n.kind), c.Origin, c.Head)
		}
		lines = append(lines, line)
	}
	return lines
}

// judgeNaively adds up the lasting counters, now and as of an earlier time, and
// takes the last of the lasting texts.
func (h *history) judgeNaively(stored []tickets.Ticket) {
	slices.SortFunc(stored, func(a, b tickets.Ticket) int {
		if a.Before(&b) {
			return -1
		}
		return 1
	})
	then := hlc.Never
	if len(stored) > 0 {
		then = stored[h.rnd.IntN(len(stored))].At
	}
	now, before, texts := make(map[string]int64), make(map[string]int64), make(map[string]string)
	counted := make(map[string]bool)
	for i := range stored {
		t := &stored[i]
		if strings.HasPrefix(t.Name, "short") || t.Op == tickets.SetAdd || t.Op == tickets.SetRemove {
			continue
		}
		if id := fmt.Sprint(t.Key(), t.ID); t.ID != "" && counted[id] {
			continue
		} else {
			counted[id] = true
		}
		if t.Op == tickets.TextSet {
			texts[t.Name] = t.Text
			continue
		}
		amount := int64(0)
		_, _ = fmt.Sscan(t.Amount.String(h.n.kind), &amount)
		if now[t.Name] += amount; t.At <= then {
			before[t.Name] += amount
		}
	}
	for name, total := range now {
		if got := h.n.total(name); got != fmt.Sprint(total) {
			h.fail("%s is %s, its tickets add up to %d", name, got, total)
		}
		slot, _ := h.n.table.Lookup(tickets.Key{Family: tickets.Counters, Name: name})
		view, walk := h.n.table.View(slot), &walker{store: h.n.store, kind: h.n.kind}
		sum, err := view.SumAt(then, &past{store: h.n.store, kind: h.n.kind, walk: walk}, marks{h.n.store, h.n.kind})
		if err != nil || !sum.Equal(h.n.kind, value.FromInt64(before[name])) {
			h.fail("%s as of %s is %s, its tickets add up to %d: %v", name, then, sum.String(h.n.kind), before[name], err)
		}
	}
	for name, text := range texts {
		if r, _ := h.n.Read(tickets.Key{Family: tickets.Texts, Name: name}); r.Text != text {
			h.fail("%s is %q, its last ticket says %q", name, r.Text, text)
		}
	}
}

// judgeRetries: an id that was acknowledged is known. With the filter of ids,
// or before that is filled.
func (h *history) judgeRetries() {
	if h.rnd.IntN(2) == 0 {
		h.n.fillClaims()
	}
	for range min(10, len(h.acked)) {
		a := h.acked[h.rnd.IntN(len(h.acked))]
		if a.cmd.ID == "" || strings.HasPrefix(a.cmd.Name, "short") {
			continue
		}
		c := h.ask([]Command{a.cmd})
		h.n.mu.Lock()
		h.n.takeIn()
		answered := h.n.takeAnswered()
		h.n.mu.Unlock()
		h.n.intake.wake(answered)
		if o := &c.outcomes[0]; o.Err != nil || !o.Replayed {
			h.fail("a retry of ticket %d of %s counts again: %+v", a.seq, a.origin, o)
		}
	}
	h.note()
}
