package zmqbus

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zeromq/zmq4"
)

// link keeps a subscription to one upstream alive. Every connection gets a
// SUB socket of its own: so nothing of an old connection, neither messages
// nor requests, can show up on a new one.
type link struct {
	host   string // ours
	up     Upstream
	to     endpoint
	topics []string
	h      Handler
	lim    *Limits
	log    *slog.Logger
	meter  *meter
	creds  *credentials

	ctx  context.Context
	stop context.CancelFunc
	done chan struct{} // closed when run has returned

	received, receivedBytes, connects, failures atomic.Uint64

	mu    sync.Mutex
	sock  zmq4.Socket // nil while down
	guard *guard      // of sock
	asks  map[string]struct{}
	since time.Time // of the present state

	// cause is of the last failure or end. It has no part in mu: a connection
	// may end while its link is locked, within ask.
	cause atomic.Pointer[error]
}

func newLink(host string, up Upstream, to endpoint, topics []string, h Handler, b *Bus) *link {
	ctx, cancel := context.WithCancel(context.Background())
	return &link{
		host: host, up: up, to: to, topics: slices.Compact(slices.Sorted(slices.Values(topics))), h: h,
		lim: &b.lim, log: b.log, meter: b.meter, creds: b.creds,
		ctx: ctx, stop: cancel, done: make(chan struct{}), since: time.Now(),
	}
}

// run connects, again and again, until stop.
func (l *link) run() {
	defer close(l.done)
	pause, told := l.lim.BackoffMin, ""
	for l.ctx.Err() == nil {
		g, err := l.connect()
		if err == nil {
			told = ""
			if l.serve(g) >= l.lim.BackoffMax {
				pause = l.lim.BackoffMin // it stood: not a peer that accepts and cuts
			}
		} else if l.ctx.Err() == nil {
			l.fail(err)
			if text := err.Error(); text != told {
				told = text
				l.log.Warn("upstream_unreachable", "upstream", l.up.Host, "endpoint", l.up.Endpoint, "err", err)
			}
		}
		l.wait(pause)
		pause = min(2*pause, l.lim.BackoffMax)
	}
}

func (l *link) fail(err error) {
	l.failures.Add(1)
	l.meter.refuseUpstream(reasonOf(err))
	l.cause.Store(&err)
}

// wait pauses for half to all of d.
func (l *link) wait(d time.Duration) {
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.ctx.Done():
	}
}

// connect dials, resolving names anew, and does TLS and the ZMTP handshake.
func (l *link) connect() (*guard, error) {
	deadline := time.Now().Add(l.lim.Handshake)
	d := net.Dialer{Deadline: deadline, KeepAliveConfig: keepAlive}
	raw, err := d.DialContext(l.ctx, l.to.network, l.to.addr)
	if err != nil {
		return nil, err
	}
	unhook := context.AfterFunc(l.ctx, func() { _ = raw.Close() })
	g, err := l.introduce(raw, deadline)
	unhook()
	if err != nil {
		_ = raw.Close()
	}
	return g, err
}

func (l *link) introduce(raw net.Conn, deadline time.Time) (*guard, error) {
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, err
	}
	wire := raw
	if l.creds != nil {
		c := tls.Client(raw, l.creds.client(l.names()...))
		if err := c.Handshake(); err != nil {
			return nil, tlsFault(err)
		}
		wire = c
	}
	in := newReader(wire, typeSub)
	if _, err := shakeHands(wire, in, typeSub, l.host); err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	g := newGuard(raw, wire, in, typeSub, l.up.Host, l.lim, newQueue(requestBytes, nil, 0))
	g.next = func() ([]byte, error) { return nextPublished(g) }
	g.ended = func(_ *guard, err error) { l.ended(err) }
	g.refused = func(g *guard, reason string) {
		// A lost subscription would never be missed: rather begin anew.
		if reason != reasonClosed {
			g.end(faultf(reasonRequests, "the upstream takes no requests"))
		}
	}
	return g, nil
}

// names are those the upstream's certificate may be made out to.
func (l *link) names() []string {
	if l.to.host == "" {
		return []string{l.up.Host}
	}
	return []string{l.to.host, l.up.Host}
}

// nextPublished implements guard.next for the SUB side.
func nextPublished(g *guard) ([]byte, error) {
	for {
		what, arg, buf, err := readPublished(g.in, g.buf, g.lim)
		g.buf = buf
		if err != nil {
			return nil, err
		}
		switch what {
		case actMessage:
			return arg, nil
		case actPing:
			g.pong(arg)
		}
	}
}

// serve subscribes over a new connection and delivers until it ends. It
// returns how long the connection stood.
func (l *link) serve(g *guard) time.Duration {
	sock := zmq4.NewSub(context.Background(), quiet()...)
	for _, t := range l.topics {
		// Nothing is connected yet: recorded, sent by Dial, no error possible.
		_ = sock.SetOption(zmq4.OptionSubscribe, t)
	}
	began := time.Now()
	g.start()
	if err := sock.Dial(counter.leaveConn(g)); err != nil {
		g.end(err)
		<-g.writerDone
		_ = sock.Close()
		l.fail(err)
		return 0
	}
	l.turn(sock, g)
	unhook := context.AfterFunc(l.ctx, func() { g.end(net.ErrClosed) })
	l.connects.Add(1)
	l.log.Info("link_up", "upstream", l.up.Host, "endpoint", l.up.Endpoint, "addr", remote(g.raw))
	l.h.Link(l.up.Host, true, "connected to "+remote(g.raw))
	for {
		// The socket's only error is the end of its only connection. Draining
		// up to it lets the library's reading goroutine end.
		msg, err := sock.Recv()
		if err != nil {
			break
		}
		l.received.Add(1)
		l.receivedBytes.Add(uint64(len(msg.Frames[0]) + len(msg.Frames[1])))
		l.h.Received(l.up.Host, string(msg.Frames[0]), msg.Frames[1])
	}
	unhook()
	l.turn(nil, nil)
	<-g.writerDone
	_ = sock.Close()
	reason := l.why()
	l.log.Info("link_down", "upstream", l.up.Host, "reason", reason)
	l.h.Link(l.up.Host, false, reason)
	return time.Since(began)
}

// turn sets the state to up with sock, or down without.
func (l *link) turn(sock zmq4.Socket, g *guard) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sock, l.guard, l.since = sock, g, time.Now()
	l.asks = make(map[string]struct{})
}

// ended records why a connection ended.
func (l *link) ended(err error) {
	if l.ctx.Err() != nil {
		err = faultf(reasonShutdown, "shutting down")
	}
	l.meter.cutOff(reasonOf(err))
	l.cause.Store(&err)
}

// why tells the last failure or end in words, or "".
func (l *link) why() string {
	if err := l.cause.Load(); err != nil {
		return plain(*err)
	}
	return ""
}

func (l *link) cut(err error) {
	l.mu.Lock()
	g := l.guard
	l.mu.Unlock()
	if g != nil {
		g.end(err)
	}
}

func (l *link) ask(topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sock == nil {
		return
	}
	if _, again := l.asks[topic]; !again && len(l.asks)+len(l.topics) >= l.lim.Topics {
		l.log.Warn("ask_refused", "upstream", l.up.Host, "topic", topic, "open", len(l.asks))
		return
	}
	l.asks[topic] = struct{}{}
	// Fails only when the connection is ending, and the request with it.
	_ = l.sock.SetOption(zmq4.OptionSubscribe, topic)
}

func (l *link) unask(topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.asks[topic]; !open || l.sock == nil {
		return
	}
	delete(l.asks, topic)
	_ = l.sock.SetOption(zmq4.OptionUnsubscribe, topic)
}
