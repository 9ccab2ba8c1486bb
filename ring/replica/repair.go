package replica

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
)

// notice records that somebody has more of a log than we do.
func (r *Replica) notice(now Now, l *log, seq uint64) {
	w := &l.want
	if seq <= l.taken || int(r.byName[l.origin]) == r.own {
		return
	}
	if w.target <= l.taken {
		w.since, w.goal = now.Mono, seq
		w.due = now.Mono + r.cfg.FloodDelay
		w.active, w.failed = false, 0
	}
	w.target = max(w.target, seq)
}

// retarget forgets what nobody speaks of any more, so that a mistaken claim
// is not chased for ever.
func (r *Replica) retarget() {
	for i := range r.logs {
		l := &r.logs[i]
		w := &l.want
		if w.target <= l.taken {
			continue
		}
		said := max(l.taken, l.best().Head)
		if n := len(l.stash); n > 0 {
			said = max(said, l.stash[n-1].run.Last)
		}
		for _, lk := range r.links {
			if i < len(lk.vector) {
				said = max(said, lk.vector[i])
			}
		}
		w.target = min(w.target, said)
		w.goal = min(w.goal, w.target)
	}
}

// progress notes that a log got longer: what still lacks may be on its way,
// so repair waits anew, but no longer than five delays in all.
func (r *Replica) progress(now Now, i tickets.OriginIndex) {
	l := &r.logs[i]
	w := &l.want
	if l.taken >= w.goal {
		w.since, w.goal = now.Mono, w.target
	}
	if l.taken >= w.target {
		w.active = false
	} else if !w.active {
		w.due = min(now.Mono+r.cfg.FloodDelay, w.since+5*r.cfg.FloodDelay)
	}
	var met []Request
	for topic, a := range r.asks {
		if a.index == i {
			if a.to <= l.taken {
				delete(r.asks, topic)
				w.failed = 0
				met = append(met, Request{a.upstream, topic})
			} else {
				a.deadline = now.Mono + askTimeout
			}
		}
	}
	slices.SortFunc(met, func(a, b Request) int { return strings.Compare(a.Topic, b.Topic) })
	r.effects.Unask = append(r.effects.Unask, met...)
	if w.active {
		r.repair(now, i)
	}
}

// Request is a subscription on the link to one upstream.
type Request struct{ Upstream, Topic string }

// repair asks for what lacks of one log, several ranges at a time.
func (r *Replica) repair(now Now, i tickets.OriginIndex) {
	l := &r.logs[i]
	w := &l.want
	if r.batch.bytes > maxAheadBytes {
		w.active = true
		return // until some of it is stored: see resume
	}
	next, underway, gap, asked := l.taken+1, 0, w.target, false
	most := uint64(max(1, min(askTickets, askBytes/max(1, l.ticketBytes))))
	for _, a := range r.asks {
		if a.index == i {
			underway++
			next = max(next, a.to+1)
			gap, asked = min(gap, a.from-1), asked || a.from <= l.taken+1
		}
	}
	if len(l.stash) > 0 {
		gap = min(gap, l.stash[0].run.First-1)
	}
	if !asked && (underway > 0 || len(l.stash) > 0) {
		// Only the gap before what is kept aside or under way: an answer was
		// lost, or the disk refused it. Behind it there is always more to ask for.
		if up := r.source(now, i, l.taken+1); up != nil {
			r.ask(now, i, l.taken+1, min(gap, up.vector[i], l.taken+most), up.host)
			w.active = true
		}
		return
	}
	for underway < maxAsksPerOrigin && next <= w.target {
		up := r.source(now, i, next)
		if up == nil {
			return
		}
		to := min(w.target, up.vector[i], next+most-1)
		r.ask(now, i, next, to, up.host)
		w.active = true
		next, underway = to+1, underway+1
	}
}

// resume goes on with repair that waited for the disk.
func (r *Replica) resume(now Now) {
	for _, i := range r.order {
		if w := &r.logs[i].want; w.active && w.target > r.logs[i].taken {
			r.repair(now, i)
		}
	}
}

func (r *Replica) asksOf(upstream string) int {
	n := 0
	for _, a := range r.asks {
		if a.upstream == upstream {
			n++
		}
	}
	return n
}

func (r *Replica) ask(now Now, i tickets.OriginIndex, from, to uint64, upstream string) {
	topic := requestTopic(r.logs[i].origin, from, to)
	if _, ok := r.asks[topic]; ok || from > to || r.asksOf(upstream) >= maxAsksPerLink {
		return
	}
	r.counts.Asked++
	r.asks[topic] = &ask{topic, i, from, to, upstream, now.Mono + askTimeout}
	r.effects.Ask = append(r.effects.Ask, Request{upstream, topic})
}

// source picks an upstream that has ticket seq of the log: each in turn after
// a failure. A link that just came up is given time to bring it by itself.
func (r *Replica) source(now Now, i tickets.OriginIndex, seq uint64) *link {
	var able []*link
	for _, host := range r.cfg.Upstreams {
		lk := r.links[host]
		if lk.up && lk.pinged && int(i) < len(lk.vector) && lk.vector[i] >= seq && now.Mono-lk.upAt >= r.cfg.ConnectDelay {
			able = append(able, lk)
		}
	}
	if len(able) == 0 {
		return nil
	}
	return able[r.logs[i].want.failed%len(able)]
}

// scheduleForward plans to flood on what others minted.
func (r *Replica) scheduleForward(now Now, l *log) {
	if !r.cfg.Forwards || l.published >= l.held {
		return
	}
	if l.forwardDue == 0 {
		l.forwardLatest = now.Mono + 5*r.cfg.ForwardDelay
	}
	l.forwardDue = max(1, min(now.Mono+r.cfg.ForwardDelay, l.forwardLatest))
}

// forward floods on what somebody next to us still lacks, as far as we know.
func (r *Replica) forward(i tickets.OriginIndex) {
	l := &r.logs[i]
	l.forwardDue = 0
	lacking := uint64(math.MaxUint64)
	for _, host := range r.cfg.Downstreams {
		if host == l.origin.Host {
			continue
		}
		has := uint64(0)
		if lk, ok := r.links[host]; ok && lk.pinged && int(i) < len(lk.vector) {
			has = lk.vector[i]
		}
		lacking = min(lacking, has+1)
	}
	from := max(l.published+1, lacking)
	l.published = l.held
	if lacking == math.MaxUint64 || from > l.held || l.held-from >= maxForwardTickets {
		return
	}
	r.effects.Stretches = append(r.effects.Stretches, Stretch{Topic: TopicTickets, Origin: i, From: from, To: l.held})
}

// Tick does what has become due.
func (r *Replica) Tick(now Now) {
	if r.outdone > r.cfg.Boot && now.Mono-r.outdoneAt > r.cfg.PeerTimeout {
		r.outdo(now) // nobody speaks of it any more
	}
	r.settle(now)
	for _, i := range r.order {
		l := &r.logs[i]
		if l.forwardDue > 0 && l.forwardDue <= now.Mono {
			r.forward(i)
		}
	}
	r.expireAsks(now)
	for _, i := range r.order {
		l := &r.logs[i]
		if w := &l.want; w.target > l.taken && w.due <= now.Mono {
			r.repair(now, i)
			w.due = now.Mono + r.cfg.FloodDelay
		}
	}
	if r.pingDue <= now.Mono {
		r.ping(now)
		r.pingDue = now.Mono + r.cfg.PingInterval
	}
}

func (r *Replica) expireAsks(now Now) {
	var late []string
	for topic, a := range r.asks {
		if a.deadline <= now.Mono {
			late = append(late, topic)
		}
	}
	slices.Sort(late)
	for _, topic := range late {
		a := r.asks[topic]
		delete(r.asks, topic)
		r.logs[a.index].want.failed++
		r.effects.Unask = append(r.effects.Unask, Request{a.upstream, topic})
	}
}

// NextTick is the moment, on the monotonic clock, of the next Tick.
func (r *Replica) NextTick() time.Duration {
	next := r.pingDue
	for i := range r.logs {
		l := &r.logs[i]
		if l.forwardDue > 0 {
			next = min(next, l.forwardDue)
		}
		if l.want.target > l.taken {
			next = min(next, l.want.due)
		}
	}
	return next
}

// behindReasons names the members whose tickets have been lacking here for
// longer than a peer timeout; or at all, of what the neighbours of this run had.
func (r *Replica) behindReasons(now Now) []Reason {
	even := r.isEven(now)
	var reasons []Reason
	for _, i := range r.order {
		l, lacks := &r.logs[i], uint64(0)
		if l.want.target > l.held && now.Mono-l.want.since > r.cfg.PeerTimeout && l.held < l.want.goal {
			lacks = l.want.target - l.held
		} else if !even {
			for _, lk := range r.links {
				lacks = max(lacks, r.lacksOf(lk, i))
			}
		}
		if lacks > 0 {
			reasons = append(reasons, Reason{"behind", l.origin.Host, fmt.Sprintf("this node lacks %d of its tickets", lacks)})
		}
	}
	return reasons
}

// lacksOf is how many tickets of a log somebody had when first heard over the
// link that have still to come here or to reach the disk.
func (r *Replica) lacksOf(lk *link, i tickets.OriginIndex) uint64 {
	l := &r.logs[i]
	if int(i) == r.own || int(i) >= len(lk.had) || l.held >= lk.had[i] || max(l.want.target, l.taken) <= l.held {
		return 0
	}
	return lk.had[i] - l.held
}

// isEven tells whether this run once had all that its upstreams had when they
// were first heard. It waits for each of them, but not for ever, once all
// members were heard, be it by another way, nor for tickets that do not come.
func (r *Replica) isEven(now Now) bool {
	if r.even || !r.Informed() {
		return r.even
	}
	waited := now.Mono-r.informedAt > stuckAfter
	stuck := waited && now.Mono-r.extended > stuckAfter
	r.even = true
	for _, lk := range r.links {
		r.even = r.even && (lk.pinged || waited)
		for i := range lk.had {
			r.even = r.even && (stuck || r.lacksOf(lk, tickets.OriginIndex(i)) == 0)
		}
	}
	return r.even
}

// Lacks is how many tickets this node knows of and has not.
func (r *Replica) Lacks() (n uint64) {
	for i := range r.logs {
		if l := &r.logs[i]; l.want.target > l.held {
			n += l.want.target - l.held
		}
	}
	return n
}

// CaughtUp tells whether this node has what its upstreams had when they were
// first heard; once it had, that is so for good. It does not wait for one that
// cannot be reached or says nothing for a while, and not for ever for tickets
// that do not come.
func (r *Replica) CaughtUp(now Now) bool {
	r.caughtUp = r.caughtUp || r.hasWhatOthersHad(now)
	return r.caughtUp
}

func (r *Replica) hasWhatOthersHad(now Now) bool {
	if now.Mono-max(r.started, r.extended) > stuckAfter {
		return true
	}
	patience := max(minPatience, 2*r.cfg.PingInterval)
	for _, lk := range r.links {
		if !lk.pinged {
			if now.Mono-max(r.started, lk.upAt) <= patience {
				return false
			}
			continue
		}
		for i := range lk.had {
			if r.lacksOf(lk, tickets.OriginIndex(i)) > 0 {
				return false
			}
		}
	}
	return true
}

// State is what a replica says of the ring.
type State struct {
	Coherent        bool
	Since           hlc.Timestamp
	Reasons         []Reason
	Final, Complete hlc.Timestamp
	BlockedBy       []string
	Members         []MemberState
	Links           []LinkState
}

// MemberState is one member as this node sees it.
type MemberState struct {
	Host          string
	Epoch         uint64
	Connected     bool
	Heard         time.Duration // age of the evidence, -1 never
	HearsAll      bool
	Behind, Lacks uint64
	Lag           time.Duration // since the first of what is behind was heard of
	Offset        time.Duration
	Direct        bool
	Complete      hlc.Timestamp
	Closed        hlc.Timestamp
}

// LinkState tells whether our subscription to an upstream is up.
type LinkState struct {
	Upstream string
	Up       bool
}

// Coherent tells whether the ring is whole, at the moment now. It is cheap.
func (r *Replica) Coherent(now Now) bool { return r.coherent && now.Mono <= r.coherentUntil }

// Final is the finality of this node's view. It is cheap.
func (r *Replica) Final() hlc.Timestamp { return r.final }

// State describes the ring at the moment now.
func (r *Replica) State(now Now) State {
	r.evaluate(now)
	s := State{
		Coherent: r.coherent, Since: r.since, Reasons: slices.Clone(r.reasons),
		Final: r.final, Complete: r.complete, BlockedBy: r.blockedBy(now),
	}
	for _, host := range r.cfg.Members {
		m := r.members[host]
		ms := MemberState{
			Host: host, Epoch: m.epoch, Connected: m.fresh(now, r.cfg.PeerTimeout), Heard: -1,
			HearsAll: m.hearsAll, Offset: m.offset, Direct: m.direct, Complete: m.complete, Closed: hlc.Never,
		}
		if m.base != never {
			ms.Heard = now.Mono - m.base
		}
		if host == r.cfg.Host {
			ms.Connected, ms.Heard, ms.HearsAll, ms.Direct, ms.Complete = true, 0, r.hearsAll(now), true, r.complete
		}
		for i := range r.logs {
			l := &r.logs[i]
			if l.origin.Host == host {
				ms.Closed = min(ms.Closed, l.kept.Closed)
				if l.want.target > l.held {
					ms.Behind += l.want.target - l.held
					ms.Lag = max(ms.Lag, now.Mono-l.want.since)
				}
			}
			if lk, ok := r.links[host]; ok && lk.pinged {
				has := uint64(0)
				if i < len(lk.vector) {
					has = lk.vector[i]
				}
				ms.Lacks += l.held - min(has, l.held)
			}
		}
		s.Members = append(s.Members, ms)
	}
	for _, host := range r.cfg.Upstreams {
		s.Links = append(s.Links, LinkState{host, r.links[host].up})
	}
	return s
}

// Holders counts the other members known to hold a ticket durably.
func (r *Replica) Holders(o tickets.Origin, seq uint64) int {
	i, ok := r.byName[o]
	if !ok {
		return 0
	}
	n := 0
	for host, m := range r.members {
		lk := r.links[host]
		if host != r.cfg.Host && (r.saidToHold(m, &r.logs[i], seq) || lk != nil && int(i) < len(lk.vector) && lk.vector[i] >= seq) {
			n++
		}
	}
	return n
}
