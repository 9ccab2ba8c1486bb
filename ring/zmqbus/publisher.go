package zmqbus

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zeromq/zmq4"
)

// publisher is the PUB side: listeners, the library's PUB socket and the
// guarded connections of the subscribers.
type publisher struct {
	host  string
	h     Handler
	lim   *Limits
	log   *slog.Logger
	meter *meter
	creds *credentials

	sock    zmq4.Socket
	funnel  *funnel
	tap     *tap
	queued  atomic.Int64 // bytes published that the library has not fanned out
	total   atomic.Int64 // bytes in all subscribers' queues
	waiting waitingRoom

	listeners []net.Listener
	addrs     []string

	askMu sync.RWMutex // read-held while the Handler is asked
	deaf  bool         // by askMu: ask nothing any more

	mu      sync.Mutex
	guards  map[*guard]*subscriber
	stopped bool

	work sync.WaitGroup // accept loops, handshakes, writers
	done chan struct{}  // closed when stop is through
}

// newPublisher binds all endpoints, or none.
func newPublisher(host string, binds []endpoint, h Handler, b *Bus) (*publisher, error) {
	p := &publisher{
		host: host, h: h, lim: &b.lim, log: b.log, meter: b.meter, creds: b.creds,
		funnel: newFunnel(), guards: make(map[*guard]*subscriber), done: make(chan struct{}),
	}
	p.waiting.limit = b.lim.PendingHandshakes
	p.tap = newTap(&p.queued)
	for _, e := range binds {
		l, err := e.listen()
		if err != nil {
			p.closeListeners()
			return nil, err
		}
		p.listeners = append(p.listeners, l)
		p.addrs = append(p.addrs, e.bound(l))
	}
	// With a timeout that has passed, Send skips a timer per message; a PUB
	// socket's Send never waits, so nothing else changes.
	p.sock = zmq4.NewPub(context.Background(), append(quiet(), zmq4.WithTimeout(-1))...)
	if err := p.sock.Listen(counter.leaveListener(p.funnel)); err != nil {
		p.closeListeners()
		return nil, err
	}
	p.funnel.pour(p.tap)
	<-p.tap.ready
	return p, nil
}

// quiet are the options common to all sockets: no retries, no reconnects
// and no log of the library's own.
func quiet() []zmq4.Option {
	return []zmq4.Option{
		zmq4.WithDialerMaxRetries(0), zmq4.WithAutomaticReconnect(false),
		zmq4.WithLogger(log.New(io.Discard, "", 0)),
	}
}

func (p *publisher) closeListeners() {
	for _, l := range p.listeners {
		_ = l.Close()
	}
}

// serve starts to accept.
func (p *publisher) serve() {
	for _, l := range p.listeners {
		p.work.Add(1)
		go p.accept(l)
	}
}

func (p *publisher) accept(l net.Listener) {
	defer p.work.Done()
	for {
		c, err := l.Accept()
		if err != nil {
			if p.isStopped() {
				return
			}
			// Out of descriptors, most likely: others must close first.
			p.log.Error("accept_failed", "addr", l.Addr().String(), "err", err)
			time.Sleep(p.lim.BackoffMin)
			continue
		}
		p.work.Add(1)
		go p.admit(c)
	}
}

func (p *publisher) isStopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}

// admit shakes hands with one connection and gives it to the library.
func (p *publisher) admit(raw net.Conn) {
	defer p.work.Done()
	if evicted := p.waiting.enter(raw); evicted != nil {
		_ = evicted.Close()
	}
	s, err := p.welcome(raw)
	if !p.waiting.leave(raw) && err != nil {
		err = faultf(reasonPending, "too many handshakes pending: %w", err)
	}
	if err == nil {
		err = p.enrol(s)
	}
	if err != nil {
		_ = raw.Close()
		if !p.isStopped() {
			p.meter.refuse(reasonOf(err))
			p.log.Info("subscriber_refused", "addr", remote(raw), "reason", reasonOf(err), "err", err)
		}
		return
	}
	p.log.Info("subscriber_connected", "peer", s.peer, "addr", remote(raw))
	s.start()
	if !p.funnel.pour(s.guard) {
		s.end(net.ErrClosed)
	}
}

// welcome does TLS and the ZMTP handshake.
func (p *publisher) welcome(raw net.Conn) (*subscriber, error) {
	if err := raw.SetDeadline(time.Now().Add(p.lim.Handshake)); err != nil {
		return nil, err
	}
	wire := raw
	var certified *tls.Conn
	if p.creds != nil {
		certified = tls.Server(raw, p.creds.server())
		if err := certified.Handshake(); err != nil {
			return nil, tlsFault(err)
		}
		wire = certified
	}
	in := newReader(wire, typePub)
	identity, err := shakeHands(wire, in, typePub, p.host)
	if err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if certified != nil {
		identity = certificateName(certified.ConnectionState().PeerCertificates[0], identity)
	}
	s := &subscriber{asked: p.asked, topics: make(map[string]struct{}), since: time.Now()}
	s.guard = newGuard(raw, wire, in, typePub, p.meter.peer(identity, raw), p.lim,
		newQueue(p.lim.QueueBytes, &p.total, p.lim.TotalQueueBytes))
	s.guard.next, s.guard.ended = s.next, p.ended
	s.guard.refused = func(g *guard, reason string) {
		if reason != reasonClosed {
			p.meter.drop(g.peer, reason)
		}
	}
	return s, nil
}

// asked passes a request on, unless Close is through.
func (p *publisher) asked(topic string) {
	p.askMu.RLock()
	defer p.askMu.RUnlock()
	if !p.deaf {
		p.h.Asked(topic)
	}
}

// tlsFault counts a failed TLS handshake as such unless it was only late.
func tlsFault(err error) error {
	if reasonOf(err) == reasonTimeout {
		return err
	}
	return faultf(reasonTLS, "tls: %w", err)
}

// enrol adds a subscriber if there is room.
func (p *publisher) enrol(s *subscriber) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stopped:
		return net.ErrClosed
	case len(p.guards) >= p.lim.Connections:
		return faultf(reasonConnections, "%d subscribers connected already", len(p.guards))
	}
	p.guards[s.guard] = s
	return nil
}

// ended takes a subscriber out.
func (p *publisher) ended(g *guard, err error) {
	p.mu.Lock()
	delete(p.guards, g)
	stopped := p.stopped
	p.meter.sent.Add(g.sent.Load())
	p.meter.sentBytes.Add(g.sentBytes.Load())
	p.mu.Unlock()
	reason := reasonOf(err)
	if stopped {
		reason = reasonShutdown
	}
	p.meter.cutOff(reason)
	p.log.Info("subscriber_gone", "peer", g.peer, "addr", remote(g.raw), "reason", reason, "err", plain(err))
}

func (p *publisher) publish(topic string, payload []byte) {
	if len(topic) == 0 || len(topic) > p.lim.TopicBytes || len(payload) > p.lim.FrameBytes {
		p.meter.drop(everyone, reasonOversize)
		p.log.Error("message_too_large", "topic", topic[:min(len(topic), 64)], "bytes", len(payload))
		return
	}
	size := int64(headerBytes(len(topic)) + len(topic) + headerBytes(len(payload)) + len(payload))
	if p.queued.Add(size) > int64(p.lim.QueueBytes) {
		p.queued.Add(-size)
		p.meter.drop(everyone, reasonPublisher)
		return
	}
	p.meter.published.Add(1)
	p.meter.publishedBytes.Add(uint64(len(topic) + len(payload)))
	// The PUB socket's Send only queues and has no error.
	_ = p.sock.Send(zmq4.NewMsgFrom([]byte(topic), payload))
}

func (p *publisher) backlog() int {
	worst, now := 0, time.Now()
	p.mu.Lock()
	for g := range p.guards {
		if n, healthy := g.q.waiting(now, p.lim.Stall); healthy {
			worst = max(worst, n)
		}
	}
	p.mu.Unlock()
	return worst + int(p.queued.Load())
}

// stop ends the PUB side; done is closed when it is through.
func (p *publisher) stop(ctx context.Context) {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.closeListeners()
	p.waiting.empty()
	p.flush(ctx)
	p.tap.poisoned.Store(true)
	_ = p.sock.Send(zmq4.NewMsgFrom([]byte("end"), nil))
	<-p.tap.gone // at the sender's next write; a closed tap would be passed over
	p.mu.Lock()
	var last []*guard
	for g := range p.guards {
		last = append(last, g)
	}
	p.mu.Unlock()
	for _, g := range last {
		g.end(net.ErrClosed)
	}
	_ = p.tap.Close()
	_ = p.sock.Close() // and with it the funnel
	go func() {
		defer close(p.done)
		p.work.Wait()
		p.askMu.Lock()
		p.deaf = true
		p.askMu.Unlock()
		for _, g := range last {
			<-g.writerDone
		}
	}()
}

// flush waits until nothing healthy waits to be sent.
func (p *publisher) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.lim.Linger)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.backlog() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
