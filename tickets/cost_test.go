package tickets

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"bluerings/hlc"
	"bluerings/value"
)

// nothing is a Past without any tickets or claims.
type nothing struct{}

func (nothing) Claim([16]byte) (Ref, bool, error)  { return Ref{}, false, nil }
func (nothing) Ticket(Ref) (Ticket, uint64, error) { return Ticket{}, 0, ErrCollected }

// crowd makes a table of n counters with names of 20 bytes.
func crowd(tb testing.TB, n int) (*Table, []string) {
	t := NewTable(value.Decimal, nothing{})
	t.AddOrigin(0, Origin{"a", 1})
	t.AddOrigin(1, Origin{"b", 1})
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("tenant/%013d", i)
		tk := Ticket{Seq: uint64(i + 1), At: hlc.Timestamp(i + 1), Op: CounterSetup, Name: names[i], Expire: hlc.Never}
		if _, err := t.Apply(0, &tk); err != nil {
			tb.Fatal(err)
		}
	}
	return t, names
}

func TestKnownCountersCostNoAllocation(t *testing.T) {
	table, names := crowd(t, 1000)
	amount, _ := value.Parse(value.Decimal, "0.25", value.DefaultLimits)
	for o := range OriginIndex(2) {
		tk := Ticket{Seq: 5000, At: 5000, Op: CounterAdd, Amount: amount}
		work := func() {
			tk.Seq, tk.At = tk.Seq+1, tk.At+1
			tk.Name = names[tk.Seq%1000]
			if _, err := table.Apply(o, &tk); err != nil {
				t.Fatal(err)
			}
		}
		for range 1000 {
			work()
		}
		if allocs := testing.AllocsPerRun(2000, work); allocs != 0 {
			t.Errorf("origin %d: %v allocations", o, allocs)
		}
	}
	key := Key{Counters, names[7]}
	if allocs := testing.AllocsPerRun(100, func() {
		slot, _ := table.Lookup(key)
		keptKey, keptNumber = table.Key(slot), table.Total(slot)
	}); allocs != 0 {
		t.Errorf("reading: %v allocations", allocs)
	}
}

// Results go here, so that the compiler keeps the work.
var (
	keptKey    Key
	keptNumber value.Number
)

func TestMemoryPerCounter(t *testing.T) {
	if testing.Short() {
		t.Skip("a million counters")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table, names := crowd(t, 1_000_000)
	table.TakeDirty()
	table.Flushed()
	known := table.MemoryBytes()
	names = append([]string(nil), names[:1]...)
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(after.HeapAlloc-before.HeapAlloc) / 1e6
	t.Logf("%.1f bytes per counter in the heap, MemoryBytes says %.1f", per, float64(known)/1e6)
	if per > 85 || float64(known)/1e6 > per+1 {
		t.Errorf("%.1f bytes per counter, MemoryBytes says %.1f", per, float64(known)/1e6)
	}
	runtime.KeepAlive(table)
	runtime.KeepAlive(names)
}

func BenchmarkApply(b *testing.B) {
	for _, c := range []struct {
		name  string
		names int
		ids   bool
	}{{"hot", 1, false}, {"100k", 100_000, false}, {"1M", 1_000_000, false}, {"1M/ids", 1_000_000, true}} {
		b.Run(c.name, func(b *testing.B) {
			t, names := crowd(b, c.names)
			rnd := rand.New(rand.NewPCG(1, 2))
			run := make([]Ticket, 1<<16)
			for i := range run {
				run[i] = Ticket{Op: CounterAdd, Name: strings.Clone(names[rnd.IntN(len(names))]), Amount: value.FromInt64(7)}
				if c.ids {
					run[i].ID = fmt.Sprintf("id-%020d", i)
				}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				tk := &run[i&(1<<16-1)]
				i++
				tk.Seq, tk.At = uint64(2_000_000+i), hlc.Timestamp(2_000_000+i)
				if i&(1<<16-1) == 0 { // as a checkpoint would
					t.claims.fresh = claimSet{}
					t.marks.fresh = make(map[uint32][]Mark)
				}
				if _, err := t.Apply(0, tk); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCreate(b *testing.B) {
	for b.Loop() {
		crowd(b, 1_000_000)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/counter")
}

func BenchmarkTakeDirty(b *testing.B) {
	t, names := crowd(b, 1_000_000)
	t.TakeDirty()
	t.Flushed()
	rnd := rand.New(rand.NewPCG(1, 2))
	seq := uint64(2_000_000)
	for b.Loop() {
		b.StopTimer()
		for range 100_000 {
			seq++
			tk := Ticket{Seq: seq, At: hlc.Timestamp(seq), Op: CounterAdd, Name: names[rnd.IntN(len(names))], Amount: value.FromInt64(7)}
			if _, err := t.Apply(0, &tk); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		t.TakeDirty()
		t.Flushed()
	}
}

func BenchmarkNames(b *testing.B) {
	t, names := crowd(b, 1_000_000)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			t.order[Counters] = order{}
			t.Names(Counters, "", "", 1, 1)
		}
	})
	b.Run("page of 100", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i = (i + 7919) % len(names)
			t.Names(Counters, "tenant/", names[i], 100, 1)
		}
	})
}

// BenchmarkExpired looks at a million names of which none has expired: single
// counters, which are rows alone, and texts, whose folds lie elsewhere.
func BenchmarkExpired(b *testing.B) {
	for _, c := range []struct {
		name string
		op   Op
	}{{"counters", CounterSetup}, {"texts", TextSetup}} {
		b.Run(c.name, func(b *testing.B) {
			t := NewTable(value.Decimal, nothing{})
			t.AddOrigin(0, Origin{"a", 1})
			for i := range 1_000_000 {
				tk := Ticket{Seq: uint64(i + 1), At: hlc.Timestamp(i + 1), Op: c.op, Name: fmt.Sprintf("tenant/%013d", i), Expire: hlc.Never}
				if _, err := t.Apply(0, &tk); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if list := t.Expired(1<<40, 1000); list != nil {
					b.Fatal(list)
				}
			}
		})
	}
}

// BenchmarkForget takes out a thousand names of a million.
func BenchmarkForget(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		t, _ := crowd(b, 1_000_000)
		b.StartTimer()
		for slot := range uint32(1000) {
			t.Forget(slot * 997)
		}
	}
}
