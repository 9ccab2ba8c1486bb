package blackbox

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var damageTrials = flag.Int("trials", 60, "how many damaged data directories TestDamagedDirectories serves")

// A node on a damaged data directory refuses to start with one clear line, or
// says what it said before the damage. It never crashes, and never says
// anything else.
func TestDamagedDirectories(t *testing.T) {
	if testing.Short() {
		t.Skip("a process for each trial")
	}
	t.Parallel()
	draw := draws(t)
	bases := make([]damageBase, 2)
	for i := range bases {
		bases[i] = newDamageBase(t, draw, i == 1)
	}
	type trial struct {
		seed uint64
		base *damageBase
	}
	todo := make(chan trial)
	outcomes, mu := make(map[string]int), sync.Mutex{}
	var workers sync.WaitGroup
	for range 2 {
		dir, port := filepath.Join(t.TempDir(), "data"), freePort(t)
		workers.Go(func() {
			for one := range todo {
				what, outcome := one.base.try(t, one.seed, dir, port)
				if strings.HasPrefix(outcome, "WRONG") {
					t.Errorf("%s: %s", what, outcome)
				}
				mu.Lock()
				outcomes[outcome]++
				mu.Unlock()
			}
		})
	}
	for i := range *damageTrials {
		todo <- trial{draw.Uint64(), &bases[i%len(bases)]}
	}
	close(todo)
	workers.Wait()
	for outcome, n := range outcomes {
		t.Logf("%6d %s", n, outcome)
	}
}

// damageBase is a data directory and what a node on it says.
type damageBase struct {
	dir  string
	said string
}

// newDamageBase makes a directory by a node that stopped well, or was killed
// while its index was behind.
func newDamageBase(t *testing.T, draw *rand.Rand, killed bool) damageBase {
	t.Helper()
	b := damageBase{dir: filepath.Join(t.TempDir(), "data")}
	http := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	start := func() *process {
		return serve(t, http, "--data", b.dir, "--host", "a", "--pub", "tcp://127.0.0.1:0").ready()
	}
	fill := func(p *process, from int) {
		for i := from; i < from+200; i++ {
			name, id := draw.IntN(5), fmt.Sprint("id ", i)
			p.must("POST", fmt.Sprintf("/v1/counters/c%d", name), fmt.Sprintf(`{"amount":"%d.%02d","id":%q,"expire":"never"}`, draw.IntN(1000)-500, draw.IntN(100), id))
			p.must("PUT", fmt.Sprintf("/v1/texts/t%d", name), fmt.Sprintf(`{"text":"text %d","expire":"never"}`, i))
			if i == from {
				p.must("PUT", "/v1/sets/s", `{"expire":"never"}`)
			}
			p.must("PUT", fmt.Sprintf("/v1/sets/s/elements/e%d", draw.IntN(50)), "{}")
		}
	}
	p := start()
	fill(p, 0)
	p.stop()
	p = start()
	fill(p, 1000)
	said, err := say(p)
	if err != nil {
		t.Fatal(err)
	}
	b.said = said
	if killed {
		p.kill()
	} else {
		p.stop()
	}
	return b
}

// volatile is what two answers may differ in.
var volatile = regexp.MustCompile(`"(coherent|final_through|at|now|digest_ms)":("[^"]*"|true|false),?`)

// say is all that a node says of its names.
func say(p *process) (string, error) {
	var b strings.Builder
	paths := []string{"/v1/counters?limit=1000", "/v1/texts?limit=1000", "/v1/sets?limit=1000", "/v1/sets/s?limit=1000"}
	for i := range 5 {
		paths = append(paths, fmt.Sprintf("/v1/counters/c%d/tickets?limit=1000", i), fmt.Sprintf("/v1/counters/c%d", i))
	}
	for _, path := range paths {
		a, err := p.call("GET", path, "")
		if err != nil {
			return "", err
		}
		if a.status != 200 {
			return "", fmt.Errorf("%s: status %d: %s", path, a.status, a.body)
		}
		fmt.Fprintf(&b, "%s %s\n", path, volatile.ReplaceAll(a.body, nil))
	}
	return b.String(), nil
}

// try damages a copy and serves it.
func (b *damageBase) try(t *testing.T, seed uint64, dir string, port int) (what, outcome string) {
	if err := os.RemoveAll(dir); err != nil {
		return "", "WRONG: " + err.Error()
	}
	file, what, err := b.damage(seed, dir)
	if err != nil {
		return what, "WRONG: " + err.Error()
	}
	p := serve(t, fmt.Sprintf("127.0.0.1:%d", port), "--data", dir, "--host", "a", "--pub", "tcp://127.0.0.1:0", "--log-level", "error")
	defer p.kill()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		select {
		case <-p.done:
			return what, refusal(p, file)
		default:
		}
		if a, err := p.call("GET", "/v1/statistics", ""); err != nil || a.status != 200 {
			continue
		}
		said, err := say(p)
		switch {
		case err != nil && strings.Contains(err.Error(), `"code":`):
			return what, file + ": an answer is an error"
		case err != nil:
			return what, fmt.Sprintf("WRONG: %v: %s", err, p.log.String())
		case said != b.said:
			return what, fmt.Sprintf("WRONG: it said\n%s\nand says\n%s", b.said, said)
		}
		return what, file + ": the same is served"
	}
	return what, "WRONG: it neither serves nor ends"
}

// refusal judges how a process ended that did not want to start.
func refusal(p *process, file string) string {
	text := strings.TrimSpace(p.log.String())
	switch {
	case p.cmd.ProcessState.ExitCode() != 1 && p.cmd.ProcessState.ExitCode() != 2:
		return fmt.Sprintf("WRONG: %v: %s", p.err, text)
	case strings.Count(text, "\n") > 0, len(text) > 600, strings.Contains(text, "goroutine"), strings.Contains(text, "in use"), text == "":
		return "WRONG: not a clear line: " + text
	}
	return file + ": it refuses to start"
}

// damage copies the directory and changes something in one of its files.
func (b *damageBase) damage(seed uint64, dir string) (name, what string, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", "", err
	}
	draw := rand.New(rand.NewPCG(seed, 7))
	all, files, err := b.files()
	if err != nil {
		return "", "", err
	}
	name = files[draw.IntN(len(files))]
	used := int64(0) // what is behind is room
	for _, file := range all {
		n, err := copyUsed(filepath.Join(b.dir, file), filepath.Join(dir, file))
		if err != nil {
			return "", "", err
		}
		if file == name {
			used = n
		}
	}
	if strings.HasPrefix(name, "journal.") {
		used, err = lastRecord(filepath.Join(dir, name), used)
		if err != nil {
			return "", "", err
		}
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	at := draw.Int64N(used)
	if draw.IntN(4) == 0 { // where pages begin
		at = min(at/4096*4096+draw.Int64N(80), used-1)
	}
	piece := make([]byte, min(used-at, []int64{1, 1, 16, 512, 4096}[draw.IntN(5)]))
	if _, err := f.ReadAt(piece, at); err != nil {
		return "", "", err
	}
	what = fmt.Sprintf("seed %d: %s: %d bytes at %d: ", seed, name, len(piece), at)
	kind := draw.IntN(5)
	if kind == 0 && strings.HasPrefix(name, "journal.") {
		kind = 1
	}
	switch kind {
	case 0:
		what = fmt.Sprintf("seed %d: %s cut to %d bytes", seed, name, at)
		return name, what, f.Truncate(at)
	case 1:
		what += "a bit"
		piece[draw.IntN(len(piece))] ^= 1 << draw.IntN(8)
	case 2:
		what += "zeros"
		clear(piece)
	case 3:
		what += "noise"
		for i := range piece {
			piece[i] = byte(draw.Uint32())
		}
	default:
		what += "from elsewhere"
		if _, err := f.ReadAt(piece, draw.Int64N(used-int64(len(piece))+1)); err != nil {
			return "", "", err
		}
	}
	_, err = f.WriteAt(piece, at)
	return name, what, err
}

// files lists all files, and those to be damaged: of a journal's, those that
// have two records.
func (b *damageBase) files() (all, some []string, err error) {
	entries, err := os.ReadDir(b.dir)
	for _, e := range entries {
		name := e.Name()
		all = append(all, name)
		if strings.HasPrefix(name, "journal.") {
			text, err := os.ReadFile(filepath.Join(b.dir, name))
			if err != nil {
				return nil, nil, err
			}
			if len(bytes.TrimRight(text, "\x00")) <= 4096 {
				continue
			}
		}
		some = append(some, name)
	}
	return all, some, err
}

// lastRecord is where the last record of a journal begins. What a power cut
// leaves of it may be anything, so damage to it says nothing.
func lastRecord(path string, used int64) (int64, error) {
	text, err := os.ReadFile(path)
	for at := (used - 1) / 512 * 512; err == nil && at > 0; at -= 512 {
		if text[at+16] == 0 && text[at+17] == 0 && text[at+18] == 1 {
			return at, nil
		}
	}
	return 0, err
}

// copyUsed copies a file, without what is only room in it.
func copyUsed(from, to string) (used int64, err error) {
	text, err := os.ReadFile(from)
	if err != nil {
		return 0, err
	}
	used = int64(len(bytes.TrimRight(text, "\x00")))
	if err := os.WriteFile(to, text[:used], 0o600); err != nil {
		return 0, err
	}
	return used, os.Truncate(to, int64(len(text)))
}
