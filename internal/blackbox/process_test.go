package blackbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one run of `bluerings serve`.
type process struct {
	t    *testing.T
	url  string
	web  *http.Client // nil: web
	cmd  *exec.Cmd
	log  lines
	done chan struct{} // closed when it has ended
	err  error         // of Wait; read it after done
}

// lines keeps what a process writes.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve starts a node and does not wait for it. It is killed at the end of the
// test, if it still runs then; its log is shown if the test failed.
func serve(t *testing.T, http string, args ...string) *process {
	t.Helper()
	p := &process{t: t, url: "http://" + http, done: make(chan struct{})}
	p.cmd = exec.Command(program(t), append([]string{"serve", "--http", http}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s\n%s", strings.Join(p.cmd.Args[1:], " "), p.log.String())
		}
		if text := p.log.String(); strings.Contains(text, "panic:") || strings.Contains(text, "fatal error:") {
			t.Errorf("%s crashed:\n%s", p.url, text)
		}
	})
	return p
}

// ready waits until the node serves. That is before /readyz says so: a node
// that cannot hear the others waits with that for a while.
func (p *process) ready() *process {
	p.t.Helper()
	eventually(p.t, p.url+" is ready", func() error {
		select {
		case <-p.done:
			p.t.Fatalf("%s ended: %v\n%s", p.url, p.err, p.log.String())
		default:
		}
		a, err := p.call("GET", "/v1/statistics", "")
		if err == nil && a.status != 200 {
			err = fmt.Errorf("status %d", a.status)
		}
		return err
	})
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %s: %v", s, err)
	}
}

// kill ends the process at once, as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// stop ends the process as an operator does; it must end well, and soon.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%s did not end after SIGTERM", p.url)
	}
	if p.err != nil {
		p.t.Fatalf("%s ended with %v after SIGTERM\n%s", p.url, p.err, p.log.String())
	}
}

// answer is what came back over HTTP.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// into decodes an answer that must have the status.
func (a *answer) into(status int, v any) error {
	if a.status != status {
		return fmt.Errorf("status %d, want %d: %s", a.status, status, a.body)
	}
	return json.Unmarshal(a.body, v)
}

var web = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

// call makes one request. A body makes it JSON; headers are "key: value".
func (p *process) call(method, path, body string, headers ...string) (*answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		key, value, _ := strings.Cut(h, ": ")
		req.Header.Set(key, value)
	}
	resp, err := cmp.Or(p.web, web).Do(req)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(resp.Body)
	err = errors.Join(err, resp.Body.Close())
	return &answer{resp.StatusCode, resp.Header, text}, err
}

// get decodes what stands at a path.
func (p *process) get(path string, v any) error {
	a, err := p.call("GET", path, "")
	if err != nil {
		return err
	}
	return a.into(200, v)
}

// must makes a change that has to be taken.
func (p *process) must(method, path, body string, headers ...string) changed {
	p.t.Helper()
	a, err := p.call(method, path, body, headers...)
	if err != nil {
		p.t.Fatalf("%s %s %s%s: %v", method, body, p.url, path, err)
	}
	var c changed
	if err := json.Unmarshal(a.body, &c); err != nil || a.status > 201 {
		p.t.Fatalf("%s %s %s%s: status %d: %s", method, body, p.url, path, a.status, a.body)
	}
	return c
}

// changed is the answer to a change, or to a read of one name.
type changed struct {
	Value        string
	Text         string
	Elements     []string
	Coherent     bool
	Final        bool
	FinalThrough time.Time `json:"final_through"`
	Replayed     bool
	Ticket       ticket
}

// ticket is one entry of a ledger.
type ticket struct {
	Timestamp  string
	Host       string
	Amount     string
	Origin     string
	Seq        uint64
	Op         string
	ID         string
	Ref        string
	Expire     string
	Superseded bool
	Conflict   bool
}

// ledger reads all tickets of a counter; one that is not known has none.
func (p *process) ledger(name string) ([]ticket, error) {
	a, err := p.call("GET", "/v1/counters/"+name+"/tickets", "", "Accept: application/x-ndjson")
	if err != nil {
		return nil, err
	}
	switch a.status {
	case 200:
	case 404:
		return nil, nil
	default:
		return nil, fmt.Errorf("ledger of %s: status %d: %s", name, a.status, a.body)
	}
	var all []ticket
	for d := json.NewDecoder(bytes.NewReader(a.body)); ; {
		var one ticket
		if err := d.Decode(&one); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
}

// state is the answer of GET /v1/coherence, as far as it is asked for.
type state struct {
	Coherent     bool
	Since        time.Time
	Now          time.Time
	FinalThrough time.Time `json:"final_through"`
	BlockedBy    []string  `json:"blocked_by"`
	Reasons      []struct{ Code, Host, Detail string }
}

func (p *process) state() (s state, err error) {
	err = p.get("/v1/coherence", &s)
	return s, err
}

// names tells whether the node says that the ring is incoherent because of a
// host.
func (p *process) names(host string) error {
	s, err := p.state()
	if err != nil {
		return err
	}
	for _, r := range s.Reasons {
		if r.Host == host && !s.Coherent {
			return nil
		}
	}
	return fmt.Errorf("%s: coherent is %t, and the reasons do not name %s: %v", p.url, s.Coherent, host, s.Reasons)
}

// run calls the program for something other than serve.
func run(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	text, err := exec.CommandContext(ctx, program(t), args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", args, err)
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	return code, string(text)
}
