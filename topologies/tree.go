package topologies

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// position is a place in a file; line and column count from 1, columns in bytes.
type position struct{ line, column int }

// kind is a kind of TOML value, named as a problem names it.
type kind string

const (
	kindString kind = "a string"
	kindBool   kind = "a boolean"
	kindArray  kind = "a list"
	kindTable  kind = "a table"
	kindTables kind = "a list of tables"
	kindOther  kind = "a number or a date"
)

// value is a TOML value with its place.
type value struct {
	at    position
	kind  kind
	text  string // of a string, unquoted; of a boolean, true or false
	items []value
	table *table
}

// entry is a key of a table with its value.
type entry struct {
	key string
	at  position
	val value
}

// table holds its entries in the order of the file, each key once.
type table struct {
	entries []*entry
	index   map[string]*entry
}

func (t *table) get(key string) *entry { return t.index[key] }

func (t *table) add(e *entry) {
	if t.index == nil {
		t.index = map[string]*entry{}
	}
	t.entries = append(t.entries, e)
	t.index[e.key] = e
}

// tree builds the tables of one document. Unlike a decoder into structs it keeps the place of
// every key and value, and it goes on after a key that is defined twice.
type tree struct {
	parser   unstable.Parser
	lines    []int // offset of the start of each line
	problems *report
	root     *table
}

// grow parses data. After a syntax error it returns false, with that as the only problem.
func grow(data []byte, problems *report) (root *table, ok bool) {
	t := &tree{problems: problems, root: &table{}, lines: []int{0}}
	for i, c := range data {
		if c == '\n' {
			t.lines = append(t.lines, i+1)
		}
	}
	current := t.root
	t.parser.Reset(data)
	for t.parser.NextExpression() {
		switch e := t.parser.Expression(); e.Kind {
		case unstable.Table:
			current = t.header(e, kindTable)
		case unstable.ArrayTable:
			current = t.header(e, kindTables)
		case unstable.KeyValue:
			t.assign(current, e)
		}
	}
	if err := t.parser.Error(); err != nil {
		problems.list, problems.dropped = nil, 0
		at := position{1, 1}
		var syntax *unstable.ParserError
		if errors.As(err, &syntax) {
			at = t.place(cap(data) - cap(syntax.Highlight))
		}
		problems.noTOML(at, err)
		return nil, false
	}
	return t.root, true
}

// reread reports what only a full decoder finds, such as impossible dates. It takes time by the
// square of the number of keys in a table, so data must be free of other problems.
func reread(data []byte, problems *report) {
	var anything any
	if err := toml.Unmarshal(data, &anything); err != nil {
		at := position{1, 1}
		var decode *toml.DecodeError
		if errors.As(err, &decode) {
			at.line, at.column = decode.Position()
		}
		problems.noTOML(at, err)
	}
}

func (r *report) noTOML(at position, err error) {
	r.fail(at, "the file is no TOML: "+strings.TrimPrefix(err.Error(), "toml: "), "mend this first; the rest was not looked at")
}

// place is the position of a byte.
func (t *tree) place(offset int) position {
	line, found := slices.BinarySearch(t.lines, offset)
	if found {
		line++
	}
	return position{line, offset - t.lines[line-1] + 1}
}

// header opens the table of a [a.b] or [[a.b]] line.
func (t *tree) header(e *unstable.Node, k kind) *table {
	within := t.root
	for it := e.Key(); it.Next(); {
		key := string(it.Node().Data)
		at := t.place(int(it.Node().Raw.Offset))
		if !it.IsLast() {
			within = t.within(within, key, at)
			continue
		}
		if k == kindTable {
			if found := within.get(key); found != nil && found.val.kind == kindTable {
				t.twice(key, at, found)
			}
			return t.within(within, key, at)
		}
		return t.element(within, key, at)
	}
	return within
}

// within returns the table under key, which it makes where there is none.
func (t *tree) within(parent *table, key string, at position) *table {
	found := parent.get(key)
	if found == nil {
		found = &entry{key: key, at: at, val: value{at: at, kind: kindTable, table: &table{}}}
		parent.add(found)
	}
	switch found.val.kind {
	case kindTable:
		return found.val.table
	case kindTables:
		return found.val.items[len(found.val.items)-1].table
	default:
		t.twice(key, at, found)
		return &table{}
	}
}

// element adds a table to the list of tables under key.
func (t *tree) element(parent *table, key string, at position) *table {
	found := parent.get(key)
	if found == nil {
		found = &entry{key: key, at: at, val: value{at: at, kind: kindTables}}
		parent.add(found)
	}
	if found.val.kind != kindTables {
		t.twice(key, at, found)
		return &table{}
	}
	added := &table{}
	found.val.items = append(found.val.items, value{at: at, kind: kindTable, table: added})
	return added
}

// assign adds what a key = value line says to a table.
func (t *tree) assign(to *table, e *unstable.Node) {
	for it := e.Key(); it.Next(); {
		key := string(it.Node().Data)
		at := t.place(int(it.Node().Raw.Offset))
		if !it.IsLast() {
			to = t.within(to, key, at)
			continue
		}
		val := t.value(e.Value(), at)
		if found := to.get(key); found != nil {
			t.twice(key, at, found)
			return
		}
		to.add(&entry{key: key, at: at, val: val})
	}
}

// value converts a value; at serves where the parser keeps no place.
func (t *tree) value(n *unstable.Node, at position) value {
	if n.Raw.Length > 0 {
		at = t.place(int(n.Raw.Offset))
	}
	v := value{at: at, kind: kindOther}
	switch n.Kind {
	case unstable.String:
		v.kind, v.text = kindString, string(n.Data)
	case unstable.Bool:
		v.kind, v.text = kindBool, string(n.Data)
	case unstable.Array:
		v.kind = kindArray
		for it := n.Children(); it.Next(); {
			v.items = append(v.items, t.value(it.Node(), at))
		}
	case unstable.InlineTable:
		v.kind, v.table = kindTable, &table{}
		for it := n.Children(); it.Next(); {
			t.assign(v.table, it.Node())
		}
	}
	return v
}

func (t *tree) twice(key string, at position, first *entry) {
	t.problems.fail(at, fmt.Sprintf("key %q is defined twice", key),
		fmt.Sprintf("it was first defined in line %d; keep one", first.at.line))
}
