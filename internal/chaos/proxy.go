//go:build linux

package chaos

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	proxyChunk = 32 << 10
	proxyQueue = 256 // chunks under way on a connection, for as long as the delay
)

// proxy carries one link, and can hold it up.
type proxy struct {
	listener net.Listener
	target   string
	delay    atomic.Int64 // of each chunk, in nanoseconds
	late     atomic.Int64 // chunks that were delayed

	mu    sync.Mutex
	open  chan struct{} // closed while bytes may pass
	conns map[net.Conn]bool
	ended bool
	tasks sync.WaitGroup
}

// newProxy listens on a free port of host.
func newProxy(host, target string) (*proxy, error) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, open: make(chan struct{}), conns: make(map[net.Conn]bool)}
	close(p.open)
	p.tasks.Go(p.accept)
	return p, nil
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.tasks.Go(func() {
			defer near.Close()
			far, err := net.DialTimeout("tcp", p.target, time.Second)
			if err != nil {
				return // the subscriber will try again
			}
			defer far.Close()
			if !p.keep(near, far) {
				return
			}
			defer p.forget(near, far)
			var both sync.WaitGroup
			both.Go(func() { p.carry(near, far) })
			both.Go(func() { p.carry(far, near) })
			both.Wait()
		})
	}
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
	}
	return !p.ended
}

func (p *proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// carry passes on what comes, late and in order.
func (p *proxy) carry(from, to net.Conn) {
	type chunk struct {
		bytes []byte
		due   time.Time
	}
	queue := make(chan chunk, proxyQueue)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer from.Close() // ends the reading below
		for c := range queue {
			<-time.After(time.Until(c.due))
			p.mu.Lock()
			open := p.open
			p.mu.Unlock()
			<-open
			if _, err := to.Write(c.bytes); err != nil {
				break
			}
		}
		for range queue { // the reader may be waiting for room
		}
	}()
	for {
		buffer := make([]byte, proxyChunk)
		n, err := from.Read(buffer)
		delay := time.Duration(p.delay.Load())
		queue <- chunk{buffer[:n], time.Now().Add(delay)}
		if delay > 0 {
			p.late.Add(1)
		}
		if err != nil {
			close(queue)
			<-done
			_ = to.Close() // the other direction ends too
			return
		}
	}
}

// stall keeps back what comes; later it is delivered.
func (p *proxy) stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	closed := false
	select {
	case <-p.open:
		closed = true
	default:
	}
	switch {
	case on && closed:
		p.open = make(chan struct{})
	case !on && !closed:
		close(p.open)
	}
}

func (p *proxy) close() {
	p.delay.Store(0)
	p.stall(false)
	_ = p.listener.Close() // nobody is left to tell
	p.mu.Lock()
	p.ended = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.tasks.Wait()
}
