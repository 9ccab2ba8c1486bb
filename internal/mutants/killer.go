package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// killer is a set of tests that is expected to fail with a mutant.
type killer struct {
	spec  string // as written: name, or name:tests
	suite        // which tests
	run   string // pattern for -test.run
}

// suite is the tests of one package. Time over its limit is no verdict: a
// slow machine kills nothing.
type suite struct {
	name, pkg string
	tests     string // pattern; "": all
	cost      int    // order: cheapest first
	limit     time.Duration
	args      []string
	real      bool // with disks, sockets and clocks: a failure has to repeat
	race      bool // built with the race detector
}

// maxPrinted bounds the lines that are shown of a test that failed by chance.
const maxPrinted = 40

// sameDraws has package rapid draw the same in every run, and leave no files.
var sameDraws = []string{"-rapid.seed", "1", "-rapid.nofailfile"}

var suites = []suite{
	{name: "hlc", pkg: "hlc", limit: time.Minute, args: sameDraws},
	{name: "value", pkg: "value", limit: time.Minute, args: sameDraws},
	{name: "transcripts", pkg: "ring/replica", limit: time.Minute},
	{name: "laws", pkg: "tickets", limit: 2 * time.Minute, args: sameDraws},
	{name: "journal", pkg: "ring/journal", limit: time.Minute},
	{name: "boltstore", pkg: "ring/boltstore", limit: 2 * time.Minute, real: true},
	{name: "client", pkg: "internal/client", limit: time.Minute},
	{name: "zmqbus", pkg: "ring/zmqbus", limit: 2 * time.Minute, real: true},
	{name: "powercuts", pkg: "ring", tests: "^TestPowerCuts$", limit: 2 * time.Minute, args: []string{"-seeds", "150"}},
	{name: "httpapi", pkg: "httpapi", limit: time.Minute, real: true},
	{name: "ring", pkg: "ring", limit: 2 * time.Minute, real: true},
	{name: "race", pkg: "ring", limit: 3 * time.Minute, args: []string{"-test.short"}, real: true, race: true},
	{name: "simulator", pkg: "ring/simulator", tests: "^TestSeeds$", limit: 90 * time.Second, args: []string{"-seeds", "100000"}},
	{name: "blackbox", pkg: "internal/blackbox", limit: 4 * time.Minute, real: true},
}

func parseKiller(spec string) (killer, error) {
	name, tests, chosen := strings.Cut(spec, ":")
	for i, s := range suites {
		if s.name != name {
			continue
		}
		s.cost = i
		k := killer{spec: spec, suite: s, run: cmp.Or(s.tests, ".")}
		if chosen {
			k.run = "^(" + tests + ")$"
		}
		return k, nil
	}
	return killer{}, fmt.Errorf("there is no killer %q", name)
}

// verdict is what became of the tests of a killer.
type verdict struct {
	failed  bool
	expired bool     // ended at its limit without having failed
	by      string   // the first test that failed
	tests   []string // all that failed, without their parts
	seeds   int      // simulator: the first that failed, counted from 1
	checker string   // simulator: what failed
	took    time.Duration
	output  string
}

// survived says how the mutant passed, "" where it did not.
func (v *verdict) survived() string {
	switch {
	case v.failed:
		return ""
	case v.expired:
		return "no failure"
	}
	return "passes"
}

// bench builds and runs test binaries of the tree at root.
type bench struct {
	root, dir string
	limit     time.Duration // of the simulator; 0: its own
	baseline  map[string]string
}

// confirm makes sure that it was the mutant: of the tests with real disks,
// sockets and clocks one has to fail once more, and a seed has to pass without
// the mutant. It returns what speaks against it.
func (b *bench) confirm(ctx context.Context, k killer, overlay string, v *verdict) (string, error) {
	switch {
	case k.name == "simulator" && v.seeds > 0:
		without, err := b.try(ctx, k, "", "-first", strconv.Itoa(v.seeds), "-seeds", "1")
		if err != nil || !without.failed {
			return "", err
		}
		return "fails without the mutant too: " + without.by, nil
	case k.real && len(v.tests) > 0:
		k.run = "^(" + strings.Join(v.tests, "|") + ")$"
		again, err := b.try(ctx, k, overlay)
		if err != nil {
			return "", err
		}
		if again.failed {
			v.by = again.by
			return "", nil
		}
		return strings.Join(v.tests, ", ") + " failed and then passed", nil
	}
	return "", nil
}

// printed is what one test printed, its last lines if there are many.
func (v *verdict) printed(test string) []string {
	var lines []string
	of := false
	for line := range strings.Lines(v.output) {
		line = strings.TrimRight(line, "\n")
		if at := runningTest.FindStringSubmatch(line); at != nil {
			of = at[1] == test || strings.HasPrefix(at[1], test+"/")
		}
		if of {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-maxPrinted):]
}

// build makes the test binary of a package with an overlay, "" for none.
func (b *bench) build(ctx context.Context, k killer, overlay string) (string, error) {
	if overlay == "" && b.baseline[k.name] != "" {
		return b.baseline[k.name], nil
	}
	binary := filepath.Join(b.dir, k.name+".test")
	if overlay == "" {
		binary = filepath.Join(b.dir, "baseline-"+k.name+".test")
		b.baseline[k.name] = binary
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-race="+strconv.FormatBool(k.race), "-overlay="+overlay, "-o", binary, "./"+k.pkg)
	cmd.Dir = b.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile with %s: %w\n%s", k.pkg, err, out)
	}
	return binary, nil
}

// compileAll tells whether every mutant applies and compiles, without tests.
func (b *bench) compileAll(ctx context.Context, chosen []*mutant) bool {
	bad := 0
	for _, m := range chosen {
		overlay, err := m.write(b.root, b.dir)
		if err == nil {
			args := []string{"build", "-overlay=" + overlay}
			for _, c := range m.changes {
				args = append(args, "./"+path.Dir(c.path))
			}
			cmd := exec.CommandContext(ctx, "go", args...)
			cmd.Dir = b.root
			var out []byte
			if out, err = cmd.CombinedOutput(); err != nil {
				err = fmt.Errorf("%w\n%s", err, out)
			}
		}
		if err != nil {
			bad++
			fmt.Printf("%-34s CANNOT BE PLANTED: %v\n", m.name, err)
		}
	}
	fmt.Printf("%d mutants, %d cannot be planted\n", len(chosen), bad)
	return bad == 0
}

var (
	// what follows is printed by this test
	runningTest = regexp.MustCompile(`^\s*(?:=== (?:RUN|CONT|NAME)|--- (?:FAIL|PASS|SKIP):)\s+(\S+)`)
	failedTest  = regexp.MustCompile(`^\s*--- FAIL: (\S+)`)
	failedSeed  = regexp.MustCompile(`\bseed (\d+)\b(?:: ([\w-]+):)?`)
	crashed     = regexp.MustCompile(`^(panic:|fatal error:|blackbox:)`)
)

// try runs a killer. The error says that it could not be run.
func (b *bench) try(ctx context.Context, k killer, overlay string, more ...string) (verdict, error) {
	binary, err := b.build(ctx, k, overlay)
	if err != nil {
		return verdict{}, err
	}
	limit := k.limit
	if k.name == "simulator" && b.limit > 0 {
		limit = b.limit
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := append([]string{"-test.run", k.run, "-test.v", "-test.timeout", "0"}, k.args...)
	cmd := exec.CommandContext(ctx, binary, append(args, more...)...)
	cmd.Dir = filepath.Join(b.root, filepath.FromSlash(k.pkg))
	cmd.Env = os.Environ()
	if overlay != "" { // for tests that build the program
		cmd.Env = append(cmd.Env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	cmd.WaitDelay = 5 * time.Second
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	seen := make(chan verdict)
	go func() { seen <- watch(read, k.name == "simulator", cancel) }()
	err = cmd.Run()
	_ = write.Close()
	v := <-seen
	v.took = time.Since(begun)
	return v, v.judge(ctx, err)
}

// judge makes of how the process ended what it says.
func (v *verdict) judge(ctx context.Context, err error) error {
	var exit *exec.ExitError
	switch {
	case strings.Contains(v.output, "no tests to run"):
		return errors.New("there is no such test")
	case v.failed || err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		v.expired = true
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit):
		v.failed, v.by = true, "it crashed"
		return nil
	}
	return err
}

// watch reads what a test binary prints. It ends the simulator with the first
// seed that fails.
func watch(output io.Reader, simulator bool, end func()) verdict {
	var v verdict
	var text strings.Builder
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		if text.Len() < 1<<20 {
			text.WriteString(line + "\n")
		}
		switch {
		case simulator && failedSeed.MatchString(line) && !v.failed:
			found := failedSeed.FindStringSubmatch(line)
			v.failed, v.by, v.checker = true, strings.TrimSpace(line), found[2]
			if !strings.Contains(line, "regression_test.go") { // there it is of a plan kept as data
				v.seeds, _ = strconv.Atoi(found[1])
			}
			end()
		case failedTest.MatchString(line):
			test := failedTest.FindStringSubmatch(line)[1]
			v.note(test)
			if !strings.Contains(test, "/") {
				v.tests = append(v.tests, test)
			}
		case crashed.MatchString(line):
			v.note(line)
		}
	}
	_, _ = io.Copy(io.Discard, output) // lines beyond the buffer: let the process go on
	v.output = text.String()
	return v
}

// note keeps the first failure; of a test and its part, the part.
func (v *verdict) note(by string) {
	if !v.failed || strings.HasPrefix(by, v.by+"/") {
		v.failed, v.by = true, by
	}
}
