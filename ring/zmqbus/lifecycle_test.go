package zmqbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestCloseLeavesNoGoroutines: neither ours nor the library's, whose sender
// has no end of its own (see tap).
func TestCloseLeavesNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		a := pub(t, Limits{}, nil)
		r := &recorder{}
		b := sub(t, a, r, "t")
		down := open(t, Config{Host: "c", Upstreams: []Upstream{{"x", "tcp://127.0.0.1:1"}}}, nil)
		silent := dialRaw(t, a.Addrs()[0])
		mute, _ := shaken(t, a, frame(0, "\x01t"))
		reaches(t, a, r, "t", "x")
		shut(t, a)
		shut(t, b)
		shut(t, down)
		shut(t, down) // again: nothing
		a.Publish("t", nil)
		b.Ask("a", "?t")
		b.Drop("a")
		_, _ = silent.Close(), mute.Close()
	}
	eventually(t, "all goroutines gone", func() bool { return runtime.NumGoroutine() <= before })
}

// TestCloseFlushes: what was published before Close arrives.
func TestCloseFlushes(t *testing.T) {
	a := pub(t, Limits{Linger: patience}, nil)
	r := &recorder{}
	sub(t, a, r, "t")
	reaches(t, a, r, "t", "first")
	for range 500 {
		a.Publish("t", make([]byte, 10_000))
	}
	a.Publish("t", []byte("last"))
	shut(t, a)
	eventually(t, "the last message", func() bool { return r.has(message{"a", "t", "last"}) })
}

// TestCloseIsBounded: a subscriber that takes nothing does not hold it up.
func TestCloseIsBounded(t *testing.T) {
	a := pub(t, Limits{Linger: 100 * time.Millisecond, WriteTimeout: time.Hour, Stall: time.Hour}, nil)
	shaken(t, a, frame(0, "\x01t"))
	subscribed(t, a, 1, 1)
	for range 2000 {
		a.Publish("t", make([]byte, 10_000))
	}
	began := time.Now()
	shut(t, a)
	if d := time.Since(began); d > patience/2 {
		t.Errorf("Close took %v", d)
	}
}

func TestPortInUseIsOneClearError(t *testing.T) {
	a := pub(t, Limits{}, nil)
	_, err := Open(Config{Bind: []string{"tcp://127.0.0.1:0", a.Addrs()[0]}}, &recorder{})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), a.Addrs()[0]) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}

func TestOpenReportsEveryMistake(t *testing.T) {
	_, err := Open(Config{
		Bind:      []string{"4000", "udp://x:1", "tcp://::1:5", "tcp://h:notaport", "ipc://"},
		Upstreams: []Upstream{{"a", "tcp://*:4000"}, {"a", "tcp://h:4000"}, {"", "tcp://h:0"}},
		Topics:    []string{strings.Repeat("x", 513)},
		Limits:    Limits{Topics: -1, Handshake: -1, QueueBytes: 5},
	}, &recorder{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`"4000"`, `"udp://x:1"`, `"tcp://::1:5"`, `notaport`, `"ipc://"`, `"tcp://*:4000"`, `"a" at tcp://h:4000`,
		`"" at tcp://h:0`, "topic", "Topics", "Handshake", "QueueBytes",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q missing in %v", want, err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bus.sock")
	// A socket file left behind by a process that died is replaced.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()
	binds := []string{"tcp://127.0.0.1:0", "tcp://*:*", "ipc://" + path}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		_ = l.Close()
		binds = append(binds, "tcp://[::1]:0")
	}
	a := open(t, Config{Host: "a", Bind: binds}, nil)
	addrs := a.Addrs()
	addrs[1] = strings.Replace(addrs[1], "[::]", "127.0.0.1", 1)
	for _, addr := range append(addrs, strings.Replace(addrs[0], "127.0.0.1", "localhost", 1)) {
		r := &recorder{}
		b := open(t, Config{Host: "b", Topics: []string{"t"}, Upstreams: []Upstream{{"a", addr}}}, r)
		reaches(t, a, r, "t", addr)
		shut(t, b)
	}
	if _, err := Open(Config{Bind: []string{"ipc://" + path}}, &recorder{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("path in use: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Bind: []string{"ipc://" + file}}, &recorder{}); err == nil {
		t.Error("bound over a file")
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Error("file overwritten")
	}
}

// TestPublisherIsBounded: nobody may outrun the fan-out without a count.
func TestPublisherIsBounded(t *testing.T) {
	a := pub(t, Limits{QueueBytes: 64 << 10, FrameBytes: 32 << 10}, nil)
	a.Publish("", []byte("no topic"))
	a.Publish(strings.Repeat("t", 513), nil)
	a.Publish("t", make([]byte, 32<<10+1))
	want := Drop{everyone, reasonOversize, 3}
	if st := a.Stats(); len(st.Drops) != 1 || st.Drops[0] != want || st.Published != 0 {
		t.Errorf("drops %+v", st.Drops)
	}
	a.pub.queued.Add(40 << 10) // as if the library had fallen behind
	if n := a.Backlog(); n != 40<<10 {
		t.Errorf("backlog %d", n)
	}
	a.Publish("t", make([]byte, 32<<10))
	if st := a.Stats(); st.Dropped != 4 || st.Drops[1].Reason != reasonPublisher {
		t.Errorf("drops %+v", st.Drops)
	}
	a.pub.queued.Add(-40 << 10)
}

// TestTotalQueueIsBounded: many stalled subscribers share a bound, and each
// keeps a small share.
func TestTotalQueueIsBounded(t *testing.T) {
	a := pub(t, Limits{TotalQueueBytes: 1 << 20, WriteTimeout: time.Hour}, nil)
	for range 4 {
		shaken(t, a, frame(0, "\x01t"))
	}
	subscribed(t, a, 4, 4)
	eventually(t, "drops for the total", func() bool {
		for range 100 {
			a.Publish("t", make([]byte, 4000))
		}
		// The publisher may outrun the fan-out here: that is counted apart.
		return slices.ContainsFunc(a.Stats().Drops, func(d Drop) bool { return d.Reason == reasonTotal && d.Messages > 10_000 })
	})
	queued := 0
	for _, s := range a.Stats().Subscribers {
		queued += s.Queued
		if s.Queued < queueShare/2 {
			t.Errorf("%d bytes queued, share %d", s.Queued, queueShare)
		}
	}
	if queued > 1<<20+4*queueShare || int64(queued) != a.pub.total.Load() {
		t.Errorf("%d bytes queued, total says %d", queued, a.pub.total.Load())
	}
	shut(t, a)
	if n := a.pub.total.Load(); n != 0 {
		t.Errorf("%d bytes in the total of no queues", n)
	}
}

// TestAsksAreBounded: we keep to the limit a peer would cut us off for.
func TestAsksAreBounded(t *testing.T) {
	a := pub(t, Limits{}, nil)
	b := sub(t, a, &recorder{}, "t")
	eventually(t, "link", func() bool { return b.Stats().Upstreams[0].Up })
	b.Ask("a", "?"+strings.Repeat("x", 512)) // too long
	for i := range 300 {
		b.Ask("a", fmt.Sprintf("?%d;", i))
	}
	subscribed(t, a, 1, 256)
	for i := range 300 {
		b.Unask("a", fmt.Sprintf("?%d;", i))
	}
	subscribed(t, a, 1, 1)
	if cut := a.Stats().Cut; len(cut) != 0 {
		t.Errorf("cut %v", cut)
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	a := open(t, Config{Host: "a", Bind: []string{"tcp://127.0.0.1:0"}, Registerer: reg}, nil)
	if _, err := Open(Config{Registerer: reg}, &recorder{}); err == nil {
		t.Error("registered twice")
	}
	r := &recorder{}
	sub(t, a, r, "t")
	reaches(t, a, r, "t", "x")
	c := dialRaw(t, a.Addrs()[0])
	_, _ = io.WriteString(c, strings.Repeat("x", 64))
	cutOff(t, c)
	eventually(t, "the refusal counted", func() bool { return a.Stats().Refused[reasonGreeting] == 1 })
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		if m := f.GetMetric()[0]; m.GetCounter() != nil {
			found[f.GetName()] = m.GetCounter().GetValue()
		} else {
			found[f.GetName()] = m.GetGauge().GetValue()
		}
	}
	if found["bluerings_bus_subscribers"] != 1 || found["bluerings_bus_refused_handshakes_total"] != 1 || found["bluerings_bus_sent_bytes_total"] == 0 {
		t.Errorf("metrics %v", found)
	}
	shut(t, a)
	if families, _ := reg.Gather(); len(families) != 0 {
		t.Error("metrics stayed after Close")
	}
}

// TestPeerNamesAreBounded: names come from the network.
func TestPeerNamesAreBounded(t *testing.T) {
	m, c := newMeter(), &net.TCPConn{}
	if got := m.peer("two words", c); strings.Contains(got, " ") {
		t.Errorf("unfit name %q", got)
	}
	for i := range 10 * peerNames {
		m.peer(strings.Repeat("x", i%60+1)+string(rune('a'+i%26)), c)
	}
	if got := m.peer("one more", c); len(m.peers) > peerNames {
		t.Errorf("%d names, last %q", len(m.peers), got)
	}
}

func TestCloseGivesUpWithContext(t *testing.T) {
	block := make(chan struct{})
	h := &recorder{onRecv: func(string, []byte) { <-block }}
	a := pub(t, Limits{}, nil)
	b, err := Open(Config{Topics: []string{"t"}, Upstreams: []Upstream{{"a", a.Addrs()[0]}}}, h)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a message in the handler", func() bool { a.Publish("t", nil); return b.Stats().Received > 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close with a handler that hangs: %v", err)
	}
	close(block)
	<-b.links[0].done
}
