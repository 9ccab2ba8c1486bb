package zmqbus

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const python = "/usr/bin/python3"

// libzmq starts a Python program with libzmq; the test is skipped without.
func libzmq(t *testing.T, program string, args ...string) (in io.Writer, lines func() string) {
	t.Helper()
	if exec.Command(python, "-c", "import zmq").Run() != nil {
		t.Skip("no libzmq for Python")
	}
	cmd := exec.Command(python, append([]string{"-u", "-c", program}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(complaints.String())
		}
	})
	scan := bufio.NewScanner(out)
	return stdin, func() string {
		if !scan.Scan() {
			t.Fatalf("the program ended: %v", scan.Err())
		}
		return scan.Text()
	}
}

// libzmqSub subscribes with heartbeats on and prints what it gets.
const libzmqSub = `
import sys, zmq
s = zmq.Context().socket(zmq.SUB)
s.heartbeat_ivl, s.heartbeat_timeout, s.heartbeat_ttl = 20, 2000, 2000
s.subscribe(b"tickets"); s.subscribe(b"gone"); s.unsubscribe(b"gone")
s.connect(sys.argv[1])
while True:
    topic, payload = s.recv_multipart()
    print(topic.decode(), len(payload), sum(payload))
    if payload == b"ask": s.subscribe(b"?request;")
`

// TestLibzmqSubscribes: any libzmq program can read the flood, over hundreds
// of heartbeats (eleven of which wedge the bare library's reader), and ask.
func TestLibzmqSubscribes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	h := &recorder{}
	a := open(t, Config{Host: "a", Bind: []string{"tcp://127.0.0.1:0", "ipc://" + path}}, h)
	for i, endpoint := range a.Addrs() {
		_, line := libzmq(t, libzmqSub, endpoint)
		subscribed(t, a, i+1, 1+i) // the one that asks and dies is not waited for
		for _, size := range []int{0, 255, 256, 100_000, 1 << 20} {
			a.Publish("gone", nil)
			a.Publish("tickets", []byte(strings.Repeat("\x01", size)))
			if got, want := line(), fmt.Sprintf("tickets %d %d", size, size); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		before := a.Stats().SentBytes
		eventually(t, "a hundred heartbeats answered", func() bool { return a.Stats().SentBytes-before > 100*7 })
		if cut := a.Stats().Cut; len(cut) != 0 {
			t.Errorf("cut off: %v", cut)
		}
		if i == 1 {
			h.onAsked = func(topic string) { a.Publish(topic, []byte("\x02")) }
			a.Publish("tickets", []byte("ask"))
			line()
			if got := line(); got != "?request; 1 2" {
				t.Errorf("answer %q", got)
			}
		}
	}
}

const libzmqPub = `
import sys, zmq
s = zmq.Context().socket(zmq.XPUB)
s.heartbeat_ivl, s.heartbeat_timeout = 20, 2000
print(s.bind_to_random_port("tcp://127.0.0.1"))
print(repr(s.recv()))
s.send_multipart([b"tickets", b"one"])
for line in sys.stdin: s.send_multipart([b"tickets", line.strip().encode()])
`

// TestLibzmqPublishes: our SUB side keeps a libzmq peer with heartbeats.
func TestLibzmqPublishes(t *testing.T) {
	in, line := libzmq(t, libzmqPub)
	r := &recorder{}
	b := open(t, Config{Host: "b", Topics: []string{"tickets"}, Upstreams: []Upstream{{"a", "tcp://127.0.0.1:" + line()}}}, r)
	if got := line(); got != `b'\x01tickets'` {
		t.Errorf("subscription %s", got)
	}
	eventually(t, "one", func() bool { return r.has(message{"a", "tickets", "one"}) })
	g := b.links[0].guard
	before := g.sentBytes.Load()
	eventually(t, "a hundred heartbeats answered", func() bool { return g.sentBytes.Load()-before > 100*7 })
	_, _ = io.WriteString(in, "two\n")
	eventually(t, "two", func() bool { return r.has(message{"a", "tickets", "two"}) })
	if st := b.Stats(); st.Upstreams[0].Connects != 1 {
		t.Errorf("stats %+v", st)
	}
}
