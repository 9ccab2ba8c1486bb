package replica

import (
	"fmt"
	"slices"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// log is what the replica knows of one origin's log.
type log struct {
	origin tickets.Origin
	held   uint64 // durable here, without a gap
	taken  uint64 // held, plus what is on its way to the disk
	last   hlc.Timestamp
	// published is how far this node itself has flooded the log.
	published uint64

	// kept is the best promise whose head we hold: the log is complete here
	// through kept.Closed. offered are better ones that wait for tickets; the
	// first is kept until it is met, so that a moving head cannot starve it.
	kept    Promise
	told    uint64 // of a former log of ours: the most that anybody told this run there is
	offered []Promise
	sealing bool // by us, once it is durable

	want want
	// upcoming has, of each name in what was taken in and is not yet applied,
	// the last ticket.
	upcoming upcoming
	// ticketBytes is about what its tickets take on the wire.
	ticketBytes int
	// forwardDue and forwardLatest time the next flooding of what others minted.
	forwardDue, forwardLatest time.Duration
	stash                     []stashed
}

// stashed is a run that arrived ahead of a gap.
type stashed struct {
	run     *tickets.Run
	encoded []byte
}

// Effects are what the shell has to carry out. Everything in them may be sent
// at once: a ticket appears here only after the batch that made it durable
// was confirmed by Persisted.
type Effects struct {
	// Pings and tickets, framed, in order.
	Publish []Publication
	// Stretches of logs to read from the store and to publish.
	Stretches []Stretch
	// Subscriptions to open and to close on links; asking comes after closing.
	Unask, Ask []Request
}

// Publication is one message for everybody who subscribed to its topic.
type Publication struct {
	Topic   string
	Payload []byte
	Tickets int
}

// Stretch is part of a log to be published from the store.
type Stretch struct {
	Topic    string
	Given    bool // an answer to a request, else a flood
	Origin   tickets.OriginIndex
	From, To uint64
}

// Replica is one node's part in the ring. Its methods must not be called
// concurrently.
type Replica struct {
	cfg   Config
	tag   uint32
	table *tickets.Table
	past  tickets.Past
	enc   *tickets.Encoder
	clock *hlc.Clock

	logs   []log
	byName map[tickets.Origin]tickets.OriginIndex
	order  []tickets.OriginIndex // sorted by origin, for outputs

	own      int // index of the log we mint in, -1 while undecided
	minted   int // the log that this directory mints in or last did, -1 none: never one that came back from peers
	newLife  bool
	promised hlc.Timestamp // durable: no later promise was ever given
	// recorded is how far others' promises on our own disk reach, recordedAt when
	// they last went there. We say that we are complete no further.
	recorded   hlc.Timestamp
	recordedAt time.Duration
	metaDue    bool
	// informedOf is how far our host had promised before this run, by all members;
	// 0: not all have told; informed: a mark beyond that is on the disk.
	informedOf hlc.Timestamp
	informed   bool
	informedAt time.Duration // when that became so, in this run
	caughtUp   bool          // as CaughtUp has told
	even       bool          // as isEven has told
	leaving    bool
	left       bool // and the batch that records it was sealed
	// outdone is the latest boot above our own that was heard of for our host,
	// and outdoneAt when that was.
	outdone   uint64
	outdoneAt time.Duration
	// failed is why the table can no longer be trusted: nothing more is persisted.
	failed error

	batch   batch // accumulating
	flying  *batch
	spare   []part // parts of ownTickets that wait for their next use
	recent  recent // of SealBatch
	ownEnc  *ownEncoder
	numbers uint64

	members map[string]*member
	reports map[reportKey]Report
	links   map[string]*link
	asks    map[string]*ask
	started time.Duration
	// extended is when tickets of others last came, and delays how long some
	// had been on their way.
	extended time.Duration
	delays   []time.Duration
	sent     [4096]time.Duration // when ping number n was sent, at n modulo
	number   uint64
	pingDue  time.Duration
	effects  Effects

	final, complete hlc.Timestamp
	collected       hlc.Timestamp
	gone, droppable []Gone // taken out of the table; droppable: and on record
	coherent        bool
	since           hlc.Timestamp
	reasons         []Reason
	coherentUntil   time.Duration
	duplicate       string // why we believe that another node has our name
	duplicateUntil  time.Duration
	stashedBytes    int
	logBytes        [2]int // about what logs take in a ping: of members, of others
	counts          Counts
}

// Counts are totals since the start.
type Counts struct {
	Messages, Tickets, Stored, Duplicates, Superseded, Conflicts, Replayed uint64
	Dropped                                                                map[string]uint64 // messages, by reason
	Asked, Given                                                           uint64
	SkewRefused, PromiseBroken, Partitions                                 uint64
}

// New makes a replica on top of what is stored. The table must be the fold of
// exactly the stored logs.
func New(cfg Config, stored Stored, table *tickets.Table, past tickets.Past, now Now) (*Replica, error) {
	r := &Replica{
		cfg: cfg, tag: cfg.ringTag(), table: table, past: past, enc: tickets.NewEncoder(cfg.Kind),
		ownEnc: &ownEncoder{enc: tickets.NewEncoder(cfg.Kind)},
		byName: make(map[tickets.Origin]tickets.OriginIndex), own: -1, minted: -1, newLife: stored.NewLife,
		members: make(map[string]*member), reports: make(map[reportKey]Report),
		links: make(map[string]*link), asks: make(map[string]*ask),
	}
	r.cfg.Boot = max(cfg.Boot>>askingBits, 1) << askingBits
	if r.cfg.Portion <= 0 {
		r.cfg.Portion = defaultPortion
	}
	r.counts.Dropped = make(map[string]uint64)
	for i, o := range stored.Origins {
		r.addLog(o)
		r.logs[i].held, r.logs[i].taken = stored.Ends[i], stored.Ends[i]
		r.logs[i].published = stored.Ends[i]
	}
	if err := r.restoreMeta(stored.Meta); err != nil {
		return nil, err
	}
	r.clock = hlc.NewClock(r.promised, cfg.MaxSkew)
	for _, host := range cfg.Members {
		r.members[host] = &member{host: host, base: never}
	}
	for _, host := range cfg.Upstreams {
		r.links[host] = &link{host: host}
	}
	r.recorded = r.closed(-1)
	me := r.members[cfg.Host]
	me.boot = r.cfg.Boot
	r.since, r.started = now.Wall, now.Mono
	r.metaDue = true
	if len(cfg.Members) == 1 {
		r.decideEpoch()
	}
	r.evaluate(now)
	return r, nil
}

func (r *Replica) addLog(o tickets.Origin) tickets.OriginIndex {
	i := tickets.OriginIndex(len(r.logs))
	r.logs = append(r.logs, log{origin: o, ticketBytes: 64})
	r.byName[o] = i
	r.logBytes[r.stranger(o.Host)] += pingLogBytes(o)
	at, _ := slices.BinarySearchFunc(r.order, o, func(i tickets.OriginIndex, o tickets.Origin) int {
		return r.logs[i].origin.Compare(o)
	})
	r.order = slices.Insert(r.order, at, i)
	return i
}

// learnOrigin gives an origin heard of for the first time an index, which the
// next batch makes durable.
func (r *Replica) learnOrigin(o tickets.Origin) (tickets.OriginIndex, bool) {
	if i, ok := r.byName[o]; ok {
		return i, true
	}
	if len(r.logs) >= tickets.MaxOrigins/2 || r.logBytes[r.stranger(o.Host)]+pingLogBytes(o) > maxLogBytes {
		r.counts.Dropped["too_many_origins"]++
		return 0, false
	}
	return r.newLog(o), true
}

// stranger is 1 for a host that is no member, else 0.
func (r *Replica) stranger(host string) int {
	if _, member := slices.BinarySearch(r.cfg.Members, host); member {
		return 0
	}
	return 1
}

// pingLogBytes is about what a log takes in a ping.
func pingLogBytes(o tickets.Origin) int { return len(o.Host) + 32 }

func (r *Replica) newLog(o tickets.Origin) tickets.OriginIndex {
	i := r.addLog(o)
	r.table.AddOrigin(i, o)
	r.batch.origins = append(r.batch.origins, NewOrigin{i, o})
	return i
}

// decideEpoch settles which log this node mints in: the one it had, when
// nobody can know more of it than we do, else a new one.
func (r *Replica) decideEpoch() {
	if r.minted >= 0 && !r.newLife && r.logs[r.minted].kept.Closed != hlc.Never && r.mayContinue(&r.logs[r.minted]) {
		r.own = r.minted
	} else {
		r.newEpoch()
	}
	r.members[r.cfg.Host].epoch = r.logs[r.own].origin.Epoch
}

func (r *Replica) newEpoch() {
	r.own = -1
	epoch := r.cfg.NewEpoch()
	for _, taken := r.byName[tickets.Origin{Host: r.cfg.Host, Epoch: epoch}]; taken; {
		epoch++
		_, taken = r.byName[tickets.Origin{Host: r.cfg.Host, Epoch: epoch}]
	}
	r.own = int(r.newLog(tickets.Origin{Host: r.cfg.Host, Epoch: epoch}))
	r.minted = r.own
	r.metaDue = true
}

// Effects hands over what has to be done, and forgets it.
func (r *Replica) Effects() Effects {
	e := r.effects
	r.effects = Effects{}
	return e
}

// Table is the folded state. It must only be read between calls.
func (r *Replica) Table() *tickets.Table { return r.table }

// Origins lists the origins by index.
func (r *Replica) Origin(i tickets.OriginIndex) tickets.Origin { return r.logs[i].origin }

// Covers lists the applied prefix of every log, by index.
func (r *Replica) Covers() []uint64 {
	covers := make([]uint64, len(r.logs))
	for i := range r.logs {
		covers[i] = r.logs[i].held
		if r.cfg.Async && i == r.own {
			covers[i] = r.logs[i].taken
		}
	}
	return covers
}

// Vector is what this node holds durably.
func (r *Replica) Vector() tickets.Vector {
	v := make(tickets.Vector, 0, len(r.logs))
	for _, i := range r.order {
		if l := &r.logs[i]; l.held > 0 {
			v = append(v, tickets.Entry{Origin: l.origin, Seq: l.held})
		}
	}
	return v
}

// Counts are totals since the start.
func (r *Replica) Counts() Counts { return r.counts }

// Kind is the kind of value that the ring counts in.
func (r *Replica) Kind() value.Kind { return r.cfg.Kind }

// Index is the local index of an origin.
func (r *Replica) Index(o tickets.Origin) (tickets.OriginIndex, bool) {
	i, ok := r.byName[o]
	return i, ok
}

// Dump describes every log, for traces.
func (r *Replica) Dump() string {
	s := fmt.Sprintf("own %d final %s complete %s\n", r.own, r.final, r.complete)
	for _, i := range r.order {
		l := &r.logs[i]
		s += fmt.Sprintf("  %s held %d taken %d kept %v offered %v want %+v reports:", l.origin, l.held, l.taken, l.kept, l.offered, l.want)
		for _, h := range r.cfg.Members {
			if rep, ok := r.reports[reportKey{l.origin, h}]; ok {
				s += fmt.Sprintf(" %s:%d@%d", h, rep.Held, rep.Boot)
			}
		}
		s += "\n"
	}
	return s
}
