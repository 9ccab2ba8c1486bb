package devring

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain makes this program a child when the environment says so.
func TestMain(m *testing.M) {
	switch os.Getenv("DEVRING_CHILD") {
	case "":
		os.Exit(m.Run())
	case "fails":
		fmt.Fprintln(os.Stderr, "cannot")
		os.Exit(2)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	fmt.Fprint(os.Stderr, "hello\nunfinished")
	fmt.Printf("http http://%d\npub x\n", os.Getpid())
	<-signals
	os.Exit(0)
}

func child(behaviour string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DEVRING_CHILD="+behaviour)
	return cmd
}

// log is a writer that can be read while it is written.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// expect reads lines until one begins with prefix.
func expect(t *testing.T, lines *bufio.Scanner, prefix string) {
	t.Helper()
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), prefix) {
			return
		}
	}
	t.Fatalf("no line begins with %q", prefix)
}

func TestNodesArePulledOutAndPutBack(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	orders, order := io.Pipe()
	out, print := io.Pipe()
	var logged log
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{
			Hosts: []string{"a", "bb"}, Command: func(string) *exec.Cmd { return child("serves") },
			Orders: orders, Out: print, Log: &logged,
			Ready: func(urls map[string]string) { fmt.Fprintf(print, "# %d\n", len(urls)) },
		})
		print.Close()
	}()
	lines := bufio.NewScanner(out)
	expect(t, lines, "ready")
	expect(t, lines, "# 2")
	for _, step := range []struct{ order, answer string }{
		{"kill bb", "killed bb"},
		{"kill bb", "error: bb is not running"},
		{"start bb", "started bb http://"},
		{"start bb", "error: bb is running"},
		{"stop a", "stopped a"},
		{"start c", `error: no host "c": there are a, bb`},
		{"jump a", `error: "jump a" is none of`},
		{"quit", "stopped bb"},
	} {
		fmt.Fprintln(order, step.order)
		expect(t, lines, step.answer)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, want := range []string{"a  | hello\n", "bb | hello\n", "bb | unfinished\n"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, &logged)
		}
	}
}

func TestANodeThatDoesNotComeUpEndsAll(t *testing.T) {
	var out, logged log
	err := Run(context.Background(), Config{
		Hosts: []string{"a", "b"}, Out: &out, Log: &logged,
		Command: func(host string) *exec.Cmd {
			if host == "b" {
				return child("fails")
			}
			return child("serves")
		},
	})
	if err == nil || err.Error() != "node b did not come up: exit status 2" {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(logged.String(), "b | cannot\n") || !strings.Contains(out.String(), "exited b: exit status 2\n") {
		t.Errorf("printed\n%slogged\n%s", &out, &logged)
	}
}

func TestTheEndOfTheContextStopsAll(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var out, logged log
	err := Run(ctx, Config{
		Hosts: []string{"a", "b"}, Out: &out, Log: &logged,
		Command: func(string) *exec.Cmd { return child("serves") },
		Ready:   func(map[string]string) { cancel() },
	})
	if err != nil || !strings.Contains(out.String(), "stopped a\n") || !strings.Contains(out.String(), "stopped b\n") {
		t.Errorf("error %v, printed\n%s", err, &out)
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	var out log
	err := Run(context.Background(), Config{
		Hosts: []string{"a"}, Out: &out, Log: io.Discard,
		Command: func(string) *exec.Cmd { return exec.Command("/nothing/here") },
	})
	if err == nil {
		t.Error("no error")
	}
}
