package replica

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

const protocolDoc = "../../docs/PROTOCOL.md"

// vectors reads the hex blocks of the protocol's document: each begins with
// "```hex NAME"; in a line, what follows '#' is comment.
func vectors(t testing.TB) map[string][]byte {
	t.Helper()
	doc, err := os.ReadFile(protocolDoc)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string][]byte)
	name := ""
	for line := range strings.SplitSeq(string(doc), "\n") {
		switch n, is := strings.CutPrefix(line, "```hex "); {
		case is:
			name = n
			out[name] = []byte{}
		case strings.HasPrefix(line, "```"):
			name = ""
		case name != "":
			code, _, _ := strings.Cut(line, "#")
			b, err := hex.DecodeString(strings.ReplaceAll(code, " ", ""))
			if err != nil {
				t.Fatalf("%s: %q: %v", name, line, err)
			}
			out[name] = append(out[name], b...)
		}
	}
	return out
}

func number(t testing.TB, s string) value.Number {
	t.Helper()
	n, err := value.Parse(value.Decimal, s, tickets.NumberLimits)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// goldenRun and goldenPing are the messages that the document takes apart.
func goldenRun(t testing.TB) *tickets.Run {
	o := tickets.Origin{Host: "a", Epoch: 0x1122334455667788}
	const at = hlc.Timestamp(1_800_000_000_000_000_000)
	return &tickets.Run{Origin: o, First: 7, Last: 10, Tickets: []tickets.Ticket{
		{Origin: o, Seq: 7, At: at, Op: tickets.CounterAdd, Name: "alice", Amount: number(t, "2.50"), Expire: hlc.Never},
		{Origin: o, Seq: 8, At: at + 1, Op: tickets.CounterAdd, Name: "alice", Amount: number(t, "-1"), ID: "call-7", Ref: "invoice 9"},
		{Origin: o, Seq: 10, At: at + 1000, Op: tickets.TextSet, Name: "plan", Text: "gold", Expire: hlc.Never},
	}}
}

func goldenPing() *Ping {
	const wall = hlc.Timestamp(1_800_000_000_000_000_000)
	a, b := tickets.Origin{Host: "a", Epoch: 0x1122334455667788}, tickets.Origin{Host: "b", Epoch: 5}
	return &Ping{
		Host: "a", Ring: "prepaid", Kind: value.Decimal, Digest: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, Wall: wall,
		Rows: []PingRow{
			{Host: "a", Boot: 0x10, Epoch: a.Epoch, Number: 300, Complete: wall - 1000, HearsAll: true},
			{Host: "b", Boot: 0x20, Number: 12, Age: 2 * time.Millisecond, Dwell: time.Millisecond, Complete: wall - 150_000_000},
		},
		Logs: []PingLog{
			{Origin: a, Held: 10, Promise: Promise{wall, 10}},
			{Origin: b, Held: 3, Promise: Promise{hlc.Never, 3}},
		},
		Reports: []Report{{Origin: b, Boot: 0x20, Member: "a", Held: 3, Closed: wall - 5000}},
	}
}

func goldenReplica(t testing.TB) *Replica {
	cfg := Config{Host: "a", Ring: "prepaid", Kind: value.Decimal, Members: []string{"a"}, NewEpoch: func() uint64 { return 1 }}
	return (&disk{t: t}).replica(cfg, Now{Wall: 1, Mono: 1})
}

func TestGoldenVectors(t *testing.T) {
	r := goldenReplica(t)
	run := tickets.NewEncoder(value.Decimal).AppendRun(nil, goldenRun(t))
	got := map[string][]byte{
		"tickets": r.Frame(run, false),
		"given":   r.Frame(run, true),
		"ping":    r.encodePing(goldenPing()),
	}
	want := vectors(t)
	for name, b := range got {
		if !bytes.Equal(b, want[name]) {
			t.Errorf("%s of %s: want\n%x\ngot\n%x", name, protocolDoc, want[name], b)
		}
	}
	if len(want) != len(got) {
		t.Errorf("the document has %d vectors, want %d", len(want), len(got))
	}
}

func TestGoldenVectorsAreUnderstood(t *testing.T) {
	want := vectors(t)
	_, _, body, err := unframe(want["ping"])
	if err != nil {
		t.Fatal(err)
	}
	p, err := decodePing(body)
	if err != nil {
		t.Fatal(err)
	}
	ping := goldenPing()
	for i := range ping.Rows {
		ping.Rows[i].Age += time.Microsecond // ages are rounded up
	}
	if !reflect.DeepEqual(p, ping) {
		t.Errorf("want %+v\ngot  %+v", ping, p)
	}
	for name, kind := range map[string]byte{"tickets": typeTickets, "given": typeGiven} {
		k, _, body, err := unframe(want[name])
		if err != nil || k != kind {
			t.Fatal(name, k, err)
		}
		run, err := tickets.DecodeRun(value.Decimal, body)
		if err != nil {
			t.Fatal(name, err)
		}
		if again := tickets.NewEncoder(value.Decimal).AppendRun(nil, run); !bytes.Equal(again, body) {
			t.Errorf("%s: decoded and encoded again: %x", name, again)
		}
	}
}
