package replica

import (
	"fmt"
	"math"
	"slices"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
)

const never = time.Duration(math.MinInt64 / 2)

// member is the newest that this node knows of one host of the topology.
type member struct {
	host     string
	boot     uint64
	asked    uint64 // its run when we asked for reports, 0 not known
	number   uint64
	epoch    uint64
	complete hlc.Timestamp
	hearsAll bool
	// base is a moment, on our clock, at or before which the newest ping of
	// the member was certainly made: what it says was true then.
	base time.Duration
	// dwellBase is set so that now minus dwellBase is a lower bound on the
	// time that ping has spent inside relays, us included.
	dwellBase time.Duration

	differs string // code of a reason: other topology or value kind
	detail  string
	offset  time.Duration // its wall clock minus ours
	skewed  bool
	direct  bool
}

func (m *member) fresh(now Now, timeout time.Duration) bool { return now.Mono-m.base <= timeout }

// Reason says why the ring is not coherent.
type Reason struct{ Code, Host, Detail string }

// ping makes the next ping. The promise in it covers only durable tickets and
// is backed by the mark that the last batch made durable.
func (r *Replica) ping(now Now) {
	r.number++
	r.sent[r.number%uint64(len(r.sent))] = now.Mono
	p := &Ping{Host: r.cfg.Host, Ring: r.cfg.Ring, Kind: r.cfg.Kind, Wall: max(now.Wall, 1)}
	copy(p.Digest[:], r.cfg.Digest[:])
	r.promise(now)
	r.evaluate(now)
	me := r.members[r.cfg.Host]
	me.number, me.base, me.dwellBase = r.number, now.Mono, now.Mono
	me.complete = r.complete
	me.hearsAll = r.hearsAll(now)
	for _, host := range r.cfg.Members {
		m := r.members[host]
		if m.boot == 0 {
			continue
		}
		row := PingRow{
			Host: host, Boot: m.boot, Number: m.number, Epoch: m.epoch,
			Age: now.Mono - m.base, Dwell: max(0, now.Mono-m.dwellBase), Complete: m.complete, HearsAll: m.hearsAll,
		}
		if m.base == never {
			row.Age = 1000 * time.Hour
		}
		p.Rows = append(p.Rows, row)
	}
	for _, i := range r.order {
		l := &r.logs[i]
		p.Logs = append(p.Logs, PingLog{Origin: l.origin, Held: l.held, Promise: l.best()})
	}
	p.Reports = r.reportsToSend()
	r.effects.Publish = append(r.effects.Publish, Publication{Topic: TopicPing, Payload: r.encodePing(p)})
}

// best is the promise to relay: the latest one heard.
func (l *log) best() Promise {
	if n := len(l.offered); n > 0 {
		return l.offered[n-1]
	}
	return l.kept
}

// promise closes our own log up to now, or up to the first ticket that is not
// durable yet, but never beyond the mark that a restart would honour.
func (r *Replica) promise(now Now) {
	if r.own < 0 || r.leaving {
		return
	}
	l := &r.logs[r.own]
	var closed hlc.Timestamp
	switch {
	case r.flying != nil && r.flying.own.count > 0:
		closed = r.flying.own.at(0).At - 1
	case r.batch.own.count > 0:
		closed = r.batch.own.at(0).At - 1
	default:
		closed = max(now.Wall, r.clock.Last())
		if closed > r.promised {
			closed = r.promised
		}
		r.clock.Floor(closed)
	}
	closed = min(closed, r.promised)
	if closed > l.kept.Closed {
		l.kept = Promise{closed, l.held}
	}
	if max(now.Wall, r.clock.Last()).Add(promiseAhead/2) > r.promised {
		r.metaDue = true
	}
}

// heard takes in a ping that came over the link from its sender.
func (r *Replica) heard(now Now, lk *link, p *Ping) {
	sender, known := r.members[p.Host]
	switch {
	case p.Host == r.cfg.Host:
		r.suspect("its pings arrive from "+lk.host, now.Mono+r.cfg.PeerTimeout)
		return
	case !known:
		r.counts.Dropped["unknown_host"]++
		return
	}
	sender.direct = true
	sender.differs, sender.detail = "", ""
	if p.Digest != [8]byte(r.cfg.Digest[:8]) {
		sender.differs = "topology_differs"
		sender.detail = fmt.Sprintf("its topology has the digest %x, ours %x", p.Digest, r.cfg.Digest[:8])
	}
	sender.offset = time.Duration(p.Wall - now.Wall)
	sender.skewed = sender.offset > r.cfg.MaxSkew || sender.offset < -r.cfg.MaxSkew
	// How long this message can have been on its way: the time since we sent
	// the ping that it echoes, less what that ping surely spent in relays.
	delay, dated := r.echo(now, p)
	for i := range p.Rows {
		switch p.Rows[i].Host {
		case p.Host:
			lk.boot = p.Rows[i].Boot
			r.heardRow(now, &p.Rows[i], delay, dated)
		case r.cfg.Host:
			r.heardRow(now, &p.Rows[i], delay, dated)
		}
	}
	gone := r.outlived(lk)
	for i := range p.Rows {
		row := &p.Rows[i]
		switch m, known := r.members[row.Host]; {
		case !known || row.Host == p.Host || row.Host == r.cfg.Host:
		case !gone:
			r.heardRow(now, row, delay, dated)
		case row.Boot > m.boot:
			// That there is a later run is news. But who counts as heard must have
			// had its promises told along with it.
			r.heardRow(now, row, 0, false)
		}
	}
	if gone {
		r.evaluate(now)
		return
	}
	first := !lk.pinged
	lk.pinged = lk.pinged || p.Host == lk.host
	lk.vector = lk.vector[:0]
	for i := range p.Logs {
		r.heardLog(now, lk, &p.Logs[i])
	}
	if first && lk.pinged {
		lk.had = slices.Clone(lk.vector)
	}
	r.retarget()
	for i := range p.Reports {
		r.heardReport(now, p.Reports[i])
	}
	r.answerReports()
	r.settle(now)
	r.evaluate(now)
}

func (r *Replica) echo(now Now, p *Ping) (time.Duration, bool) {
	for i := range p.Rows {
		row := &p.Rows[i]
		if row.Host != r.cfg.Host {
			continue
		}
		if row.Boot != r.cfg.Boot || row.Number == 0 || row.Number > r.number || r.number-row.Number >= uint64(len(r.sent)) {
			return 0, false
		}
		sent := r.sent[row.Number%uint64(len(r.sent))]
		return max(0, now.Mono-sent-row.Dwell), true
	}
	return 0, false
}

func (r *Replica) heardRow(now Now, row *PingRow, delay time.Duration, dated bool) {
	m, known := r.members[row.Host]
	if !known {
		return
	}
	if row.Host == r.cfg.Host {
		r.heardOfUs(now, row)
		return
	}
	newer := row.Boot > m.boot || row.Boot == m.boot && row.Number > m.number
	if row.Boot < m.boot || row.Boot == m.boot && row.Number < m.number {
		return
	}
	if newer {
		if row.Boot != m.boot {
			m.base = never
		}
		m.boot, m.number, m.epoch = row.Boot, row.Number, row.Epoch
		m.complete, m.hearsAll = row.Complete, row.HearsAll
		m.dwellBase = now.Mono - row.Dwell
	}
	if dated && row.Age < 999*time.Hour {
		m.base = max(m.base, now.Mono-row.Age-delay)
	}
}

// heardOfUs takes in what is told of our host by a boot later than ours.
func (r *Replica) heardOfUs(now Now, row *PingRow) {
	same := row.Boot == r.cfg.Boot && row.Number > r.number // an earlier process had come to this boot too
	if row.Boot <= r.cfg.Boot && !same || row.Boot>>askingBits == math.MaxUint64>>askingBits {
		return
	}
	r.outdone, r.outdoneAt = max(r.outdone, row.Boot), now.Mono
	switch {
	case same:
		r.outdo(now)
	case row.Age >= 999*time.Hour && now.Mono-r.started <= 2*r.cfg.PeerTimeout: // not dated, so far
	case row.Age >= r.cfg.PeerTimeout:
		// An earlier process, when our clock was ahead. Nobody listens to us
		// until we count as later. The row of one that lived would have been
		// dated by now; that of a dead one may go round without a date for ever.
		r.outdo(now)
	case now.Mono-r.started > r.cfg.PeerTimeout:
		r.suspect("another process with this name started later", now.Mono+r.cfg.PeerTimeout)
	}
}

// outdo has this process count as later than the latest of its host that was
// heard of.
func (r *Replica) outdo(now Now) { r.rename(now, (r.outdone>>askingBits+1)<<askingBits) }

// suspect notes that another node seems to have our name. What a ping says of it
// holds for a peer timeout, and what a log proves for ever: a ping may have lain
// in a socket while we were paused, and speak of our own last process.
func (r *Replica) suspect(why string, until time.Duration) {
	if r.duplicate == "" || until > r.duplicateUntil {
		r.duplicate, r.duplicateUntil = why, until
	}
}

func (r *Replica) heardLog(now Now, lk *link, pl *PingLog) {
	i, ok := r.learnOrigin(pl.Origin)
	if !ok {
		return
	}
	for len(lk.vector) <= int(i) {
		lk.vector = append(lk.vector, 0)
	}
	lk.vector[i] = pl.Held
	l := &r.logs[i]
	if int(i) == r.own && pl.Held > l.held {
		r.suspect("somebody has more of our log than we do", math.MaxInt64)
	}
	if pl.Closed > l.best().Closed && int(i) != r.own {
		if n := len(l.offered); n > 1 {
			l.offered = l.offered[:n-1]
		}
		if pl.Closed == hlc.Never {
			// Sealed: what was promised beyond is lost for good.
			l.offered, l.want.target = l.offered[:0], min(l.want.target, pl.Head)
		}
		l.offered = append(l.offered, pl.Promise)
	}
	if pl.Origin.Host == r.cfg.Host {
		if l.told = max(l.told, pl.Held, pl.Head); pl.Closed != hlc.Never {
			r.clock.Floor(min(pl.Closed, hlc.Latest))
		}
	}
	r.meetPromises(i)
	r.notice(now, l, max(pl.Held, l.best().Head))
}

// meetPromises lets the promises count whose tickets are all here.
func (r *Replica) meetPromises(i tickets.OriginIndex) {
	l := &r.logs[i]
	before := l.kept.Closed
	for k := len(l.offered) - 1; k >= 0; k-- {
		if o := l.offered[k]; o.Head <= l.held && (o.Closed != hlc.Never || r.followed(l)) {
			if o.Closed > l.kept.Closed {
				l.kept = o
			}
			l.offered = l.offered[k+1:]
			break
		}
	}
	if len(l.offered) == 0 {
		l.offered = nil
	}
	if l.kept.Closed == before || l.kept.Closed == hlc.Never {
		return
	}
	for k := range r.logs { // a seal may have waited for that
		if o := &r.logs[k]; len(o.offered) > 0 && o.origin.Host == l.origin.Host && k != int(i) {
			r.meetPromises(tickets.OriginIndex(k))
		}
	}
}

// followed tells whether the log may be put down as sealed: what its owner promised
// in it would go from our disk, where that is not to be read off another of its logs.
func (r *Replica) followed(l *log) bool {
	if l.kept.Closed == 0 || l.origin.Host == r.cfg.Host {
		return true
	}
	return slices.ContainsFunc(r.logs, func(o log) bool {
		return o.origin.Host == l.origin.Host && o.kept.Closed != hlc.Never && o.origin != l.origin && o.kept.Closed >= l.kept.Closed
	})
}

func (r *Replica) hearsAll(now Now) bool {
	for host, m := range r.members {
		if host != r.cfg.Host && !m.fresh(now, r.cfg.PeerTimeout) {
			return false
		}
	}
	return true
}

// evaluate works out coherence and finality.
func (r *Replica) evaluate(now Now) {
	if len(r.cfg.Members) == 1 {
		r.promise(now)
	}
	r.evaluateFinality(now)
	r.reasons = r.reasons[:0]
	r.coherentUntil = math.MaxInt64
	for _, host := range r.cfg.Members {
		if host != r.cfg.Host {
			r.examine(now, r.members[host])
		}
	}
	r.examineInformed(now)
	if r.duplicateUntil < now.Mono {
		r.duplicate = ""
	}
	if r.duplicate != "" {
		r.reasons = append(r.reasons, Reason{"duplicate_host", r.cfg.Host, r.duplicate})
	}
	r.reasons = append(r.reasons, r.behindReasons(now)...)
	r.CaughtUp(now) // for good, whenever somebody asks
	if coherent := len(r.reasons) == 0; coherent != r.coherent {
		if !coherent {
			r.counts.Partitions++
		}
		r.coherent, r.since = coherent, now.Wall
	}
}

func (r *Replica) examine(now Now, m *member) {
	add := func(code, detail string) { r.reasons = append(r.reasons, Reason{code, m.host, detail}) }
	r.coherentUntil = min(r.coherentUntil, m.base+r.cfg.PeerTimeout)
	switch {
	case m.base == never && m.boot == 0:
		add("not_heard", "never heard since this node started")
	case m.base == never:
		add("not_heard", "no answer to a ping of ours yet")
	case !m.fresh(now, r.cfg.PeerTimeout):
		add("not_heard", fmt.Sprintf("last heard %s ago", (now.Mono-m.base).Round(time.Millisecond)))
	case !m.hearsAll:
		add("does_not_hear_all", "it does not hear every member")
	}
	if m.differs != "" {
		add(m.differs, m.detail)
	}
	if m.skewed {
		add("clock_skew", fmt.Sprintf("its clock differs from ours by %s", m.offset.Round(time.Millisecond)))
	}
}

// closed is the least of the promises that count here, save that of one log:
// no member dates a ticket of the others at or before it that we do not hold.
func (r *Replica) closed(save int) hlc.Timestamp {
	least := hlc.Never
	known := make(map[string]bool, len(r.cfg.Members))
	for i := range r.logs {
		l := &r.logs[i]
		if _, member := r.members[l.origin.Host]; !member || l.kept.Closed == hlc.Never {
			continue
		}
		known[l.origin.Host] = true
		if i != save {
			least = min(least, l.kept.Closed)
		}
	}
	if len(known) < len(r.cfg.Members) {
		return 0
	}
	return least
}

// evaluateFinality counts promises of others only once they are on our disk:
// their owner may lose its own, and be told by us what it promised.
func (r *Replica) evaluateFinality(now Now) {
	complete := r.closed(-1)
	if complete > r.recorded {
		complete = r.recorded
		r.metaDue = r.metaDue || now.Mono-r.recordedAt >= recordEvery
	}
	r.complete = max(r.complete, complete)
	said := make([]hlc.Timestamp, 0, len(r.cfg.Members))
	for host, m := range r.members {
		if host == r.cfg.Host {
			said = append(said, r.complete)
		} else {
			said = append(said, m.complete)
		}
	}
	slices.SortFunc(said, func(a, b hlc.Timestamp) int { return -cmpTimestamps(a, b) })
	r.final = max(r.final, min(r.complete, said[len(said)/2]))
}

func cmpTimestamps(a, b hlc.Timestamp) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// blockedBy lists the hosts that hold finality back: the owners of the logs
// that are complete here no further than a peer timeout ago; where there are
// none, the members that have not said that they are complete.
func (r *Replica) blockedBy(now Now) []string {
	var owners, slow []string
	bound := now.Wall.Add(-r.cfg.PeerTimeout)
	for host, m := range r.members {
		closed, open := hlc.Never, false
		for i := range r.logs {
			if l := &r.logs[i]; l.origin.Host == host && l.kept.Closed != hlc.Never {
				open = true
				closed = min(closed, l.kept.Closed)
			}
		}
		if !open || closed < bound {
			owners = append(owners, host)
		}
		if host != r.cfg.Host && m.complete < bound && r.final < bound {
			slow = append(slow, host)
		}
	}
	if len(owners) == 0 {
		owners = slow
	}
	slices.Sort(owners)
	return owners
}

// saidToHold tells whether the member said, by being complete through a promise of
// the log's owner, that it holds a ticket.
func (r *Replica) saidToHold(m *member, l *log, seq uint64) bool {
	return l.kept.Closed > 0 && l.kept.Head >= seq && m.complete >= l.kept.Closed
}
