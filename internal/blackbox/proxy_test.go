package blackbox

import (
	"fmt"
	"net"
	"sync"
	"testing"
)

// proxy carries one link: the connections of one subscriber to one upstream.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	open  chan struct{} // closed while bytes may pass
	dead  bool          // connections are refused
	conns map[net.Conn]bool
	done  sync.WaitGroup
}

// newProxy listens on a port of its own and dials the target for everyone.
func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", freePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, open: make(chan struct{}), conns: make(map[net.Conn]bool)}
	close(p.open)
	p.done.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close() // nobody is left to tell
		p.cut()
		p.heal()
		p.done.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil || !p.keep(near, far) {
			_ = near.Close() // the subscriber will try again
			if err == nil {
				_ = far.Close()
			}
			continue
		}
		p.done.Go(func() { p.carry(near, far) })
		p.done.Go(func() { p.carry(far, near) })
	}
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = !p.dead
	}
	return !p.dead
}

// carry passes on what comes, while it may.
func (p *proxy) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		<-open
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// stall keeps back what comes, for as long as it lasts; later it is delivered,
// late and in order.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

// cut breaks all connections, and refuses new ones.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for c := range p.conns {
		_ = c.Close() // which ends carry
	}
	clear(p.conns)
}

// heal ends stall and cut.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = false
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}
