package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bluerings/internal/client"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bluerings": main})
}

// TestScripts runs testdata/script. Besides the commands of testscript these exist:
//
//	spawn NAME ARG...        start bluerings with these arguments, as NAME
//	await NAME REGEXP [VAR]  read its standard output up to a line that matches; VAR is set to the first group
//	tell NAME TEXT           write a line to its standard input
//	signal NAME TERM|INT|HUP|KILL
//	ended NAME CODE [REGEXP] wait for its end; the exit code, and what its standard error must match
//	exitcode CODE PROGRAM ARG...  run it, which must end with that code
//	setsecret FILE           set BLUERINGS_TOKEN to the file's first line
//	page REGEXP PATH         get a path of $BLUERINGS_URL again and again until what comes matches
//	certs HOST...            write ca.pem, cert.pem and key.pem for this machine and the hosts
//	until REGEXP ARG...      run bluerings with these arguments again and again until what it prints matches
func TestScripts(t *testing.T) {
	topologies, err := filepath.Abs("../../topologies")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TOPOLOGIES", topologies)
			env.Values[childrenKey{}] = map[string]*child{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"spawn": spawn, "await": await, "tell": tell, "signal": sendSignal, "ended": ended, "until": until, "page": getPage,
			"exitcode": exitCode, "setsecret": setSecret, "certs": certs,
		},
	})
}

// patience is how long a script waits for anything: long enough for a busy machine.
const patience = 30 * time.Second

type childrenKey struct{}

// child is a bluerings that runs beside the script.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // of standard output; closed at its end
	done  chan error  // of Wait
	mu    sync.Mutex
	log   strings.Builder // standard error
}

func (c *child) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
}

func (c *child) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

func find(ts *testscript.TestScript, neg bool, args []string, least int) *child {
	if neg || len(args) < least {
		ts.Fatalf("wrong use: %q", args)
	}
	c, ok := ts.Value(childrenKey{}).(map[string]*child)[args[0]]
	if !ok {
		ts.Fatalf("nothing was spawned as %q", args[0])
	}
	return c
}

func spawn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("wrong use: spawn NAME ARG...")
	}
	program, err := exec.LookPath("bluerings")
	ts.Check(err)
	c := &child{cmd: exec.Command(program, args[1:]...), lines: make(chan string, 1000), done: make(chan error, 1)}
	c.cmd.Dir = ts.Getenv("WORK")
	c.cmd.Env = append(os.Environ(), "BLUERINGS_URL="+ts.Getenv("BLUERINGS_URL"))
	c.cmd.Stderr = c
	c.in, err = c.cmd.StdinPipe()
	ts.Check(err)
	out, err := c.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(c.cmd.Start())
	go func() {
		defer close(c.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			c.lines <- scan.Text()
		}
		c.done <- c.cmd.Wait()
	}()
	ts.Value(childrenKey{}).(map[string]*child)[args[0]] = c
	ts.Defer(func() {
		c.cmd.Process.Kill() // it may have ended
		for range c.lines {
		}
		if text := c.text(); text != "" {
			ts.Logf("[stderr of %s]\n%s", args[0], text)
		}
	})
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	c := find(ts, neg, args, 2)
	want := regexp.MustCompile(args[1])
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				ts.Fatalf("%s ended before a line matched %s", args[0], want)
			}
			ts.Logf("[%s] %s", args[0], line)
			if m := want.FindStringSubmatch(line); m != nil {
				if len(args) > 2 {
					ts.Setenv(args[2], m[1])
				}
				return
			}
		case <-timeout:
			ts.Fatalf("no line of %s matched %s", args[0], want)
		}
	}
}

func tell(ts *testscript.TestScript, neg bool, args []string) {
	_, err := fmt.Fprintln(find(ts, neg, args, 2).in, args[1])
	ts.Check(err)
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt, "HUP": syscall.SIGHUP, "KILL": os.Kill}
	ts.Check(find(ts, neg, args, 2).cmd.Process.Signal(signals[args[1]]))
}

func ended(ts *testscript.TestScript, neg bool, args []string) {
	c := find(ts, neg, args, 2)
	var err error
	select {
	case err = <-c.done:
	case <-time.After(patience):
		ts.Fatalf("%s did not end", args[0])
	}
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[1] {
		ts.Fatalf("%s ended with %d, want %s", args[0], code, args[1])
	}
	if len(args) > 2 && !regexp.MustCompile(args[2]).MatchString(c.text()) {
		ts.Fatalf("stderr of %s does not match %s", args[0], args[2])
	}
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("wrong use: until REGEXP ARG...")
	}
	poll(ts, args[0], func(ctx context.Context) string {
		var out, stderr strings.Builder
		run(ctx, args[1:], []string{"BLUERINGS_URL=" + ts.Getenv("BLUERINGS_URL")}, strings.NewReader(""), &out, &stderr)
		return out.String() + stderr.String()
	})
}

func getPage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("wrong use: page REGEXP PATH")
	}
	poll(ts, args[0], func(ctx context.Context) string {
		c, err := client.New(client.Options{URL: ts.Getenv("BLUERINGS_URL")})
		ts.Check(err)
		a, err := c.Do(ctx, client.Request{Method: "GET", Path: args[1]})
		if err != nil {
			return err.Error()
		}
		return string(a.Body)
	})
}

// poll looks again and again until what it sees matches.
func poll(ts *testscript.TestScript, pattern string, look func(context.Context) string) {
	want := regexp.MustCompile(pattern)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		seen := look(ctx)
		if want.MatchString(seen) {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("last seen:\n%s\nwhich does not match %s", seen, want)
		case <-tick.C:
		}
	}
}

func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("wrong use: exitcode CODE PROGRAM ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%q exited with %d, want %s", args[1:], code, args[0])
	}
}

func setSecret(ts *testscript.TestScript, neg bool, args []string) {
	secret, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	ts.Setenv("BLUERINGS_TOKEN", secret)
}
