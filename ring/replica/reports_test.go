package replica

import (
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
)

// anew makes the next ping of a say that it started again, in a new log.
func (l *listener) anew() {
	l.ping.Rows[0] = PingRow{Host: "a", Boot: l.ping.Rows[0].Boot + 1, Epoch: ofA.Epoch + 1, Number: 1}
	l.ping.Logs = nil
}

// reported is what b tells of how far it holds the log that a left.
func (l *listener) reported() (held uint64, told bool) {
	for _, rep := range l.reportsToSend() {
		if rep.Origin == ofA && rep.Member == "b" {
			return rep.Held, true
		}
	}
	return 0, false
}

func (l *listener) wantReport(held uint64, told bool) {
	l.t.Helper()
	if h, is := l.reported(); h != held || is != told {
		l.t.Fatalf("reported: %v, %d tickets; want %v, %d", is, h, told, held)
	}
}

func TestOverlapIsCut(t *testing.T) {
	l := listen(t, nil)
	l.must(l.hear(l.message(1, origin, origin+1, origin+2)))
	l.store()
	l.must(l.hear(l.message(2, origin+1, origin+2, origin+3, origin+4)))
	b := l.NextBatch(l.at)
	if len(b.Blocks) != 1 || b.Blocks[0].First != 4 || b.Blocks[0].Last != 5 {
		t.Fatalf("stores %+v", b.Blocks)
	}
	l.disk.commit(b)
	if more, err := l.Persisted(l.at, b.Number); more || err != nil {
		t.Fatal(more, err)
	}
	if slot, _ := l.Table().Lookup(tickets.Key{Family: tickets.Counters, Name: "n"}); l.Table().Total(slot).String(l.Kind()) != "5" {
		t.Fatalf("the total is %s", l.Table().Total(slot).String(l.Kind()))
	}
}

// TestOnlyWhatWasGivenMayGather: nobody waits for it, unlike for what was
// flooded or minted here.
func TestOnlyWhatWasGivenMayGather(t *testing.T) {
	l := listen(t, nil)
	given := func(first uint64, dates ...hlc.Timestamp) []byte {
		_, _, body, err := unframe(l.message(first, dates...))
		l.must(err)
		return l.Frame(body, true)
	}
	want := func(may bool, why string) {
		t.Helper()
		if l.MayGather() != may {
			t.Fatalf("it may gather: %v, with %s", !may, why)
		}
	}
	want(false, "nothing")
	l.must(l.hear(given(1, origin)))
	want(false, "a new origin")
	l.store()
	want(false, "nothing")
	l.must(l.hear(given(2, origin+1)))
	want(true, "what was given")
	l.must(l.hear(l.message(3, origin+2)))
	want(false, "a flood behind it")
	l.store()
	l.must(l.hear(given(4, origin+3)))
	want(true, "what was given")
	if r := l.submit(Command{}); r.Err != nil {
		t.Fatal(r.Err)
	}
	want(false, "a ticket of our own")
	l.store()
	for seq := uint64(5); l.batch.bytes < gatherBytes; seq += 1000 {
		dates := make([]hlc.Timestamp, 1000)
		for i := range dates {
			dates[i] = origin + hlc.Timestamp(seq) + hlc.Timestamp(i)
		}
		want(seq > 5, "some")
		l.must(l.hear(given(seq, dates...)))
	}
	want(false, "much")
}

// TestReportCountsWhatIsDurable: what is on its way to the disk may never
// arrive there, and once it does it would be more than was reported.
func TestReportCountsWhatIsDurable(t *testing.T) {
	l := listen(t, nil)
	l.must(l.hear(l.message(1, origin)))
	l.store()
	l.must(l.hear(l.message(2, origin+1)))
	l.anew()
	l.must(l.hear(l.encodePing(l.ping)))
	l.wantReport(0, false)
	l.store()
	l.ping.Rows[0].Number++
	l.must(l.hear(l.encodePing(l.ping)))
	l.wantReport(2, true)
}

// between listens at b, of three, which hears a and c and holds a ticket of a.
func between(t *testing.T) *listener {
	l := listen(t, func(c *Config) {
		c.Members, c.Upstreams = []string{"a", "b", "c"}, []string{"a", "c"}
	})
	l.LinkChanged(l.at, "c", true)
	l.must(l.hear(l.encodePing(l.ping)))
	l.must(l.hear(l.message(1, origin)))
	l.store()
	return l
}

// hearByC brings c's ping, with what it says of a.
func (l *listener) hearByC() {
	l.t.Helper()
	fromC := *l.ping
	fromC.Host = "c"
	fromC.Rows = append(fromC.Rows, PingRow{Host: "c", Boot: 1, Epoch: 9, Number: 1})
	l.must(l.Receive(l.at, "c", l.Parse(l.encodePing(&fromC))))
}

// TestReportWaitsForTheLink: a message of the former run may still lie in the
// link, until a ping of the new one came over it.
func TestReportWaitsForTheLink(t *testing.T) {
	l := between(t)
	l.anew()
	l.hearByC()
	l.wantReport(0, false)
	l.must(l.hear(l.message(2, origin+1)))
	l.store()
	l.must(l.hear(l.encodePing(l.ping)))
	l.wantReport(2, true)
}

// TestReportDoesNotWaitForALinkThatIsDown: nothing lies in it, and it may be
// down for ever while the ring is whole by other ways.
func TestReportDoesNotWaitForALinkThatIsDown(t *testing.T) {
	l := between(t)
	l.LinkChanged(l.at, "a", false)
	l.anew()
	l.hearByC()
	l.wantReport(1, true)
}

// TestReportBinds: the owner relies on a report, so who gave it takes in no
// more of the log than somebody has reported.
func TestReportBinds(t *testing.T) {
	l := listen(t, nil)
	l.must(l.hear(l.message(1, origin)))
	l.store()
	l.anew()
	l.must(l.hear(l.encodePing(l.ping)))
	l.wantReport(1, true)
	if err := l.hear(l.message(2, origin+1)); err == nil {
		t.Fatal("it takes in more than it has reported")
	}
	l.ping.Rows[0].Number++
	l.ping.Reports = []Report{{Origin: ofA, Boot: l.ping.Rows[0].Boot, Member: "a", Held: 2}}
	l.must(l.hear(l.encodePing(l.ping)))
	l.must(l.hear(l.message(2, origin+1)))
	if err := l.hear(l.message(3, origin+2)); err == nil {
		t.Fatal("it takes in more than anybody has reported")
	}
}

var left = tickets.Origin{Host: "b", Epoch: 77}

// leaving listens at b, of three, which left a log with one ticket behind.
func leaving(t *testing.T) *listener {
	l := listen(t, func(c *Config) { c.Members = []string{"a", "b", "c"} })
	l.Tick(l.at) // ping 1, which a echoes
	return l
}

// answer brings a ping of a with reports on the log that b left. runOfC is that
// of c as a knows it.
func (l *listener) answer(number, runOfC, heldByC uint64) {
	l.t.Helper()
	l.ping.Rows = []PingRow{
		{Host: "a", Boot: 1 << askingBits, Epoch: 7, Number: number}, {Host: "b", Boot: l.cfg.Boot, Number: 1},
		{Host: "c", Boot: runOfC << askingBits, Number: 1},
	}
	l.ping.Logs = []PingLog{{Origin: left, Held: 1, Promise: Promise{origin - 5, 1}}}
	l.ping.Reports = []Report{
		{Origin: left, Boot: l.cfg.Boot, Member: "a", Held: 1, Closed: origin - 5},
		{Origin: left, Boot: l.cfg.Boot, Member: "c", Held: heldByC, Closed: origin - 5},
	}
	l.must(l.hear(l.encodePing(l.ping)))
	run := &tickets.Run{Origin: left, First: 1, Last: 1, Tickets: []tickets.Ticket{
		{Origin: left, Seq: 1, At: origin - 10, Op: tickets.CounterAdd, Name: "n", Expire: origin * 2},
	}}
	l.must(l.hear(l.Frame(l.enc.AppendRun(nil, run), true)))
}

// promises has as much promised of the log that b mints in as of the one it left.
func (l *listener) promises() {
	l.t.Helper()
	l.store()
	l.at.Mono += l.cfg.PingInterval
	l.Tick(l.at)
	l.store()
}

// TestSealWaitsForEverybody: a seal that a member cannot honour would be lost
// with the disks of those who can.
func TestSealWaitsForEverybody(t *testing.T) {
	l := leaving(t)
	for n, heldByC := range []uint64{0, 0, 1} {
		l.answer(uint64(n+1), 1, heldByC)
		l.promises()
		l.answer(uint64(n+1), 1, heldByC)
		l.store()
		if sealed := l.Sealed(left); sealed != (heldByC == 1) {
			t.Fatalf("c holds %d of 1 tickets, b holds %d, sealed: %v", heldByC, l.Vector().Get(left), sealed)
		}
	}
}

// TestSealIsToldWhenDurable: what others know and a crash makes its owner
// forget would keep them from what the owner goes on to mint.
func TestSealIsToldWhenDurable(t *testing.T) {
	l := leaving(t)
	for number := range uint64(3) {
		l.answer(number+1, 1, 1)
		if l.Sealed(left) {
			t.Fatal("sealed, and not durable")
		}
		if number == 1 {
			l.promises()
			if l.Sealed(left) {
				t.Fatal("sealed before as much is promised of the next log")
			}
		}
		l.store()
	}
	if !l.Sealed(left) {
		t.Fatal("all hold the log, and it is not sealed")
	}
}

// TestNewRunIsAskedAnew: what a member reported in a former run may be lost.
func TestNewRunIsAskedAnew(t *testing.T) {
	l := leaving(t)
	l.answer(1, 1, 2) // c has a ticket more than anybody else
	l.store()
	boot := l.cfg.Boot
	l.answer(2, 1, 2)
	if l.cfg.Boot != boot {
		t.Fatal("it asks anew though nobody has started")
	}
	l.answer(3, 2, 1) // and lost it
	if l.cfg.Boot == boot || l.cfg.Boot>>askingBits != boot>>askingBits {
		t.Fatalf("after boot %x and a new run of c it has boot %x", boot, l.cfg.Boot)
	}
	l.answer(4, 2, 1)
	l.promises()
	l.answer(5, 2, 1)
	l.store()
	if !l.Sealed(left) {
		t.Fatal("nobody has more of the log, and it is not sealed")
	}
}

// TestNothingIsAskedWhileASealIsOnItsWay: it rests on answers that bind those
// who gave them only until they are asked anew.
func TestNothingIsAskedWhileASealIsOnItsWay(t *testing.T) {
	l := leaving(t)
	l.answer(1, 1, 1)
	l.store()
	l.answer(2, 1, 1)
	l.promises()
	l.answer(3, 1, 1)
	boot, b := l.cfg.Boot, l.NextBatch(l.at)
	l.learnOrigin(tickets.Origin{Host: "b", Epoch: 78}) // open, too
	l.answer(4, 2, 1)
	if l.Sealed(left) || l.cfg.Boot != boot {
		t.Fatal("it asks anew, and the seal is not durable")
	}
	l.disk.commit(b)
	_, err := l.Persisted(l.at, b.Number)
	l.must(err)
	l.answer(5, 2, 1)
	if !l.Sealed(left) || l.cfg.Boot == boot {
		t.Fatalf("sealed: %v, boot %x after %x", l.Sealed(left), l.cfg.Boot, boot)
	}
}

// TestCoherenceEndsByItself: nobody has to look for it to end, as the process
// may have stood still.
func TestCoherenceEndsByItself(t *testing.T) {
	l := listen(t, nil)
	l.at.Mono += time.Millisecond
	l.Tick(l.at)
	l.ping.Digest = [8]byte(l.cfg.Digest[:8])
	l.ping.Rows = []PingRow{{Host: "a", Boot: 1, Epoch: 7, Number: 1, HearsAll: true}, {Host: "b", Boot: l.cfg.Boot, Number: 1}}
	l.must(l.hear(l.encodePing(l.ping)))
	l.store()
	if !l.Coherent(l.at) {
		t.Fatalf("not coherent: %v", l.State(l.at).Reasons)
	}
	l.at.Mono += l.cfg.PeerTimeout + time.Millisecond
	if l.Coherent(l.at) {
		t.Fatal("coherent with what was heard longer than a peer timeout ago")
	}
}

// TestNotCoherentBeforeItIsInformed: what this host promised before this run has
// to be told by all, and to be on the disk.
func TestNotCoherentBeforeItIsInformed(t *testing.T) {
	l := listen(t, nil)
	l.at.Mono += time.Millisecond
	l.Tick(l.at)
	former := tickets.Origin{Host: "b", Epoch: 5}
	l.ping.Digest = [8]byte(l.cfg.Digest[:8])
	l.ping.Rows = []PingRow{{Host: "a", Boot: 1, Epoch: 7, Number: 1, HearsAll: true}, {Host: "b", Boot: l.cfg.Boot, Number: 1}}
	l.ping.Logs = []PingLog{{Origin: former, Promise: Promise{Closed: origin.Add(time.Hour)}}}
	expect := func(host string) {
		t.Helper()
		if s := l.State(l.at); len(s.Reasons) != 1 || s.Reasons[0].Code != "not_reported" || s.Reasons[0].Host != host {
			t.Fatalf("coherent: %v, %v", s.Coherent, s.Reasons)
		}
	}
	l.must(l.hear(l.encodePing(l.ping)))
	l.store()
	expect("a")
	l.ping.Rows[0].Number, l.ping.Rows[1].Boot = 2, l.cfg.Boot
	l.ping.Reports = []Report{{Origin: former, Boot: l.cfg.Boot, Member: "a", Closed: origin.Add(2 * time.Hour)}}
	l.must(l.hear(l.encodePing(l.ping)))
	expect("b")
	l.store()
	if s := l.State(l.at); !s.Coherent || l.Dated() < origin.Add(2*time.Hour) || l.promised < l.Dated() {
		t.Fatalf("dates after %s, mark %s, %v", l.Dated(), l.promised, s.Reasons)
	}
}

// TestUndatedRowOfALaterRunIsOutlived: the row of a run that is gone may go
// round without a date for ever; a host that came back with an earlier clock
// has to count as later than that.
func TestUndatedRowOfALaterRunIsOutlived(t *testing.T) {
	l := listen(t, nil)
	later := l.cfg.Boot + 5
	l.ping.Rows = append(l.ping.Rows, PingRow{Host: "b", Boot: later, Number: 9, Age: 1000 * time.Hour})
	l.must(l.hear(l.encodePing(l.ping)))
	if l.cfg.Boot > later {
		t.Fatal("it outdoes a run that may live")
	}
	l.at.Mono += 2*l.cfg.PeerTimeout + time.Millisecond
	l.ping.Rows[0].Number++
	l.must(l.hear(l.encodePing(l.ping)))
	if l.cfg.Boot <= later {
		t.Fatal("it counts as earlier than a run that is gone, for ever")
	}
}

// TestEarlierRunDoesNotReport: what it says would be taken for news of a run
// that others still count as the later one.
func TestEarlierRunDoesNotReport(t *testing.T) {
	l := listen(t, nil)
	l.must(l.hear(l.message(1, origin)))
	l.store()
	l.anew()
	later := PingRow{Host: "b", Boot: l.cfg.Boot + 5<<askingBits, Number: 9, Age: 1000 * time.Hour}
	l.ping.Rows = append(l.ping.Rows, later)
	l.must(l.hear(l.encodePing(l.ping)))
	l.wantReport(0, false)
	l.at.Mono += 2*l.cfg.PeerTimeout + time.Millisecond
	l.ping.Rows[0].Number++
	l.must(l.hear(l.encodePing(l.ping)))
	l.wantReport(1, true)
}

// TestNothingCountsFromARunThatIsGone: what a relay had sent before it lost its
// disk may arrive after the owner of a log was told that nobody has it.
func TestNothingCountsFromARunThatIsGone(t *testing.T) {
	l := listen(t, func(c *Config) { c.Members, c.Upstreams = []string{"a", "b", "c"}, []string{"a", "c"} })
	l.LinkChanged(l.at, "c", true)
	fromC := *l.ping
	fromC.Host = "c"
	fromC.Rows = append(fromC.Rows, PingRow{Host: "c", Boot: 1 << askingBits, Epoch: 9, Number: 1})
	l.must(l.Receive(l.at, "c", l.Parse(l.encodePing(&fromC))))
	l.must(l.hear(l.message(1, origin)))
	l.store()
	l.anew() // and a knows the later run of c
	l.ping.Rows[0].Epoch = 0
	l.ping.Rows = append(l.ping.Rows, PingRow{Host: "c", Boot: 2 << askingBits, Number: 1})
	l.must(l.hear(l.encodePing(l.ping)))
	l.wantReport(1, true)
	l.ping.Rows[0].Number++
	l.ping.Rows[0].Epoch = ofA.Epoch // a goes on with its log
	l.must(l.hear(l.encodePing(l.ping)))
	late := fromC
	late.Logs = []PingLog{{Origin: ofA, Held: 2, Promise: Promise{origin + 2, 1}}}
	l.must(l.Receive(l.at, "c", l.Parse(l.encodePing(&late))))
	if k := l.logs[l.byName[ofA]].best(); k.Closed == origin+2 {
		t.Error("a promise counts")
	}
	if err := l.Receive(l.at, "c", l.Parse(l.message(2, origin+5))); err == nil {
		t.Error("a ticket is taken in")
	}
}

// TestSameBootIsOutdone: two processes may come to the same boot by outdoing the
// same third, and the rows of the later one would be taken for old news.
func TestSameBootIsOutdone(t *testing.T) {
	l := listen(t, nil)
	l.Tick(l.at)
	boot := l.cfg.Boot
	l.ping.Rows = append(l.ping.Rows, PingRow{Host: "b", Boot: boot, Number: 500_000, Age: 1000 * time.Hour})
	l.must(l.hear(l.encodePing(l.ping)))
	if l.cfg.Boot <= boot {
		t.Error("it has the boot of a process that sent more pings")
	}
}
