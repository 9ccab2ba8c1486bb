package zmqbus

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// eventually polls until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

type message struct{ upstream, topic, payload string }

// recorder is a Handler that remembers.
type recorder struct {
	mu       sync.Mutex
	got      []message
	links    []string
	asked    []string
	onAsked  func(topic string)
	onRecv   func(topic string, payload []byte)
	onLinkUp func(upstream string)
}

func (r *recorder) Received(upstream, topic string, payload []byte) {
	if r.onRecv != nil {
		r.onRecv(topic, payload)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, message{upstream, topic, string(payload)})
}

func (r *recorder) Link(upstream string, up bool, reason string) {
	r.mu.Lock()
	r.links = append(r.links, fmt.Sprintf("%s %v", upstream, up))
	r.mu.Unlock()
	if up && r.onLinkUp != nil {
		r.onLinkUp(upstream)
	}
}

func (r *recorder) Asked(topic string) {
	r.mu.Lock()
	r.asked = append(r.asked, topic)
	r.mu.Unlock()
	if r.onAsked != nil {
		r.onAsked(topic)
	}
}

func (r *recorder) has(m message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.got {
		if g == m {
			return true
		}
	}
	return false
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

func testLogger() *slog.Logger {
	if os.Getenv("BUS_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// open opens a bus that is closed with the test.
func open(t testing.TB, cfg Config, h Handler) *Bus {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = testLogger()
	}
	if h == nil {
		h = &recorder{}
	}
	b, err := Open(cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, b) })
	return b
}

func shut(t testing.TB, b *Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Error(err)
	}
}

// pub opens a bus bound to one free loopback port.
func pub(t testing.TB, lim Limits, h Handler) *Bus {
	t.Helper()
	return open(t, Config{Host: "a", Bind: []string{"tcp://127.0.0.1:0"}, Limits: lim}, h)
}

// sub opens a bus subscribed to b's first endpoint.
func sub(t testing.TB, b *Bus, h Handler, topics ...string) *Bus {
	t.Helper()
	return open(t, Config{Host: "b", Topics: topics, Upstreams: []Upstream{{"a", b.Addrs()[0]}}}, h)
}

// subscribed waits until b has n subscribers that hold topics in all.
func subscribed(t testing.TB, b *Bus, n, topics int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d subscribers with %d topics", n, topics), func() bool {
		s := b.Stats()
		held := 0
		for _, one := range s.Subscribers {
			held += one.Topics
		}
		return len(s.Subscribers) == n && held == topics
	})
}

// reaches publishes until r has received it: the last subscription counted
// may still be on its way into the library.
func reaches(t testing.TB, b *Bus, r *recorder, topic, payload string) {
	t.Helper()
	eventually(t, topic+" "+payload, func() bool {
		b.Publish(topic, []byte(payload))
		time.Sleep(time.Millisecond)
		return r.has(message{"a", topic, payload})
	})
}

func TestPublishReachesSubscribersByPrefix(t *testing.T) {
	a := pub(t, Limits{}, nil)
	r, other := &recorder{}, &recorder{}
	sub(t, a, r, "tickets", "ping")
	sub(t, a, other, "ping")
	subscribed(t, a, 2, 3)
	reaches(t, a, r, "tickets", "one")
	reaches(t, a, r, "tickets/more", "two")
	reaches(t, a, r, "ping", "")
	reaches(t, a, other, "ping", "three")
	for _, m := range other.got {
		if m.topic != "ping" {
			t.Errorf("not subscribed to, yet received: %v", m)
		}
	}
	if st := a.Stats(); st.Dropped != 0 || st.Sent == 0 || st.Subscribers[0].Peer != "b" {
		t.Errorf("stats %+v", st)
	}
}

// TestMessagesOfAllSizesArriveInOrder crosses every boundary of headers,
// chunks, references and pieces.
func TestMessagesOfAllSizesArriveInOrder(t *testing.T) {
	const limit = 3 << 20
	a := pub(t, Limits{FrameBytes: limit}, nil)
	sizes := []int{0, 1, 254, 255, 256, 257, bigBody - 1, bigBody, bigBody + 1, chunkBytes - 20, chunkBytes,
		chunkBytes + 1, flushBytes, flushBytes + 1, pieceBytes, pieceBytes + 1, 1 << 20, 2*pieceBytes + 7, limit}
	var got []string
	var mu sync.Mutex
	ready := false
	r := &recorder{onRecv: func(topic string, p []byte) {
		mu.Lock()
		defer mu.Unlock()
		if topic == "t.ready" {
			ready = true
			return
		}
		got = append(got, topic+" "+sum(p))
	}}
	open(t, Config{Host: "b", Topics: []string{"t"}, Limits: Limits{FrameBytes: limit}, Upstreams: []Upstream{{"a", a.Addrs()[0]}}}, r)
	eventually(t, "a first message", func() bool {
		a.Publish("t.ready", nil)
		mu.Lock()
		defer mu.Unlock()
		return ready
	})
	var want []string
	for round := range 3 {
		for i, n := range sizes {
			p := make([]byte, n)
			for j := range p {
				p[j] = byte(j*7 + i + round)
			}
			topic := fmt.Sprintf("t.%d.%d", round, n)
			want = append(want, topic+" "+sum(p))
			eventually(t, "room in the queue", func() bool { return a.Backlog() < 1<<20 })
			a.Publish(topic, p)
		}
	}
	eventually(t, "all messages", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) >= len(want) })
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("message %d is %s, want %s", i, got[i], want[i])
		}
	}
}

func sum(p []byte) string {
	h := uint64(14695981039346656037)
	for _, c := range p {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return fmt.Sprintf("%d:%x", len(p), h)
}

// TestAskIsAnsweredToTheAskerOnly answers from within Asked, and waits there
// until the answer is fanned out: were Asked called before the subscription
// took effect, it would be lost for certain.
func TestAskIsAnsweredToTheAskerOnly(t *testing.T) {
	answering := &recorder{}
	a := pub(t, Limits{}, answering)
	answering.onAsked = func(topic string) {
		a.Publish(topic, []byte("answer"))
		eventually(t, "the answer fanned out", func() bool { return a.pub.queued.Load() == 0 })
	}
	r, other := &recorder{}, &recorder{}
	b := sub(t, a, r, "ping")
	sub(t, a, other, "ping")
	subscribed(t, a, 2, 2)
	eventually(t, "link", func() bool { return b.Stats().Upstreams[0].Up })
	const asks = 500
	for i := range asks {
		topic := fmt.Sprintf("?a,1,%d,%d;", i, i+9)
		b.Ask("a", topic)
		eventually(t, "answer to "+topic, func() bool { return r.has(message{"a", topic, "answer"}) })
		b.Unask("a", topic)
	}
	if n := r.count(); n != asks {
		t.Errorf("%d answers to %d asks", n, asks)
	}
	if n := other.count(); n != 0 {
		t.Errorf("%d answers reached another subscriber", n)
	}
	subscribed(t, a, 2, 2)
	b.Ask("nobody", "?x")
	b.Ask("a", "tickets")
	b.Unask("a", "?never")
	subscribed(t, a, 2, 2)
}
