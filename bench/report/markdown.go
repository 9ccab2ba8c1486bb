// Package report writes results for people: tables in Markdown, and charts.
package report

import (
	"bytes"
	"fmt"
	"strings"

	"bluerings/bench/measure"
)

// The markers between which the tables stand in a document. What is around them is left alone.
const (
	Begin = "<!-- compare: begin. Written by `make compare`; edit what is around it. -->"
	End   = "<!-- compare: end -->"
)

// Insert puts text between the markers of a document; a document without them gets both at its end.
func Insert(document, text []byte) ([]byte, error) {
	block := slicesOf(Begin, "\n\n", string(text), "\n", End)
	from, to := bytes.Index(document, []byte(Begin)), bytes.Index(document, []byte(End))
	switch {
	case from < 0 && to < 0:
		return append(append(bytes.TrimRight(document, "\n"), "\n\n"...), append(block, '\n')...), nil
	case from < 0 || to < from:
		return nil, fmt.Errorf("the document has one marker of the tables without the other, or in the wrong order")
	}
	return append(append(bytes.Clone(document[:from]), block...), document[to+len(End):]...), nil
}

func slicesOf(parts ...string) []byte { return []byte(strings.Join(parts, "")) }

// Machine is where and when the results come from.
type Machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	MemoryGB int    `json:"memory_gb"`
	Kernel   string `json:"kernel"`
	Go       string `json:"go"`
}

// Markdown writes all results: a section for each piece of work, with a table for each metric.
// chart tells the path of a result's chart, relative to the document, or "".
func Markdown(m Machine, results []measure.Result, chart func(*measure.Result) string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Measured on %d cores (%s), %d GB, Linux %s, %s; load generators and servers share the cores. Median of the rounds\n"+
		"[least to most]. Within a round all do the same work one after another, in an order that rotates, while the processes\n"+
		"of the others are stopped. A ratio is taken in each round, ours divided by theirs; its median is shown. The machine is measured\n"+
		"beside each round: SHA-256 on one core, and 4 KiB appends each followed by fdatasync.\n", m.Cores, m.CPU, m.MemoryGB, m.Kernel, m.Go)
	work := ""
	for i := 0; i < len(results); i++ {
		r := &results[i]
		if r.Work != work {
			work = r.Work
			fmt.Fprintf(&b, "\n### %s\n", r.Title)
			if r.Note != "" {
				fmt.Fprintf(&b, "\n%s\n", r.Note)
			}
			fmt.Fprintf(&b, "\n%s\n", provenance(r))
		}
		if alone := onlyOurs(results[i:]); alone > 1 {
			list(&b, results[i:i+alone])
			i += alone - 1
			continue
		}
		table(&b, r)
		points(&b, r.Chart)
		if path := chart(r); path != "" {
			fmt.Fprintf(&b, "\n![%s: %s](%s)\n", r.Title, r.Metric.Name, path)
		}
	}
	return b.Bytes()
}

// provenance says when, on what, and on how quick a machine.
func provenance(r *measure.Result) string {
	text := fmt.Sprintf("%s, revision %s", r.Date, r.Revision)
	if r.Short {
		text += ", **a trial run with little load**"
	}
	var cpu, disk []float64
	for _, c := range r.Calibration {
		cpu, disk = append(cpu, c.CPU), append(disk, c.Fdatasync)
	}
	c, ok := measure.Of(cpu)
	d, _ := measure.Of(disk)
	if ok {
		text += fmt.Sprintf(", %d rounds; one core %s MB/s, disk %s syncs/s", len(cpu), c, d)
	}
	return text + "."
}

// onlyOurs counts the results at the beginning, of one work, that no rival took part in.
func onlyOurs(results []measure.Result) int {
	for i := range results {
		if len(results[i].Rows) != 1 || results[i].Work != results[0].Work {
			return i
		}
	}
	return len(results)
}

// list is one table of several metrics of ours.
func list(b *bytes.Buffer, results []measure.Result) {
	fmt.Fprintf(b, "\n| | %s | better is |\n|---|---|---|\n", results[0].Rows[0].Name)
	for i := range results {
		r := &results[i]
		fmt.Fprintf(b, "| %s, %s | %s | %s |\n", metricTitle(r.Metric), r.Metric.Unit.Title(), figure(&r.Rows[0]), r.Metric.Better)
	}
	fmt.Fprintf(b, "\nWhen it answers: %s.\n", results[0].Rows[0].Guarantee)
}

func table(b *bytes.Buffer, r *measure.Result) {
	if len(r.Rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| %s, %s is better | %s | ours ÷ this | when it answers |\n|---|---|---|---|\n",
		metricTitle(r.Metric), r.Metric.Better, r.Metric.Unit.Title())
	for i := range r.Rows {
		row := &r.Rows[i]
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", row.Name, figure(row), ratio(r, i), row.Guarantee)
	}
}

func metricTitle(m measure.Metric) string { return strings.ReplaceAll(m.Name, "-", " ") }

func figure(row *measure.Row) string {
	if row.Skipped != "" {
		return "skipped: " + row.Skipped
	}
	s, ok := measure.Of(row.Values)
	if !ok {
		return "not told"
	}
	return s.String()
}

func ratio(r *measure.Result, at int) string {
	if at == 0 {
		return ""
	}
	s, ok := measure.Ratio(r.Rows[0].Values, r.Rows[at].Values)
	if !ok {
		return ""
	}
	return s.String()
}

// points is the table of a chart: its lines are the columns.
func points(b *bytes.Buffer, c *measure.Chart) {
	if c == nil || len(c.Lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| %s |", c.XLabel)
	for _, l := range c.Lines {
		fmt.Fprintf(b, " %s: %s |", l.Name, c.YLabel)
	}
	fmt.Fprintf(b, "\n|%s\n", strings.Repeat("---|", len(c.Lines)+1))
	for _, x := range c.Places() {
		fmt.Fprintf(b, "| %s |", measure.Whole(x))
		for _, l := range c.Lines {
			s, ok := measure.Of(l.At(x))
			if !ok {
				b.WriteString(" |")
				continue
			}
			fmt.Fprintf(b, " %s |", s)
		}
		b.WriteByte('\n')
	}
}
