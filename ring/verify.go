package ring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"bluerings/hlc"
	"bluerings/ring/boltstore"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// Verify recounts everything in a data directory from its tickets and compares
// that with the index that a node starts from. It writes a line for every
// difference and returns their number. No node may have the directory open.
func Verify(ctx context.Context, dir string, w io.Writer) (int, error) {
	store, err := boltstore.Open(dir, boltstore.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }() // only read
	_, _, kind := store.Identity()
	v := &verifier{store: store, kind: kind, out: w}
	// Open drops an index that is damaged, as a node does; here it is a finding.
	// That it is missing is none.
	damage := boltstore.Check(dir)
	if errors.Is(damage, boltstore.ErrIndex) {
		v.differ("%v", damage)
	} else if damage != nil {
		return 0, damage
	}
	if err := v.load(ctx); err != nil {
		return v.found, err
	}
	if v.covers != nil {
		v.compareNames()
		v.compareClaims()
		v.compareMarks()
	}
	tickets := uint64(0)
	for _, end := range store.Ends() {
		tickets += end
	}
	if v.covers == nil && damage == nil {
		fmt.Fprintln(w, "there is no index to compare with: the node makes one from the ledger when it starts")
	}
	fmt.Fprintf(w, "%d tickets in %d logs, %d names, %d differences\n", tickets, len(store.Ends()), len(v.dirty.Rows), v.found)
	return v.found, nil
}

// verifier holds the recount, which knows only the ledger, beside what the
// index says.
type verifier struct {
	store   *boltstore.Store
	kind    value.Kind
	out     io.Writer
	found   int
	recount *tickets.Table
	index   *tickets.Table
	names   map[tickets.Key]uint32 // slots in the index
	keys    map[uint32]tickets.Key
	covers  []uint64
	gaps    map[tickets.OriginIndex]bool // logs of which tickets were collected
	dirty   tickets.Dirty                // of the recount: all claims and marks
}

// ledgerOnly is a past in which no id ever left the table.
type ledgerOnly struct{ *past }

// Claim implements tickets.Past.
func (ledgerOnly) Claim([16]byte) (tickets.Ref, bool, error) { return tickets.Ref{}, false, nil }

func (v *verifier) differ(format string, args ...any) {
	v.found++
	if v.found <= 1000 {
		fmt.Fprintf(v.out, format+"\n", args...)
	}
}

func (v *verifier) load(ctx context.Context) error {
	full := &past{store: v.store, kind: v.kind}
	v.recount = tickets.NewTable(v.kind, ledgerOnly{full})
	v.index = tickets.NewTable(v.kind, full)
	v.names, v.keys, v.gaps = make(map[tickets.Key]uint32), make(map[uint32]tickets.Key), make(map[tickets.OriginIndex]bool)
	for i, o := range v.store.Origins() {
		v.recount.AddOrigin(tickets.OriginIndex(i), o)
		v.index.AddOrigin(tickets.OriginIndex(i), o)
	}
	var err error
	v.covers, err = v.store.LoadIndex(func(row replica.Row) error {
		if err := v.index.Restore(row.Slot, row.Data); err != nil {
			v.differ("the index's row %d cannot be read: %v", row.Slot, err)
			return nil
		}
		v.keys[row.Slot] = v.index.Key(row.Slot)
		v.names[v.index.Key(row.Slot)] = row.Slot
		return nil
	})
	if err != nil {
		return err
	}
	for i, end := range v.store.Ends() {
		covered := uint64(0)
		if i < len(v.covers) {
			covered = v.covers[i]
		}
		if covered > end {
			v.differ("the index covers %d tickets of %s, the ledger has %d", covered, v.store.Origins()[i], end)
			covered = end
		}
		if err := v.fold(ctx, tickets.OriginIndex(i), covered, end); err != nil {
			return err
		}
	}
	v.dirty = v.recount.TakeDirty()
	return nil
}

func (v *verifier) fold(ctx context.Context, i tickets.OriginIndex, covered, end uint64) error {
	var d tickets.Decoder
	var t tickets.Ticket
	next, last := uint64(1), hlc.Timestamp(0)
	err := v.store.Blocks(i, 1, end, func(b replica.Block) (bool, error) {
		if b.First != next {
			v.differ("log %s: block %d-%d follows ticket %d", v.store.Origins()[i], b.First, b.Last, next-1)
		}
		next = b.Last + 1
		if err := d.Open(v.kind, b.Run); err != nil {
			return false, fmt.Errorf("%w: %w", boltstore.ErrDamaged, err)
		}
		if d.Origin != v.store.Origins()[i] || d.First != b.First || d.Last != b.Last {
			v.differ("log %s: block %d-%d holds the run %d-%d of %s", v.store.Origins()[i], b.First, b.Last, d.First, d.Last, d.Origin)
			return true, nil
		}
		left := b.Last - b.First + 1
		for ; d.Next(&t); left-- {
			if t.At <= last {
				v.differ("log %s: ticket %d is dated before the one before it", d.Origin, t.Seq)
			}
			last = t.At
			if _, err := v.recount.Apply(i, &t); err != nil {
				return false, err
			}
			if t.Seq <= covered || v.covers == nil {
				continue
			}
			if _, err := v.index.Apply(i, &t); err != nil {
				v.differ("ticket %d of %s cannot be applied on top of the index: %v", t.Seq, d.Origin, err)
				continue
			}
			if slot, ok := v.index.Lookup(t.Key()); ok {
				v.names[t.Key()] = slot
			}
		}
		v.gaps[i] = v.gaps[i] || left > 0
		return true, errors.Join(d.Err(), ctx.Err())
	})
	if err == nil && next != end+1 {
		v.differ("log %s ends at ticket %d, must be %d", v.store.Origins()[i], next-1, end)
	}
	return err
}

func (v *verifier) compareNames() {
	for _, row := range v.dirty.Rows {
		key := v.recount.Key(row.Slot)
		slot, ok := v.names[key]
		if !ok {
			if v.recount.Alive(row.Slot, hlc.FromTime(time.Now())) {
				v.differ("%s %q is missing from the index", key.Family, key.Name)
			}
			continue
		}
		v.compareName(key, row.Slot, slot)
	}
	for key, slot := range v.names {
		if _, ok := v.recount.Lookup(key); !ok && !v.collectedName(slot) {
			v.differ("%s %q is in the index, but no ticket speaks of it", key.Family, key.Name)
		}
	}
}

func (v *verifier) compareName(key tickets.Key, counted, said uint32) {
	differ := func(what string, want, got any) {
		if fmt.Sprint(want) != fmt.Sprint(got) && !v.collectedName(said) {
			v.differ("%s %q: %s is %v in the index, the tickets give %v", key.Family, key.Name, what, got, want)
		}
	}
	a, b := v.recount, v.index
	differ("expire", a.Expire(counted), b.Expire(said))
	differ("total", a.Total(counted).String(v.kind), b.Total(said).String(v.kind))
	textA, atA, _ := a.Text(counted)
	textB, atB, _ := b.Text(said)
	differ("text", fmt.Sprintf("%q of %s", textA, atA), fmt.Sprintf("%q of %s", textB, atB))
	differ("elements", a.Elements(counted, "", "", 1<<30), b.Elements(said, "", "", 1<<30))
	differ("superseded", a.Superseded(counted), b.Superseded(said))
	chains, other := a.Chains(counted), b.Chains(said)
	if v.shortened(counted, said) {
		chains, other = v.living(a.Present(counted)), v.living(b.Present(said))
	}
	differ("sums by origin", v.sums(chains), v.sums(other))
}

func (v *verifier) sums(chains []tickets.Chain) map[tickets.OriginIndex]string {
	sums := make(map[tickets.OriginIndex]string)
	for _, c := range chains {
		sums[c.Origin] = fmt.Sprintf("%s at %d", c.Sum.String(v.kind), c.Head)
	}
	return sums
}

// shortened tells whether tickets of earlier lives of a name are missing on one
// side: a crash kept the index from hearing that they were collected, or came
// when the index had heard and they were still to go.
func (v *verifier) shortened(counted, said uint32) bool {
	left := make(map[tickets.OriginIndex]uint64)
	for _, c := range v.recount.Chains(counted) {
		left[c.Origin] = c.Count
	}
	return slices.ContainsFunc(v.index.Chains(said), func(c tickets.Chain) bool {
		return c.Count < left[c.Origin] || c.Count > left[c.Origin] && v.gaps[c.Origin]
	})
}

// living leaves out chains that have nothing in the present life.
func (v *verifier) living(chains []tickets.Chain) []tickets.Chain {
	return slices.DeleteFunc(chains, func(c tickets.Chain) bool {
		head := tickets.Ref{Origin: c.Origin, Seq: c.Head}
		return v.ended(head) || v.collected(head)
	})
}

func (v *verifier) covered(ref tickets.Ref) bool {
	return int(ref.Origin) < len(v.covers) && ref.Seq <= v.covers[ref.Origin]
}

// compareClaims, like compareMarks, leaves an index alone that covers nothing: it was being made, and
// the next start makes it anew.
func (v *verifier) compareClaims() {
	if v.covers == nil {
		return
	}
	counted := make(map[[16]byte]tickets.Ref, len(v.dirty.Claims))
	for _, c := range v.dirty.Claims {
		counted[c.Hash] = c.Ref
	}
	seen := make(map[[16]byte]bool)
	err := v.store.EachClaim(func(c replica.Claim) error {
		seen[c.Hash] = true
		if want, ok := counted[c.Hash]; !ok && (v.collected(c.Ref) || v.ended(c.Ref)) {
			return nil // a crash came between its collection and the next checkpoint
		} else if !ok {
			v.differ("id %x is in the index, but no ticket carries it", c.Hash)
		} else if want != c.Ref && v.covered(want) && !v.ended(want) {
			v.differ("id %x belongs to ticket %d of log %d in the index, the tickets give %d of log %d", c.Hash, c.Ref.Seq, c.Ref.Origin, want.Seq, want.Origin)
		}
		return nil
	})
	if err != nil {
		v.differ("the ids of the index cannot be read: %v", err)
	}
	for hash, ref := range counted {
		if !seen[hash] && v.covered(ref) && !v.ended(ref) {
			v.differ("id %x of ticket %d of log %d is missing from the index", hash, ref.Seq, ref.Origin)
		}
	}
}

// collectedName tells whether a name in the index expired and tickets of it
// were collected, which a crash may have kept it from hearing.
func (v *verifier) collectedName(slot uint32) bool {
	if v.index.Alive(slot, hlc.FromTime(time.Now())) {
		return false
	}
	w := walker{store: v.store, kind: v.kind}
	for _, c := range v.index.Chains(slot) {
		for ref := (tickets.Ref{Origin: c.Origin, Seq: c.Head}); ref.Seq > 0; {
			_, back, err := w.Ticket(ref)
			if errors.Is(err, tickets.ErrCollected) {
				return true
			}
			if err != nil || back == 0 {
				break
			}
			ref.Seq -= back
		}
	}
	return false
}

// ended tells whether a ticket is of a life of its name that is over. Whether it
// has its id then depends on the order in which logs arrived, and on what a crash
// left of a collection, and nobody asks.
func (v *verifier) ended(ref tickets.Ref) bool {
	t, _, err := (&walker{store: v.store, kind: v.kind}).Ticket(ref)
	if err != nil {
		return false
	}
	slot, known := v.recount.Lookup(t.Key())
	return known && (t.At < v.recount.Born(slot) || !v.recount.Alive(slot, hlc.FromTime(time.Now())))
}

// collected tells whether the ledger covers a ticket and no longer has it.
func (v *verifier) collected(ref tickets.Ref) bool {
	_, _, err := (&walker{store: v.store, kind: v.kind}).Ticket(ref)
	return errors.Is(err, tickets.ErrCollected)
}

func (v *verifier) compareMarks() {
	if v.covers == nil {
		return
	}
	type place struct {
		key    tickets.Key
		origin tickets.OriginIndex
		seq    uint64
	}
	counted := make(map[place]tickets.MarkAt, len(v.dirty.Marks))
	for _, m := range v.dirty.Marks {
		counted[place{v.recount.Key(m.Slot), m.Origin, m.Seq}] = m
	}
	err := v.store.EachMark(func(m replica.Mark) error {
		key, known := v.keys[m.Slot]
		want, ok := counted[place{key, m.Origin, m.Seq}]
		if !ok && known && v.collectedName(m.Slot) {
			return nil
		}
		if counted, there := v.recount.Lookup(key); known && there && v.shortened(counted, m.Slot) {
			return nil // it counts from where its chain once began
		}
		if !ok || want.At != m.At || string(want.Sum) != string(m.Sum) {
			v.differ("%s %q: the mark at ticket %d of log %d is wrong", key.Family, key.Name, m.Seq, m.Origin)
		}
		return nil
	})
	if err != nil {
		v.differ("the marks of the index cannot be read: %v", err)
	}
}
