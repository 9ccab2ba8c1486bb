package tickets

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bluerings/hlc"
	"bluerings/value"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/runs.txt anew: that is a new format")

// readable writes a run out in full.
func readable(kind value.Kind, run *Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s host %s epoch %016x numbers %d to %d\n", kind, run.Origin.Host, run.Origin.Epoch, run.First, run.Last)
	for i := range run.Tickets {
		t := &run.Tickets[i]
		fmt.Fprintf(&b, "  %d at %d %s %q", t.Seq, int64(t.At), t.Op, t.Name)
		if t.Op == CounterAdd {
			fmt.Fprintf(&b, " amount %s", t.Amount.String(kind))
		}
		for _, s := range [][2]string{{"text", t.Text}, {"id", t.ID}, {"ref", t.Ref}} {
			if s[1] != "" {
				fmt.Fprintf(&b, " %s %q", s[0], s[1])
			}
		}
		if t.Expire != 0 {
			fmt.Fprintf(&b, " expire %d", int64(t.Expire))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

type vectorRun struct {
	kind value.Kind
	run  Run
}

func amountOf(kind value.Kind, text string) value.Number {
	n, err := value.Parse(kind, text, value.DefaultLimits)
	if err != nil {
		panic(err)
	}
	return n
}

// goldenRuns use every operation and every option.
func goldenRuns() []vectorRun {
	const noon = hlc.Timestamp(1767268800e9)
	a := Origin{"node-1.example", 0x0123456789abcdef}
	counter := func(kind value.Kind, seq uint64, at hlc.Timestamp, name, amount string) Ticket {
		return Ticket{Seq: seq, At: at, Op: CounterAdd, Name: name, Amount: amountOf(kind, amount)}
	}
	all := []vectorRun{
		{value.Integer, Run{Origin: a, First: 1, Last: 1}},
		{value.Integer, Run{Origin: a, First: 1, Last: 3, Tickets: []Ticket{
			{Seq: 1, At: noon, Op: CounterSetup, Name: "calls/1", Expire: hlc.Never},
			counter(value.Integer, 2, noon+1, "calls/1", "1"),
			counter(value.Integer, 3, noon+1000, "calls/2", "-123456789012345678901234567890"),
		}}},
		{value.Decimal, Run{Origin: Origin{"b", 1}, First: 1 << 40, Last: 1<<40 + 4, Tickets: []Ticket{
			counter(value.Decimal, 1<<40+1, noon, "é", "-3.5"),
			counter(value.Decimal, 1<<40+4, noon+1e9, "é", "0.0001"),
		}}},
		{value.Rational, Run{Origin: Origin{"b", 1}, First: 300, Last: 301, Tickets: []Ticket{
			counter(value.Rational, 300, 1, "x", "22/7"),
			counter(value.Rational, 301, 2, "x", "-1"),
		}}},
		{value.Integer, Run{Origin: Origin{"c_3", 7}, First: 9, Last: 15, Tickets: []Ticket{
			{Seq: 9, At: noon, Op: TextSetup, Name: "t", Expire: noon + 1},
			{Seq: 10, At: noon + 1, Op: TextSet, Name: "t", Text: "two\nlines"},
			{Seq: 11, At: noon + 2, Op: TextSet, Name: "t"},
			{Seq: 12, At: noon + 3, Op: SetSetup, Name: "t", Expire: noon + 9, Ref: "why"},
			{Seq: 13, At: noon + 4, Op: SetAdd, Name: "s", Text: "e"},
			{Seq: 15, At: noon + 5, Op: SetRemove, Name: "s", Text: "e", ID: "id", Ref: "ref", Expire: 5},
		}}},
	}
	last := counter(value.Decimal, 5, noon, "invoice", "1.5")
	last.Text, last.ID, last.Ref, last.Expire = "1.50", "7c9e6679", "line\n2", noon+86400e9
	all = append(all, vectorRun{value.Decimal, Run{Origin: a, First: 5, Last: 5, Tickets: []Ticket{last}}})
	for _, v := range all {
		for i := range v.run.Tickets {
			v.run.Tickets[i].Origin = v.run.Origin
		}
	}
	return all
}

// TestGoldenRuns holds the encoding against testdata/runs.txt, which freezes it.
func TestGoldenRuns(t *testing.T) {
	var b strings.Builder
	b.WriteString("# The encoding of runs, see codec.go: each run written out, then its bytes.\n")
	for _, v := range goldenRuns() {
		bin := NewEncoder(v.kind).AppendRun(nil, &v.run)
		fmt.Fprintf(&b, "\n%s%x\n", readable(v.kind, &v.run), bin)
	}
	const path = "testdata/runs.txt"
	if *rewrite {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the encoding changed:\n%s", b.String())
	}
	for i, block := range strings.Split(strings.TrimSpace(string(want)), "\n\n")[1:] {
		cut := strings.LastIndexByte(block, '\n')
		bin, err := hex.DecodeString(block[cut+1:])
		if err != nil {
			t.Fatal(err)
		}
		kind := goldenRuns()[i].kind
		if run, err := DecodeRun(kind, bin); err != nil || readable(kind, run) != block[:cut+1] {
			t.Errorf("%s reads %v, %v", block, run, err)
		}
		for size := range bin {
			if _, err := DecodeRun(kind, bin[:size]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("run %d cut to %d bytes: %v", i, size, err)
			}
		}
		if _, err := DecodeRun(kind, append(bin, 0)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("run %d and a byte more: %v", i, err)
		}
	}
}

func runs(kind value.Kind) *rapid.Generator[Run] {
	short := rapid.SampledFrom([]string{"", "", "a", "b", "ü", strings.Repeat("x", 200)})
	return rapid.Custom(func(t *rapid.T) Run {
		r := Run{Origin: Origin{"host", rapid.Uint64().Draw(t, "epoch")}, First: rapid.Uint64Range(1, 1<<62).Draw(t, "first")}
		next, at := r.First, hlc.Timestamp(0)
		for range rapid.IntRange(0, 8).Draw(t, "tickets") {
			at += hlc.Timestamp(rapid.Int64Range(1, 1<<59).Draw(t, "later"))
			tk := Ticket{
				Origin: r.Origin, Seq: next + rapid.SampledFrom([]uint64{0, 0, 1, 300}).Draw(t, "skipped"), At: at,
				Op: Op(rapid.IntRange(0, int(opEnd)-1).Draw(t, "op")), Name: "n" + short.Draw(t, "name"),
				ID: short.Draw(t, "id"), Ref: short.Draw(t, "ref"),
				Expire: hlc.Timestamp(rapid.SampledFrom([]int64{0, 0, 1, int64(hlc.Never)}).Draw(t, "expire")),
			}
			switch tk.Op {
			case CounterAdd:
				tk.Amount, tk.Text = amountOf(kind, rapid.SampledFrom(amountTexts(kind)).Draw(t, "amount")), short.Draw(t, "as sent")
			case TextSet:
				tk.Text = short.Draw(t, "text")
			case SetAdd, SetRemove:
				tk.Text = "e" + short.Draw(t, "element")
			}
			r.Tickets = append(r.Tickets, tk)
			next = tk.Seq + 1
		}
		r.Last = max(r.First, next-1+rapid.Uint64Range(0, 2).Draw(t, "behind"))
		return r
	})
}

func TestRunsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]value.Kind{value.Integer, value.Decimal, value.Rational}).Draw(t, "kind")
		encoder := NewEncoder(kind)
		for range 2 { // an encoder forgets the names of the run before
			run := runs(kind).Draw(t, "run")
			bin := encoder.AppendRun([]byte("before"), &run)[len("before"):]
			got, err := DecodeRun(kind, bin)
			if err != nil {
				t.Fatalf("%s%x: %v", readable(kind, &run), bin, err)
			}
			if readable(kind, got) != readable(kind, &run) {
				t.Fatalf("%sbecame\n%s", readable(kind, &run), readable(kind, got))
			}
			clear(bin)
			if readable(kind, got) != readable(kind, &run) {
				t.Fatal("a decoded run shares memory with its encoding")
			}
		}
	})
}

func TestDecodeRefusesWhatTheEncoderNeverWrites(t *testing.T) {
	head := "01" + "0161" + "0000000000000001"
	for what, text := range map[string]string{
		"empty":                   "",
		"another version":         "02",
		"a host of no bytes":      "01" + "00" + "0000000000000001" + "010000",
		"a host with a slash":     "01" + "012f" + "0000000000000001" + "010000",
		"a long varint":           head + "810000" + "00",
		"number 0":                head + "000000",
		"a number beyond 2^62":    head + "818080808080808040" + "0000",
		"too long a span":         head + "01" + "808004" + "00",
		"more tickets than span":  head + "010002",
		"a huge count":            head + "01" + "00" + "ffffffffffffffff7f",
		"operation 7":             head + "010001" + "07" + "01" + "00016e",
		"the same moment":         head + "010001" + "00" + "00" + "00016e",
		"skipped to nowhere":      head + "010001" + "80" + "01" + "01" + "00016e",
		"none skipped":            head + "010001" + "80" + "00" + "01" + "00016e",
		"name 1 of 0":             head + "010001" + "00" + "01" + "01",
		"an empty name":           head + "010001" + "00" + "01" + "0000",
		"a control character":     head + "010001" + "00" + "01" + "000101",
		"no text":                 head + "010001" + "03" + "01" + "00016e",
		"a text for a setup":      head + "010001" + "40" + "01" + "00016e" + "0161",
		"an empty amount as sent": head + "010001" + "41" + "01" + "00016e" + "02" + "00",
		"an empty id":             head + "010001" + "10" + "01" + "00016e" + "00",
		"an empty ref":            head + "010001" + "20" + "01" + "00016e" + "00",
		"expiry 0":                head + "010001" + "08" + "01" + "00016e" + "00",
		"no amount":               head + "010001" + "01" + "01" + "00016e",
	} {
		bin, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(what, err)
		}
		if run, err := DecodeRun(value.Integer, bin); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, %v", what, run, err)
		}
	}
}

func FuzzDecodeRun(f *testing.F) {
	for _, v := range goldenRuns() {
		f.Add(byte(v.kind), NewEncoder(v.kind).AppendRun(nil, &v.run))
	}
	f.Fuzz(func(t *testing.T, k byte, data []byte) {
		kind := value.Integer + value.Kind(k-1)%3
		run, err := DecodeRun(kind, data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || run != nil {
				t.Fatalf("%v, %v", run, err)
			}
			return
		}
		again := NewEncoder(kind).AppendRun(nil, run)
		back, err := DecodeRun(kind, again)
		if err != nil || readable(kind, back) != readable(kind, run) {
			t.Fatalf("%x\nreads %sbut %x\nreads %s%v", data, readable(kind, run), again, readable(kind, back), err)
		}
		if len(again) > len(data) {
			t.Fatalf("%x is longer than %x", again, data)
		}
	})
}
