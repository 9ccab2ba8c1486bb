package blackbox

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// target is a node that is attacked, and how it was before.
type target struct {
	*process
	addr       string
	goroutines float64
	files      float64
	heap       float64
}

// newTarget runs a node alone in its ring, which logs every request as JSON.
func newTarget(t *testing.T, args ...string) *target {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	p := serve(t, addr, append([]string{
		"--pub", fmt.Sprintf("tcp://127.0.0.1:%d", freePort(t)), "--data", t.TempDir() + "/data",
		"--log-format", "json", "--log-level", "debug",
	}, args...)...)
	return measured(p.ready(), addr)
}

// measured notes how a node is before it is attacked.
func measured(p *process, addr string) *target {
	p.t.Helper()
	p.must("PUT", "/v1/counters/well", `{"expire":"never"}`)
	g := &target{process: p, addr: addr}
	g.goroutines, g.files, g.heap = g.metric("go_goroutines"), g.metric("process_open_fds"), g.metric("go_memstats_heap_alloc_bytes")
	return g
}

// metric is the value of a metric without labels.
func (g *target) metric(name string) float64 {
	g.t.Helper()
	a, err := g.call("GET", "/metrics", "")
	if err != nil {
		g.t.Fatal(err)
	}
	for line := range strings.Lines(string(a.body)) {
		if text, found := strings.CutPrefix(line, name+" "); found {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				g.t.Fatal(err)
			}
			return v
		}
	}
	g.t.Fatalf("no metric %s", name)
	return 0
}

// well asserts that the node counts and answers, now and while it is attacked.
func (g *target) well() {
	g.t.Helper()
	// The header lets Go's client try again where the node had just closed the connection.
	before := g.must("POST", "/v1/counters/well", `{"amount":"1"}`, "X-Idempotency-Key: any")
	after := g.must("GET", "/v1/counters/well", "")
	if before.Value != after.Value {
		g.t.Fatalf("%s after %s", after.Value, before.Value)
	}
}

// recovered waits until the node holds about what it held before the attack. The requests in
// between make garbage, so that the collector has a reason to look.
func (g *target) recovered(what string) {
	g.t.Helper()
	garbage := strings.Repeat(" \n", 1<<19)
	eventually(g.t, "recovery from "+what, func() error {
		g.well()
		if _, err := g.call("POST", "/v1/batch", garbage, "Content-Type: application/x-ndjson"); err != nil {
			return err
		}
		goroutines, files, heap := g.metric("go_goroutines"), g.metric("process_open_fds"), g.metric("go_memstats_heap_alloc_bytes")
		if goroutines > g.goroutines+15 || files > g.files+15 || heap > g.heap+32<<20 {
			return fmt.Errorf("%v goroutines, %v files, %v bytes; before %v, %v, %v", goroutines, files, heap, g.goroutines, g.files, g.heap)
		}
		return nil
	})
	g.trueLog()
}

// trueLog asserts that every line of the log is one that the program wrote.
func (g *target) trueLog() {
	g.t.Helper()
	for line := range strings.Lines(g.log.String()) {
		if strings.HasPrefix(line, "http ") || strings.HasPrefix(line, "pub ") {
			continue
		}
		var record struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Msg == "" || strings.Contains(record.Msg, "forged") {
			g.t.Fatalf("the log has the line %q: %v", line, err)
		}
	}
}

// dial connects to the node.
func (g *target) dial() net.Conn {
	g.t.Helper()
	c, err := net.DialTimeout("tcp", g.addr, 10*time.Second)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	return c
}

// raw sends bytes as they are and reads answers until the node closes the connection or is silent.
func (g *target) raw(text string) []*http.Response {
	g.t.Helper()
	c := g.dial()
	defer c.Close()
	go io.WriteString(c, text) // the node may close before it has read all
	r := bufio.NewReader(c)
	var answers []*http.Response
	for {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if len(answers) > 0 {
			_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		}
		a, err := http.ReadResponse(r, nil)
		if err != nil {
			return answers
		}
		_, _ = io.Copy(io.Discard, a.Body)
		answers = append(answers, a)
	}
}

// closedBefore asserts that the node ends the connection by itself.
func (g *target) closedBefore(c net.Conn, limit time.Duration) {
	g.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(limit))
	if _, err := io.Copy(io.Discard, c); err != nil {
		if e, ok := err.(net.Error); ok && e.Timeout() {
			g.t.Fatalf("the connection stands after %s", limit)
		}
	}
}
