// Command regress runs the benchmarks of the hot paths on another revision and on the working tree, in
// turns, and shows with benchstat what became slower. `make bench-compare BASE=rev` runs it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// benchstat is pinned, so that it says the same on every machine.
const benchstat = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"

// hot are the benchmarks that every update or read goes through, by package.
var hot = []struct{ pkg, pattern string }{
	{"value", "^Benchmark(Parse|Add|AppendText|Binary)$"},
	{"tickets", "^Benchmark(Apply|Create|TakeDirty|Names)$"},
	{"ring", "^Benchmark(Durable|None|Read)$/^hot$"},
	{"ring/boltstore", "^Benchmark(Commit|BlockOf)$"},
	{"ring/zmqbus", "^BenchmarkThroughput$"},
	{"httpapi", "^Benchmark(Update|Read|Batch1000|Parse)$"},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "regress:", err)
		stop()
		os.Exit(1)
	}
}

// side is one of the two revisions.
type side struct {
	name   string // of its column
	root   string // its tree
	bin    string // where its compiled benchmarks are
	output bytes.Buffer
}

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("regress", flag.ContinueOnError)
	base := f.String("base", "", "the revision to compare with")
	root := f.String("root", "..", "the repository")
	count := f.Int("count", 6, "how often each benchmark runs on each side, in turns")
	benchtime := f.String("benchtime", "0.2s", "as of go test")
	only := f.String("only", "", "only this package, such as ring")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *base == "" {
		return errors.New("say which revision to compare with: -base main")
	}
	dir, err := os.MkdirTemp("", "bluerings-regress-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tree := filepath.Join(dir, "tree")
	if err := command(ctx, *root, "git", "worktree", "add", "--quiet", "--detach", tree, *base).Run(); err != nil {
		return fmt.Errorf("checking out %s: %w", *base, err)
	}
	defer func() {
		// Also after an interrupt, or git would remember a tree that is gone.
		_ = command(context.WithoutCancel(ctx), *root, "git", "worktree", "remove", "--force", tree).Run()
	}()
	sides := []*side{{name: "base", root: tree}, {name: "now", root: *root}}
	for _, s := range sides {
		s.bin = filepath.Join(dir, s.name)
		if err := s.build(ctx, *only); err != nil {
			return err
		}
	}
	for round := range *count {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, *count)
		for turn := range sides {
			// The first of a round is the second of the next.
			if err := sides[(round+turn)%2].bench(ctx, *benchtime, *only); err != nil {
				return err
			}
		}
	}
	return compare(ctx, dir, sides)
}

func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	return cmd
}

// compiled is where the benchmarks of a package are.
func (s *side) compiled(pkg string) string {
	return filepath.Join(s.bin, strings.ReplaceAll(pkg, "/", "-")+".test")
}

// build compiles the benchmarks of those packages that this side has.
func (s *side) build(ctx context.Context, only string) error {
	if err := os.MkdirAll(s.bin, 0o755); err != nil {
		return err
	}
	for _, h := range hot {
		if _, err := os.Stat(filepath.Join(s.root, h.pkg)); err != nil || only != "" && only != h.pkg {
			continue
		}
		if err := command(ctx, s.root, "go", "test", "-c", "-o", s.compiled(h.pkg), "./"+h.pkg).Run(); err != nil {
			return fmt.Errorf("building the benchmarks of %s (%s): %w", h.pkg, s.name, err)
		}
	}
	return nil
}

// bench runs all benchmarks of this side once.
func (s *side) bench(ctx context.Context, benchtime, only string) error {
	for _, h := range hot {
		if _, err := os.Stat(s.compiled(h.pkg)); err != nil || only != "" && only != h.pkg {
			continue
		}
		cmd := command(ctx, filepath.Join(s.root, h.pkg), s.compiled(h.pkg), "-test.run", "^$", "-test.bench", h.pattern,
			"-test.benchtime", benchtime, "-test.benchmem", "-test.timeout", "10m")
		fmt.Fprintf(&s.output, "pkg: bluerings/%s\n", h.pkg)
		cmd.Stdout = &s.output
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("benchmarks of %s (%s): %w\n%s", h.pkg, s.name, err, s.output.Bytes())
		}
	}
	return nil
}

// compare prints benchstat's table and then what became worse.
func compare(ctx context.Context, dir string, sides []*side) error {
	args := []string{"run", benchstat}
	var files []string
	for _, s := range sides {
		path := filepath.Join(dir, s.name+".txt")
		if err := os.WriteFile(path, s.output.Bytes(), 0o644); err != nil {
			return err
		}
		files = append(files, s.name+"="+path)
	}
	table := command(ctx, dir, "go", append(args, files...)...)
	table.Stdout = os.Stdout
	if err := table.Run(); err != nil {
		return fmt.Errorf("benchstat: %w", err)
	}
	again := command(ctx, dir, "go", append(append(args, "-format", "csv"), files...)...)
	again.Stderr = nil // its remarks were in the table
	csv, err := again.Output()
	if err != nil {
		return fmt.Errorf("benchstat: %w", err)
	}
	worse, err := regressions(csv)
	if err != nil {
		return err
	}
	if len(worse) == 0 {
		fmt.Println("\nNothing became worse beyond chance.")
		return nil
	}
	fmt.Println("\nWorse than before, beyond chance:")
	for _, line := range worse {
		fmt.Println("  " + line)
	}
	return nil
}
