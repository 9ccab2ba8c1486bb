//go:build linux

package chaos

import (
	"hash/crc32"
	"sync"
	"time"
)

// update is one change that a client asked for, and what it was told of it.
type update struct {
	Op      string // of a line of a batch
	Name    string
	Content string // amount, text or element
	ID      string
	Expire  string // empty: not stated

	Asked      time.Time // first
	Acked      time.Time // zero: its outcome is not known
	Replicated bool      // another member holds it, says the answer
	Ticket     ticketID
}

// ticketID is what an answer says of a ticket.
type ticketID struct {
	Timestamp time.Time
	Host      string
	Origin    string
	Seq       uint64
	ID        string
}

// history is all that clients asked for, of names that live for ever.
type history struct {
	mu      sync.Mutex
	updates map[string]*update // by id
	facts   []*fact
	known   map[[2]string]*fact
}

// fact is a value that was reported final.
type fact struct {
	path, at string // of the counter; its time
	value    string
	by       string // who said so
}

// number is one by which facts replace each other evenly.
func (f *fact) number() uint32 { return crc32.ChecksumIEEE([]byte(f.path + f.at)) }

const mostFacts = 3000

func newHistory() *history {
	return &history{updates: make(map[string]*update), known: make(map[[2]string]*fact)}
}

// asked notes an update before it is sent, for it may be applied from then on.
func (h *history) asked(us ...*update) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range us {
		h.updates[u.ID] = u
	}
}

// acked notes an answer.
func (h *history) acked(u *update, t ticketID, replicated bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u.Acked, u.Ticket, u.Replicated = time.Now(), t, replicated
}

// final notes a final value; it returns what was said before, if that differs.
func (h *history) final(f *fact) (before *fact) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := [2]string{f.path, f.at}
	if old, ok := h.known[key]; ok {
		if old.value != f.value {
			return old
		}
		return nil
	}
	h.known[key] = f
	if len(h.facts) < mostFacts {
		h.facts = append(h.facts, f)
		return nil
	}
	i := int(f.number()) % mostFacts
	delete(h.known, [2]string{h.facts[i].path, h.facts[i].at})
	h.facts[i] = f
	return nil
}

// fact is the one of that number, counted round.
func (h *history) fact(i int) *fact {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.facts) == 0 {
		return nil
	}
	return h.facts[i%len(h.facts)]
}

// size is how many updates were asked for.
func (h *history) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.updates)
}

// all is what was asked for so far.
func (h *history) all() map[string]*update {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.updates
}
