// Package zmqbus carries messages between the nodes of a ring over ZeroMQ:
// one PUB socket a node, which others subscribe to, and one SUB socket for
// each upstream it subscribes to itself. On the wire it is ZMTP 3.1 with the
// NULL mechanism, over TCP or Unix sockets, inside mutual TLS if so
// configured; any libzmq program can subscribe.
//
// The sockets are the library's, github.com/go-zeromq/zmq4; DESIGN.md says
// why they are never let near a network without the guard of this package.
//
// The bus loses messages, as PUB/SUB does: when queues are full and across
// reconnects. Losses are counted, never repaired here.
package zmqbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// askPrefix begins the topics whose subscription is a request.
const askPrefix = "?"

// Config says where to bind, whom to subscribe to and for what.
type Config struct {
	// Host is our name in the ring. Peers see it as the socket's identity.
	Host string
	// Bind lists the endpoints of the one PUB socket: tcp://host:port,
	// tcp://*:port (all interfaces), tcp://[::1]:port, ipc://path. Port 0 is
	// a free one, see Addrs. None means that nobody can subscribe.
	Bind []string
	// Upstreams lists the nodes to subscribe to, each host once.
	Upstreams []Upstream
	// Topics are subscribed to at every upstream whenever it is connected.
	Topics []string
	// TLS turns on mutual TLS 1.3; nil means plain text.
	TLS *TLSFiles
	// Limits bounds what peers can do; zero fields take their defaults.
	Limits Limits
	// Logger takes the bus's log; nil discards it.
	Logger *slog.Logger
	// Registerer takes the metrics, until Close; nil means none.
	Registerer prometheus.Registerer
}

// Upstream is a node to subscribe to: its name in the ring and the endpoint
// of its PUB socket. With TLS its certificate must be made out to either.
type Upstream struct {
	Host, Endpoint string
}

// Handler is told what happens. Its methods are called from goroutines of
// the bus, those about one upstream from one and in order: Link up, what was
// received, Link down. While a method runs, that connection stands still, so
// it must not block for long. It may call the bus, except Close.
type Handler interface {
	// Received delivers a message; the payload is the callee's to keep.
	Received(upstream, topic string, payload []byte)
	// Link tells that our subscription to upstream came up or went down, and
	// why. Failed attempts to connect are not reported, see Stats.
	Link(upstream string, up bool, reason string)
	// Asked tells that a subscriber asks for a topic that begins with "?".
	// What is published under it from now on reaches that subscriber. The
	// topic comes from the network: anything of up to TopicBytes.
	Asked(topic string)
}

// Bus is an open PUB socket and the links to upstreams. Its methods may be
// called from any goroutine.
type Bus struct {
	lim     Limits
	log     *slog.Logger
	meter   *meter
	creds   *credentials // nil without TLS
	pub     *publisher
	links   []*link // in the order of Config.Upstreams
	byHost  map[string]*link
	closing atomic.Bool
	metrics prometheus.Registerer
}

// Open binds all endpoints and starts to connect to the upstreams. Its error
// lists every mistake of the configuration, or tells which endpoint cannot
// be bound; for a port in use errors.Is(err, syscall.EADDRINUSE).
func Open(cfg Config, h Handler) (*Bus, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Limits = cfg.Limits.withDefaults()
	binds, dials, err := cfg.check()
	if err != nil {
		return nil, fmt.Errorf("zmqbus: %w", err)
	}
	if err := register(); err != nil {
		return nil, fmt.Errorf("zmqbus: %w", err)
	}
	b := &Bus{lim: cfg.Limits, log: cfg.Logger, meter: newMeter(), byHost: make(map[string]*link)}
	if cfg.TLS != nil {
		if b.creds, err = loadCredentials(*cfg.TLS, cfg.Logger); err != nil {
			return nil, fmt.Errorf("zmqbus: %w", err)
		}
	}
	if b.pub, err = newPublisher(cfg.Host, binds, h, b); err != nil {
		return nil, fmt.Errorf("zmqbus: %w", err)
	}
	for i, up := range cfg.Upstreams {
		l := newLink(cfg.Host, up, dials[i], cfg.Topics, h, b)
		b.links = append(b.links, l)
		b.byHost[up.Host] = l
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(collector{b}); err != nil {
			b.pub.stop(context.Background())
			return nil, fmt.Errorf("zmqbus: metrics: %w", err)
		}
		b.metrics = cfg.Registerer
	}
	for _, l := range b.links {
		go l.run()
	}
	b.pub.serve()
	return b, nil
}

// check parses the endpoints and reports everything wrong at once.
func (cfg *Config) check() (binds, dials []endpoint, err error) {
	errs := []error{cfg.Limits.check()}
	if len(cfg.Host) > 255 {
		errs = append(errs, fmt.Errorf("host name of %d bytes, limit 255", len(cfg.Host)))
	}
	for _, text := range cfg.Bind {
		e, err := parseEndpoint(text, true)
		binds, errs = append(binds, e), append(errs, err)
	}
	seen := make(map[string]bool)
	for _, up := range cfg.Upstreams {
		e, err := parseEndpoint(up.Endpoint, false)
		dials, errs = append(dials, e), append(errs, err)
		if up.Host == "" || seen[up.Host] {
			errs = append(errs, fmt.Errorf("upstream %q at %s: host missing or named twice", up.Host, up.Endpoint))
		}
		seen[up.Host] = true
	}
	if len(cfg.Topics) > cfg.Limits.Topics {
		errs = append(errs, fmt.Errorf("%d topics, limit %d", len(cfg.Topics), cfg.Limits.Topics))
	}
	for _, t := range cfg.Topics {
		if len(t) > cfg.Limits.TopicBytes {
			errs = append(errs, fmt.Errorf("topic %.40q of %d bytes, limit %d", t, len(t), cfg.Limits.TopicBytes))
		}
	}
	return binds, dials, errors.Join(errs...)
}

// Addrs returns the bound endpoints with their real ports, in the order of
// Config.Bind.
func (b *Bus) Addrs() []string { return append([]string(nil), b.pub.addrs...) }

// Publish sends a message to all subscribers with a subscription that topic
// begins with. It never blocks; what does not fit is dropped and counted.
// The payload must not be changed afterwards: it is sent from where it lies.
func (b *Bus) Publish(topic string, payload []byte) { b.pub.publish(topic, payload) }

// Backlog returns how many bytes wait for the slowest healthy subscriber,
// and how many the publisher itself still has to fan out. Who sends in bulk
// waits until it is small; beyond Limits.QueueBytes messages are dropped. A
// subscriber whose oldest byte has waited for Limits.Stall is left out.
func (b *Bus) Backlog() int { return b.pub.backlog() }

// Ask subscribes to a topic that begins with "?" at one upstream: a request,
// answered by messages under that topic. It is forgotten when the link goes
// down, and does nothing while it is. An upstream that is unknown, a topic
// that is no request or too long, and one more than Limits.Topics allows are
// ignored and logged.
func (b *Bus) Ask(upstream, topic string) {
	l := b.byHost[upstream]
	if l == nil || !strings.HasPrefix(topic, askPrefix) || len(topic) > b.lim.TopicBytes {
		b.log.Warn("ask_refused", "upstream", upstream, "topic", topic)
		return
	}
	l.ask(topic)
}

// Unask takes an Ask back.
func (b *Bus) Unask(upstream, topic string) {
	if l := b.byHost[upstream]; l != nil {
		l.unask(topic)
	}
}

// Drop cuts the connection to upstream, if there is one, and connects anew.
func (b *Bus) Drop(upstream string) {
	if l := b.byHost[upstream]; l != nil {
		l.cut(faultf(reasonRequested, "dropped on request"))
	}
}

// Reload reads the TLS files anew; on an error the former ones stay in use.
// New connections use them, standing ones stay.
func (b *Bus) Reload() error {
	if b.creds == nil {
		return nil
	}
	if err := b.creds.reload(); err != nil {
		return fmt.Errorf("zmqbus: %w", err)
	}
	return nil
}

// Close sends what is queued, for at most Limits.Linger or until ctx ends,
// then closes everything. No method of the Handler is called after Close
// returned nil; if ctx ended first its error is returned and the rest goes
// on in the background.
func (b *Bus) Close(ctx context.Context) error {
	if b.closing.Swap(true) {
		return nil
	}
	for _, l := range b.links {
		l.stop()
	}
	b.pub.stop(ctx)
	if b.metrics != nil {
		b.metrics.Unregister(collector{b})
	}
	waits := []<-chan struct{}{b.pub.done}
	for _, l := range b.links {
		waits = append(waits, l.done)
	}
	for _, w := range waits {
		select {
		case <-w:
		case <-ctx.Done():
			return fmt.Errorf("zmqbus: close: %w", context.Cause(ctx))
		}
	}
	return nil
}
