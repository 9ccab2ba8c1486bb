package topologies

import "fmt"

// The formats of Graph.
const (
	SVG     = "svg"
	Dot     = "dot"
	Mermaid = "mermaid"
)

// Status is the state of a node or a link in a live drawing. The empty status draws it plainly.
type Status string

// The states. What a state means is the caller's to say; the drawing only tells them apart.
const (
	Up     Status = "up"     // works
	Behind Status = "behind" // works, but lags
	Down   Status = "down"   // does not work
)

// State is what a live drawing shows besides the topology. Missing keys are drawn plainly.
type State struct {
	Self  string            // host that draws; empty for none
	Nodes map[string]Status // by host
	Links map[Link]Status   // by link, as Links returns it
}

// Graph draws the topology as SVG, Graphviz dot or Mermaid. The same topology gives the same
// bytes. An unknown format is the only error.
func (t *Topology) Graph(format string) ([]byte, error) { return t.GraphWith(format, State{}) }

// GraphWith draws the topology in the state given.
func (t *Topology) GraphWith(format string, state State) ([]byte, error) {
	switch format {
	case SVG:
		return t.svg(state), nil
	case Dot:
		return t.dot(state), nil
	case Mermaid:
		return t.mermaid(state), nil
	default:
		formats := []string{SVG, Dot, Mermaid}
		return nil, fmt.Errorf("no graph format %q: %s", format, suggest(format, formats))
	}
}

// stroke is one line of a drawing: two links between the same nodes share one if they look alike.
type stroke struct {
	from, to int // indices of the nodes; an arrow points at to
	arrow    bool
	pings    bool // nothing but pings flows
	back     bool // arrow only: pings flow back
	beside   bool // another stroke runs between the same nodes
	status   Status
}

// strokes are the lines that draw all links, ordered by from, then to.
func (t *Topology) strokes(g *graph, state State) []stroke {
	status := func(from, to int) Status {
		return state.Links[Link{From: g.hosts[from], To: g.hosts[to], Endpoint: t.Nodes[from].Pub}]
	}
	var lines []stroke
	for i := range g.hosts {
		g.out[i].each(func(j int) {
			silent := !g.forwards.has(i) // only pings leave a receiver
			line := stroke{from: i, to: j, arrow: true, pings: silent, status: status(i, j)}
			if !g.out[j].has(i) {
				lines = append(lines, line)
				return
			}
			alike := line.status == status(j, i)
			sameData := silent == !g.forwards.has(j)
			switch {
			case !alike:
				line.beside = true
			case sameData && j < i, !sameData && silent:
				return // drawn with the link in the opposite direction
			default:
				line.arrow, line.back = !sameData, !sameData
			}
			lines = append(lines, line)
		})
	}
	return lines
}

// hub reports whether a node is drawn as one: a hub of a star or an apex of a hierarchy.
func (t *Topology) hub(n Node) bool { return n.Role != Router && t.relay(n) }

// arrowText is a stroke in words, for tooltips.
func (s stroke) text(g *graph) string {
	words := " ↔ "
	if s.arrow {
		words = " → "
	}
	words = g.hosts[s.from] + words + g.hosts[s.to]
	switch {
	case s.pings:
		words += " (pings only)"
	case s.back:
		words += " (pings back)"
	}
	if s.status != "" {
		words += ": " + string(s.status)
	}
	return words
}
