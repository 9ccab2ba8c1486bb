package topologies

import (
	"fmt"
	"slices"
	"strings"
)

// colours of the states in dot and Mermaid, which have no style sheet that follows the reader's.
var colours = map[Status]string{Up: "#16a34a", Behind: "#d97706", Down: "#dc2626"}

// dot draws the topology in the language of Graphviz, two-way links as one edge with two heads.
func (t *Topology) dot(state State) []byte {
	g := t.graph()
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n", dotQuote(t.Ring))
	b.WriteString("  graph [bgcolor=transparent, overlap=false, splines=true];\n" +
		"  node [shape=circle, style=filled, fillcolor=\"#2563eb\", fontcolor=white, fontname=\"Helvetica\"];\n" +
		"  edge [color=\"#64748b\"];\n")
	switch t.Shape {
	case FullMesh, Ring:
		b.WriteString("  layout=circo;\n")
	case Star:
		b.WriteString("  layout=twopi;\n")
	}
	sites := map[string][]int{}
	for i, n := range t.Nodes {
		sites[n.Site] = append(sites[n.Site], i)
	}
	for k, site := range sortedKeys(sites) {
		indent := "  "
		if site != "" {
			fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%s;\n", k, dotQuote(site))
			indent = "    "
		}
		for _, i := range sites[site] {
			b.WriteString(indent + t.dotNode(t.Nodes[i], state))
		}
		if site != "" {
			b.WriteString("  }\n")
		}
	}
	for _, s := range t.strokes(g, state) {
		fmt.Fprintf(&b, "  %s -> %s%s;\n", dotQuote(g.hosts[s.from]), dotQuote(g.hosts[s.to]), s.dotStyle())
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

func (t *Topology) dotNode(n Node, state State) string {
	var attributes []string
	switch {
	case n.Role == Router:
		attributes = append(attributes, "shape=box", `fillcolor="#7c3aed"`)
	case n.Role == Receiver:
		attributes = append(attributes, `style="filled,dashed"`, `fillcolor="#ecfeff"`, `color="#0e7490"`, `fontcolor="#0e5a6e"`)
	case t.hub(n):
		attributes = append(attributes, "shape=doublecircle")
	}
	if c := colours[state.Nodes[n.Host]]; c != "" {
		attributes = append(attributes, fmt.Sprintf("color=%q", c), "penwidth=4")
	}
	return dotQuote(n.Host) + bracketed(attributes) + ";\n"
}

func (s stroke) dotStyle() string {
	var attributes []string
	if !s.arrow {
		attributes = append(attributes, "dir=both")
	}
	switch {
	case s.pings:
		attributes = append(attributes, "style=dotted")
	case s.back:
		attributes = append(attributes, "style=dashed")
	}
	if c := colours[s.status]; c != "" {
		attributes = append(attributes, fmt.Sprintf("color=%q", c), "penwidth=2")
	}
	return bracketed(attributes)
}

func bracketed(attributes []string) string {
	if len(attributes) == 0 {
		return ""
	}
	return " [" + strings.Join(attributes, ", ") + "]"
}

// dotQuote writes a string of dot, where only the quote and the backslash mean something.
func dotQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func sortedKeys(m map[string][]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// mermaid draws the topology as a Mermaid flowchart.
func (t *Topology) mermaid(state State) []byte {
	g := t.graph()
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	sites := map[string][]int{}
	for i, n := range t.Nodes {
		sites[n.Site] = append(sites[n.Site], i)
	}
	for k, site := range sortedKeys(sites) {
		if site != "" {
			fmt.Fprintf(&b, "  subgraph s%d[\"%s\"]\n", k, mermaidQuote(site))
		}
		for _, i := range sites[site] {
			b.WriteString("  " + t.mermaidNode(i, state))
		}
		if site != "" {
			b.WriteString("  end\n")
		}
	}
	for k, s := range t.strokes(g, state) {
		fmt.Fprintf(&b, "  n%d %s n%d\n", s.from, s.mermaidArrow(), s.to)
		if c := colours[s.status]; c != "" {
			fmt.Fprintf(&b, "  linkStyle %d stroke:%s\n", k, c)
		}
	}
	b.WriteString("  classDef router fill:#ede9fe,stroke:#7c3aed\n" +
		"  classDef receiver fill:#ecfeff,stroke:#0e7490,stroke-dasharray:5 3\n" +
		"  classDef hub stroke-width:4px\n")
	for _, s := range []Status{Up, Behind, Down} {
		fmt.Fprintf(&b, "  classDef %s stroke:%s,stroke-width:3px\n", s, colours[s])
	}
	return []byte(b.String())
}

func (t *Topology) mermaidNode(i int, state State) string {
	n := t.Nodes[i]
	open, closed, class := "((", "))", ""
	switch {
	case n.Role == Router:
		open, closed, class = "[", "]", Router
	case n.Role == Receiver:
		class = Receiver
	case t.hub(n):
		open, closed, class = "(((", ")))", "hub"
	}
	if s := state.Nodes[n.Host]; s != "" {
		class = string(s)
	}
	line := fmt.Sprintf("n%d%s\"%s\"%s", i, open, mermaidQuote(n.Host), closed)
	if class != "" {
		line += ":::" + class
	}
	return line + "\n"
}

func (s stroke) mermaidArrow() string {
	switch {
	case s.pings && !s.arrow:
		return "<-.->"
	case s.pings || s.back:
		return "-.->"
	case s.arrow:
		return "-->"
	default:
		return "<-->"
	}
}

// mermaidQuote writes text inside the quotes of a Mermaid label.
func mermaidQuote(s string) string {
	return strings.NewReplacer("&", "#amp;", `"`, "#quot;", "#", "#35;", "<", "#lt;", ">", "#gt;").Replace(s)
}
