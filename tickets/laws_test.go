package tickets

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"

	"bluerings/hlc"
	"bluerings/value"
)

var lawOrigins = []Origin{{"b", 2}, {"a", 9}, {"b", 1}, {"c", 7}}

// amountTexts lie on both sides of what fits 64 bits.
func amountTexts(kind value.Kind) []string {
	texts := []string{"0", "1", "2", "5", "-3", "9223372036854775807", "-9223372036854775808", "123456789012345678901234567890"}
	switch kind {
	case value.Decimal:
		texts = append(texts, "0.5", "-1.25", "1e-200")
	case value.Rational:
		texts = append(texts, "1/3", "-2/7", "1/1000000000000000000000")
	}
	return texts
}

// dice draw with a seed.
type dice struct{ *rand.Rand }

func (d dice) between(least, most int) int { return least + d.IntN(most-least+1) }

func one[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

// history draws the logs of some origins, with few names, ids and moments, so
// that everything collides. Each history has its own habits.
func history(d dice, kind value.Kind) [][]Ticket {
	logs := make([][]Ticket, d.between(1, len(lawOrigins)))
	idOften, lifetime, later := one(d, 0, 30, 80), one(d, 3, 12, 100), one(d, 1, 4)
	families := one(d, []Family{Counters}, []Family{Texts}, []Family{Sets}, []Family{Counters, Texts, Sets})
	names := one(d, []string{"x"}, []string{"x", "x", "x", "y"})
	ids := []string{"i", "j", "k", "l"}[:d.between(1, 4)]
	expires := one(d, 10, 30)
	amounts := amountTexts(kind)[:one(d, 5, len(amountTexts(kind)))]
	for o := range logs {
		at := hlc.Timestamp(0)
		for range d.between(0, 14) {
			at += hlc.Timestamp(d.between(1, later))
			tk := Ticket{Origin: lawOrigins[o], Seq: uint64(len(logs[o]) + 1), At: at, Name: one(d, names...)}
			switch one(d, families...) {
			case Counters:
				tk.Op = one(d, CounterSetup, CounterAdd, CounterAdd, CounterAdd)
			case Texts:
				tk.Op = one(d, TextSetup, TextSet, TextSet)
			default:
				tk.Op = one(d, SetSetup, SetAdd, SetAdd, SetRemove)
			}
			switch tk.Op {
			case CounterAdd:
				tk.Amount = amountOf(kind, one(d, amounts...))
			case TextSet, SetAdd, SetRemove:
				tk.Text = one(d, "p", "q", "r")
			}
			if d.IntN(100) < expires || len(logs[o]) == 0 && d.IntN(2) == 0 {
				tk.Expire = max(1, at+hlc.Timestamp(d.between(-2, lifetime)))
			}
			if d.IntN(100) < idOften {
				tk.ID = one(d, ids...)
			}
			logs[o] = append(logs[o], tk)
		}
	}
	return logs
}

// interleaving draws an order of arrival that keeps each log's own order.
func interleaving(d dice, logs [][]Ticket) []int {
	var order []int
	for o := range logs {
		order = append(order, slices.Repeat([]int{o}, len(logs[o]))...)
	}
	if d.IntN(4) > 0 { // else one log after the other
		d.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	if d.IntN(2) == 0 {
		slices.Reverse(order)
	}
	return order
}

var lawKeys = []Key{
	{Counters, "x"}, {Counters, "y"}, {Texts, "x"}, {Texts, "y"}, {Sets, "x"}, {Sets, "y"},
}

// TestTableIsTheModel applies histories in many orders, flushing and
// restarting at random, and compares with the model after every ticket. So a
// table is a function of the set of tickets, which makes merging commutative,
// associative and idempotent.
func TestTableIsTheModel(t *testing.T) {
	for i := range *seeds {
		seed := *firstSeed + i
		d := dice{rand.New(rand.NewPCG(seed, 0))}
		kind := one(d, value.Integer, value.Decimal, value.Rational)
		logs, every := history(d, kind), uint64(d.between(1, 3))
		var reference map[Key][]byte
		for range 3 {
			r := &run{T: t, dice: d, seed: seed, kind: kind, memory: newMemory(kind, logs), every: every}
			r.apply(interleaving(d, logs))
			state := r.state()
			if reference == nil {
				reference = state
			}
			for key, data := range state {
				if !bytes.Equal(data, reference[key]) {
					r.fail("%v: %x in one order, %x in another", key, reference[key], data)
				}
			}
		}
	}
}

var (
	seeds     = flag.Uint64("seeds", 1500, "random histories to try")
	firstSeed = flag.Uint64("seed", 0, "the first of them")
)

// run is one order of arrival.
type run struct {
	*testing.T
	dice
	seed    uint64
	kind    value.Kind
	memory  *memory
	table   *Table
	every   uint64
	order   []int
	applied []Ticket
	taken   *Dirty // and not confirmed
}

func (r *run) apply(order []int) {
	var err error
	if r.table, err = r.memory.restart(lawOrigins, r.every); err != nil {
		r.Fatal(err)
	}
	r.order = order
	if r.IntN(2) == 0 {
		r.table.Names(Counters, "", "", 1, 0)
	}
	next := make([]int, len(r.memory.logs))
	for _, o := range order {
		tk := r.memory.logs[o][next[o]]
		next[o]++
		before := fold1(r.kind, tk.Key(), r.applied)
		r.applied = append(r.applied, tk)
		back := r.table.Back(tk.Key(), OriginIndex(o))
		if _, want, _ := r.memory.Ticket(Ref{OriginIndex(o), tk.Seq}); back != 0 && tk.Seq-back != want || back == 0 && want != 0 {
			r.fail("Back of %v is %d, the link should be %d", tk.Key(), back, want)
		}
		got, err := r.table.Apply(OriginIndex(o), &tk)
		if err != nil {
			r.fail("%v", err)
		}
		r.checkApplied(tk, before, got)
		r.check(tk.Key())
		r.flush()
	}
	for _, key := range lawKeys {
		r.check(key)
	}
}

func (r *run) fail(format string, args ...any) {
	r.Helper()
	r.Fatalf("seed %d: "+format+"%s", append(append([]any{r.seed}, args...), dump(r.memory.logs, r.order[:len(r.applied)]))...)
}

// flush does at random what a checkpoint does in steps: it takes, and later
// stores and confirms; or loses what it took and takes again; or dies.
func (r *run) flush() {
	switch r.IntN(8) {
	case 0, 1:
		if r.taken == nil {
			d := r.table.TakeDirty()
			r.taken = &d
			return
		}
		r.memory.store(*r.taken)
		r.table.Flushed()
		r.taken = nil
	case 2:
		d := r.table.TakeDirty()
		r.taken = &d
	case 3:
		r.memory.store(r.table.TakeDirty())
		table, err := r.memory.restart(lawOrigins, r.every)
		if err != nil {
			r.fail("%v", err)
		}
		r.table, r.taken = table, nil
	}
}

// checkApplied holds the verdict on a ticket against the model's.
func (r *run) checkApplied(tk Ticket, before *model, got Applied) {
	if slot, ok := r.table.Lookup(tk.Key()); !ok || slot != got.Slot {
		r.fail("applied to slot %d, found in %d", got.Slot, slot)
	}
	fresh := !slices.ContainsFunc(r.applied[:len(r.applied)-1], func(u Ticket) bool { return u.Key() == tk.Key() })
	if got.Created != fresh {
		r.fail("created %v", got.Created)
	}
	present, others := false, false
	now := fold1(r.kind, tk.Key(), r.applied)
	for _, u := range r.applied {
		if u.Key() != tk.Key() || u.ID != tk.ID || u.ID == "" || u.At < now.born || u.At > max(now.born, now.expire) {
			continue
		}
		if u.At == now.born && u.Before(&now.counted[0]) {
			continue
		}
		if u.Origin == tk.Origin && u.Seq == tk.Seq {
			present = true
		} else {
			others = true
		}
	}
	if now.born > 0 && now.expire >= now.born && got.Superseded != (present && others) {
		r.fail("superseded %v, want %v; before: %v", got.Superseded, present && others, before)
	}
}

func (r *run) check(key Key) {
	slot, ok := r.table.Lookup(key)
	want := fold1(r.kind, key, r.applied)
	if !ok {
		if slices.ContainsFunc(r.applied, func(t Ticket) bool { return t.Key() == key }) {
			r.fail("%v is not there", key)
		}
		return
	}
	if got := seen(r.table, slot); got != want.String() {
		r.fail("%v\n got %s\nwant %s", key, got, want)
	}
	if r.table.Key(slot) != key || r.table.Alive(slot, want.expire+1) || want.expire > 0 && !r.table.Alive(slot, want.expire) {
		r.fail("%v is %v, or lives wrongly", key, r.table.Key(slot))
	}
	now := hlc.Timestamp(r.between(1, 40))
	listed := slices.Contains(r.table.Names(key.Family, "", "", 10, now), slot)
	if listed != (want.expire >= now) {
		r.fail("%v listed at %d: %v", key, now, listed)
	}
	r.checkChains(slot, key)
	if key.Family == Counters {
		r.checkAsOf(slot, want)
	}
}

func (r *run) checkChains(slot uint32, key Key) {
	var want []Chain
	for o := range r.memory.logs {
		c := Chain{Origin: OriginIndex(o)}
		for _, t := range r.applied {
			if t.Origin == lawOrigins[o] && t.Key() == key {
				c.Head, c.Count, c.Sum = t.Seq, c.Count+1, c.Sum.Add(r.kind, t.Amount)
			}
		}
		if c.Count > 0 {
			want = append(want, c)
		}
	}
	if !slices.EqualFunc(r.table.Chains(slot), want, func(a, b Chain) bool {
		return a.Origin == b.Origin && a.Head == b.Head && a.Count == b.Count && a.Sum.Equal(r.kind, b.Sum)
	}) {
		r.fail("%v: chains %v, want %v", key, r.table.Chains(slot), want)
	}
}

func (r *run) checkAsOf(slot uint32, want *model) {
	view := r.table.View(slot)
	for range 3 {
		at := hlc.Timestamp(r.between(0, 70))
		r.memory.asked = 0
		got, err := view.SumAt(at, r.memory, r.memory)
		if err != nil {
			r.fail("as of %d: %v", at, err)
		}
		if w := want.sumAt(at); !got.Equal(r.kind, w) {
			r.fail("as of %d: %s, want %s; %v", at, got.String(r.kind), w.String(r.kind), want)
		}
		if limit := int(r.every+1) * len(lawOrigins); r.memory.asked > limit {
			r.fail("as of %d: %d tickets read, at most %d should be", at, r.memory.asked, limit)
		}
	}
}

// state is the canonical encoding of all rows.
func (r *run) state() map[Key][]byte {
	state := map[Key][]byte{}
	var scratch fold
	for _, key := range lawKeys {
		if slot, ok := r.table.Lookup(key); ok {
			state[key] = r.table.appendRow(nil, slot, &scratch)
		}
	}
	return state
}
