//go:build linux

package chaos

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/topologies"
)

var t0 = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func second(n int) time.Time { return t0.Add(time.Duration(n) * time.Second) }

// good is a history of two nodes in which all is well: update 1/2 was retried
// at b during a split, 2/3 got no answer, and 1/9 was lost with the disk of a.
func good() (l *ledger, updates map[string]*update, doomed []doom, facts []*fact) {
	l = &ledger{ends: map[string]uint64{"a/1": 3, "b/1": 4}}
	for _, e := range []entry{
		{origin: "a/1", host: "a", seq: 1, op: "counter.update", name: "c", content: "1", id: "1/1"},
		{origin: "a/1", host: "a", seq: 2, op: "counter.update", name: "c", content: "2.5", id: "1/2"},
		{origin: "b/1", host: "b", seq: 1, op: "counter.update", name: "c", content: "2.5", id: "1/2"},
		{origin: "b/1", host: "b", seq: 2, op: "text.set", name: "t", content: "old", id: "2/1"},
		{origin: "a/1", host: "a", seq: 3, op: "text.set", name: "t", content: "new", id: "2/2"},
		{origin: "b/1", host: "b", seq: 3, op: "set.remove", name: "s", content: "x", id: "2/4"},
		{origin: "b/1", host: "b", seq: 4, op: "set.add", name: "s", content: "x", id: "2/3"},
	} {
		e.at = hlc.FromTime(second(len(l.entries)))
		l.entries = append(l.entries, e)
	}
	l.fold()
	updates = make(map[string]*update)
	for i := range l.entries {
		e := &l.entries[i]
		updates[e.id] = &update{
			Op: e.op, Name: e.name, Content: e.content, ID: e.id, Asked: second(i), Acked: second(i + 1),
			Ticket: ticketID{Timestamp: e.at.Time(), Host: e.host, Origin: e.origin, Seq: e.seq, ID: e.id},
		}
	}
	updates["2/3"].Acked = time.Time{}
	updates["1/9"] = &update{
		Op: "counter.update", Name: "c", Content: "7", ID: "1/9", Asked: second(8), Acked: second(9),
		Ticket: ticketID{Timestamp: second(8), Host: "a", Origin: "a/1", Seq: 4, ID: "1/9"},
	}
	doomed = []doom{{host: "a", at: second(10)}}
	facts = []*fact{
		{path: "/v1/counters/c", at: stamp(second(0)), value: "1"},
		{path: "/v1/counters/c", at: stamp(second(2)), value: "3.5"},
	}
	return l, updates, doomed, facts
}

func TestJudgePassesWhatIsRight(t *testing.T) {
	l, updates, doomed, facts := good()
	lost, broken := l.judge(updates, doomed)
	broken = append(broken, l.judgeFacts(facts)...)
	broken = append(broken, l.compare(map[string]state{
		"/v1/counters/c": {Value: "3.5"}, "/v1/texts/t": {Text: "new"}, "/v1/sets/s?limit=1000": {},
	})...)
	if len(lost) != 1 || len(broken) > 0 {
		t.Fatalf("%d lost; %q", len(lost), broken)
	}
}

// Each lie must be found.
func TestJudgeFindsWhatIsWrong(t *testing.T) {
	for _, lie := range []struct {
		what, want string
		tell       func(l *ledger, updates map[string]*update, doomed *[]doom)
	}{
		{"acknowledged and gone", "is lost", func(l *ledger, _ map[string]*update, _ *[]doom) { l.entries = l.entries[1:] }},
		{"no disk was lost", "is lost", func(_ *ledger, _ map[string]*update, d *[]doom) { *d = nil }},
		{"the disk was lost before", "is lost", func(_ *ledger, _ map[string]*update, d *[]doom) { (*d)[0].at = second(7) }},
		{"another host's disk was lost", "is lost", func(_ *ledger, _ map[string]*update, d *[]doom) { (*d)[0].host = "b" }},
		{"replicas were promised", "is lost", func(_ *ledger, u map[string]*update, _ *[]doom) { u["1/9"].Replicated = true }},
		{"lost from the middle of a log", "is lost", func(l *ledger, _ map[string]*update, _ *[]doom) { l.ends["a/1"] = 5 }},
		{"another amount", "was asked for as", func(l *ledger, _ map[string]*update, _ *[]doom) { l.entries[0].content = "2" }},
		{"another name", "was asked for as", func(l *ledger, _ map[string]*update, _ *[]doom) { l.entries[0].name = "d" }},
		{"nobody asked", "was asked for as", func(_ *ledger, u map[string]*update, _ *[]doom) { delete(u, "2/3") }},
		{"another ticket", "stands as", func(l *ledger, _ map[string]*update, _ *[]doom) { l.entries[0].at++ }},
	} {
		l, updates, doomed, _ := good()
		lie.tell(l, updates, &doomed)
		if _, broken := l.judge(updates, doomed); !slices.ContainsFunc(broken, func(b string) bool { return strings.Contains(b, lie.want) }) {
			t.Errorf("%s: %q", lie.what, broken)
		}
	}
	l, _, _, facts := good()
	facts[1].value = "6"
	if len(l.judgeFacts(facts)) != 1 {
		t.Error("a wrong value that was final passes")
	}
	for path, now := range map[string]state{
		"/v1/counters/c": {Value: "6"}, "/v1/texts/t": {Text: "old"}, "/v1/sets/s?limit=1000": {Elements: []string{"x"}},
	} {
		if len(l.compare(map[string]state{path: now})) != 1 {
			t.Errorf("%s passes as %+v", path, now)
		}
	}
}

func TestJudgeFindsWhatCountsTwice(t *testing.T) {
	const add = "counter.update"
	right := []listed{
		{Origin: "b/1", Seq: 9, Op: "expire"}, {Origin: "a/1", Seq: 1, ID: "1/1", Op: add},
		{Origin: "a/1", Seq: 2, ID: "1/2", Op: add}, {Origin: "b/1", Seq: 1, ID: "1/2", Op: add, Superseded: true},
	}
	for _, c := range []struct {
		what, want string
		tell       func(said []listed) []listed
	}{
		{"right", "", func(said []listed) []listed { return said }},
		{"counted twice", "counts 2 times", func(said []listed) []listed { said[3].Superseded = false; return said }},
		{"not counted", "is in the ledger", func(said []listed) []listed { said[2].Superseded = true; return said }},
		{"the later one counts", "is in the ledger", func(said []listed) []listed { said[2].Superseded, said[3].Superseded = true, false; return said }},
		{"left out", "is in the ledger", func(said []listed) []listed { return said[2:] }},
		{"there twice", "twice", func(said []listed) []listed { return append(said, said[1]) }},
		{"not on the disk", "the disk 3", func(said []listed) []listed { return append(said, listed{Origin: "a/1", Seq: 9, Op: add}) }},
	} {
		l, _, _, _ := good()
		broken := l.compare(map[string]state{"/v1/counters/c/tickets": {Tickets: c.tell(slices.Clone(right))}})
		if c.want == "" && len(broken) > 0 || c.want != "" && !slices.ContainsFunc(broken, func(b string) bool { return strings.Contains(b, c.want) }) {
			t.Errorf("%s: %q", c.what, broken)
		}
	}
}

func TestFactsDoNotChange(t *testing.T) {
	h := newHistory()
	for range 2 {
		if h.final(&fact{path: "c", at: "1", value: "5"}) != nil {
			t.Error("the same value is refused")
		}
	}
	if h.final(&fact{path: "c", at: "1", value: "5.0"}) == nil {
		t.Error("another text passes")
	}
}

func TestOutagesAreNoticed(t *testing.T) {
	for _, c := range []struct {
		what, asked string
		out         outage
		later       bool // by a peer timeout
	}{
		{"killed", "a", outage{host: "b"}, false},
		{"cut off, and asked itself", "b", outage{host: "b"}, true},
		{"deaf", "a", outage{host: "b", heard: true}, true},
		{"partition", "a", outage{}, false},
	} {
		r := ringOnPaper(t, "full-mesh", rand.New(rand.NewPCG(1, 1)))
		end := r.out(c.out)
		o := r.outages[0]
		o.begin = t0
		after := t0.Add(r.noticeBound(c.later))
		if r.outDuring(c.asked, after.Add(-1), after) != nil {
			t.Errorf("%s: before the bound coherent may still be true", c.what)
		}
		if r.outDuring(c.asked, after.Add(1), after.Add(2)) == nil {
			t.Errorf("%s: after the bound coherent must be false", c.what)
		}
		end()
		o.end = after.Add(3)
		if r.outDuring(c.asked, after.Add(1), after.Add(4)) != nil {
			t.Errorf("%s: who is back may be heard before the answer", c.what)
		}
		t.Logf("%s: coherent has to be false after %s", c.what, r.noticeBound(c.later))
	}
}

func TestCoherenceIsJudged(t *testing.T) {
	r := ringOnPaper(t, "full-mesh", nil)
	plan := &Plan{Faults: Only("kill")}
	r.unseen(plan)
	if len(r.Violations()) != 2 {
		t.Errorf("no fault struck, and nobody was asked: %q", r.Violations())
	}
	r.out(outage{host: "b"})
	r.outages[0].begin = t0
	o := &observer{ring: r, node: &node{ring: r, host: "a"}}
	o.judge(sample{run: 1, sent: t0.Add(time.Minute), got: t0.Add(time.Minute)})
	r.count("fault kill", 1)
	r.unseen(plan)
	if len(r.Violations()) != 2 {
		t.Errorf("it struck, somebody was asked, and answered well: %q", r.Violations())
	}
	o.judge(sample{run: 1, sent: t0.Add(time.Minute), got: t0.Add(time.Minute), coherent: true})
	if len(r.Violations()) != 3 {
		t.Error("coherent may be true for ever")
	}
}

func TestFinalThroughDoesNotGoBack(t *testing.T) {
	r := ringOnPaper(t, "full-mesh", nil)
	o := &observer{ring: r, node: &node{ring: r, host: "a"}}
	o.last = sample{run: 1, final: t0}
	o.judge(sample{run: 3, final: t0.Add(-1)}) // it was started again
	if len(r.Violations()) > 0 {
		t.Error(r.Violations())
	}
	o.judge(sample{run: 1, final: t0.Add(-1)})
	if len(r.Violations()) != 1 {
		t.Error("it passes")
	}
}

func TestLeastSquares(t *testing.T) {
	l := leastSquares([]float64{1, 2, 3, 4}, []float64{7, 9, 11, 13})
	if l.samples != 4 || l.perHour != 2 || l.first != 7 || l.last != 13 {
		t.Errorf("%+v", l)
	}
	if l := leastSquares([]float64{1, 2}, []float64{7, 9}); l.samples != 0 {
		t.Errorf("two samples make a line: %+v", l)
	}
}

// ringOnPaper has a topology and no processes.
func ringOnPaper(t *testing.T, shape string, draw *rand.Rand) *Ring {
	t.Helper()
	topo, err := topologies.Generate(shape, 3)
	if err != nil {
		t.Fatal(err)
	}
	return &Ring{Config: Config{Draw: draw, Log: t.Logf}, topo: topo, counts: make(map[string]int), history: newHistory()}
}
