package zmqbus

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// guard is the net.Conn the library works on. The guard has shaken hands
// with the peer before; to the library it plays a flawless peer, hands it
// only whole frames that were checked, and takes its writes into a queue so
// that they never block. One goroutine of the bus empties the queue.
type guard struct {
	raw  net.Conn // the socket: closed to end everything
	wire net.Conn // raw, or TLS over it
	in   *bufio.Reader
	peer string // name for logs and metrics
	lim  *Limits
	q    *queue

	// next yields the bytes of one checked message for the library; it runs
	// on the library's reading goroutine, when that has dealt with all before.
	next func() ([]byte, error)
	// ended is called once, when the connection is over.
	ended func(g *guard, err error)
	// refused is called when a message did not fit the queue.
	refused func(g *guard, reason string)

	out []byte // checked bytes the library has not read yet
	buf []byte // backs what next returns

	wmu   sync.Mutex // the library's writers take turns
	split splitter

	once       sync.Once
	writerDone chan struct{}
	sent       atomic.Uint64 // messages queued
	sentBytes  atomic.Uint64 // bytes written
	dropped    atomic.Uint64
}

// inBuffer is the read buffer of a connection: subscribers say little.
func inBuffer(ours string) int {
	if ours == typePub {
		return 2 << 10
	}
	return 64 << 10
}

// newGuard wraps a connection whose handshake is done; ours is the type of
// our socket. The caller sets next, ended and refused, then calls start.
func newGuard(raw, wire net.Conn, in *bufio.Reader, ours, peer string, lim *Limits, q *queue) *guard {
	return &guard{
		raw: raw, wire: wire, in: in, peer: peer, lim: lim, q: q,
		out:        libraryHandshake(ours),
		writerDone: make(chan struct{}),
	}
}

// libraryHandshake is what the library reads in place of the real handshake.
func libraryHandshake(ours string) []byte {
	return append(greeting(0), ready(counterparts[ours][0], "")...)
}

func (g *guard) start() { go g.writeLoop() }

// Read implements net.Conn for the library.
func (g *guard) Read(p []byte) (int, error) {
	for len(g.out) == 0 {
		out, err := g.next()
		if err != nil {
			g.end(err)
			return 0, errEnd
		}
		g.out = out
	}
	n := copy(p, g.out)
	g.out = g.out[n:]
	return n, nil
}

// Write implements net.Conn for the library. It never blocks and never
// fails: the library learns of the end by Read alone, in one place.
func (g *guard) Write(p []byte) (int, error) {
	g.wmu.Lock()
	defer g.wmu.Unlock()
	g.split.write(p, g.emit)
	return len(p), nil
}

func (g *guard) emit(s *splitter) {
	reason := g.q.push(s.small, s.big)
	if reason == "" {
		g.sent.Add(1)
		return
	}
	g.dropped.Add(1)
	g.refused(g, reason)
}

// pong answers a PING. It waits its turn between whole messages; when the
// queue is full it is dropped like any of them.
func (g *guard) pong(ping []byte) {
	if frame, err := pongTo(ping); err == nil {
		g.q.push(frame, nil)
	}
}

func (g *guard) writeLoop() {
	defer close(g.writerDone)
	_, tcp := g.wire.(*net.TCPConn)
	_, unix := g.wire.(*net.UnixConn)
	w := batchWriter{conn: g.wire, vectored: tcp || unix}
	var batch []segment
	for {
		var open bool
		if batch, open = g.q.take(batch[:0]); !open {
			return
		}
		size := 0
		for _, s := range batch {
			size += len(s.data)
		}
		// SetWriteDeadline fails only on a closed connection, as write then does.
		_ = g.wire.SetWriteDeadline(time.Now().Add(g.lim.WriteTimeout))
		if err := w.write(batch); err != nil {
			if reasonOf(err) == reasonTimeout {
				err = faultf(reasonStalled, "took nothing for %v: %w", g.lim.WriteTimeout, err)
			}
			g.end(err)
			return
		}
		g.sentBytes.Add(uint64(size))
		g.q.done(batch)
	}
}

// end closes the connection, for the first reason given.
func (g *guard) end(err error) {
	g.once.Do(func() {
		g.q.close()
		_ = g.raw.Close()
		g.ended(g, err)
	})
}

// Close implements net.Conn for the library.
func (g *guard) Close() error {
	g.end(net.ErrClosed)
	return nil
}

// LocalAddr implements net.Conn.
func (g *guard) LocalAddr() net.Addr { return g.raw.LocalAddr() }

// RemoteAddr implements net.Conn.
func (g *guard) RemoteAddr() net.Addr { return g.raw.RemoteAddr() }

// SetDeadline implements net.Conn; deadlines are the guard's own business.
func (g *guard) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn; see SetDeadline.
func (g *guard) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn; see SetDeadline.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }
