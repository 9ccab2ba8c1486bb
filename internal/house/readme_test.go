package house

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// block is a fenced block of the README.
type block struct{ lang, text string }

func blocks(t *testing.T, file string) []block {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	for _, m := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		found = append(found, block{m[1], strings.TrimSuffix(m[2], "\n")})
	}
	return found
}

// step is a command of a block, and what its output must contain, in order.
type step struct {
	command string
	want    []string
}

// steps takes a block apart: comments right behind a command tell its output,
// with … for what is left out; other comments are for the reader.
func steps(text string) (list []step) {
	behind := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			behind = false
		case strings.HasPrefix(line, "#"):
			if behind {
				for part := range strings.SplitSeq(line[1:], "…") {
					s := &list[len(list)-1]
					s.want = append(s.want, strings.TrimSpace(part))
				}
			}
		default:
			list = append(list, step{command: line})
			behind = true
		}
	}
	return list
}

func (s *step) met(output string) bool {
	for _, part := range s.want {
		at := strings.Index(output, part)
		if at < 0 {
			return false
		}
		output = output[at+len(part):]
	}
	return true
}

// reader follows the README as a newcomer would, but on free ports.
type reader struct {
	t       *testing.T
	program string
	dir     string
	replace *strings.Replacer
	// orders is the terminal of `dev`.
	orders io.Writer
}

const goRun = "go run ./cmd/bluerings"

// start runs a command that stays, until the test ends, and returns the first
// n lines on its standard output that match.
func (r *reader) start(line string, n int, match string, extra ...string) [][]string {
	r.t.Helper()
	args := append(strings.Fields(strings.TrimPrefix(line, goRun)), extra...)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	cmd := exec.CommandContext(ctx, r.program, args...)
	cmd.Dir, cmd.WaitDelay = r.dir, 20*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err == nil {
		r.orders, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if r.t.Failed() {
			r.t.Logf("%s wrote:\n%s", line, log.String())
		}
	})
	var found [][]string
	pattern := regexp.MustCompile(match)
	lines := bufio.NewScanner(out)
	for len(found) < n && lines.Scan() {
		if m := pattern.FindStringSubmatch(lines.Text()); m != nil {
			found = append(found, m)
		}
	}
	if len(found) < n {
		r.t.Fatalf("%s ended before it was up", line)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return found
}

func (r *reader) serve(line string) {
	up := r.start(line, 1, `^http (\S+)$`, "--http", "127.0.0.1:0", "--pub", "tcp://127.0.0.1:0", "--log-level", "warn")
	r.replace = strings.NewReplacer("http://127.0.0.1:8080", up[0][1])
}

func (r *reader) dev(line string) {
	free := strings.Replace(line, " --base-port 9000", "", 1)
	if free == line {
		r.t.Fatalf("%s: no base port to leave out", line)
	}
	var pairs []string
	for _, m := range r.start(free, 3, `^([abc]) (http\S+)$`) {
		pairs = append(pairs, fmt.Sprintf("http://127.0.0.1:%d", 9003+int(m[1][0]-'a')), m[2])
	}
	r.replace = strings.NewReplacer(pairs...)
}

// follow runs the commands of a block. What only looks is repeated until it
// sees what it should.
func (r *reader) follow(text string) {
	for _, s := range steps(text) {
		line := r.replace.Replace(strings.ReplaceAll(s.command, goRun, "'"+r.program+"'"))
		looks := strings.Contains(line, " status ") || strings.Contains(line, " get ")
		deadline := time.Now().Add(40 * time.Second)
		for {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			cmd := exec.CommandContext(ctx, "sh", "-e", "-c", line)
			cmd.Dir = r.dir
			output, err := cmd.CombinedOutput()
			cancel()
			if err == nil && s.met(string(output)) {
				break
			}
			if !looks || time.Now().After(deadline) {
				r.t.Fatalf("%s\nmust contain %q, in this order, and gave (%v):\n%s", s.command, s.want, err, output)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func TestREADME(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the README speaks to a POSIX shell")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "bluerings")
	build := exec.Command("go", "build", "-o", program, "./cmd/bluerings")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	r := &reader{t: t, program: program, dir: dir, replace: strings.NewReplacer()}
	seen := map[string]bool{}
	for _, b := range blocks(t, filepath.Join(root, "README.md")) {
		switch {
		case b.lang == "text":
			fmt.Fprintln(r.orders, b.text)
			seen[b.text] = true
		case b.lang != "sh":
			t.Errorf("a block of %q is not run", b.lang)
		case b.text == "go test ./...": // this is it
			seen["test"] = true
		case strings.HasPrefix(b.text, goRun+" serve"):
			r.serve(b.text)
			seen["serve"] = true
		case strings.HasPrefix(b.text, goRun+" dev"):
			r.dev(b.text)
			seen["dev"] = true
		default:
			r.follow(b.text)
		}
	}
	for _, what := range []string{"test", "serve", "dev", "stop b", "start b"} {
		if !seen[what] {
			t.Errorf("the README does not show: %s", what)
		}
	}
}
