package zmqbus

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

// Every guard tested here was also taken out once, to see the test fail; and
// bare_test.go runs the same attacks against the library without any guard.

// frame builds a frame with an honest header.
func frame(flags byte, body string) string {
	return string(appendHeader(nil, flags, len(body))) + body
}

// claim builds a long header without the body.
func claim(flags byte, size uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte{flags | flagLong}, size))
}

func command(name, body string) string { return string(appendCommand(nil, name, []byte(body))) }

func property(name, value string) string {
	b := append([]byte{byte(len(name))}, name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return string(b) + value
}

var (
	greets   = string(greeting(0))
	hello    = greets + string(ready("SUB", "eve"))
	isSub    = property("Socket-Type", "SUB")
	everyTop = frame(0, "\x01")
)

// attack is what a hostile subscriber sends from the first byte on.
type attack struct {
	name   string
	send   string
	reason string
	early  bool // refused in the handshake, else cut off later
	kills  bool // kills a process that uses the bare library
}

var attacks = []attack{
	{"http", "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: something longer than a greeting\r\n\r\n", reasonGreeting, true, false},
	{"zmtp 2", "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x02" + strings.Repeat("\x00", 60), reasonGreeting, true, false},
	{"plain", strings.Replace(greets, "NULL", "PLAI", 1), reasonMechanism, true, false},
	{"as-server 7", greets[:32] + "\x07" + greets[33:], reasonGreeting, true, false},
	{"no socket type", greets + command("READY", ""), reasonSocketType, true, true},
	{"unknown socket type", greets + command("READY", property("Socket-Type", "EVE")), reasonSocketType, true, true},
	{"wrong socket type", greets + command("READY", property("Socket-Type", "PUB")), reasonSocketType, true, false},
	{"property name too long", greets + command("READY", "\x40Sock"), reasonMetadata, true, false},
	{"property name just too long", greets + command("READY", "\x05Sock"), reasonMetadata, true, true},
	{"property without value", greets + command("READY", "\x0bSocket-Type\x00"), reasonMetadata, true, true},
	{"property value too long", greets + command("READY", "\x0bSocket-Type\xff\xff\xff\xffSUB"), reasonMetadata, true, false},
	{"property without name", greets + command("READY", "\x00\x00\x00\x00\x00"), reasonMetadata, true, false},
	{"property twice", greets + command("READY", isSub+isSub), reasonMetadata, true, false},
	{"many properties", greets + command("READY", isSub+manyProperties(40)), reasonMetadata, true, false},
	{"ready of 2^63-1", greets + claim(flagCommand, 1<<63-1), reasonMetadata, true, true},
	{"ready of 1 GiB", greets + claim(flagCommand, 1<<30), reasonMetadata, true, false},
	{"ready is a message", greets + frame(0, "\x05READY"+isSub), reasonMetadata, true, false},
	{"not ready", greets + command("STEADY", isSub), reasonMetadata, true, false},

	{"frame of 2^63-1", hello + claim(0, 1<<63-1), reasonLength, false, true},
	{"frame of 2^64-1", hello + claim(0, 1<<64-1), reasonLength, false, false},
	{"frame of 2^62", hello + claim(0, 1<<62), reasonLength, false, true},
	{"frame of 1 GiB", hello + claim(0, 1<<30), reasonLength, false, false},
	{"command of 2^63-1", hello + claim(flagCommand, 1<<63-1), reasonLength, false, true},
	{"endless frames", hello + strings.Repeat(frame(flagMore, ""), 10000), reasonFrames, false, false},
	{"two frames", hello + frame(flagMore, "\x01a") + frame(0, "b"), reasonFrames, false, false},
	{"command with more", hello + frame(flagCommand|flagMore, "\x04PING\x00\x00"), reasonFlags, false, false},
	{"reserved flag", hello + frame(0x40, "\x01a"), reasonFlags, false, false},
	{"empty message", hello + frame(0, ""), reasonNotTopic, false, false},
	{"no subscription", hello + strings.Repeat(frame(0, "\x02hello"), 11), reasonNotTopic, false, false},
	{"empty command", hello + frame(flagCommand, ""), reasonCommand, false, false},
	{"command name too long", hello + frame(flagCommand, "\x09SUB"), reasonCommand, false, false},
	{"command without name", hello + frame(flagCommand, "\x00abc"), reasonCommand, false, false},
	{"unknown command", hello + command("HELLO", "x"), reasonCommand, false, false},
	{"ready again", hello + string(ready("SUB", "")), reasonCommand, false, false},
	{"error", hello + command("ERROR", "\x03bad"), reasonCommand, false, false},
	{"short ping", hello + command("PING", "\x00"), reasonCommand, false, false},
	{"long ping", hello + command("PING", strings.Repeat("x", 19)), reasonCommand, false, false},
	{"long pong", hello + command("PONG", strings.Repeat("x", 17)), reasonCommand, false, false},
	{"long topic", hello + frame(0, "\x01"+strings.Repeat("x", 513)), reasonLength, false, false},
	{"long topic by command", hello + command("SUBSCRIBE", strings.Repeat("x", 513)), reasonLength, false, false},
	{"million topics", hello + manyTopics(1_000_000), reasonTopics, false, false},
	{"million topics by command", hello + manySubscribes(100_000), reasonTopics, false, false},
}

func manyProperties(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(property(fmt.Sprintf("X-%d", i), "v"))
	}
	return b.String()
}

func manyTopics(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(frame(0, fmt.Sprintf("\x01%d", i)))
	}
	return b.String()
}

func manySubscribes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(command("SUBSCRIBE", fmt.Sprint(i)))
	}
	return b.String()
}

// dialRaw connects to an endpoint tcp://… without any protocol.
func dialRaw(t testing.TB, endpoint string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// cutOff waits until the peer has closed c.
func cutOff(t testing.TB, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, c); err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Fatalf("not cut off")
		}
	}
}

// honest is a subscriber that must go on being served, whatever others do.
func honest(t testing.TB, a *Bus) (check func(what string)) {
	t.Helper()
	r := &recorder{}
	sub(t, a, r, "tickets")
	reaches(t, a, r, "tickets", "before")
	return func(what string) { t.Helper(); reaches(t, a, r, "tickets", "after "+what) }
}

func TestHostileSubscribersAreCutOff(t *testing.T) {
	a := pub(t, Limits{}, nil)
	served := honest(t, a)
	for _, at := range attacks {
		t.Run(at.name, func(t *testing.T) {
			counted := func() uint64 {
				if at.early {
					return a.Stats().Refused[at.reason]
				}
				return a.Stats().Cut[at.reason]
			}
			before := counted()
			c := dialRaw(t, a.Addrs()[0])
			go func() { _, _ = io.WriteString(c, at.send) }()
			cutOff(t, c)
			eventually(t, "count under "+at.reason, func() bool { return counted() == before+1 })
			served(at.name)
			// A late-comer is served as well.
			r := &recorder{}
			b := sub(t, a, r, "late")
			reaches(t, a, r, "late", "hello")
			shut(t, b)
		})
	}
	if n := len(a.Stats().Subscribers); n != 1 {
		eventually(t, "all attackers gone", func() bool { return len(a.Stats().Subscribers) == 1 })
	}
}

// TestClaimsTakeNoMemory: eight claims of 1 GiB made the bare library take
// 6 GiB; 10 MiB of empty frames 286 MiB.
func TestClaimsTakeNoMemory(t *testing.T) {
	a := pub(t, Limits{}, nil)
	served := honest(t, a)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 8 {
		c := dialRaw(t, a.Addrs()[0])
		go func() { _, _ = io.WriteString(c, hello+claim(0, 1<<30)) }()
		cutOff(t, c)
		d := dialRaw(t, a.Addrs()[0])
		go func() { _, _ = io.WriteString(d, hello+strings.Repeat(frame(flagMore, ""), 1<<20)) }()
		cutOff(t, d)
	}
	runtime.ReadMemStats(&after)
	// 8 × 2 MiB of these are the attackers' own strings.
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("%d MiB allocated", got>>20)
	}
	served("claims")
}

func TestBodyGrowsWithWhatArrives(t *testing.T) {
	const claimed = 1 << 30
	r := bufio.NewReader(io.LimitReader(zeros{}, 200_000))
	got, err := appendBody(nil, r, claimed)
	if err == nil || len(got) != 200_000 || cap(got) > 2*len(got)+2*growStep {
		t.Errorf("%d bytes arrived, %d allocated, err %v", len(got), cap(got), err)
	}
	if got, err := appendBody(nil, bufio.NewReader(strings.NewReader("")), claimed); err == nil || cap(got) > 2*growStep {
		t.Errorf("nothing arrived, %d allocated, err %v", cap(got), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestSilentConnectionsBlockNobody holds as many silent connections as may
// be pending, and more, at three stages of the handshake.
func TestSilentConnectionsBlockNobody(t *testing.T) {
	a := pub(t, Limits{PendingHandshakes: 8, Handshake: time.Hour}, nil)
	for i := range 24 {
		c := dialRaw(t, a.Addrs()[0])
		_, _ = io.WriteString(c, []string{"", greets[:11], greets}[i%3])
	}
	honest(t, a)("silence")
	eventually(t, "evictions", func() bool { return a.Stats().Refused[reasonPending] >= 16 })
}

func TestHandshakeHasADeadline(t *testing.T) {
	a := pub(t, Limits{Handshake: 50 * time.Millisecond}, nil)
	for _, stage := range []string{"", greets[:11], greets, greets + claim(flagCommand, 100)} {
		c := dialRaw(t, a.Addrs()[0])
		_, _ = io.WriteString(c, stage)
		cutOff(t, c)
	}
	eventually(t, "timeouts counted", func() bool { return a.Stats().Refused[reasonTimeout] == 4 })
}

func TestConnectionsAreBounded(t *testing.T) {
	a := pub(t, Limits{Connections: 3}, nil)
	served := honest(t, a)
	for range 2 {
		_, _ = io.WriteString(dialRaw(t, a.Addrs()[0]), hello)
	}
	subscribed(t, a, 3, 1)
	c := dialRaw(t, a.Addrs()[0])
	_, _ = io.WriteString(c, hello)
	cutOff(t, c)
	eventually(t, "the refusal counted", func() bool { return a.Stats().Refused[reasonConnections] == 1 })
	served("the fourth")
}

// shaken connects and shakes hands as a subscriber.
func shaken(t testing.TB, a *Bus, more string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := dialRaw(t, a.Addrs()[0])
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, hello+more); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	if _, err := r.Discard(greetingBytes); err != nil {
		t.Fatal(err)
	}
	h, err := readHeader(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Discard(int(h.size)); err != nil {
		t.Fatal(err)
	}
	return c, r
}

// TestPingsAreAnswered sends more PINGs than wedge the bare library's
// reader, then subscribes: the reader must still be there. Both forms of
// subscription and cancellation work, alone and mixed.
func TestPingsAreAnswered(t *testing.T) {
	a := pub(t, Limits{}, nil)
	c, r := shaken(t, a, "")
	for i := range 50 {
		ctx := fmt.Sprintf("ctx%02d", i)
		_, _ = io.WriteString(c, command("PING", "\x00\x10"+ctx)+command("PONG", ""))
		want := command("PONG", ctx)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("answer %q, %v; want %q", got, err, want)
		}
	}
	for _, step := range []struct {
		send   string
		topics int
	}{
		{frame(0, "\x01a"), 1}, {command("SUBSCRIBE", "b"), 2}, {frame(0, "\x01a"), 2},
		{command("CANCEL", "a"), 1}, {frame(0, "\x00never"), 1}, {frame(0, "\x00b"), 0},
		{command("SUBSCRIBE", "") + everyTop, 1},
	} {
		_, _ = io.WriteString(c, step.send)
		subscribed(t, a, 1, step.topics)
	}
	// A further PING behind it: once answered, the subscription is in.
	_, _ = io.WriteString(c, command("PING", "\x00\x00"))
	want := command("PONG", "") + frame(flagMore, "topic") + frame(0, "")
	eventually(t, "PONG", func() bool { b, err := r.Peek(7); return err == nil && len(b) == 7 })
	a.Publish("topic", nil)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, []byte(want)) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// TestStalledSubscriberStarvesNobody: one subscriber stops reading. With
// the bare library another got 63 of 2,000 messages; here it gets all, the
// stalled one's losses are counted as its own and it is cut off in time.
func TestStalledSubscriberStarvesNobody(t *testing.T) {
	const messages, window = 3000, 100
	payload := make([]byte, 4096) // a window of these fits the queue, all of them do not
	a := pub(t, Limits{QueueBytes: 2 << 20, WriteTimeout: 3 * time.Second, Stall: 100 * time.Millisecond}, nil)
	shaken(t, a, frame(0, "\x01t")) // and never reads again
	var first, got atomic.Int64
	r := &recorder{onRecv: func(topic string, p []byte) {
		if topic == "t.n" {
			got.Add(1)
		} else {
			first.Add(1)
		}
	}}
	sub(t, a, r, "t")
	subscribed(t, a, 2, 2)
	eventually(t, "a first message", func() bool { a.Publish("t.x", nil); return first.Load() > 0 })
	for i := range int64(messages) {
		eventually(t, "the honest subscriber keeps up", func() bool { return i-got.Load() < window })
		a.Publish("t.n", payload)
	}
	eventually(t, "all messages", func() bool { return got.Load() == messages })
	eventually(t, "stalled one cut off", func() bool { return a.Stats().Cut[reasonStalled] == 1 })
	drops := a.Stats().Drops
	if len(drops) != 1 || drops[0].Peer != "eve" || drops[0].Reason != reasonQueue {
		t.Errorf("drops %+v, want some of eve for a full queue", drops)
	}
	subscribed(t, a, 1, 1)
}

// TestLibraryForgetsWhoWasCutOff: on an error it does not take for the end,
// the library keeps a connection and its topics for ever.
func TestLibraryForgetsWhoWasCutOff(t *testing.T) {
	a := pub(t, Limits{}, nil)
	topics := func() []string { return a.pub.sock.(zmq4.Topics).Topics() }
	c, _ := shaken(t, a, frame(0, "\x01eve's"))
	eventually(t, "the library takes the topic in", func() bool { return slices.Contains(topics(), "eve's") })
	_, _ = io.WriteString(c, frame(0x40, ""))
	cutOff(t, c)
	eventually(t, "the library forgets it", func() bool { return !slices.Contains(topics(), "eve's") })
}

// TestBacklogLeavesTheStalledOut: who gates on it must not wait for a
// subscriber that takes nothing.
func TestBacklogLeavesTheStalledOut(t *testing.T) {
	a := pub(t, Limits{WriteTimeout: time.Hour, Stall: 50 * time.Millisecond, Linger: time.Millisecond}, nil)
	shaken(t, a, frame(0, "\x01t"))
	subscribed(t, a, 1, 1)
	queued := func() int { return a.Stats().Subscribers[0].Queued }
	eventually(t, "a full queue", func() bool {
		a.Publish("t", make([]byte, 1<<16))
		return len(a.Stats().Drops) > 0 && queued() > 1<<20
	})
	eventually(t, "an empty backlog", func() bool { return a.Backlog() == 0 })
	if queued() == 0 {
		t.Error("it was not stalled")
	}
}
