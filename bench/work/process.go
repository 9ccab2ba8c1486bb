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

// shared lets two contestants take their figures from one run that does the work of both in turns.
type shared struct{ last figures }

// turns returns the turn that runs f and the one that takes what the run told about the other.
func (s *shared) turns(f func(ctx context.Context) (ours, theirs figures, err error)) (first, second func(context.Context) (figures, error)) {
	first = func(ctx context.Context) (figures, error) {
		ours, theirs, err := f(ctx)
		s.last = theirs
		return ours, err
	}
	second = func(context.Context) (figures, error) { return s.last, nil }
	return first, second
}

// runDurable leaves the alternation to the benchmark: it changes eight times between the node and a bare bbolt file.
func runDurable(ctx context.Context, e *Env) ([]measure.Result, error) {
	var both shared
	ours, bare := both.turns(func(ctx context.Context) (figures, figures, error) {
		ours, theirs := figures{}, figures{}
		for _, c := range []struct{ name, times string }{{"hot", e.times(1_000_000)}, {"million", e.times(500_000)}} {
			f, err := e.benchmark(ctx, "BenchmarkDurable/"+c.name, c.times)
			if err != nil {
				return nil, nil, err
			}
			ours[c.name], theirs[c.name] = f["updates/s"], f["bare/s"]
		}
		return ours, theirs, nil
	})
	c := contest{
		note: "512 callers of the Go API, each waiting for the disk. The bare bbolt file is given the same bytes in the same batches, " +
			"one transaction each; the benchmark changes between the two eight times in a run. hot: one counter; million: that many.",
		metrics: []measure.Metric{
			{Name: "hot", Unit: measure.PerSecond, Better: measure.Higher},
			{Name: "million", Unit: measure.PerSecond, Better: measure.Higher},
		},
		contestants: []contestant{
			{name: "Blue Rings", guarantee: oursSynced, turn: ours},
			{name: "bare bbolt append", guarantee: "on disk (fdatasync); bytes, nothing counted", turn: bare},
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
