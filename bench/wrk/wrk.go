// Package wrk drives HTTP servers with the program wrk: a load generator in Go would take more of the
// cores that the servers need.
package wrk

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"bluerings/bench/machine"
)

//go:embed *.lua
var scripts embed.FS

// Load is what wrk shall do.
type Load struct {
	Script      string // update, read or batch
	Addr        string // host:port
	Connections int
	Duration    time.Duration
	Counters    int
	Dir         string // for the script
}

// Result is what wrk saw.
type Result struct {
	Requests     uint64 `json:"requests"`
	Microseconds uint64 `json:"microseconds"`
	Failed       uint64 `json:"failed"` // answered with 400 or more, or not at all
	P50          uint64 `json:"p50"`    // microseconds
	P99          uint64 `json:"p99"`
}

// Rate is requests a second.
func (r Result) Rate() float64 { return float64(r.Requests) * 1e6 / float64(r.Microseconds) }

// Run makes the load. Requests that failed make it an error.
func Run(ctx context.Context, l Load) (r Result, err error) {
	script, err := l.write()
	if err != nil {
		return r, err
	}
	cmd := exec.Command("wrk", "-t", fmt.Sprint(min(2, l.Connections)), "-c", fmt.Sprint(l.Connections),
		"-d", fmt.Sprintf("%ds", max(1, int(l.Duration.Round(time.Second).Seconds()))), "--timeout", "20s",
		"-s", script, "http://"+l.Addr, "--", fmt.Sprint(l.Counters), fmt.Sprint(rand.IntN(1<<20)))
	out, err := machine.Run(ctx, cmd)
	if err != nil {
		return r, err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		return r, fmt.Errorf("wrk: %w in %q", err, out)
	}
	if r.Failed > 0 {
		return r, fmt.Errorf("wrk: %d of %d requests failed", r.Failed, r.Requests)
	}
	return r, nil
}

// write puts the script where wrk can read it.
func (l Load) write() (string, error) {
	var text []byte
	for _, name := range []string{"common", l.Script} {
		part, err := scripts.ReadFile(name + ".lua")
		if err != nil {
			return "", err
		}
		text = append(text, part...)
	}
	path := filepath.Join(l.Dir, l.Script+".lua")
	return path, os.WriteFile(path, text, 0o644)
}
