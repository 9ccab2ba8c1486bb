package ring

import (
	"fmt"
	"strings"
	"time"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// peer is another member, of whose log the node is sent runs.
type peer struct {
	origin tickets.Origin
	log    []tickets.Ticket
	sent   uint64
}

// submit has a client or several ask for something.
func (h *history) submit() {
	for range 1 + h.rnd.IntN(4) {
		var cmds []Command
		for range 1 + h.rnd.IntN(6) {
			cmds = append(cmds, h.command())
		}
		h.ask(cmds)
	}
}

func (h *history) ask(cmds []Command) *call {
	c := &call{done: make(chan struct{}, 1)}
	c.prepare(h.n.table, cmds)
	h.calls = append(h.calls, c)
	var err error
	if h.n.cfg.Durability.Interval > 0 {
		err = h.n.applyNow(c)
		c.done <- struct{}{}
	} else {
		err = h.n.intake.leave(c, h.n.cfg.MaxWaiting)
	}
	if err != nil {
		h.fail("%v", err)
	}
	return c
}

// command draws a change: of few names, so that they have long chains, and with
// ids that come again.
func (h *history) command() Command {
	c := Command{Op: []tickets.Op{tickets.CounterAdd, tickets.CounterAdd, tickets.TextSet, tickets.SetAdd}[h.rnd.IntN(4)]}
	c.Name, c.Expire = fmt.Sprint("lasting ", h.rnd.IntN(3)), hlc.Never
	if h.rnd.IntN(3) == 0 {
		c.Name = fmt.Sprint("short ", h.rnd.IntN(20))
		c.Expire = h.n.Now().Add(time.Duration(1+h.rnd.IntN(1500)) * time.Millisecond)
	}
	what := h.rnd.IntN(400)
	if h.rnd.IntN(3) > 0 {
		c.ID = fmt.Sprint("id ", what) // that comes with the same content each time
	}
	switch c.Op.Family() {
	case tickets.Counters:
		c.Amount = value.FromInt64(int64(what - 100))
	case tickets.Sets:
		c.Op, c.Text = tickets.SetAdd+tickets.Op(what%2), fmt.Sprint("element ", what/2%30)
	default:
		c.Text = fmt.Sprint("text ", what)
	}
	if h.rnd.IntN(30) == 0 {
		c.Ref = strings.Repeat("x", h.rnd.IntN(tickets.MaxRefBytes))
	}
	return c
}

// receive has a run of a peer arrive, now and then twice or ahead of a gap, and
// seldom one that is too long for the journal.
func (h *history) receive() {
	if len(h.peers) == 0 {
		return
	}
	p := h.peers[h.rnd.IntN(len(h.peers))]
	count, ref := 1+h.rnd.IntN(20), ""
	if h.seed%4 == 0 && h.rnd.IntN(40) == 0 {
		count, ref = 300, strings.Repeat("y", 1000)
	}
	for range count {
		c := h.command()
		t := tickets.Ticket{Origin: p.origin, Seq: uint64(len(p.log)) + 1, At: h.n.Now() + hlc.Timestamp(len(p.log)), Op: c.Op, Name: c.Name,
			Amount: c.Amount, Text: c.Text, Expire: c.Expire, ID: c.ID, Ref: max(c.Ref, ref)}
		if len(p.log) > 0 {
			t.At = max(t.At, p.log[len(p.log)-1].At+1)
		}
		p.log = append(p.log, t)
		h.submitted[place{t.Origin, t.Seq}] = canonical(&t)
	}
	first := p.sent + 1
	switch h.rnd.IntN(10) {
	case 0:
		first = 1 + h.rnd.Uint64N(first)
	case 1:
		first += h.rnd.Uint64N(5)
	}
	last := min(uint64(len(p.log)), first+uint64(h.rnd.IntN(count+40)), first+tickets.MaxRunTickets-1)
	if first > last {
		return
	}
	if first <= p.sent+1 {
		p.sent = max(p.sent, last)
	}
	run := &tickets.Run{Origin: p.origin, First: first, Last: last, Tickets: p.log[first-1 : last]}
	payload := h.n.replica.Frame(tickets.NewEncoder(value.Decimal).AppendRun(nil, run), h.rnd.IntN(2) == 0)
	handler{h.n}.Received(p.origin.Host, replica.TopicTickets, payload)
}
