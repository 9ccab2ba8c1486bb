package replica

import (
	"math"
	"slices"

	"bluerings/hlc"
	"bluerings/tickets"
)

// A host that starts anew has to learn how far others hold its logs before it
// may go on with one, and before it may seal those that it left. It asks by
// its pings: a log of its host that is neither sealed nor the one it mints in
// is open to question. Every member answers with a report, which all relay.

// askingBits are those at the low end of a boot that count how often its run
// has asked for reports.
const askingBits = 16

type reportKey struct {
	origin tickets.Origin
	member string
}

// questioned tells whether the owner of the log wants reports on it.
func (r *Replica) questioned(l *log) bool {
	owner, member := r.members[l.origin.Host]
	return member && owner.boot != 0 && owner.epoch != l.origin.Epoch && l.best().Closed != hlc.Never
}

// answerReports says how far this node holds the logs in question.
func (r *Replica) answerReports() {
	if r.outdone > r.cfg.Boot {
		return // to the others we are an earlier run, and our answers would outlive us
	}
	for i := range r.logs {
		l := &r.logs[i]
		if !r.questioned(l) || l.taken != l.held || !r.drained(l.origin.Host) {
			continue
		}
		r.emptyStash(l)
		key := reportKey{l.origin, r.cfg.Host}
		r.reports[key] = Report{
			Origin: l.origin, Boot: r.members[l.origin.Host].boot, Member: r.cfg.Host,
			Held: l.held, Closed: l.best().Closed,
		}
	}
}

func (r *Replica) emptyStash(l *log) {
	for _, s := range l.stash {
		r.stashedBytes -= footprint(s.run, s.encoded)
	}
	l.stash = nil
}

// drained tells whether nothing that a host sent before its present run can
// still lie in our link to it: links are in order, so a ping of this run came
// after all that; and one that is down will come up to no former run.
func (r *Replica) drained(host string) bool {
	lk, upstream := r.links[host]
	return !upstream || !lk.up || lk.boot == r.members[host].boot
}

// bound is how far a log may be extended here. Whoever has reported on a log
// takes in no more of it than somebody else has reported, so that the owner
// can rely on the reports; and no log goes beyond its seal.
func (r *Replica) bound(l *log) uint64 {
	if best := l.best(); best.Closed == hlc.Never {
		return best.Head
	}
	if l.sealing {
		return l.held
	}
	if !r.questioned(l) {
		return math.MaxUint64
	}
	boot := r.members[l.origin.Host].boot
	if mine, ok := r.reports[reportKey{l.origin, r.cfg.Host}]; !ok || mine.Boot != boot {
		return math.MaxUint64
	}
	most := uint64(0)
	for _, host := range r.cfg.Members {
		if rep, ok := r.reports[reportKey{l.origin, host}]; ok && rep.Boot == boot {
			most = max(most, rep.Held)
		}
	}
	return most
}

func (r *Replica) heardReport(now Now, rep Report) {
	if _, member := r.members[rep.Member]; !member || rep.Member == r.cfg.Host {
		return
	}
	if rep.Origin.Host == r.cfg.Host && rep.Boot == r.cfg.Boot && rep.Closed <= hlc.Latest {
		r.clock.Floor(rep.Closed)
	}
	i, ok := r.byName[rep.Origin]
	if !ok || !r.questioned(&r.logs[i]) || rep.Boot != r.members[rep.Origin.Host].boot {
		return
	}
	key := reportKey{rep.Origin, rep.Member}
	if old, ok := r.reports[key]; ok && old.Boot == rep.Boot {
		rep.Held, rep.Closed = max(rep.Held, old.Held), max(rep.Closed, old.Closed)
	}
	r.reports[key] = rep
	r.notice(now, &r.logs[i], rep.Held)
}

func (r *Replica) reportsToSend() []Report {
	var out []Report
	for key, rep := range r.reports {
		i, ok := r.byName[key.origin]
		if !ok || !r.questioned(&r.logs[i]) || rep.Boot != r.members[key.origin.Host].boot {
			delete(r.reports, key)
			continue
		}
		out = append(out, rep)
	}
	slices.SortFunc(out, func(a, b Report) int {
		if c := a.Origin.Compare(b.Origin); c != 0 {
			return c
		}
		if a.Member < b.Member {
			return -1
		}
		return 1
	})
	if len(out) > maxReportsPerPing { // in turn
		start := int(r.number * maxReportsPerPing % uint64(len(out)))
		out = slices.Concat(out[start:], out[:start])[:maxReportsPerPing]
	}
	return out
}

// polled tells whether every other member has reported on one of our logs to
// this run of ours, and the most that anybody has and was promised.
func (r *Replica) polled(o tickets.Origin) (least, held uint64, closed hlc.Timestamp, all bool) {
	least = math.MaxUint64
	for _, host := range r.cfg.Members {
		if host == r.cfg.Host {
			continue
		}
		rep, ok := r.reports[reportKey{o, host}]
		if !ok || rep.Boot != r.cfg.Boot {
			return 0, 0, 0, false
		}
		least, held, closed = min(least, rep.Held), max(held, rep.Held), max(closed, rep.Closed)
	}
	return least, held, closed, true
}

// mayContinue tells whether a log that we minted in before can be gone on
// with: nobody has more of it than we do, or was told that there is more. Nor
// has anybody told us so since we began: that disk may be lost by now, but who
// read the ticket there would find another under its number.
func (r *Replica) mayContinue(l *log) bool {
	if len(r.cfg.Members) == 1 {
		return true
	}
	_, held, closed, all := r.polled(l.origin)
	if !all || max(held, l.best().Head, l.told, l.want.target) > l.held || len(l.stash) > 0 || l.taken != l.held || closed > hlc.Latest {
		return false
	}
	return true // dated after closed: heardReport saw to that
}

// settle decides the log to mint in once everybody was heard, and seals the
// logs of earlier lives once everybody said how far they go.
func (r *Replica) settle(now Now) {
	if r.runsChanged() && r.questioning() {
		if len(r.seals()) > 0 {
			return // they rest on the answers until they are durable and told
		}
		r.askAnew(now)
	}
	if r.own < 0 && r.allPolled() {
		r.decideEpoch()
	}
	if r.own < 0 {
		return
	}
	for i := range r.logs {
		l := &r.logs[i]
		if l.origin.Host != r.cfg.Host || i == r.own || l.sealing || l.kept.Closed == hlc.Never {
			continue
		}
		// A seal that only some could honour would be lost with their disks, so
		// it waits until everybody holds the whole log; and it hides what was
		// promised of the log, so it waits until as much is promised of the next.
		least, held, closed, all := r.polled(l.origin)
		switch {
		case all && held <= l.held && least >= l.held && l.taken == l.held:
			if r.logs[r.own].kept.Closed >= max(closed, l.kept.Closed) {
				l.sealing, r.metaDue = true, true
			}
		case all:
			r.notice(now, l, held)
		}
	}
}

// seals lists our logs that we have decided to seal, and have not yet.
func (r *Replica) seals() []tickets.OriginIndex {
	var list []tickets.OriginIndex
	for i := range r.logs {
		if r.logs[i].sealing {
			list = append(list, tickets.OriginIndex(i))
		}
	}
	return list
}

// sealed is called when seals that were decided on are durable. Before that
// nobody hears of them: a seal that some know and its owner forgot would keep
// them from what the owner goes on to mint.
func (r *Replica) sealed(logs []tickets.OriginIndex) {
	for _, i := range logs {
		l := &r.logs[i]
		l.sealing, l.offered, l.kept = false, nil, Promise{hlc.Never, l.held}
		l.want.target = min(l.want.target, l.held)
	}
}

// runsChanged tells whether all members are known by now, and one of them in
// another run than when we asked. What it reported in its former run may be lost
// with its disk, or may be with others who had reported before.
func (r *Replica) runsChanged() bool {
	changed := false
	for host, m := range r.members {
		switch {
		case host == r.cfg.Host:
		case m.boot == 0:
			return false // no set of answers is full yet
		case m.boot>>askingBits != m.asked:
			changed = true
		}
	}
	return changed
}

// questioning tells whether reports are wanted on a log of ours.
func (r *Replica) questioning() bool {
	for i := range r.logs {
		if l := &r.logs[i]; l.origin.Host == r.cfg.Host && !l.sealing && r.questioned(l) {
			return true
		}
	}
	return false
}

// askAnew goes on under a later boot, to which all have to report again. Whoever
// hears of it also hears of the runs that we know.
func (r *Replica) askAnew(now Now) {
	r.rename(now, r.cfg.Boot+1)
	for _, m := range r.members {
		m.asked = m.boot >> askingBits
	}
}

// rename has this process count as a later one.
func (r *Replica) rename(now Now, boot uint64) {
	r.cfg.Boot = boot
	r.members[r.cfg.Host].boot = boot
	r.pingDue = min(r.pingDue, now.Mono)
}

// allPolled tells whether every member was heard in this run, and has
// reported on every log of ours that is open.
func (r *Replica) allPolled() bool {
	for _, host := range r.cfg.Members {
		if host != r.cfg.Host && (r.members[host].base == never || !r.reported(host)) {
			return false
		}
	}
	return true
}

// reported tells whether a member has reported to this run on every log of ours
// that is open.
func (r *Replica) reported(member string) bool {
	for i := range r.logs {
		l := &r.logs[i]
		if l.origin.Host != r.cfg.Host || i == r.own || l.kept.Closed == hlc.Never {
			continue
		}
		if rep, ok := r.reports[reportKey{l.origin, member}]; !ok || rep.Boot != r.cfg.Boot {
			return false
		}
	}
	return true
}

// examineInformed waits, once in a run, for every member to tell what our host had
// promised before, and for a mark beyond that on our disk. From then on this node
// dates nothing into what was final, whatever became of its disk and its clock.
func (r *Replica) examineInformed(now Now) {
	if r.informed || len(r.cfg.Members) == 1 {
		return
	}
	missing := false
	for _, host := range r.cfg.Members {
		if m := r.members[host]; host != r.cfg.Host && (m.base < r.started || !r.reported(host)) {
			if missing = true; !m.fresh(now, r.cfg.PeerTimeout) {
				continue // that is said already
			}
			r.reasons = append(r.reasons, Reason{"not_reported", host, "it has not told yet how far it holds what this node had before it started"})
		}
	}
	switch {
	case missing:
		r.informedOf = 0
	case r.informedOf == 0:
		r.informedOf = max(r.clock.Last(), 1)
	}
	switch {
	case missing:
	case r.own < 0 || r.promised < r.informedOf:
		r.metaDue = r.metaDue || r.flying == nil
		r.reasons = append(r.reasons, Reason{"not_reported", r.cfg.Host, "what the others told of its former promises is not on its disk yet"})
	default:
		r.informed, r.informedAt = true, now.Mono
	}
}
