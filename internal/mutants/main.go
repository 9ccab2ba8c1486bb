// Command mutants plants bugs, one at a time, and runs the tests that are
// expected to notice. A bug that nothing notices, or that can no longer be
// planted because the code has changed, ends it with status 1.
//
//	go run ./internal/mutants                    all of them
//	go run ./internal/mutants -list
//	go run ./internal/mutants -compile           only whether all of them can be planted
//	go run ./internal/mutants -only epoch        those whose names match
//	go run ./internal/mutants -sample 8          some, others every day
//	go run ./internal/mutants -write docs/MUTANTS.md
//
// The bugs are the files of planted. The working tree is not touched: each is
// built with one file replaced, by -overlay of the go command.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

type options struct {
	only          string
	sample, least int
	seed          uint64
	budget, limit time.Duration
	list, every   bool
	compile       bool
	baseline      bool
	verbose       bool
	write         string
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "only mutants whose names match this `pattern`")
	flag.IntVar(&o.sample, "sample", 0, "only so many, drawn by -seed")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()/86400), "of the sample; by default the number of today")
	flag.DurationVar(&o.budget, "budget", 0, "begin no more mutants after so long; 0: none is left out")
	flag.IntVar(&o.least, "least", 1, "so many begin all the same when the -budget is spent")
	flag.DurationVar(&o.limit, "simulate", 0, "how long the simulator plays seeds against one mutant; 0: 90s")
	flag.BoolVar(&o.list, "list", false, "list the mutants and run nothing")
	flag.BoolVar(&o.compile, "compile", false, "compile the mutants and run nothing")
	flag.BoolVar(&o.every, "every", false, "run every expected killer, not only until one has killed")
	flag.BoolVar(&o.baseline, "baseline", true, "first run the killers without a mutant")
	flag.BoolVar(&o.verbose, "v", false, "print what the tests print")
	flag.StringVar(&o.write, "write", "", "bring the table in this Markdown `file` up to date")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run tells whether every mutant chosen was killed.
func run(ctx context.Context, o options) (bool, error) {
	root, err := moduleRoot()
	if err != nil {
		return false, err
	}
	all, err := readAll(filepath.Join(root, "internal", "mutants", "planted"))
	if err != nil {
		return false, err
	}
	chosen, err := o.choose(all)
	if err != nil {
		return false, err
	}
	if o.list {
		for _, m := range chosen {
			fmt.Printf("%-34s %s  %s\n", m.name, m.promise, m.what)
		}
		return true, nil
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{root: root, dir: dir, limit: o.limit, baseline: make(map[string]string)}
	if o.compile {
		return b.compileAll(ctx, chosen), ctx.Err()
	}
	if o.baseline {
		if err := b.healthy(ctx, chosen); err != nil {
			return false, err
		}
	}
	rows, ok := o.plant(ctx, b, chosen)
	if o.write != "" {
		if err := updateTable(o.write, all, rows); err != nil {
			return false, err
		}
	}
	return ok, ctx.Err()
}

// plant runs the mutants, one after another.
func (o *options) plant(ctx context.Context, b *bench, chosen []*mutant) (rows []row, ok bool) {
	ok = true
	begun, survived := time.Now(), 0
	for i, m := range chosen {
		if ctx.Err() != nil {
			return rows, false
		}
		if o.budget > 0 && i >= o.least && time.Since(begun) > o.budget {
			fmt.Printf("%d of %d left out: the budget of %s is spent\n", len(chosen)-i, len(chosen), o.budget)
			break
		}
		r, err := o.one(ctx, b, m)
		switch {
		case err != nil:
			ok = false
			fmt.Printf("%-34s CANNOT BE PLANTED: %v\n", m.name, err)
		case len(r.kills) == 0:
			ok = false
			survived++
			fmt.Printf("%-34s SURVIVED (promise %s: %s) %s\n", m.name, m.promise, m.what, r.tried)
		default:
			fmt.Printf("%-34s killed by %s\n", m.name, strings.Join(r.kills, "; "))
		}
		if err == nil {
			rows = append(rows, r)
		}
	}
	fmt.Printf("%d mutants, %d survived, %.0f s\n", len(rows), survived, time.Since(begun).Seconds())
	return rows, ok
}

// one plants one mutant and runs its killers.
func (o *options) one(ctx context.Context, b *bench, m *mutant) (row, error) {
	r := row{mutant: m}
	overlay, err := m.write(b.root, b.dir)
	if err != nil {
		return r, err
	}
	var tried []string
	for _, k := range m.killers {
		v, err := b.try(ctx, k, overlay)
		if err != nil {
			return r, fmt.Errorf("%s: %w", k.spec, err)
		}
		if o.verbose {
			fmt.Printf("---- %s\n%s----\n", k.spec, v.output)
		}
		if word := v.survived(); word != "" {
			tried = append(tried, fmt.Sprintf("%s: %s in %.1f s", k.spec, word, v.took.Seconds()))
			continue
		}
		if doubt, err := b.confirm(ctx, k, overlay, &v); err != nil {
			return r, fmt.Errorf("%s: %w", k.spec, err)
		} else if doubt != "" {
			tried = append(tried, fmt.Sprintf("%s: %s", k.spec, doubt))
			fmt.Printf("%-34s IN DOUBT: %s: %s\n", m.name, k.spec, doubt)
			for _, test := range v.tests { // it may be killed by another, and this is worth a look all the same
				fmt.Printf("    | %s\n", strings.Join(v.printed(test), "\n    | "))
			}
			continue
		}
		r.add(k, v)
		if !o.every {
			break
		}
	}
	r.tried = strings.Join(tried, "; ")
	return r, nil
}

// healthy runs the killers of the chosen mutants on the tree as it is.
func (b *bench) healthy(ctx context.Context, chosen []*mutant) error {
	done := make(map[string]bool)
	begun := time.Now()
	for _, m := range chosen {
		for _, k := range m.killers {
			if done[k.spec] {
				continue
			}
			done[k.spec] = true
			var more []string
			if k.name == "simulator" {
				more = []string{"-seeds", "40"}
			}
			v, err := b.try(ctx, k, "", more...)
			if err != nil {
				return fmt.Errorf("%s: %w", k.spec, err)
			}
			if v.failed {
				return fmt.Errorf("%s fails without a mutant: %s\n%s", k.spec, v.by, v.output)
			}
		}
	}
	fmt.Printf("without a mutant, %d sets of tests pass, %.0f s\n", len(done), time.Since(begun).Seconds())
	return nil
}

func (o *options) choose(all []*mutant) ([]*mutant, error) {
	pattern, err := regexp.Compile(o.only)
	if err != nil {
		return nil, err
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(m *mutant) bool { return !pattern.MatchString(m.name) })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no mutant is called %q", o.only)
	}
	if o.sample > 0 && o.sample < len(chosen) {
		fmt.Printf("a sample of %d of %d mutants: -sample %d -seed %d\n", o.sample, len(chosen), o.sample, o.seed)
		rnd := rand.New(rand.NewPCG(o.seed, 1))
		rnd.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:o.sample]
	}
	return chosen, nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
