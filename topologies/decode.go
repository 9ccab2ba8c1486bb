package topologies

import (
	"fmt"
	"slices"
	"time"
)

// source remembers where in a file a topology's parts stand.
type source struct {
	file   string
	places map[string]position // by path, such as "hubs[1]" or "nodes[2].pub"
	bad    map[string]bool     // paths whose value could not be used; Check does not call them missing
}

// place returns where a path stands, or else the nearest path that contains it.
func (t *Topology) place(path string) position {
	if t.source == nil {
		return position{}
	}
	for path != "" {
		if at, ok := t.source.places[path]; ok {
			return at
		}
		cut := len(path) - 1
		for cut > 0 && path[cut] != '.' && path[cut] != '[' {
			cut--
		}
		path = path[:cut]
	}
	return position{1, 1}
}

func nodePath(i int, key string) string { return fmt.Sprintf("nodes[%d].%s", i, key) }

func itemPath(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// decoder turns tables into a topology, reporting keys and types that do not belong.
type decoder struct {
	*report
	src *source
}

// setter takes one value of a table; path says which.
type setter func(v value, path string)

func decode(root *table, problems *report) *Topology {
	d := &decoder{report: problems, src: &source{
		file: problems.file, places: map[string]position{}, bad: map[string]bool{},
	}}
	t := &Topology{Value: Decimal, source: d.src}
	d.table(root, "", map[string]setter{
		"ring":      d.text(&t.Ring),
		"value":     d.text(&t.Value),
		"shape":     d.text(&t.Shape),
		"direction": d.text(&t.Direction),
		"hubs":      d.texts(&t.Hubs),
		"timers":    d.timers(&t.Timers),
		"nodes":     func(v value, path string) { t.Nodes = d.nodes(v, path) },
	})
	return t
}

// table hands every entry to the setter of its key.
func (d *decoder) table(t *table, path string, setters map[string]setter) {
	for _, e := range t.entries {
		full := e.key
		if path != "" {
			full = path + "." + e.key
		}
		set, known := setters[e.key]
		if !known {
			d.unknown(e, path, setters)
			continue
		}
		d.src.places[full] = e.val.at
		set(e.val, full)
	}
}

func (d *decoder) unknown(e *entry, path string, setters map[string]setter) {
	where := "at the top level"
	if path != "" {
		where = "in " + path
	}
	keys := make([]string, 0, len(setters))
	for key := range setters {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	d.fail(e.at, fmt.Sprintf("unknown key %q %s", e.key, where), d.suggest(e.key, keys))
}

// wrong reports a value of the wrong type.
func (d *decoder) wrong(v value, path, want string) {
	d.src.bad[path] = true
	d.fail(v.at, fmt.Sprintf("%s is %s", path, v.kind), "write "+want)
}

func (d *decoder) text(to *string) setter {
	return func(v value, path string) {
		if v.kind != kindString {
			d.wrong(v, path, `a string in quotes`)
			return
		}
		*to = v.text
		if v.text == "" {
			d.src.bad[path] = true
			d.fail(v.at, path+" is empty", "give it a value, or remove the key")
		}
	}
}

func (d *decoder) flag(to *bool) setter {
	return func(v value, path string) {
		if v.kind != kindBool {
			d.wrong(v, path, "true or false, without quotes")
			return
		}
		*to = v.text == "true"
	}
}

func (d *decoder) texts(to *[]string) setter {
	return func(v value, path string) {
		if v.kind != kindArray {
			d.wrong(v, path, `a list of strings, such as ["a", "b"]`)
			return
		}
		*to = make([]string, 0, len(v.items))
		for i, item := range v.items {
			var s string
			d.src.places[itemPath(path, i)] = item.at
			d.text(&s)(item, itemPath(path, i))
			*to = append(*to, s)
		}
	}
}

func (d *decoder) timers(to *Timers) setter {
	return func(v value, path string) {
		if v.kind != kindTable {
			d.wrong(v, path, `a table, such as { forward_delay = "1ms" }`)
			return
		}
		setters := make(map[string]setter, len(timerKeys))
		for _, k := range timerKeys {
			setters[k.name] = d.duration(k.field(to))
		}
		d.table(v.table, path, setters)
	}
}

func (d *decoder) duration(to **time.Duration) setter {
	const want = `a duration with its unit in quotes, such as "150ms" or "1.5s"`
	return func(v value, path string) {
		if v.kind != kindString {
			d.wrong(v, path, want)
			return
		}
		parsed, err := time.ParseDuration(v.text)
		if err != nil {
			d.src.bad[path] = true
			d.fail(v.at, fmt.Sprintf("%s is no duration: %q", path, v.text), "write "+want)
			return
		}
		*to = &parsed
	}
}

func (d *decoder) nodes(v value, path string) []Node {
	if v.kind != kindTables && v.kind != kindArray {
		d.wrong(v, path, "a [[nodes]] section for every node")
		return nil
	}
	if len(v.items) > MaxNodes {
		d.src.bad[path] = true
		d.fail(v.items[MaxNodes].at, fmt.Sprintf("%d nodes are more than %d", len(v.items), MaxNodes), "split the ring")
		return nil
	}
	nodes := make([]Node, len(v.items))
	for i, item := range v.items {
		at := itemPath(path, i)
		d.src.places[at] = item.at
		if item.kind != kindTable {
			d.wrong(item, at, "a [[nodes]] section for every node")
			continue
		}
		d.node(&nodes[i], item.table, at)
	}
	return nodes
}

func (d *decoder) node(n *Node, t *table, path string) {
	n.Role = Member
	d.table(t, path, map[string]setter{
		"host":         d.text(&n.Host),
		"pub":          d.text(&n.Pub),
		"http":         d.text(&n.HTTP),
		"bind":         d.text(&n.Bind),
		"role":         d.text(&n.Role),
		"site":         d.text(&n.Site),
		"apex":         d.flag(&n.Apex),
		"subscribe_to": d.texts(&n.SubscribeTo),
		"timers":       d.timers(&n.Timers),
	})
}
