package report

import (
	"bytes"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"regexp"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"bluerings/bench/measure"
)

// The colours are of middling brightness, so that they show on light and on dark paper.
var (
	oursColour   = color.RGBA{0x2f, 0x81, 0xf7, 0xff}
	rivalColour  = color.RGBA{0x8b, 0x94, 0x9e, 0xff}
	gridColour   = color.NRGBA{0x80, 0x80, 0x80, 0x50}
	lineColours  = []color.Color{oursColour, color.RGBA{0xe0, 0x7b, 0x24, 0xff}, color.RGBA{0x2d, 0xa4, 0x4e, 0xff}, color.RGBA{0xbf, 0x4b, 0x8a, 0xff}}
	spreadColour = color.RGBA{0xd2, 0x9b, 0x22, 0xff}
)

const chartWidth = 7.5 * vg.Inch

// Draw writes a chart of each result that has something to show into dir, removes all other
// charts there, and returns the file names by the keys of the results.
func Draw(dir string, results []measure.Result) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	names := map[string]string{}
	kept := map[string]bool{}
	for i := range results {
		r := &results[i]
		svg, err := chart(r)
		if err != nil {
			return nil, err
		}
		if svg == nil {
			continue
		}
		name := r.Key() + ".svg"
		names[r.Key()], kept[name] = name, true
		if err := os.WriteFile(filepath.Join(dir, name), svg, 0o644); err != nil {
			return nil, err
		}
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil {
		return nil, err
	}
	for _, path := range old {
		if !kept[filepath.Base(path)] {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
		}
	}
	return names, nil
}

// chart draws a result: curves of growth, or bars where at least three took part.
func chart(r *measure.Result) ([]byte, error) {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text = r.Title
	p.Title.Padding = vg.Points(8)
	height := 3.6 * vg.Inch
	var err error
	if r.Chart != nil {
		err = curves(p, r.Chart)
	} else {
		var n int
		if n, err = bars(p, r); n < 3 {
			return nil, err
		}
		height = vg.Length(float64(n)*0.42+1.1) * vg.Inch
	}
	if err != nil {
		return nil, err
	}
	canvas := vgsvg.New(chartWidth, height)
	p.BackgroundColor = nil
	margin := vg.Points(8)
	p.Draw(draw.Crop(draw.New(canvas), margin, -margin, margin, -margin))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	return themed(b.Bytes()), nil
}

// bars draws the medians side by side with their extremes, the first row on top.
func bars(p *plot.Plot, r *measure.Result) (n int, err error) {
	var names []string
	var ours, theirs plotter.Values
	spread := spreads{}
	for i := len(r.Rows) - 1; i >= 0; i-- {
		s, ok := measure.Of(r.Rows[i].Values)
		if !ok {
			continue
		}
		a, b := s.Median, 0.0
		if i > 0 {
			a, b = b, a
		}
		ours, theirs = append(ours, a), append(theirs, b)
		spread.XYs = append(spread.XYs, plotter.XY{X: s.Median, Y: float64(len(names))})
		spread.XErrors = append(spread.XErrors, struct{ Low, High float64 }{s.Median - s.Min, s.Max - s.Median})
		names = append(names, r.Rows[i].Name)
	}
	if len(names) == 0 {
		return 0, nil
	}
	for _, part := range []struct {
		values plotter.Values
		colour color.Color
	}{{theirs, rivalColour}, {ours, oursColour}} {
		b, err := plotter.NewBarChart(part.values, vg.Points(16))
		if err != nil {
			return 0, err
		}
		b.Horizontal, b.Color, b.LineStyle.Width = true, part.colour, 0
		p.Add(b)
	}
	e, err := plotter.NewXErrorBars(spread)
	if err != nil {
		return 0, err
	}
	e.LineStyle.Color, e.LineStyle.Width = spreadColour, vg.Points(1.5)
	p.Add(e)
	p.NominalY(names...)
	p.X.Min, p.X.Max = 0, p.X.Max*1.05
	p.X.Label.Text = metricTitle(r.Metric) + ", " + r.Metric.Unit.Title() + " (" + string(r.Metric.Better) + " is better; lines: least to most)"
	p.X.Tick.Marker = written{plot.DefaultTicks{}}
	return len(names), nil
}

// spreads are points with errors in x.
type spreads struct {
	plotter.XYs
	plotter.XErrors
}

// curves draws medians with their extremes on logarithmic axes.
func curves(p *plot.Plot, c *measure.Chart) error {
	p.X.Label.Text, p.Y.Label.Text = c.XLabel, c.YLabel
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = decades{}, decades{}
	p.Legend.Top, p.Legend.XOffs = true, vg.Points(-8)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = gridColour, gridColour
	p.Add(grid)
	for i, l := range c.Lines {
		colour := lineColours[i%len(lineColours)]
		var points bounds
		for _, at := range l.Points {
			s, ok := measure.Of(at.Values)
			if !ok || s.Min <= 0 {
				continue
			}
			points.XYs = append(points.XYs, plotter.XY{X: at.X, Y: s.Median})
			points.YErrors = append(points.YErrors, struct{ Low, High float64 }{s.Median - s.Min, s.Max - s.Median})
		}
		if len(points.XYs) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points.XYs)
		if err != nil {
			return err
		}
		errors, err := plotter.NewYErrorBars(points)
		if err != nil {
			return err
		}
		line.Color, line.Width = colour, vg.Points(1.5)
		dots.GlyphStyle = draw.GlyphStyle{Color: colour, Radius: vg.Points(2.5), Shape: draw.CircleGlyph{}}
		errors.LineStyle.Color = colour
		p.Add(line, dots, errors)
		p.Legend.Add(l.Name, line, dots)
	}
	// Room above the curves for the legend, and never an axis of no length.
	p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(p.Y.Min))), p.Y.Max*math.Pow(2, float64(len(c.Lines)))
	if p.X.Min == p.X.Max {
		p.X.Max *= 10
	}
	return nil
}

// bounds are points with errors in y.
type bounds struct {
	plotter.XYs
	plotter.YErrors
}

// written writes the numbers of another's ticks as in the tables.
type written struct{ plot.Ticker }

func (w written) Ticks(low, high float64) []plot.Tick {
	ticks := w.Ticker.Ticks(low, high)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = measure.Number(ticks[i].Value)
		}
	}
	return ticks
}

// decades marks the powers of ten, and without a label their multiples.
type decades struct{}

func (decades) Ticks(low, high float64) (ticks []plot.Tick) {
	for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
		for digit := 1.0; digit < 10; digit++ {
			x := digit * math.Pow(10, power)
			if x < low*0.999 || x > high*1.001 {
				continue
			}
			t := plot.Tick{Value: x}
			if digit == 1 || high/low < 100 && (digit == 2 || digit == 5) {
				t.Label = measure.Number(x)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

var (
	svgHead = regexp.MustCompile(`(?s)<svg[^>]*>`)
	black   = regexp.MustCompile(`#000000`)
)

// themed gives a drawing paper of its own, light or dark as the reader's system prefers, and
// letters that show on it.
func themed(svg []byte) []byte {
	svg = black.ReplaceAll(svg, []byte("currentColor"))
	svg = bytes.ReplaceAll(svg, []byte("Liberation Sans"), []byte("Liberation Sans,Arial,Helvetica,sans-serif"))
	head := svgHead.FindIndex(svg)
	const style = `
<style>
svg { color: #1f2328 } text { fill: currentColor } .paper { fill: #ffffff }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3 } .paper { fill: #0d1117 } }
</style>
<rect class="paper" width="100%" height="100%" rx="6"/>`
	return append(append(bytes.Clone(svg[:head[1]]), style...), svg[head[1]:]...)
}
