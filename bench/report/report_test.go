package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bluerings/bench/measure"
)

func TestInsertLeavesTheProseAlone(t *testing.T) {
	first, err := Insert([]byte("# Title\n\nProse.\n"), []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	document := string(first) + "More prose.\n"
	second, err := Insert([]byte(document), []byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(document, "one", "two", 1); string(second) != want {
		t.Errorf("got\n%s\nwant\n%s", second, want)
	}
	if _, err := Insert([]byte(End+Begin), nil); err == nil {
		t.Error("markers in the wrong order were taken")
	}
}

func TestReplaceKeepsWhatWasNotMeasuredAgain(t *testing.T) {
	s := Stored{Results: []measure.Result{{Work: "a", Note: "old"}, {Work: "b", Note: "old"}, {Work: "gone"}}}
	s.Replace([]measure.Result{{Work: "b", Note: "new"}, {Work: "c", Note: "new"}}, []string{"c", "b", "a"})
	var got []string
	for _, r := range s.Results {
		got = append(got, r.Work+" "+r.Note)
	}
	if text := strings.Join(got, ", "); text != "c new, b new, a old" {
		t.Errorf("stored: %s", text)
	}
}

func sample() []measure.Result {
	rate := measure.Metric{Name: "rate", Unit: measure.PerSecond, Better: measure.Higher}
	return []measure.Result{
		{Work: "bars", Title: "Bars", Metric: rate, Calibration: []measure.Calibration{{CPU: 1000, Fdatasync: 5000}}, Rows: []measure.Row{
			{Name: "ours", Guarantee: "all", Values: []float64{10, 30, 20}}, {Name: "theirs", Values: []float64{5, 15, 10}},
			{Name: "others", Values: []float64{1, 2, measure.Missing}}, {Name: "absent", Skipped: "not installed"},
		}},
		{Work: "curve", Title: "Curve", Metric: rate, Chart: &measure.Chart{XLabel: "n", YLabel: "a second", Lines: []measure.Line{
			{Name: "ours", Points: []measure.Point{{X: 1, Values: []float64{5, 6}}, {X: 1024, Values: []float64{500}}}},
		}}},
		{Work: "alone", Title: "Alone", Metric: rate, Rows: []measure.Row{{Name: "ours", Values: []float64{1}}}},
	}
}

func TestMarkdownHasRatiosAndReasons(t *testing.T) {
	text := string(Markdown(Machine{}, sample(), func(r *measure.Result) string { return r.Key() + ".svg" }))
	for _, want := range []string{
		"| ours | 20 [10 to 30] |  | all |", "| theirs | 10 [5 to 15] | 2 |", "| absent | skipped: not installed |", "| 1,024 | 500 |",
		"![Curve: rate](curve-rate.svg)", "one core 1,000 MB/s",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}

func TestChartsAreWellFormedAndOldOnesGo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "old.svg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	names, err := Draw(dir, sample())
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 || names["bars-rate"] == "" || names["curve-rate"] == "" {
		t.Fatalf("charts %v, files %v, %v", names, files, err)
	}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for d := xml.NewDecoder(f); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
	}
}
