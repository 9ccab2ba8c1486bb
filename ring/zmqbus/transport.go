package zmqbus

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/transport"
)

// scheme is the transport under which the library gets its connections. The
// library keeps transports in a table of the whole process, so ours is one
// too: its addresses are tickets for what was left for the library to fetch.
const scheme = "bluerings"

var counter = &cloakroom{conns: make(map[string]net.Conn), listeners: make(map[string]net.Listener)}

var register = sync.OnceValue(func() error { return zmq4.RegisterTransport(scheme, counter) })

// cloakroom is the registered transport: connections and listeners are left
// under a number and fetched once.
type cloakroom struct {
	mu        sync.Mutex
	last      uint64
	conns     map[string]net.Conn
	listeners map[string]net.Listener
}

var _ transport.Transport = (*cloakroom)(nil)

// leaveConn leaves a connection for a socket to Dial and returns the endpoint.
func (t *cloakroom) leaveConn(c net.Conn) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	id := strconv.FormatUint(t.last, 10)
	t.conns[id] = c
	return scheme + "://" + id
}

// leaveListener leaves a listener for a socket to Listen on.
func (t *cloakroom) leaveListener(l net.Listener) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	id := strconv.FormatUint(t.last, 10)
	t.listeners[id] = l
	return scheme + "://" + id
}

// Dial implements transport.Transport.
func (t *cloakroom) Dial(_ context.Context, _ transport.Dialer, id string) (net.Conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.conns[id]
	if !ok {
		return nil, fmt.Errorf("zmqbus: no connection left under %q", id)
	}
	delete(t.conns, id)
	return c, nil
}

// Listen implements transport.Transport.
func (t *cloakroom) Listen(_ context.Context, id string) (net.Listener, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.listeners[id]
	if !ok {
		return nil, fmt.Errorf("zmqbus: no listener left under %q", id)
	}
	delete(t.listeners, id)
	return l, nil
}

// Addr implements transport.Transport.
func (t *cloakroom) Addr(id string) (string, error) { return id, nil }

// funnel is the one listener the library sees: connections come out of it
// whose handshake is done, whichever endpoint they came in by.
type funnel struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newFunnel() *funnel {
	return &funnel{conns: make(chan net.Conn), done: make(chan struct{})}
}

// pour hands a connection to the library; false means that it is closed.
func (f *funnel) pour(c net.Conn) bool {
	select {
	case f.conns <- c:
		return true
	case <-f.done:
		return false
	}
}

// Accept implements net.Listener.
func (f *funnel) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (f *funnel) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Addr implements net.Listener.
func (f *funnel) Addr() net.Addr { return funnelAddr{} }

type funnelAddr struct{}

func (funnelAddr) Network() string { return scheme }
func (funnelAddr) String() string  { return scheme }
