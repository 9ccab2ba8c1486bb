package replica

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"bluerings/tickets"
)

// The topics. A request is a subscription to a topic that begins with '?'.
const (
	TopicPing    = "ping"
	TopicTickets = "tickets"
)

// link is our subscription to one upstream.
type link struct {
	host   string
	up     bool
	upAt   time.Duration
	boot   uint64   // of the process whose pings come over it
	pinged bool     // a ping of this ring came over it since it is up
	vector []uint64 // by index: what its newest ping said it holds
	had    []uint64 // and its first, since the link is up
}

// want times the repair of one log that others have more of than we do.
type want struct {
	target uint64
	since  time.Duration // when the oldest ticket still lacking was first noticed
	goal   uint64        // what was lacking then
	due    time.Duration
	active bool // repair has begun, so go on without delay
	failed int
}

// ask is a request under way.
type ask struct {
	topic    string
	index    tickets.OriginIndex
	from, to uint64
	upstream string
	deadline time.Duration
}

const askTimeout = 2 * time.Second

// LinkChanged says that the subscription to an upstream came up or went down.
func (r *Replica) LinkChanged(now Now, upstream string, up bool) {
	lk, ok := r.links[upstream]
	if !ok {
		return
	}
	lk.up, lk.upAt, lk.pinged, lk.boot, lk.vector = up, now.Mono, false, 0, nil
	if r.even { // else what it had still counts until it speaks again
		lk.had = nil
	}
	for topic, a := range r.asks {
		if a.upstream == upstream {
			delete(r.asks, topic)
		}
	}
	r.pingDue = min(r.pingDue, now.Mono) // the echo should not wait
}

// Message is a payload taken apart by Parse: a ping, or a run with its
// encoding, or the reason why it is neither.
type Message struct {
	foreign bool // of another ring
	ping    *Ping
	run     *tickets.Run
	encoded []byte
	flooded bool // not given on request
	reason  string
	err     error
}

// Parse takes a payload apart, which it keeps, and checks all that can be
// checked without the state of the replica. Unlike the other methods it may be
// called at any time: it is the costly part of receiving.
func (r *Replica) Parse(payload []byte) Message {
	kind, tag, body, err := unframe(payload)
	m := Message{foreign: tag != r.tag}
	switch {
	case err != nil:
	case kind == typePing:
		m.ping, err = decodePing(body)
	case m.foreign:
		m.reason, m.err = "other_ring", errors.New("a message of another ring")
	case kind == typeTickets || kind == typeGiven:
		m.encoded, m.flooded = body, kind == typeTickets
		m.run, err = tickets.DecodeRun(r.cfg.Kind, body)
	default:
		m.reason, m.err = "unknown_type", fmt.Errorf("message type %d", kind)
	}
	if err != nil {
		m.reason, m.err = "malformed", err
	}
	return m
}

// Receive takes in a message that came over the link from an upstream. An
// error means that the message was dropped; the link is still good.
func (r *Replica) Receive(now Now, upstream string, m Message) error {
	lk, ok := r.links[upstream]
	if !ok {
		return r.drop("unknown_upstream", fmt.Errorf("no link to %s", upstream))
	}
	r.counts.Messages++
	switch {
	case m.err != nil:
		return r.drop(m.reason, fmt.Errorf("from %s: %w", upstream, m.err))
	case m.ping == nil && r.outlived(lk):
		return r.drop("earlier_run", fmt.Errorf("from a run of %s that is gone", upstream))
	case m.ping == nil:
		return r.take(now, m.run, m.encoded, m.flooded)
	case m.foreign:
		return r.foreign(lk, m.ping)
	}
	r.heard(now, lk, m.ping)
	return nil
}

// outlived tells whether what comes over a link now was sent by a run of which a
// later one is known: it may hold what was lost with that one's disk, and who
// reported since must not take it in.
func (r *Replica) outlived(lk *link) bool {
	m, member := r.members[lk.host]
	return member && lk.boot != 0 && lk.boot>>askingBits < m.boot>>askingBits
}

func (r *Replica) drop(reason string, err error) error {
	r.counts.Dropped[reason]++
	return err
}

// foreign notes that an upstream belongs to another ring or counts in another
// kind of value.
func (r *Replica) foreign(lk *link, p *Ping) error {
	if m, ok := r.members[lk.host]; ok && p.Host == lk.host {
		m.differs = "value_kind_differs"
		m.detail = fmt.Sprintf("it counts in %s, we in %s", p.Kind, r.cfg.Kind)
		if p.Ring != r.cfg.Ring {
			m.differs = "ring_differs"
			m.detail = fmt.Sprintf("it belongs to the ring %q, we to %q", p.Ring, r.cfg.Ring)
		}
	}
	return r.drop("other_ring", fmt.Errorf("%s belongs to the ring %q of kind %s", p.Host, p.Ring, p.Kind))
}

// take merges a run: what continues its log goes into the next batch, what is
// ahead of a gap is kept for a while, what is known is dropped.
func (r *Replica) take(now Now, run *tickets.Run, encoded []byte, flooded bool) error {
	i, ok := r.learnOrigin(run.Origin)
	if !ok {
		return fmt.Errorf("too many origins")
	}
	l := &r.logs[i]
	r.counts.Tickets += uint64(len(run.Tickets))
	switch {
	case int(i) == r.own:
		if run.Last > l.taken {
			r.suspect("somebody else mints in our log", math.MaxInt64)
		}
		return nil
	case run.Last <= l.taken:
		r.counts.Duplicates += uint64(len(run.Tickets))
		return nil
	case run.Last > r.bound(l):
		return r.drop("log_in_question", fmt.Errorf("%s may not be extended to ticket %d now", run.Origin, run.Last))
	case run.First > l.taken+1:
		r.notice(now, l, run.Last)
		r.keepAside(l, run, encoded)
		return nil
	case r.batch.bytes > maxUnstoredBytes:
		r.notice(now, l, run.Last)
		return r.drop("disk_is_slow", fmt.Errorf("too much waits for the disk"))
	}
	if err := r.extend(now, i, run, encoded); err != nil {
		return err
	}
	r.batch.runs[len(r.batch.runs)-1].flooded = flooded
	r.batch.flooded = r.batch.flooded || flooded
	for len(l.stash) > 0 && l.stash[0].run.First <= l.taken+1 {
		s := l.stash[0]
		l.stash = l.stash[1:]
		r.stashedBytes -= footprint(s.run, s.encoded)
		if s.run.Last > l.taken {
			if err := r.extend(now, i, s.run, s.encoded); err != nil {
				return err
			}
		}
	}
	r.progress(now, i)
	return nil
}

// extend puts the part of a run that is new into the batch.
func (r *Replica) extend(now Now, i tickets.OriginIndex, run *tickets.Run, encoded []byte) error {
	l := &r.logs[i]
	if known := l.taken + 1 - run.First; known > 0 {
		cut := run.Cut(l.taken+1, run.Last)
		r.counts.Duplicates += uint64(len(run.Tickets) - len(cut.Tickets))
		run, encoded = cut, r.enc.AppendRun(nil, cut)
	}
	if n := len(run.Tickets); n > 0 {
		last := &run.Tickets[n-1]
		if t := r.broken(l, run.Tickets); t != nil {
			r.counts.PromiseBroken++
			return r.drop("promise_broken", fmt.Errorf("ticket %d of %s is dated %s, before what was promised", t.Seq, l.origin, t.At))
		}
		l.last = last.At
		if l.origin.Host == r.cfg.Host {
			r.clock.Floor(last.At) // whatever our clock was then: we may go on with this log
		} else if !r.clock.Observe(last.At, now.Wall) {
			r.counts.SkewRefused++
		}
	}
	if uint64(len(run.Tickets)) <= run.Last-run.First {
		// Some were collected elsewhere. Of which time they were is not known,
		// but their names expired before something that was final.
		r.collected = max(r.collected, now.Wall, r.clock.Last())
		r.metaDue = true
	}
	l.taken, r.extended = run.Last, now.Mono
	if n := len(run.Tickets); n > 0 {
		l.ticketBytes = (3*l.ticketBytes + len(encoded)/n) / 4
	}
	links, places := r.runLinks(i, run)
	r.batch.runs = append(r.batch.runs, takenRun{index: i, run: run, encoded: encoded, links: links, places: places})
	r.batch.bytes += footprint(run, encoded)
	return nil
}

// footprint is about what a run takes in memory, which can be twenty times
// what it took on the wire.
func footprint(run *tickets.Run, encoded []byte) int {
	return 2*len(encoded) + 256*len(run.Tickets) + 256
}

// broken finds the ticket that is dated before the end of its log, or beyond
// the head of a promise and yet not after it.
func (r *Replica) broken(l *log, run []tickets.Ticket) *tickets.Ticket {
	if run[0].At <= l.last {
		return &run[0]
	}
	for i := range run {
		if t := &run[i]; t.Seq > l.kept.Head {
			if t.At <= l.kept.Closed {
				return t
			}
			return nil
		}
	}
	return nil
}

func (r *Replica) keepAside(l *log, run *tickets.Run, encoded []byte) {
	if r.stashedBytes+footprint(run, encoded) > maxStashedBytes {
		r.counts.Dropped["ahead_of_gap"]++
		return
	}
	at := len(l.stash)
	for at > 0 && l.stash[at-1].run.First > run.First {
		at--
	}
	if at > 0 && l.stash[at-1].run.Last >= run.Last {
		return
	}
	l.stash = append(l.stash, stashed{})
	copy(l.stash[at+1:], l.stash[at:])
	l.stash[at] = stashed{run, encoded}
	r.stashedBytes += footprint(run, encoded)
}

// Asked says that a downstream asks for a range. Requests that make no sense
// are dropped: the asker will ask elsewhere.
func (r *Replica) Asked(topic string) {
	o, from, to, ok := parseTopic(topic)
	if !ok {
		r.counts.Dropped["malformed_request"]++
		return
	}
	i, known := r.byName[o]
	if !known || r.logs[i].held < from || to-from >= 1<<20 {
		return
	}
	r.counts.Given++
	r.effects.Stretches = append(r.effects.Stretches, Stretch{
		Topic: topic, Given: true, Origin: i, From: from, To: min(to, r.logs[i].held),
	})
}

// requestTopic is "?host,epoch,from,to;" with the epoch in hexadecimal. The
// semicolon keeps one topic from being the prefix of another.
func requestTopic(o tickets.Origin, from, to uint64) string {
	return fmt.Sprintf("?%s,%x,%d,%d;", o.Host, o.Epoch, from, to)
}

func parseTopic(topic string) (o tickets.Origin, from, to uint64, ok bool) {
	body, found := strings.CutPrefix(topic, "?")
	body, ended := strings.CutSuffix(body, ";")
	parts := strings.Split(body, ",")
	if !found || !ended || len(parts) != 4 || tickets.CheckHost(parts[0]) != nil {
		return o, 0, 0, false
	}
	epoch, err1 := strconv.ParseUint(parts[1], 16, 64)
	from, err2 := strconv.ParseUint(parts[2], 10, 62)
	to, err3 := strconv.ParseUint(parts[3], 10, 62)
	o = tickets.Origin{Host: parts[0], Epoch: epoch}
	return o, from, to, err1 == nil && err2 == nil && err3 == nil && from >= 1 && from <= to
}
