// Package measure holds what was measured, round by round, and what follows from it: medians,
// spreads, and ratios taken within each round, because the machine's mood changes between rounds.
package measure

import (
	"math"
	"slices"
)

// Direction says which way a figure is better.
type Direction string

// The directions.
const (
	Higher Direction = "higher"
	Lower  Direction = "lower"
)

// Metric is one thing that is measured.
type Metric struct {
	Name   string    `json:"name"` // "rate", "p99"
	Unit   Unit      `json:"unit"`
	Better Direction `json:"better"`
}

// Row is what one contestant reached.
type Row struct {
	Name      string    `json:"name"`
	Guarantee string    `json:"guarantee"`         // what holds when it answers
	Values    []float64 `json:"values,omitempty"`  // by round; Missing where a round failed
	Skipped   string    `json:"skipped,omitempty"` // why it did not take part
}

// Missing stands for a round in which a contestant gave no figure.
const Missing = -1

// Result is one metric of one piece of work, over all contestants.
type Result struct {
	Work        string        `json:"work"`
	Title       string        `json:"title"`
	Metric      Metric        `json:"metric"`
	Note        string        `json:"note,omitempty"`
	Rows        []Row         `json:"rows,omitempty"` // the first is ours; rivals after it
	Calibration []Calibration `json:"calibration,omitempty"`
	Chart       *Chart        `json:"chart,omitempty"` // of growth, instead of rows
	Date        string        `json:"date"`
	Revision    string        `json:"revision"`
	Short       bool          `json:"short,omitempty"` // from a trial run with little load
}

// Key tells results apart, in file names too.
func (r *Result) Key() string { return r.Work + "-" + r.Metric.Name }

// Calibration is what the bare machine did in one round.
type Calibration struct {
	CPU       float64 `json:"cpu"`       // SHA-256 of 1 KiB blocks on one core, in MB/s
	Fdatasync float64 `json:"fdatasync"` // 4 KiB appends with fdatasync, a second
}

// Chart is how something grows.
type Chart struct {
	XLabel string `json:"x"`
	YLabel string `json:"y"`
	Lines  []Line `json:"lines"`
}

// Line is one curve.
type Line struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Point is a place on a curve with all that was measured there.
type Point struct {
	X      float64   `json:"x"`
	Values []float64 `json:"values"`
}

// Places are all x of the lines, rising.
func (c *Chart) Places() (all []float64) {
	for _, l := range c.Lines {
		for _, p := range l.Points {
			all = append(all, p.X)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// At is what a line has at x.
func (l *Line) At(x float64) []float64 {
	for _, p := range l.Points {
		if p.X == x {
			return p.Values
		}
	}
	return nil
}

// Spread is a median with its extremes.
type Spread struct{ Median, Min, Max float64 }

// Of is the spread of those values that are there; ok is false where there are none.
func Of(values []float64) (s Spread, ok bool) {
	v := present(values)
	if len(v) == 0 {
		return Spread{}, false
	}
	slices.Sort(v)
	mid := len(v) / 2
	median := v[mid]
	if len(v)%2 == 0 {
		median = (v[mid-1] + v[mid]) / 2
	}
	return Spread{Median: median, Min: v[0], Max: v[len(v)-1]}, true
}

func present(values []float64) []float64 {
	var v []float64
	for _, x := range values {
		if x >= 0 && !math.IsNaN(x) && !math.IsInf(x, 0) {
			v = append(v, x)
		}
	}
	return v
}

// Ratio is the spread of a/b taken round by round, over the rounds in which both gave a figure.
func Ratio(a, b []float64) (Spread, bool) {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if a[i] >= 0 && b[i] > 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return Of(ratios)
}
