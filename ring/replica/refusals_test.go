package replica

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// listener is replica b on a disk. It hears a, whose messages are made here.
type listener struct {
	*Replica
	t    *testing.T
	disk *disk
	at   Now
	ping *Ping // the next one of a
}

var ofA = tickets.Origin{Host: "a", Epoch: 7}

func listen(t *testing.T, change func(*Config)) *listener {
	cfg := hostileConfig("b")
	cfg.Kind = value.Integer
	if change != nil {
		change(&cfg)
	}
	l := &listener{t: t, disk: &disk{t: t}, at: Now{Wall: origin, Mono: time.Second}}
	l.Replica = l.disk.replica(cfg, l.at)
	l.LinkChanged(l.at, "a", true)
	l.ping = goldenPing()
	l.ping.Wall, l.ping.Kind, l.ping.Reports = l.at.Wall, cfg.Kind, nil
	l.ping.Rows = []PingRow{{Host: "a", Boot: 1, Epoch: ofA.Epoch, Number: 1}}
	l.ping.Logs = []PingLog{{Origin: ofA}}
	return l
}

// message is a run of a's log that begins with number first.
func (l *listener) message(first uint64, dates ...hlc.Timestamp) []byte {
	run := &tickets.Run{Origin: ofA, First: first, Last: first + uint64(len(dates)) - 1}
	for i, at := range dates {
		run.Tickets = append(run.Tickets, tickets.Ticket{
			Origin: ofA, Seq: first + uint64(i), At: at, Op: tickets.CounterAdd, Name: "n",
			Amount: value.FromInt64(1), Expire: hlc.Never,
		})
	}
	return l.Frame(tickets.NewEncoder(value.Integer).AppendRun(nil, run), false)
}

func (l *listener) hear(message []byte) error { return l.Receive(l.at, "a", l.Parse(message)) }

func (l *listener) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// store makes durable what was taken in.
func (l *listener) store() {
	l.t.Helper()
	if b := l.NextBatch(l.at); b != nil {
		l.disk.commit(b)
		_, err := l.Persisted(l.at, b.Number)
		l.must(err)
	}
}

func (l *listener) submit(c Command) Receipt {
	c.Op, c.Name, c.Amount, c.Expire = tickets.CounterAdd, "n", value.FromInt64(1), hlc.Never
	return l.Submit(l.at, &c)
}

func TestAlteredMessagesAreRefused(t *testing.T) {
	l := listen(t, nil)
	for what, message := range map[string][]byte{"tickets": l.message(1, origin, origin+1), "ping": l.encodePing(l.ping)} {
		for i := range 8 * len(message) {
			message[i/8] ^= 1 << (i % 8)
			if err := l.hear(message); !errors.Is(err, ErrMessage) {
				t.Fatalf("%s with bit %d flipped: %v", what, i, err)
			}
			message[i/8] ^= 1 << (i % 8)
		}
		l.must(l.hear(message))
	}
}

func TestTicketsOfAnotherRingAreRefused(t *testing.T) {
	other := listen(t, func(c *Config) { c.Ring = "another" })
	l := listen(t, nil)
	if err := l.hear(other.message(1, origin)); err == nil || l.Counts().Dropped["other_ring"] != 1 {
		t.Fatal("tickets of another ring are taken in")
	}
	l.must(l.hear(l.message(1, origin)))
}

func TestTicketsThatBreakAPromiseAreRefused(t *testing.T) {
	l := listen(t, nil)
	l.must(l.hear(l.message(1, origin+10)))
	l.store()
	l.ping.Logs = []PingLog{{Origin: ofA, Held: 1, Promise: Promise{origin + 50, 1}}}
	l.must(l.hear(l.encodePing(l.ping)))
	for n, dates := range [][]hlc.Timestamp{{origin + 10}, {origin + 50}, {origin + 20, origin + 60}} {
		err := l.hear(l.message(2, dates...))
		if got := l.Counts().PromiseBroken; err == nil || got != uint64(n+1) {
			t.Fatalf("dated %v: %v, %d counted", dates, err, got)
		}
	}
	l.must(l.hear(l.message(2, origin+51)))
	if l.store(); l.Vector().Get(ofA) != 2 {
		t.Fatalf("holds %s", l.Vector())
	}
}

func TestDatesInALogRise(t *testing.T) {
	l := listen(t, nil)
	l.must(l.hear(l.message(1, origin+10, origin+11)))
	for _, at := range []hlc.Timestamp{origin + 10, origin + 11} {
		if err := l.hear(l.message(3, at)); err == nil {
			t.Fatalf("a ticket dated %d follows one dated %d", at-origin, 11)
		}
	}
	l.must(l.hear(l.message(3, origin+12)))
}

func TestTicketsAreDatedAfterWhatWasSeen(t *testing.T) {
	l := listen(t, nil)
	ahead := l.at.Wall.Add(l.cfg.MaxSkew)
	l.must(l.hear(l.message(1, ahead)))
	if r := l.submit(Command{}); r.Err != nil || r.Ticket.At <= ahead {
		t.Fatalf("after a ticket dated %s was seen, one is dated %s, %v", ahead, r.Ticket.At, r.Err)
	}
	l.must(l.hear(l.message(2, ahead.Add(time.Minute))))
	if r := l.submit(Command{}); r.Err != nil || r.Ticket.At >= ahead.Add(time.Second) || l.Counts().SkewRefused != 1 {
		t.Fatalf("a clock a minute ahead took ours along to %s, %v", r.Ticket.At, r.Err)
	}
}

// TestEachCrashDatesFurtherAhead: the mark behind the promises is a second ahead
// of the last date, and a process that finds one begins behind it.
func TestEachCrashDatesFurtherAhead(t *testing.T) {
	l := listen(t, nil)
	for crashes := range hlc.Timestamp(5) {
		r := l.submit(Command{})
		l.must(r.Err)
		ahead, least := r.Ticket.At-l.at.Wall, crashes*hlc.Timestamp(promiseAhead)
		if ahead < least || ahead > least+1000 {
			t.Fatalf("after %d crashes in one moment a ticket is dated %s ahead", crashes, time.Duration(ahead))
		}
		l.store()
		l.Replica = l.disk.replica(l.cfg, l.at)
	}
	l.at.Wall = l.at.Wall.Add(time.Minute)
	if r := l.submit(Command{}); r.Err != nil || r.Ticket.At != l.at.Wall {
		t.Fatalf("a minute later one is dated %s, %v", time.Duration(r.Ticket.At-l.at.Wall), r.Err)
	}
}

func TestOnlyWhatIsDurableIsSaidToBeHeld(t *testing.T) {
	l := listen(t, nil)
	said := func() uint64 {
		l.Effects()
		l.at.Mono += l.cfg.PingInterval
		l.Tick(l.at)
		for _, p := range l.Effects().Publish {
			if _, _, body, err := unframe(p.Payload); err == nil && p.Topic == TopicPing {
				ping, err := decodePing(body)
				l.must(err)
				for _, log := range ping.Logs {
					if log.Origin == ofA {
						return log.Held
					}
				}
			}
		}
		return 0
	}
	l.must(l.hear(l.message(1, origin, origin+1)))
	if n := said(); n != 0 {
		t.Fatalf("a ping says that %d tickets are held, none is durable", n)
	}
	l.store()
	if n := said(); n != 2 {
		t.Fatalf("a ping says that %d tickets are held, 2 are durable", n)
	}
}

func TestHoldersAreThoseWhoHoldTheTicket(t *testing.T) {
	l := listen(t, nil)
	first := l.submit(Command{}).Ticket
	second := l.submit(Command{}).Ticket
	l.store()
	for n, held := range []uint64{0, 1, 2} {
		l.ping.Rows[0].Number++
		l.ping.Logs = []PingLog{{Origin: first.Origin, Held: held}}
		l.must(l.hear(l.encodePing(l.ping)))
		one, two := l.Holders(first.Origin, first.Seq), l.Holders(second.Origin, second.Seq)
		if one != min(1, n) || two != n/2 {
			t.Fatalf("a holds %d tickets, %d hold the first and %d the second", held, one, two)
		}
	}
}

// failing is a past that tells of no more claims after a while.
type failing struct {
	*disk
	claims int
}

var errPast = errors.New("the past is gone")

func (f *failing) Claim(hash [16]byte) (tickets.Ref, bool, error) {
	if f.claims--; f.claims < 0 {
		return tickets.Ref{}, false, errPast
	}
	return f.disk.Claim(hash)
}

// TestFailedFoldEndsEverything: where tickets count before they are durable, one
// that could not be folded in is not acknowledged, and nothing is after it.
func TestFailedFoldEndsEverything(t *testing.T) {
	d := &disk{t: t}
	past := &failing{d, 1} // the look before minting is told, the one of the fold is not
	cfg := hostileConfig("b")
	cfg.Kind, cfg.Async, cfg.Members, cfg.Upstreams, cfg.Downstreams = value.Integer, true, []string{"b"}, nil, nil
	now := Now{Wall: origin, Mono: time.Second}
	r, err := New(cfg, Stored{NewLife: true}, tickets.NewTable(value.Integer, past), past, now)
	if err != nil {
		t.Fatal(err)
	}
	command := Command{Op: tickets.CounterAdd, Name: "n", Amount: value.FromInt64(1), Expire: hlc.Never}
	if receipt := r.Submit(now, &command); receipt.Err != nil {
		t.Fatal(receipt.Err)
	}
	command.ID = "once"
	for range 2 {
		if receipt := r.Submit(now, &command); !errors.Is(receipt.Err, errPast) {
			t.Fatalf("the fold failed and the answer is %+v", receipt)
		}
		command.ID = ""
	}
	if b := r.NextBatch(now); b != nil {
		if _, err := r.Persisted(now, b.Number); !errors.Is(err, errPast) {
			t.Fatalf("the table is wrong and the node goes on: %v", err)
		}
	}
}

func TestCollectedIsKnownAfterARestart(t *testing.T) {
	l := listen(t, nil)
	l.collected, l.metaDue = origin+5, true
	l.store()
	if r := l.disk.replica(l.cfg, l.at); r.Collected() != origin+5 {
		t.Fatalf("collected through %d, want %d", r.Collected()-origin, 5)
	}
}

// TestLinksLeadBackInTheSameLog looks at the chains of names in batches that
// hold several tickets of one name, of two logs.
func TestLinksLeadBackInTheSameLog(t *testing.T) {
	l := listen(t, nil)
	for round := range uint64(3) {
		l.must(l.hear(l.message(3*round+1, origin.Add(time.Duration(2*round)*time.Microsecond), origin.Add(time.Duration(2*round+1)*time.Microsecond))))
		l.must(l.hear(l.message(3*round+3, origin.Add(time.Duration(2*round+1)*time.Microsecond)+1)))
		l.submit(Command{})
		l.submit(Command{})
		b := l.NextBatch(l.at)
		for _, block := range b.Blocks {
			for seq, rest := block.First, block.Links; seq <= block.Last; seq++ {
				back, n := binary.Uvarint(rest)
				rest = rest[n:]
				if want := min(seq-1, 1); back != want {
					t.Fatalf("ticket %d of log %d is linked %d back, want %d", seq, block.Origin, back, want)
				}
			}
		}
		l.disk.commit(b)
		_, err := l.Persisted(l.at, b.Number)
		l.must(err)
	}
}

// TestWhatARunLeavesOutWasCollected: a node that gets its tickets from one
// that collected some must not take what it lacks for nothing.
func TestWhatARunLeavesOutWasCollected(t *testing.T) {
	l := listen(t, nil)
	l.must(l.hear(l.message(1, origin)))
	l.store()
	if l.Collected() != 0 {
		t.Fatalf("collected through %s", l.Collected())
	}
	run := &tickets.Run{Origin: ofA, First: 2, Last: 4, Tickets: []tickets.Ticket{
		{Origin: ofA, Seq: 4, At: origin + 4, Op: tickets.CounterAdd, Name: "n", Amount: value.FromInt64(1)},
	}}
	l.must(l.hear(l.Frame(l.enc.AppendRun(nil, run), true)))
	l.store()
	if r := l.disk.replica(l.cfg, l.at); r.Collected() < origin+4 {
		t.Fatalf("tickets 2 and 3 were left out, collected through %s", r.Collected())
	}
}
