package zmqbus

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// tap is the library's first subscriber, in process and to everything. It
// sees each message as the PUB socket's sender takes it from the socket's
// queue, which is unbounded and tells nobody its length; so the publisher
// can bound it.
type tap struct {
	queued *atomic.Int64 // bytes of published messages not yet fanned out
	split  splitter
	out    []byte
	once   sync.Once
	ready  chan struct{} // closed when the library has subscribed it
	done   chan struct{} // closed by Close

	// The library's sender goroutine has no way to end: closing the socket
	// never reaches it. poisoned makes the tap end it from within its own
	// call, by runtime.Goexit, which runs the deferred unlocks above.
	poisoned atomic.Bool
	gone     chan struct{} // closed when it ended
}

func newTap(queued *atomic.Int64) *tap {
	t := &tap{
		queued: queued, split: splitter{sizeOnly: true},
		ready: make(chan struct{}), done: make(chan struct{}), gone: make(chan struct{}),
	}
	t.out = append(libraryHandshake(typePub), 0, 1, 1) // and: subscribe to ""
	return t
}

// Read implements net.Conn.
func (t *tap) Read(p []byte) (int, error) {
	if len(t.out) > 0 {
		n := copy(p, t.out)
		t.out = t.out[n:]
		return n, nil
	}
	// The library asks for more only after it has dealt with all before.
	select {
	case <-t.ready:
	default:
		close(t.ready)
	}
	<-t.done
	return 0, errEnd
}

// Write implements net.Conn.
func (t *tap) Write(p []byte) (int, error) {
	if t.poisoned.Load() {
		close(t.gone)
		runtime.Goexit()
	}
	t.split.write(p, func(s *splitter) { t.queued.Add(-int64(s.size)) })
	return len(p), nil
}

// Close implements net.Conn.
func (t *tap) Close() error {
	t.once.Do(func() { close(t.done) })
	return nil
}

// LocalAddr implements net.Conn.
func (t *tap) LocalAddr() net.Addr { return funnelAddr{} }

// RemoteAddr implements net.Conn.
func (t *tap) RemoteAddr() net.Addr { return funnelAddr{} }

// SetDeadline implements net.Conn.
func (t *tap) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (t *tap) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (t *tap) SetWriteDeadline(time.Time) error { return nil }
