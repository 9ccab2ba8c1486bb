package blackbox

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long anything may take that has to happen in the end: long
// enough for a busy machine.
const patience = 40 * time.Second

// built is the binary under test.
var built string

// program is the binary under test, for a test that runs it.
func program(t testing.TB) string {
	t.Helper()
	if err := watchSources(); err != nil {
		t.Fatal(err)
	}
	return built
}

// watchSources opens what the program is built of. The go command keeps results
// of tests for as long as what they import and the files and directories that
// they open are the same; of a program that they build it knows nothing.
var watchSources = sync.OnceValue(func() error {
	ofModule := "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}"
	list := exec.Command("go", "list", "-deps", "-f", ofModule, "bluerings/cmd/bluerings")
	list.Stderr = os.Stderr
	dirs, err := list.Output()
	if err != nil {
		return fmt.Errorf("list the packages of the program: %w", err)
	}
	for _, dir := range strings.Fields(string(dirs)) {
		if _, err := os.ReadDir(dir); err != nil { // sizes and times of its files are noted
			return err
		}
	}
	_, err = os.ReadFile(filepath.Join("..", "..", "go.sum")) // versions of all else
	return err
})

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "blackbox:", err)
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "blackbox")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	built = filepath.Join(dir, "bluerings")
	build := exec.Command("go", "build", "-o", built, "bluerings/cmd/bluerings")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return 1, fmt.Errorf("build the program: %w", err)
	}
	return m.Run(), nil
}

// draws is the test's own source of chance, whose seed is printed if the test
// fails.
func draws(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("BLACKBOX_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("BLACKBOX_SEED: %v", err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("run again with BLACKBOX_SEED=%d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

// eventually asks again and again until look finds nothing to complain about.
// It returns how long that took.
func eventually(t *testing.T, what string, look func() error) time.Duration {
	t.Helper()
	begun := time.Now()
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		err := look()
		took := time.Since(begun)
		if err == nil {
			return took
		}
		if took > patience {
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
	}
}

var (
	portsMu   sync.Mutex
	portsUsed = make(map[int]bool)
)

// freePort finds a port that nobody listens on. It lies below those that
// outgoing connections get, so that it is still free when a node comes back.
func freePort(t testing.TB) int {
	t.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 1000 {
		port := 12000 + rand.IntN(20000)
		if portsUsed[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		portsUsed[port] = true
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no free port")
	return 0
}
