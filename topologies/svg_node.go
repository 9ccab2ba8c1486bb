package topologies

import "unicode/utf8"

// node draws a node with its name, inside where that fits and below otherwise.
func (p *picture) node(i int) {
	n, at, r := p.t.Nodes[i], p.plan.nodes[i], p.plan.radius
	p.printf(`<g><title>%s</title>`, escape(p.describe(n)))
	p.symbol(n, at, r)
	if p.state.Self != "" && n.Host == p.state.Self {
		p.printf(`<circle class="self" cx="%.1f" cy="%.1f" r="%.1f"/>`, at.x, at.y, r+9)
	}
	if status := p.state.Nodes[n.Host]; status != "" {
		p.printf(`<circle class="dot %s" cx="%.1f" cy="%.1f" r="6"/>`, status, at.x+0.78*r, at.y-0.78*r)
	}
	switch {
	case !p.fits(n.Host):
		p.printf(`<text class="out" text-anchor="middle" x="%.1f" y="%.1f">%s</text>`, at.x, at.y+r+20, escape(short(n.Host, 16)))
	case n.Role == Receiver:
		p.printf(`<text class="in-receiver" text-anchor="middle" x="%.1f" y="%.1f">%s</text>`, at.x, at.y+4.5, escape(n.Host))
	default:
		p.printf(`<text class="in" text-anchor="middle" x="%.1f" y="%.1f">%s</text>`, at.x, at.y+4.5, escape(n.Host))
	}
	p.printf("</g>\n")
}

// symbol draws a node by its part in the ring.
func (p *picture) symbol(n Node, at point, r float64) {
	if p.t.hub(n) {
		p.printf(`<circle class="halo" cx="%.1f" cy="%.1f" r="%.1f"/>`, at.x, at.y, r+4)
	}
	switch n.Role {
	case Router:
		side := 1.7 * r
		p.printf(`<rect class="node router" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.1f"/>`,
			at.x-side/2, at.y-side/2, side, side, r/4)
	case Receiver:
		p.printf(`<circle class="node receiver" cx="%.1f" cy="%.1f" r="%.1f"/>`, at.x, at.y, r)
	default:
		p.printf(`<circle class="node" cx="%.1f" cy="%.1f" r="%.1f"/>`, at.x, at.y, r)
	}
}

// describe is a node in words, for its tooltip.
func (p *picture) describe(n Node) string {
	words := n.Host
	if n.Role != "" {
		words += ", " + n.Role
	}
	switch {
	case p.t.hub(n) && p.t.Shape == Star:
		words += ", hub"
	case p.t.hub(n):
		words += ", apex"
	}
	for _, more := range []string{n.Site, n.Pub, n.HTTP, string(p.state.Nodes[n.Host])} {
		if more != "" {
			words += ", " + more
		}
	}
	return words
}

// fits reports whether a name has room inside a node.
func (p *picture) fits(name string) bool {
	return float64(utf8.RuneCountInString(name))*8.5 <= 1.7*p.plan.radius
}

// short cuts a name down to so many characters.
func short(name string, most int) string {
	if utf8.RuneCountInString(name) <= most {
		return name
	}
	return string([]rune(name)[:most-1]) + "…"
}

// sample is one item of the legend: a drawing about 30 pixels wide, and a word.
type sample struct {
	draw func(x, y float64) // with the middle of its left edge at x, y
	word string
}

func (s sample) width() float64 { return 56 + 6.9*float64(utf8.RuneCountInString(s.word)) }

// legend explains what occurs in the drawing, and nothing else.
func (p *picture) legend(lines []stroke, hidden int) []sample {
	var legend []sample
	nodes := map[string]Node{}
	for _, n := range p.t.Nodes {
		nodes[p.part(n)] = n
	}
	for _, part := range []string{"hub", "apex", "member", "router", "receiver"} {
		if n, ok := nodes[part]; ok {
			legend = append(legend, sample{func(x, y float64) { p.symbol(n, point{x + 14, y}, 8) }, part})
		}
	}
	seen := map[string]bool{}
	for _, s := range lines {
		word := s.word()
		if !seen[word] && !s.beside {
			seen[word] = true
			legend = append(legend, sample{func(x, y float64) { p.line(s, x, y) }, word})
		}
	}
	if hidden > 0 {
		legend = append(legend, sample{func(float64, float64) {}, plural(hidden, "line") + " not drawn"})
	}
	return append(legend, p.statusLegend()...)
}

// part is what a node is called in the legend.
func (p *picture) part(n Node) string {
	switch {
	case p.t.hub(n) && p.t.Shape == Star:
		return "hub"
	case p.t.hub(n):
		return "apex"
	case n.Role == "":
		return Member
	default:
		return n.Role
	}
}

func (s stroke) word() string {
	switch {
	case s.pings:
		return "pings only"
	case s.back:
		return "data one way, pings back"
	case s.arrow:
		return "one way, along the arrow"
	default:
		return "both ways"
	}
}

func (p *picture) line(s stroke, x, y float64) {
	s.status = ""
	p.printf(`<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, s.classes(), x, y, x+22, y)
	if s.arrow {
		p.arrowhead(point{x + 30, y}, 1, 0, 9, s.headClasses())
	} else {
		p.printf(`<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, s.classes(), x+22, y, x+30, y)
	}
}

func (p *picture) statusLegend() []sample {
	used := map[Status]bool{}
	for _, s := range p.state.Nodes {
		used[s] = true
	}
	for _, s := range p.state.Links {
		used[s] = true
	}
	var legend []sample
	for _, s := range []Status{Up, Behind, Down} {
		if used[s] {
			legend = append(legend, sample{func(x, y float64) {
				p.printf(`<circle class="dot %s" cx="%.1f" cy="%.1f" r="6"/>`, s, x+14, y)
			}, string(s)})
		}
	}
	return legend
}

// flow breaks the legend into rows of at most a width.
func flow(legend []sample, width float64) [][]sample {
	var rows [][]sample
	used := width
	for _, s := range legend {
		if used+s.width() > width {
			rows = append(rows, nil)
			used = 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], s)
		used += s.width()
	}
	return rows
}

// rows draws the legend, its first row at y.
func (p *picture) rows(rows [][]sample, y float64) {
	for _, row := range rows {
		x := margin
		for _, s := range row {
			s.draw(x, y)
			p.printf(`<text class="quiet" x="%.1f" y="%.1f">%s</text>`+"\n", x+36, y+4.5, s.word)
			x += s.width()
		}
		y += legendRow
	}
}
