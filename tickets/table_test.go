package tickets

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"bluerings/hlc"
	"bluerings/value"
)

// fixture is a table over a memory whose logs grow with each ticket.
type fixture struct {
	*testing.T
	memory *memory
	table  *Table
}

func newFixture(t *testing.T, origins int) *fixture {
	m := newMemory(value.Integer, make([][]Ticket, origins))
	table, err := m.restart(lawOrigins[:origins], markEvery)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t, m, table}
}

func (f *fixture) apply(o OriginIndex, tk Ticket) Applied {
	f.Helper()
	tk.Origin, tk.Seq = lawOrigins[o], uint64(len(f.memory.logs[o])+1)
	f.memory.logs[o] = append(f.memory.logs[o], tk)
	got, err := f.table.Apply(o, &tk)
	if err != nil {
		f.Fatal(err)
	}
	return got
}

func (f *fixture) flush() {
	f.memory.store(f.table.TakeDirty())
	f.table.Flushed()
}

func add(name string, at, expire hlc.Timestamp, amount int64, id string) Ticket {
	return Ticket{Op: CounterAdd, Name: name, At: at, Expire: expire, Amount: value.FromInt64(amount), ID: id}
}

func (f *fixture) wants(name string, total int64, born hlc.Timestamp) uint32 {
	f.Helper()
	slot, ok := f.table.Lookup(Key{Counters, name})
	if !ok {
		f.Fatalf("%q is not there", name)
	}
	if got := f.table.Total(slot); !got.Equal(value.Integer, value.FromInt64(total)) || f.table.Born(slot) != born {
		f.Fatalf("%q is %s, born at %d; want %d, %d", name, got.String(value.Integer), f.table.Born(slot), total, born)
	}
	return slot
}

// A new life does not depend on whether the old one was collected before it
// began, nor on ids that were used in it.
func TestCollectedAndUncollectedLivesAgree(t *testing.T) {
	kept, collected := newFixture(t, 2), newFixture(t, 2)
	for _, f := range []*fixture{kept, collected} {
		f.apply(0, add("x", 10, 20, 1, "i"))
		f.apply(1, add("x", 11, 0, 2, "j"))
		f.apply(0, add("y", 12, 900, 5, ""))
		f.flush()
	}
	slot := collected.wants("x", 3, 10)
	if got := collected.table.Expired(21, 10); !slices.Equal(got, []uint32{slot}) {
		t.Fatalf("expired: %v", got)
	}
	collected.table.Forget(slot)
	for o, seq := range []uint64{1, 1} {
		collected.memory.gone[Ref{OriginIndex(o), seq}] = true
	}
	for _, f := range []*fixture{kept, collected} {
		if got := f.apply(1, add("x", 30, 40, 7, "i")); got.Superseded {
			t.Fatal("an id of an earlier life counted")
		}
		f.apply(0, add("x", 31, 0, 8, "j"))
		if got := f.apply(1, add("x", 32, 0, 8, "j")); !got.Superseded || got.Conflict {
			t.Fatalf("the same id in one life: %+v", got)
		}
		f.wants("x", 15, 30)
		f.wants("y", 5, 12)
	}
	if fresh := collected.wants("x", 15, 30); fresh == slot {
		t.Fatal("a slot was used again before the index knew that its row is gone")
	}
	collected.flush()
	if _, kept := collected.memory.rows[slot]; kept {
		t.Fatal("the row is still in the index")
	}
	if got := collected.apply(0, add("z", 50, 60, 1, "")); got.Slot != slot {
		t.Fatalf("slot %d was not used again, but %d", slot, got.Slot)
	}
}

// The index must know that a row is gone before its slot is used again, or the
// new name would find the marks of the old one there.
func TestSlotsRestUntilFlushed(t *testing.T) {
	f := newFixture(t, 1)
	for i, name := range []string{"a", "b", "c"} {
		f.apply(0, add(name, hlc.Timestamp(i+1), 20, 1, ""))
	}
	f.flush()
	table, err := f.memory.restart(lawOrigins[:1], markEvery)
	if err != nil {
		t.Fatal(err)
	}
	f.table = table
	gone := f.wants("b", 1, 2)
	f.table.Forget(gone)
	if got := f.apply(0, add("d", 30, 40, 1, "")); got.Slot == gone {
		t.Fatal("used before TakeDirty")
	}
	dirty := f.table.TakeDirty()
	if !slices.ContainsFunc(dirty.Rows, func(r RowAt) bool { return r.Slot == gone && r.Data == nil }) {
		t.Fatalf("no deletion in %v", dirty.Rows)
	}
	if got := f.apply(0, add("e", 31, 40, 1, "")); got.Slot == gone {
		t.Fatal("used before Flushed")
	}
	f.table.Flushed()
	if got := f.apply(0, add("f", 32, 40, 1, "")); got.Slot != gone {
		t.Fatalf("slot %d is not used again, but %d", gone, got.Slot)
	}
}

// A chain may begin with collected tickets while its row lives on.
func TestCollectedBeginningOfAChain(t *testing.T) {
	f := newFixture(t, 2)
	f.apply(0, add("x", 10, 20, 1, ""))
	f.apply(0, add("x", 30, 40, 2, ""))
	f.apply(0, add("x", 35, 0, 4, ""))
	f.memory.gone[Ref{0, 1}] = true
	f.apply(1, add("x", 29, 33, 8, "")) // reaches the life's beginning: fold anew
	slot := f.wants("x", 14, 29)
	view := f.table.View(slot)
	for at, want := range map[hlc.Timestamp]int64{28: 0, 29: 8, 30: 10, 34: 10, 35: 14, 99: 14} {
		if got, err := view.SumAt(at, f.memory, nil); err != nil || !got.Equal(value.Integer, value.FromInt64(want)) {
			t.Errorf("as of %d: %v, %v; want %d", at, got, err, want)
		}
	}
}

func TestExpiredSparesNamesWithLaterTickets(t *testing.T) {
	f := newFixture(t, 2)
	f.apply(0, add("ends", 10, 20, 1, ""))
	f.apply(0, add("orphan", 11, 20, 1, ""))
	f.apply(1, add("orphan", 50, 0, 1, ""))
	f.apply(1, add("early", 60, 0, 1, "")) // its setup is still on its way
	f.apply(0, add("lives", 61, 99, 1, ""))
	for before, want := range map[hlc.Timestamp]int{20: 0, 21: 1, 50: 1, 51: 2, 60: 2, 61: 3, 99: 3, 100: 4} {
		if got := f.table.Expired(before, 10); len(got) != want {
			t.Errorf("expired before %d: %v, want %d of them", before, got, want)
		}
	}
	if got := f.table.Expired(100, 2); len(got) != 2 {
		t.Errorf("limit: %v", got)
	}
}

func TestApplyRefuses(t *testing.T) {
	f := newFixture(t, 2)
	f.apply(0, add("x", 10, 20, 1, ""))
	f.apply(0, add("big", 11, 20, 1<<62, ""))
	f.apply(0, add("big", 12, 20, 1<<62, "")) // no longer compact
	for _, name := range []string{"x", "big"} {
		tk := add(name, 13, 0, 1, "")
		for tk.Seq = range uint64(2) {
			if _, err := f.table.Apply(0, &tk); err == nil {
				t.Errorf("ticket %d of %q was taken twice", tk.Seq, name)
			}
		}
		tk.Seq = 9
		if _, err := f.table.Apply(2, &tk); err == nil {
			t.Error("an unknown log was taken")
		}
	}
	f.wants("x", 1, 10)
}

// TestPastThatLies must give errors, no wrong sums and no endless walks.
func TestPastThatLies(t *testing.T) {
	for what, lie := range map[string]func(*Ticket, *uint64) error{
		"another name":   func(tk *Ticket, _ *uint64) error { tk.Name = "z"; return nil },
		"another number": func(tk *Ticket, _ *uint64) error { tk.Seq++; return nil },
		"a link to 0":    func(tk *Ticket, back *uint64) error { *back = tk.Seq; return nil },
		"an error":       func(*Ticket, *uint64) error { return errors.ErrUnsupported },
	} {
		f := newFixture(t, 2)
		f.apply(0, add("x", 10, 20, 1, "i"))
		f.apply(0, add("x", 15, 0, 1, ""))
		view := f.table.View(f.wants("x", 2, 10))
		f.table.past = liar{f.memory, lie}
		if _, err := view.SumAt(12, f.table.past, nil); err == nil {
			t.Errorf("%s: as of", what)
		}
		for _, tk := range []Ticket{add("x", 9, 30, 1, ""), add("x", 11, 0, 1, "i")} {
			tk.Seq = 1
			if _, err := f.table.Apply(1, &tk); err == nil {
				t.Errorf("%s: applied", what)
			}
			f.table.past = liar{f.memory, lie}
		}
	}
}

type liar struct {
	*memory
	lie func(*Ticket, *uint64) error
}

func (l liar) Ticket(ref Ref) (Ticket, uint64, error) {
	if int(ref.Seq) > len(l.logs[ref.Origin]) {
		return Ticket{}, 0, errors.ErrUnsupported
	}
	tk, back, _ := l.memory.Ticket(ref)
	err := l.lie(&tk, &back)
	return tk, back, err
}

func TestNamesAgainstASortedList(t *testing.T) {
	f := newFixture(t, 1)
	rnd := rand.New(rand.NewPCG(3, 4))
	alive := map[string]bool{}
	for at := hlc.Timestamp(1); at < 9000; at++ {
		name := fmt.Sprintf("%c/%d", 'a'+rnd.IntN(3), rnd.IntN(20000))
		if rnd.IntN(5) == 0 {
			if slot, ok := f.table.Lookup(Key{Counters, name[:3]}); ok {
				f.table.Forget(slot)
				delete(alive, name[:3])
			}
			name = name[:3]
		}
		f.apply(0, add(name, at, hlc.Never, 1, ""))
		alive[name] = true
		if at%64 == 0 {
			f.flush()
		}
		if at%500 == 0 {
			checkNames(t, f.table, alive, rnd)
		}
	}
	for name := range alive {
		slot, _ := f.table.Lookup(Key{Counters, name})
		f.table.Forget(slot)
	}
	if got := f.table.Names(Counters, "", "", 1, 1); len(got) != 0 || f.table.Len(Counters) != 0 {
		t.Fatalf("%d names are left", f.table.Len(Counters))
	}
}

func checkNames(t *testing.T, table *Table, alive map[string]bool, rnd *rand.Rand) {
	var all []string
	for name := range alive {
		all = append(all, name)
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "a", "b/1", "c/", "zz"} {
		after := []string{"", "a/5", "b", "b/15", all[rnd.IntN(len(all))]}[rnd.IntN(5)]
		limit := []int{0, 1, 100, 1 << 20}[rnd.IntN(4)]
		var want []string
		for _, name := range all {
			if strings.HasPrefix(name, prefix) && name > after && len(want) < limit {
				want = append(want, name)
			}
		}
		var got []string
		for _, slot := range table.Names(Counters, prefix, after, limit, 1) {
			got = append(got, table.Key(slot).Name)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("prefix %q after %q limit %d: %d names, want %d", prefix, after, limit, len(got), len(want))
		}
	}
}

func TestReadersTogether(t *testing.T) {
	table, names := crowd(t, 5000)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 500 {
				for _, slot := range table.Names(Counters, "", names[i], 3, 1) {
					table.View(slot)
					table.Chains(slot)
					table.Total(slot)
				}
			}
		})
	}
	group.Wait()
}

func TestElementsPages(t *testing.T) {
	f := newFixture(t, 1)
	f.apply(0, Ticket{Op: SetSetup, Name: "s", At: 1, Expire: hlc.Never})
	for i, e := range []string{"b1", "a", "b2", "c", "b3"} {
		f.apply(0, Ticket{Op: SetAdd, Name: "s", At: hlc.Timestamp(10 + i), Text: e})
	}
	got := f.apply(0, Ticket{Op: SetRemove, Name: "s", At: 20, Text: "b2"})
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          []string
	}{
		{"", "", 9, []string{"a", "b1", "b3", "c"}}, {"b", "", 9, []string{"b1", "b3"}}, {"b", "b1", 9, []string{"b3"}},
		{"", "a", 1, []string{"b1"}}, {"b", "b3", 9, nil}, {"", "", 0, nil}, {"z", "", 9, nil},
	} {
		if list := f.table.Elements(got.Slot, c.prefix, c.after, c.limit); !slices.Equal(list, c.want) {
			t.Errorf("%+v: %v", c, list)
		}
	}
}

// TestArenaIsCompacted forgets most names and looks at what remains.
func TestArenaIsCompacted(t *testing.T) {
	f := newFixture(t, 1)
	long := strings.Repeat("n", 400)
	for i := range 8000 {
		f.apply(0, add(fmt.Sprint(long, i), hlc.Timestamp(i+1), hlc.Never, int64(i), ""))
	}
	before := f.table.MemoryBytes()
	for i := range 7990 {
		slot, _ := f.table.Lookup(Key{Counters, fmt.Sprint(long, i)})
		f.table.Forget(slot)
	}
	f.flush()
	if now := f.table.MemoryBytes(); before-now < 1<<20 {
		t.Errorf("%d bytes before, %d now", before, now)
	}
	for i := 7990; i < 8000; i++ {
		f.wants(fmt.Sprint(long, i), int64(i), hlc.Timestamp(i+1))
	}
}

func TestPendingMarks(t *testing.T) {
	f := newFixture(t, 1)
	var slot uint32
	for i := range hlc.Timestamp(3 * markEvery) {
		slot = f.apply(0, add("x", i+1, hlc.Never, 1, "")).Slot
		if i == markEvery+5 {
			f.table.TakeDirty() // taken and not flushed is still pending
		}
	}
	for at, want := range map[hlc.Timestamp]uint64{1: 128, 128: 128, 129: 256, 384: 384, 385: 0} {
		if m, ok := f.table.PendingMark(slot, 0, at); m.Seq != want || ok != (want > 0) ||
			ok && !m.Sum.Equal(value.Integer, value.FromInt64(int64(want))) {
			t.Errorf("at %d: %+v, %v", at, m, ok)
		}
	}
	if d := f.table.TakeDirty(); len(d.Marks) != 3 || len(d.Rows) != 1 {
		t.Errorf("%d marks, %d rows: what was taken and not flushed must be taken again", len(d.Marks), len(d.Rows))
	}
	f.table.Flushed()
	if _, ok := f.table.PendingMark(slot, 0, 1); ok {
		t.Error("pending after the flush")
	}
	if d := f.table.TakeDirty(); len(d.Marks)+len(d.Rows)+len(d.Claims) != 0 {
		t.Errorf("nothing changed, yet %+v", d)
	}
}
