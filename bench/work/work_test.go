package work

import (
	"context"
	"errors"
	"slices"
	"testing"

	"bluerings/bench/measure"
)

func TestBenchmarksAreRead(t *testing.T) {
	f, err := benchmarkFigures("goos: linux\nBenchmarkDurable/hot-2 \t 1000\t 2112 ns/op\t 0.5 of-bare\t473000 updates/s\nPASS\n")
	if err != nil || f["ns/op"] != 2112 || f["updates/s"] != 473000 || f["of-bare"] != 0.5 {
		t.Errorf("figures %v, %v", f, err)
	}
	if _, err := benchmarkFigures("PASS"); err == nil {
		t.Error("figures of no benchmark")
	}
}

// still counts whether a server was running during its turn only.
type still struct{ running bool }

func (s *still) Pause() error  { s.running = false; return nil }
func (s *still) Resume() error { s.running = true; return nil }

func TestContestRotatesAndStopsTheOthers(t *testing.T) {
	var order []string
	servers := map[string]*still{"a": {running: true}, "b": {running: true}}
	turn := func(name string) func(context.Context) (figures, error) {
		return func(context.Context) (figures, error) {
			order = append(order, name)
			for other, s := range servers {
				if s.running != (other == name) {
					t.Errorf("in the turn of %s, %s runs: %v", name, other, s.running)
				}
			}
			if name == "b" && len(order) > 3 {
				return nil, errors.New("broken")
			}
			return figures{"rate": float64(len(order))}, nil
		}
	}
	c := contest{
		metrics: []measure.Metric{{Name: "rate"}},
		contestants: []contestant{
			{name: "a", turn: turn("a"), server: servers["a"]}, {name: "b", turn: turn("b"), server: servers["b"]}, absent("c", "not installed"),
		},
	}
	e := &Env{Dir: t.TempDir(), Rounds: 3, Log: t.Logf}
	results, err := c.run(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "b", "a", "a", "b"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	r := results[0]
	if !slices.Equal(r.Rows[0].Values, []float64{1, 4, 5}) || !slices.Equal(r.Rows[1].Values, []float64{2, 3, measure.Missing}) || len(r.Calibration) != 3 {
		t.Errorf("%+v", r)
	}
}

func TestWorksHaveDifferentIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range All {
		if seen[w.ID] || w.Title == "" || w.Run == nil {
			t.Errorf("work %+v", w)
		}
		seen[w.ID] = true
	}
}
