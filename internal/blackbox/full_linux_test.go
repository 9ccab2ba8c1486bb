package blackbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A full disk refuses updates clearly, loses none that it took, and takes them
// again when there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	p := serve(t, fmt.Sprintf("127.0.0.1:%d", freePort(t)), "--data", data, "--host", "a", "--pub", "tcp://127.0.0.1:0").ready()
	p.must("PUT", "/v1/counters/c", `{"expire":"never"}`)
	taken, full := 0, errors.New("it took everything")
	for i := range 5000 {
		a, err := p.call("POST", "/v1/counters/c", fmt.Sprintf(`{"amount":1,"id":"%d","ref":%q}`, i, strings.Repeat("r", 1000)))
		if err != nil {
			t.Fatal(err)
		}
		if a.status == 201 {
			taken++
			continue
		}
		full = nil
		checkProblem(t, &request{what: "no room", status: 507, code: "disk_full"}, a)
		break
	}
	if full != nil {
		t.Fatal(full)
	}
	provoke(t, p, []request{
		{"still full", "POST", "/v1/counters/c", `{"amount":1,"id":"full"}`, nil, 507, "disk_full"},
		{"reads go on", "GET", "/v1/counters/c", "", nil, 200, ""},
		{"alive", "GET", "/livez", "", nil, 200, ""},
		{"not ready", "GET", "/readyz", "", nil, 503, "not_ready"},
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room again", func() error {
		a, err := p.call("POST", "/v1/counters/c", `{"amount":1,"id":"again"}`)
		if err == nil {
			err = a.into(a.status, &struct{}{})
		}
		if err == nil && a.status > 201 {
			err = fmt.Errorf("status %d: %s", a.status, a.body)
		}
		return err
	})
	taken++
	entries, err := p.ledger("c")
	if err != nil || sumOf(t, entries).Cmp(amount(t, fmt.Sprint(taken))) != 0 {
		t.Fatalf("%d updates were taken, the ledger has %s, %v", taken, sumOf(t, entries), err)
	}
	var now changed
	if err := p.get("/v1/counters/c", &now); err != nil || now.Value != fmt.Sprint(taken) {
		t.Fatalf("the value is %s, want %d, %v", now.Value, taken, err)
	}
	t.Logf("%d updates taken", taken)
	p.stop()
	if code, out := run(t, "verify", data); code != 0 {
		t.Errorf("verify: exit %d\n%s", code, out)
	}
}
