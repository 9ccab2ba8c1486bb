// Command bench compares Blue Rings with its rivals: the same work, on the same machine, in the same run.
// It runs on Linux. `make compare` runs all of it; see docs/PERFORMANCE.md for what came out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"bluerings/bench/measure"
	"bluerings/bench/report"
	"bluerings/bench/rival"
	"bluerings/bench/work"
)

func main() {
	if served, err := rival.Serve(os.Args[1:]); served {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	root   string
	dir    string
	only   string
	rounds int
	short  bool
	scale  float64
	write  bool
	redraw bool
	list   bool
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.root, "root", "..", "the repository")
	f.StringVar(&o.dir, "dir", "", "where data is written; it should be on the disk to be measured (default: a temporary directory)")
	f.StringVar(&o.only, "only", "", "run only these works, separated by commas; see -list")
	f.IntVar(&o.rounds, "rounds", 0, "rounds (default 5, with -short 2)")
	f.BoolVar(&o.short, "short", false, "a trial run: little data, short turns, and nothing is written unless -write says so")
	f.Float64Var(&o.scale, "scale", 0, "size of the stored data, 1 being as the titles say (default 1, with -short 0.02)")
	f.BoolVar(&o.write, "write", true, "write results, tables and charts, rather than only print; with -short the default is not to")
	f.BoolVar(&o.redraw, "redraw", false, "measure nothing; write tables and charts from the stored results")
	f.BoolVar(&o.list, "list", false, "list the works and exit")
	if err = f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.rounds == 0 {
		o.rounds = 5
		if o.short {
			o.rounds = 2
		}
	}
	if o.scale == 0 {
		o.scale = 1
		if o.short {
			o.scale = 0.02
		}
	}
	told := false
	f.Visit(func(given *flag.Flag) { told = told || given.Name == "write" })
	o.write = o.write && (told || !o.short)
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.list {
		for _, w := range work.All {
			fmt.Printf("%-12s %s\n", w.ID, w.Title)
		}
		return nil
	}
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	if o.redraw {
		chosen = nil
	}
	fresh, failed := measureAll(ctx, &o, chosen)
	if err := present(&o, fresh); err != nil {
		return err
	}
	return failed
}

// choose finds works by their ids.
func choose(only string) ([]work.Work, error) {
	if only == "" {
		return work.All, nil
	}
	var chosen []work.Work
	for id := range strings.SplitSeq(only, ",") {
		at := slices.IndexFunc(work.All, func(w work.Work) bool { return w.ID == id })
		if at < 0 {
			return nil, fmt.Errorf("there is no work %q: see -list", id)
		}
		chosen = append(chosen, work.All[at])
	}
	return chosen, nil
}

// measureAll does one work after another. A work that fails does not keep the others from running.
func measureAll(ctx context.Context, o *options, chosen []work.Work) (fresh []measure.Result, failed error) {
	if len(chosen) == 0 {
		return nil, nil
	}
	env, remove, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	defer remove()
	date, revision := time.Now().UTC().Format(time.DateOnly), report.Revision(o.root)
	began := time.Now()
	for _, w := range chosen {
		if ctx.Err() != nil {
			return fresh, errors.Join(failed, ctx.Err())
		}
		env.Log("%s: %s", w.ID, w.Title)
		started := time.Now()
		results, err := w.Run(ctx, env)
		if err != nil {
			env.Log("%s FAILED: %v", w.ID, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", w.ID, err))
			continue
		}
		for i := range results {
			results[i].Work, results[i].Title = w.ID, w.Title
			results[i].Date, results[i].Revision, results[i].Short = date, revision, o.short
		}
		fresh = append(fresh, results...)
		env.Log("%s done in %s", w.ID, time.Since(started).Round(time.Second))
	}
	env.Log("all done in %s", time.Since(began).Round(time.Second))
	return fresh, failed
}

// prepare builds what is measured and makes a directory for its data.
func prepare(ctx context.Context, o *options) (*work.Env, func(), error) {
	dir, err := os.MkdirTemp(o.dir, "bluerings-bench-")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	env := &work.Env{
		Program: filepath.Join(dir, "bluerings.exe"), RingTest: filepath.Join(dir, "ring.test"),
		Dir: dir, Rounds: o.rounds, Turn: 5 * time.Second, Scale: o.scale,
		Log: logger(),
	}
	if o.short {
		env.Turn = time.Second
	}
	// PostgreSQL runs as somebody else, who has to find its data.
	if err := os.Chmod(dir, 0o755); err != nil {
		remove()
		return nil, nil, err
	}
	rival.Install(ctx, env.Log)
	for _, build := range [][]string{
		{"build", "-o", env.Program, "./cmd/bluerings"},
		{"test", "-c", "-o", env.RingTest, "./ring"},
	} {
		cmd := exec.CommandContext(ctx, "go", build...)
		cmd.Dir = o.root
		if out, err := cmd.CombinedOutput(); err != nil {
			remove()
			return nil, nil, fmt.Errorf("go %s: %w\n%s", strings.Join(build, " "), err, out)
		}
	}
	return env, remove, nil
}

// logger writes lines to stderr, each with the seconds since the start.
func logger() func(format string, args ...any) {
	began := time.Now()
	return func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%6.1f  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
}

// present prints what was measured and writes it where it belongs.
func present(o *options, fresh []measure.Result) error {
	none := func(*measure.Result) string { return "" }
	if _, err := os.Stdout.Write(report.Markdown(report.ThisMachine(), fresh, none)); err != nil {
		return err
	}
	if !o.write {
		return nil
	}
	return write(o.root, fresh)
}

// write stores the results and makes tables and charts of all that are stored.
func write(root string, fresh []measure.Result) error {
	path := filepath.Join(root, "bench", "results.json")
	stored, err := report.Load(path)
	if err != nil {
		return err
	}
	if len(fresh) > 0 {
		order := make([]string, len(work.All))
		for i, w := range work.All {
			order[i] = w.ID
		}
		stored.Machine = report.ThisMachine()
		stored.Replace(fresh, order)
		if err := stored.Save(path); err != nil {
			return err
		}
	}
	document := filepath.Join(root, "docs", "PERFORMANCE.md")
	before, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	charts, err := report.Draw(filepath.Join(root, "docs", "charts"), stored.Results)
	if err != nil {
		return err
	}
	text := report.Markdown(stored.Machine, stored.Results, func(r *measure.Result) string {
		if name := charts[r.Key()]; name != "" {
			return "charts/" + name
		}
		return ""
	})
	after, err := report.Insert(before, text)
	if err != nil {
		return err
	}
	return os.WriteFile(document, after, 0o644)
}
