package blackbox

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// An fsync that fails leaves the outcome open: the node says so and ends, soon,
// and what it acknowledged is there when it starts again.
func TestFailedSyncEndsTheNode(t *testing.T) {
	if err := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO:when=1", "true").Run(); err != nil {
		t.Skipf("no strace: %v", err)
	}
	t.Parallel()
	data, http := filepath.Join(t.TempDir(), "data"), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	start := func() *process {
		return serve(t, http, "--data", data, "--host", "a", "--pub", "tcp://127.0.0.1:0").ready()
	}
	p := start()
	for i := range 5 {
		p.must("POST", "/v1/counters/c", fmt.Sprintf(`{"amount":1,"expire":"never","id":"%d"}`, i))
	}
	tracer := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-p", fmt.Sprint(p.cmd.Process.Pid),
		"-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1+")
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tracer.Wait() }) // it ends with the process
	taken := 5
	eventually(t, "an fsync fails", func() error { // strace takes a moment to attach
		a, err := p.call("POST", "/v1/counters/c", fmt.Sprintf(`{"amount":1,"id":"%d"}`, taken))
		if err == nil && a.status != 201 {
			want := &request{what: "open outcome", status: 503, code: "uncertain"}
			if bytes.Contains(a.body, []byte(`"unavailable"`)) { // it was the fsync of a commit without the update
				want.code = "unavailable"
			}
			checkProblem(t, want, a)
			return nil
		}
		if err == nil {
			taken++
		}
		return fmt.Errorf("update %d: %v", taken, err)
	})
	begun := time.Now()
	select {
	case <-p.done:
		t.Logf("ended %s after the failure", time.Since(begun).Round(time.Millisecond))
	case <-time.After(patience):
		t.Fatalf("it still runs after %s", patience)
	}
	if p.err == nil {
		t.Error("its exit status is 0")
	}
	p = start()
	// The last update is there or not; its retry makes it count once.
	p.must("POST", "/v1/counters/c", fmt.Sprintf(`{"amount":1,"id":"%d"}`, taken))
	var now changed
	if err := p.get("/v1/counters/c", &now); err != nil || now.Value != fmt.Sprint(taken+1) {
		t.Errorf("the value is %s, want %d, %v", now.Value, taken+1, err)
	}
	p.stop()
}
