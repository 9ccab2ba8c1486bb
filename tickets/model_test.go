package tickets

import (
	"fmt"
	"slices"
	"strings"

	"bluerings/hlc"
	"bluerings/value"
)

// model folds the tickets of one name the plainest way: from all of them, by
// the words of the rules, in exact arithmetic only.
type model struct {
	kind         value.Kind
	born, expire hlc.Timestamp
	counted      []Ticket
	losers       []string
	total        value.Number
	text         string
	textAt       hlc.Timestamp
	elements     []string
}

func fold1(kind value.Kind, key Key, tickets []Ticket) *model {
	var mine []Ticket
	for _, t := range tickets {
		if t.Key() == key {
			mine = append(mine, t)
		}
	}
	slices.SortFunc(mine, func(a, b Ticket) int {
		if a.Before(&b) {
			return -1
		}
		return 1
	})
	m := &model{kind: kind}
	for _, t := range lastLife(mine, m) {
		m.admit(t)
	}
	m.value()
	return m
}

func lastLife(sorted []Ticket, m *model) []Ticket {
	var lives [][]Ticket
	expireOf := func(life []Ticket) (latest hlc.Timestamp) {
		for _, t := range life {
			latest = max(latest, t.Expire)
		}
		return latest
	}
	for _, t := range sorted {
		n := len(lives)
		switch {
		case n > 0 && t.At <= expireOf(lives[n-1]):
			lives[n-1] = append(lives[n-1], t)
		case t.Expire > 0:
			lives = append(lives, []Ticket{t})
		}
	}
	if len(lives) == 0 {
		return nil
	}
	last := lives[len(lives)-1]
	m.born, m.expire = last[0].At, expireOf(last)
	return last
}

func (m *model) admit(t Ticket) {
	for _, c := range m.counted {
		if t.ID != "" && c.ID == t.ID {
			conflict := c.Op != t.Op || c.Amount.String(m.kind) != t.Amount.String(m.kind) ||
				t.Op != CounterAdd && c.Text != t.Text
			m.losers = append(m.losers, fmt.Sprint(t.At, t.Origin, t.Seq, t.Amount.String(m.kind), conflict))
			return
		}
	}
	m.counted = append(m.counted, t)
}

func (m *model) value() {
	removed := map[string]bool{}
	for _, t := range m.counted {
		switch t.Op {
		case CounterAdd:
			m.total = m.total.Add(m.kind, t.Amount)
		case TextSet: // counted is sorted
			m.text, m.textAt = t.Text, t.At
		case SetAdd:
			if _, known := removed[t.Text]; !known {
				removed[t.Text] = false
			}
		case SetRemove:
			removed[t.Text] = true
		}
	}
	for e, gone := range removed {
		if !gone {
			m.elements = append(m.elements, e)
		}
	}
	slices.Sort(m.elements)
}

func (m *model) sumAt(at hlc.Timestamp) (sum value.Number) {
	for _, t := range m.counted {
		if t.At <= at {
			sum = sum.Add(m.kind, t.Amount)
		}
	}
	return sum
}

// String is all that can be seen of a name, for comparison.
func (m *model) String() string {
	return fmt.Sprintf("born %d expire %d total %s text %q at %d elements %q superseded %q",
		m.born, m.expire, m.total.String(m.kind), m.text, m.textAt, m.elements, m.losers)
}

// seen is the same of a table.
func seen(t *Table, slot uint32) string {
	var losers []string
	for _, l := range t.Superseded(slot) {
		losers = append(losers, fmt.Sprint(l.At, t.origins[l.Ref.Origin], l.Ref.Seq, l.Amount.String(t.kind), l.Conflict))
	}
	elements := t.Elements(slot, "", "", 1000)
	text, at, _ := t.Text(slot)
	if len(elements) != t.Size(slot) {
		return fmt.Sprintf("%d elements, size %d", len(elements), t.Size(slot))
	}
	for _, e := range elements {
		if !t.Element(slot, e) {
			return fmt.Sprintf("element %q is listed but not there", e)
		}
	}
	return fmt.Sprintf("born %d expire %d total %s text %q at %d elements %q superseded %q",
		t.Born(slot), t.Expire(slot), t.Total(slot).String(t.kind), text, at, elements, losers)
}

// memory is a Past and an index in memory, which behave as those on disk.
type memory struct {
	logs   [][]Ticket
	rows   map[uint32][]byte
	claims map[[16]byte]Ref
	marks  map[uint32][]MarkAt
	gone   map[Ref]bool // collected
	asked  int          // tickets read
	kind   value.Kind
}

func newMemory(kind value.Kind, logs [][]Ticket) *memory {
	return &memory{
		logs: logs, kind: kind, rows: map[uint32][]byte{}, claims: map[[16]byte]Ref{},
		marks: map[uint32][]MarkAt{}, gone: map[Ref]bool{},
	}
}

func (m *memory) Claim(hash [16]byte) (Ref, bool, error) {
	ref, ok := m.claims[hash]
	return ref, ok, nil
}

func (m *memory) Ticket(ref Ref) (Ticket, uint64, error) {
	m.asked++
	if m.gone[ref] {
		return Ticket{}, 0, ErrCollected
	}
	log := m.logs[ref.Origin]
	t := log[ref.Seq-1]
	for i := ref.Seq - 1; i > 0; i-- {
		if log[i-1].Key() == t.Key() {
			return t, ref.Seq - i, nil
		}
	}
	return t, 0, nil
}

func (m *memory) store(d Dirty) {
	for _, r := range d.Rows {
		if r.Data == nil {
			delete(m.rows, r.Slot)
			delete(m.marks, r.Slot)
		} else {
			m.rows[r.Slot] = slices.Clone(r.Data)
		}
	}
	for _, c := range d.Claims {
		m.claims[c.Hash] = c.Ref
	}
	for _, k := range d.Marks {
		if !slices.ContainsFunc(m.marks[k.Slot], func(h MarkAt) bool { return h.Origin == k.Origin && h.At == k.At }) {
			m.marks[k.Slot] = append(m.marks[k.Slot], k)
		}
	}
}

func (m *memory) Mark(slot uint32, o OriginIndex, at hlc.Timestamp) (uint64, value.Number, bool, error) {
	best := -1
	for i, k := range m.marks[slot] {
		if k.Origin == o && k.At >= at && (best < 0 || k.At < m.marks[slot][best].At) {
			best = i
		}
	}
	if best < 0 {
		return 0, value.Number{}, false, nil
	}
	sum, _, err := value.DecodeBinary(m.kind, m.marks[slot][best].Sum, value.Limits{})
	return m.marks[slot][best].Seq, sum, true, err
}

// restart makes a table out of the index alone.
func (m *memory) restart(origins []Origin, every uint64) (*Table, error) {
	t := NewTable(m.kind, m)
	t.marks.every = every
	for i, o := range origins {
		t.AddOrigin(OriginIndex(i), o)
	}
	for slot, data := range m.rows { // in no order
		if err := t.Restore(slot, data); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func dump(logs [][]Ticket, order []int) string {
	var b strings.Builder
	next := make([]int, len(logs))
	for _, o := range order {
		t := logs[o][next[o]]
		next[o]++
		fmt.Fprintf(&b, "\n%v/%d at %d %v %s amount %v text %q expire %d id %q",
			t.Origin, t.Seq, t.At, t.Op, t.Name, t.Amount, t.Text, t.Expire, t.ID)
	}
	return b.String()
}
