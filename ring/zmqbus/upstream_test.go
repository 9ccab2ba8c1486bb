package zmqbus

import (
	"bufio"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// upstream is an upstream played by the test: it hands each connection, its
// handshake done or not, to the next script.
type upstream struct {
	l       net.Listener
	scripts chan func(c net.Conn)
}

func newUpstream(t testing.TB, n int) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	u := &upstream{l: l, scripts: make(chan func(net.Conn), n)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			select {
			case script := <-u.scripts:
				go func() { defer c.Close(); script(c) }()
			default:
				_ = c.Close()
			}
		}
	}()
	return u
}

func (u *upstream) endpoint() string { return "tcp://" + u.l.Addr().String() }

// say sends bytes and waits to be cut off.
func say(send string) func(net.Conn) {
	return func(c net.Conn) {
		go func() { _, _ = io.WriteString(c, send) }()
		_, _ = io.Copy(io.Discard, c)
	}
}

func TestHostileUpstreamsAreCutOff(t *testing.T) {
	pubHello := greets + string(ready("PUB", ""))
	for _, at := range []attack{
		{"http", "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n", reasonGreeting, true, false},
		{"a subscriber", hello, reasonSocketType, true, false},
		{"no socket type", greets + command("READY", ""), reasonSocketType, true, false},
		{"bad metadata", greets + command("READY", "\x40Sock"), reasonMetadata, true, false},
		{"ready of 2^63-1", greets + claim(flagCommand, 1<<63-1), reasonMetadata, true, false},
		{"topic of 2^63-1", pubHello + claim(flagMore, 1<<63-1), reasonLength, false, false},
		{"topic of 513", pubHello + frame(flagMore, strings.Repeat("x", 513)), reasonLength, false, false},
		{"payload of 1 GiB", pubHello + frame(flagMore, "t") + claim(0, 1<<30), reasonLength, false, false},
		{"payload just too long", pubHello + frame(flagMore, "t") + claim(0, 1<<20+1), reasonLength, false, false},
		{"endless frames", pubHello + strings.Repeat(frame(flagMore, "t"), 10000), reasonFrames, false, false},
		{"one frame", pubHello + frame(0, "t"), reasonFrames, false, false},
		{"empty message", pubHello + frame(0, ""), reasonFrames, false, false},
		{"empty topic", pubHello + frame(flagMore, "") + frame(0, "x"), reasonFrames, false, false},
		{"command inside", pubHello + frame(flagMore, "t") + command("PING", "\x00\x00"), reasonCommand, false, false},
		{"unknown command", pubHello + command("SUBSCRIBE", "x"), reasonCommand, false, false},
		{"long command", pubHello + claim(flagCommand, 1<<40), reasonLength, false, false},
		{"reserved flag", pubHello + frame(0x80, "t"), reasonFlags, false, false},
	} {
		t.Run(at.name, func(t *testing.T) {
			u := newUpstream(t, 2)
			u.scripts <- say(at.send)
			u.scripts <- say(pubHello + command("PING", "\x00\x00x") + frame(flagMore, "t") + frame(0, "well"))
			r := &recorder{}
			b := open(t, Config{Host: "b", Topics: []string{"t"}, Upstreams: []Upstream{{"a", u.endpoint()}}}, r)
			eventually(t, "what the next connection brings", func() bool { return r.has(message{"a", "t", "well"}) })
			st := b.Stats()
			if at.early && st.Failed[at.reason] != 1 || !at.early && st.Cut[at.reason] != 1 {
				t.Errorf("failed %v, cut %v; want one of %s", st.Failed, st.Cut, at.reason)
			}
			if n := r.count(); n != 1 {
				t.Errorf("%d messages received: %v", n, r.got)
			}
		})
	}
}

// TestSubscriptionsOnTheWire: what a libzmq upstream would see of us.
func TestSubscriptionsOnTheWire(t *testing.T) {
	u := newUpstream(t, 1)
	want := frame(0, "\x01ping") + frame(0, "\x01tickets") + frame(0, "\x01?x;") + frame(0, "\x00?x;") + command("PONG", "abc")
	saw := make(chan string, 1)
	u.scripts <- func(c net.Conn) {
		_, _ = io.WriteString(c, greets+string(ready("XPUB", ""))+command("PING", "\x00\x00"))
		r := bufio.NewReader(c)
		_, _ = r.Discard(greetingBytes)
		h, _ := readHeader(r)
		_, _ = r.Discard(int(h.size))
		b := make([]byte, len(want)-3)
		_, _ = io.ReadFull(r, b)
		saw <- string(b)
		_, _ = io.Copy(io.Discard, r)
	}
	var b *Bus
	opened := make(chan struct{})
	h := &recorder{onLinkUp: func(string) { <-opened; b.Ask("a", "?x;"); b.Unask("a", "?x;") }}
	b = open(t, Config{Host: "b", Topics: []string{"tickets", "ping", "ping"}, Upstreams: []Upstream{{"a", u.endpoint()}}}, h)
	close(opened)
	got := <-saw
	for _, part := range []string{frame(0, "\x01ping"), frame(0, "\x01tickets"), frame(0, "\x01?x;") + frame(0, "\x00?x;"), command("PONG", "")} {
		if part == frame(0, "\x01?x;")+frame(0, "\x00?x;") {
			continue // the PONG may stand between the two
		}
		if strings.Count(got, part) != 1 {
			t.Errorf("sent %q, want %q in it once", got, part)
		}
	}
	if strings.Index(got, "\x01?x;") > strings.Index(got, "\x00?x;") {
		t.Errorf("sent %q: cancelled before asked", got)
	}
}

// TestReconnect restarts the upstream on its port: the link comes back with
// its topics, and without what was asked for.
func TestReconnect(t *testing.T) {
	first := &recorder{}
	a := pub(t, Limits{}, first)
	addr := a.Addrs()[0]
	r := &recorder{}
	b := sub(t, a, r, "tickets")
	reaches(t, a, r, "tickets", "one")
	b.Ask("a", "?once")
	subscribed(t, a, 1, 2)
	shut(t, a)
	eventually(t, "link down", func() bool { return !b.Stats().Upstreams[0].Up })
	b.Ask("a", "?while-down")

	second := &recorder{}
	a = open(t, Config{Host: "a", Bind: []string{addr}}, second)
	reaches(t, a, r, "tickets", "two")
	subscribed(t, a, 1, 1)
	if len(second.asked) != 0 {
		t.Errorf("asked again: %q", second.asked)
	}
	b.Drop("a")
	b.Drop("nobody")
	eventually(t, "a third connection", func() bool { return b.Stats().Upstreams[0].Connects == 3 })
	reaches(t, a, r, "tickets", "three")
	r.mu.Lock()
	defer r.mu.Unlock()
	want := []string{"a true", "a false", "a true", "a false", "a true"}
	if !slices.Equal(r.links, want) {
		t.Errorf("link events %q, want %q", r.links, want)
	}
	if st := b.Stats(); st.Cut[reasonRequested] != 1 || st.Cut[reasonClosed] != 1 {
		t.Errorf("cut %v", st.Cut)
	}
}

// TestBackoffGrows: an upstream that lets us in and cuts us off at once is
// not hammered. Pauses double and each is at least half of its nominal
// length, so k connections take at least (2^(k-1)-1)/2 times the first.
func TestBackoffGrows(t *testing.T) {
	u := newUpstream(t, 100)
	for range 100 {
		u.scripts <- func(c net.Conn) {
			_, _ = io.WriteString(c, greets+string(ready("PUB", "")))
			r := bufio.NewReader(c)
			_, _ = r.Discard(greetingBytes + 1)
		}
	}
	began := time.Now()
	b := open(t, Config{
		Host: "b", Topics: []string{"t"}, Upstreams: []Upstream{{"a", u.endpoint()}},
		Limits: Limits{BackoffMin: time.Millisecond, BackoffMax: time.Hour},
	}, nil)
	tries := func() uint64 { st := b.Stats().Upstreams[0]; return st.Connects + st.Failures }
	eventually(t, "seven attempts", func() bool { return tries() >= 7 })
	n, took := tries(), time.Since(began)
	if least := time.Millisecond * (1<<(n-1) - 1) / 2; took < least {
		t.Errorf("%d attempts in %v, want at least %v", n, took, least)
	}
}
