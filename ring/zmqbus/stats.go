package zmqbus

import (
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is a snapshot of what the bus has done since Open. Bytes are of
// topics and payloads, except SentBytes, which are bytes on the wire (before
// TLS).
type Stats struct {
	Published, PublishedBytes uint64 // messages handed to Publish and accepted
	Sent, SentBytes           uint64 // messages queued for a subscriber, each counted; bytes written
	Received, ReceivedBytes   uint64
	Dropped                   uint64            // sum of Drops
	Drops                     []Drop            // sorted by peer and reason
	Refused                   map[string]uint64 // subscribers' handshakes refused, by reason
	Failed                    map[string]uint64 // attempts to reach upstreams that failed, by reason
	Cut                       map[string]uint64 // connections ended, by reason
	Upstreams                 []UpstreamStats   // in the order of Config.Upstreams
	Subscribers               []SubscriberStats // those connected
}

// Drop counts messages not queued for a peer; "*" is all of them.
type Drop struct {
	Peer, Reason string
	Messages     uint64
}

// UpstreamStats is about one link.
type UpstreamStats struct {
	Host, Endpoint          string
	Up                      bool
	Since                   time.Time // when it came up or went down
	Connects, Failures      uint64
	LastError               string // of the last failed attempt or end of a connection
	Received, ReceivedBytes uint64
}

// SubscriberStats is about one connected subscriber.
type SubscriberStats struct {
	Peer, Addr      string // Peer: the name it claims (with TLS: its certificate's), or its address
	Since           time.Time
	Topics, Queued  int // Queued: bytes
	Sent, SentBytes uint64
	Dropped         uint64
}

// everyone stands for all peers in a Drop.
const everyone = "*"

// meter counts; what is per connection is added when it ends.
type meter struct {
	published, publishedBytes atomic.Uint64
	sent, sentBytes           atomic.Uint64

	mu      sync.Mutex
	peers   map[string]struct{}
	dropped map[Drop]uint64 // keys have Messages 0
	refused map[string]uint64
	failed  map[string]uint64
	cut     map[string]uint64
}

func newMeter() *meter {
	return &meter{
		peers: make(map[string]struct{}), dropped: make(map[Drop]uint64),
		refused: make(map[string]uint64), failed: make(map[string]uint64), cut: make(map[string]uint64),
	}
}

func (m *meter) drop(peer, reason string) {
	m.mu.Lock()
	m.dropped[Drop{Peer: peer, Reason: reason}]++
	m.mu.Unlock()
}

func (m *meter) refuse(reason string)         { m.add(m.refused, reason) }
func (m *meter) refuseUpstream(reason string) { m.add(m.failed, reason) }
func (m *meter) cutOff(reason string)         { m.add(m.cut, reason) }

func (m *meter) add(to map[string]uint64, reason string) {
	m.mu.Lock()
	to[reason]++
	m.mu.Unlock()
}

// peer names a subscriber for metrics: by the identity it claims, if that is
// fit to print, or its address; "other" once there are too many names.
func (m *meter) peer(identity string, c net.Conn) string {
	name := identity
	unfit := func(r rune) bool { return r <= ' ' || r > '~' || r == '*' }
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, unfit) {
		name = remote(c)
		if host, _, err := net.SplitHostPort(name); err == nil {
			name = host
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.peers[name]; !known {
		if len(m.peers) >= peerNames {
			return "other"
		}
		m.peers[name] = struct{}{}
	}
	return name
}

// remote is the peer's address, or "local" for Unix sockets, which have none.
func remote(c net.Conn) string {
	if a := c.RemoteAddr(); a != nil && a.Network() != "unix" {
		return a.String()
	}
	return "local"
}

// Stats returns a snapshot.
func (b *Bus) Stats() Stats {
	s := b.pub.stats()
	m := b.meter
	s.Published, s.PublishedBytes = m.published.Load(), m.publishedBytes.Load()
	m.mu.Lock()
	for d, n := range m.dropped {
		d.Messages = n
		s.Drops = append(s.Drops, d)
		s.Dropped += n
	}
	s.Refused, s.Failed, s.Cut = maps.Clone(m.refused), maps.Clone(m.failed), maps.Clone(m.cut)
	m.mu.Unlock()
	slices.SortFunc(s.Drops, func(a, b Drop) int {
		return strings.Compare(a.Peer+"\x00"+a.Reason, b.Peer+"\x00"+b.Reason)
	})
	for _, l := range b.links {
		u := l.stats()
		s.Upstreams = append(s.Upstreams, u)
		s.Received += u.Received
		s.ReceivedBytes += u.ReceivedBytes
	}
	return s
}

func (l *link) stats() UpstreamStats {
	u := UpstreamStats{
		Host: l.up.Host, Endpoint: l.up.Endpoint,
		Connects: l.connects.Load(), Failures: l.failures.Load(),
		Received: l.received.Load(), ReceivedBytes: l.receivedBytes.Load(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	u.Up, u.Since, u.LastError = l.sock != nil, l.since, l.why()
	return u
}

func (p *publisher) stats() (s Stats) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Sent, s.SentBytes = p.meter.sent.Load(), p.meter.sentBytes.Load()
	for g, sub := range p.guards {
		queued, _ := g.q.waiting(now, p.lim.Stall)
		one := SubscriberStats{
			Peer: g.peer, Addr: remote(g.raw), Since: sub.since,
			Topics: int(sub.held.Load()), Queued: queued,
			Sent: g.sent.Load(), SentBytes: g.sentBytes.Load(), Dropped: g.dropped.Load(),
		}
		s.Sent += one.Sent
		s.SentBytes += one.SentBytes
		s.Subscribers = append(s.Subscribers, one)
	}
	slices.SortFunc(s.Subscribers, func(a, b SubscriberStats) int {
		return strings.Compare(a.Peer+"\x00"+a.Addr, b.Peer+"\x00"+b.Addr)
	})
	return s
}
