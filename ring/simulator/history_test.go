package simulator

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// asChild is set in the environment of a process that only prints histories.
const asChild = "SIMULATOR_HISTORIES"

// TestOneSeedIsOneHistory plays seeds twice at the same time, and again in another
// process that has one processor: all that happens is the same, to the byte.
func TestOneSeedIsOneHistory(t *testing.T) {
	var mine strings.Builder
	for _, seed := range []uint64{*first, *first + 1, *first + 2, 1 << 33, 1<<33 + 1} {
		a, b := bothHistories(seed)
		if at, one, other := firstDifference(a, b); one != other {
			t.Fatalf("seed %d: two plays differ in line %d:\n%s\n%s", seed, at, one, other)
		}
		if len(a) < 5000 {
			t.Errorf("seed %d: a history of %d bytes tells too little", seed, len(a))
		}
		fmt.Fprintf(&mine, "seed %d: %d bytes, %x\n", seed, len(a), sha256.Sum256(a))
	}
	if os.Getenv(asChild) != "" {
		fmt.Print(mine.String())
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run", "^TestOneSeedIsOneHistory$", "-first", fmt.Sprint(*first))
	cmd.Env = append(os.Environ(), asChild+"=1", "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.HasPrefix(string(out), mine.String()) {
		t.Errorf("here:\n%sin another process:\n%s", &mine, out)
	}
	t.Log("\n" + mine.String())
}

func bothHistories(seed uint64) (a, b []byte) {
	var wait sync.WaitGroup
	wait.Go(func() { a = history(seed) })
	wait.Go(func() { b = history(seed) })
	wait.Wait()
	return a, b
}

// history is all that can be seen of a seed: its plan, what happens and the counts.
func history(seed uint64) []byte {
	var text bytes.Buffer
	p := Draw(Options{Seed: seed, Duration: 90 * time.Second})
	text.WriteString(p.String())
	r := p.Play(&text)
	if f := r.Failure; f != nil {
		fmt.Fprintln(&text, f)
		r.Failure = nil
	}
	fmt.Fprintf(&text, "%+v\n", r)
	return text.Bytes()
}

// firstDifference is the first line that differs, and its number.
func firstDifference(a, b []byte) (at int, one, other string) {
	lines, others := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for at = range min(len(lines), len(others)) {
		if lines[at] != others[at] {
			return at + 1, lines[at], others[at]
		}
	}
	return at + 1, fmt.Sprintf("%d lines", len(lines)), fmt.Sprintf("%d lines", len(others))
}
