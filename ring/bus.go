package ring

import (
	"time"

	"bluerings/ring/replica"
	"bluerings/ring/zmqbus"
	"bluerings/tickets"
)

// openBus binds the PUB socket and subscribes to the upstreams.
func (n *Node) openBus() error {
	links := n.cfg.Topology.Upstreams(n.cfg.Host)
	if len(links) == 0 && len(n.cfg.Bind) == 0 {
		return nil
	}
	cfg := zmqbus.Config{
		Host: n.cfg.Host, Bind: n.cfg.Bind, Topics: []string{replica.TopicPing, replica.TopicTickets},
		TLS: n.cfg.TLS, Logger: n.cfg.Logger.With("scope", "bus"), Registerer: n.cfg.Registerer,
	}
	for _, link := range links {
		cfg.Upstreams = append(cfg.Upstreams, zmqbus.Upstream{Host: link.From, Endpoint: link.Endpoint})
	}
	bus, err := zmqbus.Open(cfg, handler{n})
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.bus = bus
	n.mu.Unlock()
	return nil
}

// PubAddrs are the endpoints where others subscribe, with their real ports.
func (n *Node) PubAddrs() []string {
	if n.bus == nil {
		return nil
	}
	return n.bus.Addrs()
}

// Reload reads the certificates of the links again.
func (n *Node) Reload() error {
	if n.bus == nil {
		return nil
	}
	return n.bus.Reload()
}

// handler takes what comes over the links to the replica.
type handler struct{ n *Node }

// Received implements zmqbus.Handler.
func (h handler) Received(upstream, _ string, payload []byte) {
	n := h.n
	message := n.replica.Parse(payload)
	n.mu.Lock()
	if err := n.replica.Receive(n.now(), upstream, message); err != nil {
		n.log.Debug("message dropped", "upstream", upstream, "err", err)
	}
	pending, gather, crowded := n.replica.Unstored() != 0, n.replica.MayGather(), n.replica.Crowded()
	n.unlockAndSend()
	switch {
	case gather:
		n.kickLater()
	case pending:
		signal(n.kick)
	}
	if crowded {
		signal(n.hurry)
	}
	signal(n.wake)
}

// Link implements zmqbus.Handler.
func (h handler) Link(upstream string, up bool, reason string) {
	n := h.n
	n.log.Info("link changed", "upstream", upstream, "up", up, "reason", reason)
	n.mu.Lock()
	n.replica.LinkChanged(n.now(), upstream, up)
	n.unlockAndSend()
	signal(n.wake)
}

// Asked implements zmqbus.Handler.
func (h handler) Asked(topic string) {
	n := h.n
	n.mu.Lock()
	n.replica.Asked(topic)
	n.unlockAndSend()
}

// unlockAndSend lets go of the lock and carries out what the replica wants
// done. What it wants published is durable: see replica.Effects.
func (n *Node) unlockAndSend() {
	e := n.replica.Effects()
	if n.looking.Load() > 0 {
		close(n.changed)
		n.changed = make(chan struct{})
	}
	bus := n.bus
	n.mu.Unlock()
	if bus == nil {
		return
	}
	for _, q := range e.Unask {
		bus.Unask(q.Upstream, q.Topic)
	}
	for _, q := range e.Ask {
		bus.Ask(q.Upstream, q.Topic)
	}
	for _, p := range e.Publish {
		// A flood that finds the queues full is left to repair.
		if p.Tickets == 0 || bus.Backlog() < maxBacklog {
			bus.Publish(p.Topic, p.Payload)
			n.sent.Add(1)
			n.sentTix.Add(uint64(p.Tickets))
		}
	}
	for _, s := range e.Stretches {
		queue := n.forwards
		if s.Given {
			queue = n.gifts
		}
		select {
		case queue <- s:
		default: // the asker will ask again
			n.meters.crowdedOut.Inc()
		}
	}
}

// maxBacklog is how much may wait for the slowest good subscriber, in bytes,
// before floods are left to repair.
const maxBacklog = 4 << 20

// tickLoop lets time pass for the replica.
func (n *Node) tickLoop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-timer.C:
		case <-n.wake:
		}
		timer.Reset(max(0, n.tick()-n.now().Mono))
	}
}

// tick does what is due by now, and tells when the next is.
func (n *Node) tick() (next time.Duration) {
	n.mu.Lock()
	now := n.now()
	if n.replica.NextTick() <= now.Mono {
		n.replica.Tick(now)
	}
	next = n.replica.NextTick()
	meta := n.replica.MetaDue()
	n.unlockAndSend()
	if meta {
		signal(n.kick)
	}
	return next
}

var _ zmqbus.Handler = handler{}
var _ tickets.Past = (*past)(nil)
