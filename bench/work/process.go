package work

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"bluerings/bench/machine"
	"bluerings/bench/measure"
)

var durable = Work{
	ID: "durable", Title: "In process, durable: 512 callers", Run: runDurable,
}

var none = Work{
	ID: "none", Title: "In process, durability none", Run: runNone,
}

var inProcess = Work{
	ID: "read-in-process", Title: "In process: reads, and values as of earlier", Run: runInProcess,
}

// benchmark runs one benchmark of package ring and returns what it reported.
func (e *Env) benchmark(ctx context.Context, name string, times string) (figures, error) {
	args := []string{"-test.run", "^$", "-test.bench", "^" + strings.ReplaceAll(name, "/", "$/^") + "$", "-test.benchtime", times, "-test.timeout", "5m"}
	if e.Scale == 1 {
		args = append(args, "-full")
	}
	cmd := exec.Command(e.RingTest, args...)
	cmd.Dir = e.Dir
	out, err := machine.Run(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return benchmarkFigures(out)
}

// A line of a benchmark's report: its name, how often, then figures each with its unit.
var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark\S+\s+\d+\s+(.*)$`)

func benchmarkFigures(out string) (figures, error) {
	m := benchmarkLine.FindStringSubmatch(out)
	if m == nil {
		return nil, fmt.Errorf("no benchmark in %q", out)
	}
	f := figures{}
	for fields := strings.Fields(m[1]); len(fields) >= 2; fields = fields[2:] {
		x, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return nil, err
		}
		f[fields[1]] = x
	}
	return f, nil
}

// shared lets contestants take their figures from one run that does the work of all in turns.
type shared struct{ last []figures }

// first is the turn that does the work; run returns the figures of all, the first one's first.
func (s *shared) first(run func(ctx context.Context) ([]figures, error)) func(context.Context) (figures, error) {
	return func(ctx context.Context) (figures, error) {
		s.last = nil
		all, err := run(ctx)
		if err != nil {
			return nil, err
		}
		s.last = all
		return all[0], nil
	}
}

// told is the turn of the i-th, who takes what the last run told.
func (s *shared) told(i int) func(context.Context) (figures, error) {
	return func(context.Context) (figures, error) {
		if i >= len(s.last) {
			return nil, nil
		}
		return s.last[i], nil
	}
}

// runDurable leaves the alternation to the benchmark: it changes eight times between the node and the bare files.
func runDurable(ctx context.Context, e *Env) ([]measure.Result, error) {
	var all shared
	ours := all.first(func(ctx context.Context) ([]figures, error) {
		told := []figures{{}, {}, {}}
		for _, c := range []struct{ name, times string }{{"hot", e.times(1_000_000)}, {"million", e.times(500_000)}} {
			f, err := e.benchmark(ctx, "BenchmarkDurable/"+c.name, c.times)
			if err != nil {
				return nil, err
			}
			for i, unit := range []string{"updates/s", "bare/s", "bare-file/s"} {
				told[i][c.name] = f[unit]
			}
		}
		return told, nil
	})
	c := contest{
		note: "512 callers of the Go API, each waiting for the disk. The bare bbolt file is given the same bytes in the same batches, " +
			"one transaction each, and so is a bare file, one append and one fdatasync each, which is the least that a durable answer costs. " +
			"The benchmark changes between them eight times in a run. hot: one counter; million: that many.",
		metrics: []measure.Metric{
			{Name: "hot", Unit: measure.PerSecond, Better: measure.Higher},
			{Name: "million", Unit: measure.PerSecond, Better: measure.Higher},
		},
		contestants: []contestant{
			{name: "Blue Rings", guarantee: oursSynced, turn: ours},
			{name: "bare bbolt append", guarantee: "on disk (fdatasync); bytes, nothing counted", turn: all.told(1)},
			{name: "bare file append + fdatasync", guarantee: "on disk (fdatasync); bytes, nothing can be found", turn: all.told(2)},
		},
		ordered: true,
	}
	return c.run(ctx, e)
}

// times is a number of repetitions for -test.benchtime.
func (e *Env) times(n int) string { return strconv.Itoa(max(1000, e.scaled(n))) + "x" }

func runNone(ctx context.Context, e *Env) ([]measure.Result, error) {
	cases := []struct{ metric, name, times string }{
		{"hot-64-a-call", "hot/batch=64", e.times(10_000_000)},
		{"hot-1-a-call", "hot/batch=1", e.times(5_000_000)},
		{"million-64-a-call", "million/batch=64", e.times(3_000_000)},
		{"million-1-a-call", "million/batch=1", e.times(2_000_000)},
	}
	c := contest{
		note: "8 callers of the Go API. An update is answered once it is counted in memory, and reaches the disk within a second.",
		contestants: []contestant{{
			name: "Blue Rings", guarantee: "in memory; on disk within a second",
			turn: func(ctx context.Context) (figures, error) {
				all := figures{}
				for _, c := range cases {
					f, err := e.benchmark(ctx, "BenchmarkNone/"+c.name, c.times)
					if err != nil {
						return nil, err
					}
					all[c.metric] = f["updates/s"]
				}
				return all, nil
			},
		}},
	}
	for _, k := range cases {
		c.metrics = append(c.metrics, measure.Metric{Name: k.metric, Unit: measure.PerSecond, Better: measure.Higher})
	}
	return c.run(ctx, e)
}

func runInProcess(ctx context.Context, e *Env) ([]measure.Result, error) {
	cases := []struct{ metric, name, times string }{
		{"one-counter", "BenchmarkRead/hot/parallel=false", e.times(5_000_000)},
		{"one-counter-all-cores", "BenchmarkRead/hot/parallel=true", e.times(10_000_000)},
		{"million-counters", "BenchmarkRead/million/parallel=false", e.times(5_000_000)},
		{"as-of-a-million-tickets", "BenchmarkAsOf/as-of", "200x"},
	}
	c := contest{
		note: "Nanoseconds of one read. As of: the value of a counter with a million tickets (fewer in a trial run) at a random moment.",
		contestants: []contestant{{
			name: "Blue Rings", guarantee: "the value, exact",
			turn: func(ctx context.Context) (figures, error) {
				all := figures{}
				for _, c := range cases {
					f, err := e.benchmark(ctx, c.name, c.times)
					if err != nil {
						return nil, err
					}
					all[c.metric] = f["ns/op"]
				}
				return all, nil
			},
		}},
	}
	for _, k := range cases {
		c.metrics = append(c.metrics, measure.Metric{Name: k.metric, Unit: measure.Nanoseconds, Better: measure.Lower})
	}
	return c.run(ctx, e)
}
