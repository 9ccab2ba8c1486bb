package topologies

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	maxStrokes  = 2000 // lines drawn; in a bigger drawing only those with trouble
	margin      = 28.0
	titleHeight = 64.0
	minWidth    = 420.0
	legendRow   = 26.0
)

// Colours: plain attributes of classes, so that every viewer understands them.
const style = `<style>
.br{font-family:system-ui,-apple-system,"Segoe UI","Helvetica Neue",Arial,sans-serif;color:#1c2733}
.br .paper{fill:#fff}
.br text{fill:#1c2733;font-size:13px}
.br .title{font-size:18px;font-weight:600}
.br .quiet,.br .site-name{fill:#5b6878}
.br .site{fill:#f2f5f9;stroke:#d4dbe5}
.br .link{stroke:#94a3b8;stroke-width:1.8;fill:none}
.br .one-way{stroke:#c2570c}
.br .pings{stroke-dasharray:2 5;stroke-linecap:round}
.br .head{fill:#c2570c}
.br .feed{stroke:#0e7490}
.br .feed-head{fill:#0e7490}
.br .node{fill:#2563eb;stroke:#1d4ed8;stroke-width:1.5}
.br .halo{fill:none;stroke:#2563eb;stroke-width:2}
.br .router{fill:#7c3aed;stroke:#6d28d9}
.br .receiver{fill:#ecfeff;stroke:#0e7490;stroke-width:2;stroke-dasharray:5 3}
.br .self{fill:none;stroke:#1c2733;stroke-width:1.5;stroke-dasharray:1 4;stroke-linecap:round}
.br .in{fill:#fff;font-weight:600}
.br .in-receiver{fill:#0e5a6e;font-weight:600}
.br .out{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
.br .up{stroke:#16a34a}.br .head.up,.br .dot.up{fill:#16a34a}
.br .behind{stroke:#d97706}.br .head.behind,.br .dot.behind{fill:#d97706}
.br .down{stroke:#dc2626}.br .head.down,.br .dot.down{fill:#dc2626}
.br .link.down{stroke-dasharray:7 5}
.br .dot{stroke:#fff;stroke-width:2}
@media (prefers-color-scheme:dark){
.br .paper{fill:#0f1620}
.br text{fill:#e4eaf2}
.br .quiet,.br .site-name{fill:#97a5b8}
.br .site{fill:#182230;stroke:#2c3a4d}
.br .link{stroke:#5d6f86}
.br .one-way{stroke:#fb923c}.br .head{fill:#fb923c}
.br .feed{stroke:#22d3ee}.br .feed-head{fill:#22d3ee}
.br .node{fill:#3b82f6;stroke:#60a5fa}.br .halo{stroke:#60a5fa}
.br .router{fill:#8b5cf6;stroke:#a78bfa}
.br .receiver{fill:#10303a;stroke:#22d3ee}
.br .self{stroke:#e4eaf2}
.br .in{fill:#fff}.br .in-receiver{fill:#a5f3fc}
.br .out,.br .dot{stroke:#0f1620}
.br .up{stroke:#4ade80}.br .head.up,.br .dot.up{fill:#4ade80}
.br .behind{stroke:#fbbf24}.br .head.behind,.br .dot.behind{fill:#fbbf24}
.br .down{stroke:#f87171}.br .head.down,.br .dot.down{fill:#f87171}
}
</style>
`

// picture is an SVG in the making.
type picture struct {
	strings.Builder
	t     *Topology
	g     *graph
	plan  plan
	state State
}

// svg draws the topology. Long names are cut short in the drawing and whole in its tooltips.
func (t *Topology) svg(state State) []byte {
	p := &picture{t: t, g: t.graph(), plan: t.layout(), state: state}
	low, high := p.bounds()
	width := math.Ceil(max(minWidth, high.x-low.x+2*margin))
	lines := t.strokes(p.g, state)
	drawn := lines
	if len(lines) > maxStrokes {
		drawn = slices.DeleteFunc(slices.Clone(lines), func(s stroke) bool { return s.status == "" || s.status == Up })
		drawn = drawn[:min(len(drawn), maxStrokes)]
	}
	legend := p.legend(drawn, len(lines)-len(drawn))
	rows := flow(legend, width-2*margin)
	height := math.Ceil(titleHeight + high.y - low.y + 2.3*margin + float64(len(rows))*legendRow)

	p.printf(`<svg xmlns="http://www.w3.org/2000/svg" class="br" role="img" aria-label="%s" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f">`+"\n",
		escape("topology of ring "+t.Ring), width, height, width, height)
	p.WriteString(style)
	p.printf(`<rect class="paper" width="%.0f" height="%.0f"/>`+"\n", width, height)
	p.title()
	p.printf(`<g transform="translate(%.1f %.1f)">`+"\n", width/2-(low.x+high.x)/2, titleHeight+margin-low.y)
	p.sites()
	for _, s := range drawn {
		p.stroke(s)
	}
	for i := range t.Nodes {
		p.node(i)
	}
	p.printf("</g>\n")
	p.rows(rows, height-margin/2-float64(len(rows))*legendRow)
	p.printf("</svg>\n")
	return []byte(p.String())
}

func (p *picture) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err) // a Builder does not fail
	}
	return b.String()
}

// bounds is the box round all nodes with their labels, and round all sites.
func (p *picture) bounds() (low, high point) {
	grow := func(c point, x, y float64) {
		low = point{min(low.x, c.x-x), min(low.y, c.y-y)}
		high = point{max(high.x, c.x+x), max(high.y, c.y+y)}
	}
	for i, at := range p.plan.nodes {
		label := 0.0
		if !p.fits(p.t.Nodes[i].Host) {
			label = 20
		}
		grow(at, max(p.plan.radius+6, label*2.6), p.plan.radius+6+label)
	}
	for _, s := range p.plan.sites {
		grow(s.centre, s.radius, s.radius+12)
	}
	return low, high
}

func (p *picture) title() {
	t := p.t
	shape := t.Shape
	if t.Direction == OneWay {
		shape = "one-way ring"
	}
	p.printf(`<text class="title" x="%.0f" y="%.0f">%s</text>`+"\n", margin, margin+6, escape(short(t.Ring, 40)))
	p.printf(`<text class="quiet" x="%.0f" y="%.0f">%s</text>`+"\n", margin, margin+26,
		escape(fmt.Sprintf("%s · %s values · %s · %s · diameter %d", shape, t.Value,
			plural(len(t.Nodes), "node"), plural(p.g.size(), "link"), p.g.paths().diameter)))
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func (p *picture) sites() {
	for _, s := range p.plan.sites {
		p.printf(`<circle class="site" cx="%.1f" cy="%.1f" r="%.1f"/>`, s.centre.x, s.centre.y, s.radius)
		p.printf(`<text class="site-name" text-anchor="middle" x="%.1f" y="%.1f"><title>%s</title>%s</text>`+"\n",
			s.centre.x, s.centre.y-s.radius-6, escape(s.name), escape(short(s.name, 28)))
	}
}

// stroke draws one line from edge to edge of its nodes, bent round a node in its way.
func (p *picture) stroke(s stroke) {
	const gap, head, apart = 4, 10, 5
	a, b := p.plan.nodes[s.from], p.plan.nodes[s.to]
	along := b.minus(a).unit()
	right := point{-along.y, along.x}
	if s.beside { // each direction keeps to its right
		a, b = a.plus(right, apart), b.plus(right, apart)
	}
	control := point{(a.x + b.x) / 2, (a.y + b.y) / 2}.plus(right, p.bend(s, a, b))
	out, in := control.minus(a).unit(), b.minus(control).unit()
	from, tip := a.plus(out, p.reach(s.from)+gap), b.plus(in, -p.reach(s.to)-gap)
	end := tip
	if s.arrow {
		end = tip.plus(in, -head)
	}
	p.printf(`<g><title>%s</title><path class="%s" d="M%.1f %.1fQ%.1f %.1f %.1f %.1f"/>`, escape(s.text(p.g)),
		s.classes(), from.x, from.y, control.x, control.y, end.x, end.y)
	if s.arrow {
		p.arrowhead(tip, in.x, in.y, head, s.headClasses())
	}
	p.printf("</g>\n")
}

// bend is how far to the right the control point of a line moves so that the line passes the
// node that is most in its way.
func (p *picture) bend(s stroke, a, b point) float64 {
	const crowded = 64 // nodes, beyond which lines may cross them
	if len(p.plan.nodes) > crowded {
		return 0
	}
	clear := p.plan.radius + 12
	along := b.minus(a).unit()
	length := math.Hypot(b.x-a.x, b.y-a.y)
	bend := 0.0
	for i, at := range p.plan.nodes {
		d := at.minus(a)
		ahead, aside := d.x*along.x+d.y*along.y, d.y*along.x-d.x*along.y
		if i == s.from || i == s.to || ahead <= 0 || ahead >= length || math.Abs(aside) >= clear {
			continue
		}
		// A quadratic curve is 2t(1-t) of the way to its control point at t.
		need := (clear - math.Abs(aside)) / max(0.3, 2*ahead/length*(1-ahead/length))
		if need > math.Abs(bend) {
			bend = math.Copysign(need, -aside)
		}
	}
	return bend
}

func (p *picture) arrowhead(tip point, dx, dy, length float64, classes string) {
	base := point{tip.x - length*dx, tip.y - length*dy}
	half := length * 0.45
	p.printf(`<path class="%s" d="M%.1f %.1fL%.1f %.1fL%.1f %.1fZ"/>`, classes,
		tip.x, tip.y, base.x-half*dy, base.y+half*dx, base.x+half*dy, base.y-half*dx)
}

func (s stroke) classes() string {
	classes := "link"
	switch {
	case s.pings:
		classes += " pings"
	case s.back:
		classes += " feed"
	case s.arrow && !s.beside:
		classes += " one-way"
	}
	return strings.TrimSpace(classes + " " + string(s.status))
}

func (s stroke) headClasses() string {
	classes := "head"
	if s.back && s.status == "" {
		classes = "feed-head"
	}
	return strings.TrimSpace(classes + " " + string(s.status))
}

// reach is how far a node's drawing extends from its centre.
func (p *picture) reach(i int) float64 {
	if p.t.hub(p.t.Nodes[i]) {
		return p.plan.radius + 5
	}
	return p.plan.radius + 1
}
