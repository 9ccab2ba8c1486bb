package replica

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

func (s *stage) onNode(verb string, a *actor, args []string) {
	host := a.cfg.Host
	switch verb {
	case "submit":
		s.submit(a, args)
	case "store":
		s.store(a)
	case "persisted":
		if a.writing == nil {
			s.store(a)
		}
		s.persisted(a)
	case "refused":
		if a.writing == nil {
			s.store(a)
		}
		if err := a.Refused(a.writing.Number); err != nil {
			s.t.Fatal(err)
		}
		a.writing = nil
	case "stop":
		a.stopped = true
	case "cont":
		a.stopped = false
	case "save":
		a.saved = a.disk.clone()
	case "wipe", "rewind", "crash":
		for _, name := range sortedKeys(s.pipes) {
			if p := s.pipes[name]; p.to == host || p.from == host {
				s.down(p)
			}
		}
		a.Replica = nil
		switch verb {
		case "wipe":
			a.disk = &disk{t: s.t}
		case "rewind":
			a.disk = a.saved.clone()
		}
	case "start":
		s.start(a)
	case "later":
		s.impersonate(a)
	case "ready":
		word := "is not ready"
		if a.CaughtUp(s.clock(a)) {
			word = "is ready"
		}
		s.printf("  %s %s", host, word)
	case "skew":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		a.skew = d
	default:
		s.t.Fatalf("what is %s?", verb)
	}
	s.carryOut(a)
}

func (s *stage) onPipe(verb string, args []string) {
	p := s.pipes[args[0]]
	if p == nil {
		s.t.Fatalf("no link %s", args[0])
	}
	switch verb {
	case "deliver":
		n := len(p.queue)
		if len(args) > 1 {
			n, _ = strconv.Atoi(args[1])
		}
		for range n {
			s.deliver(p)
		}
	case "drop":
		s.printf("  %d messages lost", len(p.queue))
		p.queue = nil
	case "cut":
		s.down(p)
		p.up = true // and leads nowhere
		p.topics = []string{"cut"}
	case "heal":
		p.up = false
		s.connect()
	}
}

func (s *stage) down(p *pipe) {
	if to := s.nodes[p.to]; p.up && to != nil && to.Replica != nil {
		to.LinkChanged(s.clock(to), p.from, false)
	}
	p.up, p.queue, p.topics = false, nil, nil
}

func (s *stage) store(a *actor) {
	if a.writing = a.NextBatch(s.clock(a)); a.writing == nil {
		return
	}
	if s.auto {
		return
	}
	for _, b := range a.writing.Blocks {
		s.printf("  %s writes %s %d..%d", a.cfg.Host, a.Origin(b.Origin), b.First, b.Last)
	}
}

func (s *stage) persisted(a *actor) {
	if a.writing == nil {
		return
	}
	b := a.writing
	a.writing = nil
	a.disk.commit(b)
	more, err := a.Persisted(s.clock(a), b.Number)
	for more && err == nil {
		more, err = a.Proceed(s.clock(a))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// deliver hands over the first message of a pipe.
func (s *stage) deliver(p *pipe) {
	to := s.nodes[p.to]
	if len(p.queue) == 0 || to == nil || to.Replica == nil {
		return
	}
	message := p.queue[0]
	p.queue = p.queue[1:]
	if err := to.Receive(s.clock(to), p.from, to.Parse(message)); err != nil {
		s.printf("  %s drops: %v", p.to, err)
	}
	s.carryOut(to)
}

// carryOut does what a replica wants done, and prints it.
func (s *stage) carryOut(a *actor) {
	if a.Replica == nil {
		return
	}
	host := a.cfg.Host
	e := a.Effects()
	for _, q := range e.Unask {
		if p := s.pipes[q.Upstream+"->"+host]; p.up {
			p.topics = slices.DeleteFunc(p.topics, func(t string) bool { return t == q.Topic })
		}
	}
	for _, p := range e.Publish {
		if p.Topic != TopicPing {
			s.printf("  %s publishes %s", host, s.describe(p.Payload))
		} else if !s.auto {
			s.printf("  %s pings", host)
		}
		s.flood(host, p.Topic, p.Payload)
	}
	for _, q := range e.Ask {
		s.printf("  %s asks %s for %s", host, q.Upstream, q.Topic)
		if p := s.pipes[q.Upstream+"->"+host]; p.up && !slices.Contains(p.topics, "cut") {
			p.topics = append(p.topics, q.Topic)
			if up := s.nodes[q.Upstream]; up.Replica != nil && !up.stopped {
				up.Asked(q.Topic)
				s.carryOut(up)
			}
		}
	}
	for _, st := range e.Stretches {
		for _, run := range a.disk.read(a.Origin(st.Origin), st.From, st.To) {
			payload := a.Frame(tickets.NewEncoder(value.Integer).AppendRun(nil, run), st.Given)
			verb := "forwards"
			if st.Given {
				verb = "gives"
			}
			s.printf("  %s %s %s", host, verb, s.describe(payload))
			s.flood(host, st.Topic, payload)
		}
	}
}

func (s *stage) describe(payload []byte) string {
	_, _, body, err := unframe(payload)
	if err != nil {
		s.t.Fatal(err)
	}
	run, err := tickets.DecodeRun(value.Integer, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("%s %d..%d", run.Origin, run.First, run.Last)
}

func (s *stage) flood(host, topic string, payload []byte) {
	for _, name := range sortedKeys(s.pipes) {
		p := s.pipes[name]
		if p.from == host && p.up && !slices.Contains(p.topics, "cut") && (topic[0] != '?' || slices.Contains(p.topics, topic)) {
			p.queue = append(p.queue, payload)
		}
	}
}

// pass lets time pass in steps of a millisecond.
func (s *stage) pass(d time.Duration, auto bool) {
	s.auto = auto
	defer func() { s.auto = false }()
	for end := s.now + d; s.now < end; {
		s.now += time.Millisecond
		for _, host := range sortedKeys(s.nodes) {
			a := s.nodes[host]
			if a.Replica == nil || a.stopped {
				continue
			}
			if auto {
				s.persisted(a)
				s.carryOut(a)
				for _, name := range sortedKeys(s.pipes) {
					if p := s.pipes[name]; p.to == host {
						for range len(p.queue) {
							s.deliver(p)
						}
					}
				}
			}
			if a.NextTick() <= s.clock(a).Mono {
				a.Tick(s.clock(a))
				s.carryOut(a)
			}
			if auto && a.writing == nil {
				s.store(a)
			}
		}
	}
}

func (s *stage) state(hosts []string) {
	if len(hosts) == 0 {
		hosts = sortedKeys(s.nodes)
	}
	for _, host := range hosts {
		a := s.nodes[host]
		if a.Replica == nil {
			s.printf("  %s is down", host)
			continue
		}
		st := a.State(s.clock(a))
		word := "coherent"
		if !st.Coherent {
			word = "not coherent"
		}
		s.printf("  %s at %s: %s, final %s, complete %s, holds [%s]", host, s.now, word, point(st.Final), point(st.Complete), a.Vector())
		for _, i := range a.order {
			if l := &a.logs[i]; l.kept.Closed == hlc.Never {
				s.printf("    %s is sealed at %d", l.origin, l.kept.Head)
			}
		}
		for _, reason := range st.Reasons {
			s.printf("    %s %s: %s", reason.Code, reason.Host, reason.Detail)
		}
		var totals []string
		for _, name := range []string{"x", "y", "z"} {
			if slot, ok := a.Table().Lookup(tickets.Key{Family: tickets.Counters, Name: name}); ok {
				totals = append(totals, name+"="+a.Table().Total(slot).String(value.Integer))
			}
		}
		if len(totals) > 0 {
			s.printf("    %s", strings.Join(totals, " "))
		}
	}
}

// point is a timestamp as the time since the start.
func point(t hlc.Timestamp) string {
	if t == 0 {
		return "none"
	}
	return (time.Duration(t-origin) / time.Millisecond * time.Millisecond).String()
}

// impersonate puts a ping into the pipes of a, as a later process of its name
// would make it.
func (s *stage) impersonate(a *actor) {
	p := &Ping{Host: a.cfg.Host, Ring: a.cfg.Ring, Kind: a.cfg.Kind, Wall: s.clock(a).Wall}
	p.Rows = []PingRow{{Host: a.cfg.Host, Boot: a.cfg.Boot + 1e9, Number: 1, Epoch: 999}}
	for _, m := range a.members {
		if m.host != a.cfg.Host {
			p.Rows = append(p.Rows, PingRow{Host: m.host, Boot: m.boot, Number: m.number, Age: s.clock(a).Mono - m.base})
		}
	}
	s.flood(a.cfg.Host, TopicPing, a.encodePing(p))
}

// NextBatch is SealBatch, with the batch made ready for the store at once.
func (r *Replica) NextBatch(now Now) *Batch {
	b := r.SealBatch(now)
	if b != nil {
		b.Encode()
	}
	return b
}
