package zmqbus

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// chunkBytes is the block small messages are gathered in.
	chunkBytes = 32 << 10
	// flushBytes is about what one write to the network carries: beyond it
	// larger writes gain nothing (the knee lies at 16 to 64 KiB).
	flushBytes = 64 << 10
	// bigBody is the size from which a payload is queued by reference: it is
	// shared by all subscribers, not copied for each.
	bigBody = 8 << 10
	// pieceBytes is the most of one payload given to one write, so that
	// WriteTimeout measures progress.
	pieceBytes = 256 << 10
)

var chunks = sync.Pool{New: func() any { b := make([]byte, 0, chunkBytes); return &b }}

// segment is a run of bytes ready for the wire.
type segment struct {
	data  []byte
	chunk *[]byte   // to give back, or nil where data belongs to a payload
	since time.Time // when its first byte was queued
}

// queue holds what waits for one peer, bounded in bytes. push never blocks.
type queue struct {
	max      int
	total    *atomic.Int64 // over all queues of the bus, or nil
	totalMax int64

	mu     sync.Mutex
	wake   sync.Cond
	segs   []segment
	bytes  int       // queued or being written
	oldest time.Time // of what is being written; zero when idle
	closed bool
}

func newQueue(limit int, total *atomic.Int64, totalMax int) *queue {
	q := &queue{max: limit, total: total, totalMax: int64(totalMax)}
	q.wake.L = &q.mu
	return q
}

// push queues one whole message: small is copied, big is kept and must never
// change. It returns "" or the reason the message was dropped for.
func (q *queue) push(small, big []byte) string {
	size := len(small) + len(big)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return reasonClosed
	case q.bytes+size > q.max:
		return reasonQueue
	case q.total != nil && q.bytes+size > queueShare && q.total.Load()+int64(size) > q.totalMax:
		return reasonTotal
	}
	q.bytes += size
	if q.total != nil {
		q.total.Add(int64(size))
	}
	now := time.Now()
	for len(small) > 0 {
		last := len(q.segs) - 1
		if last < 0 || q.segs[last].chunk == nil || len(q.segs[last].data) == chunkBytes {
			chunk := chunks.Get().(*[]byte)
			q.segs = append(q.segs, segment{data: (*chunk)[:0], chunk: chunk, since: now})
			last++
		}
		s := &q.segs[last]
		n := min(len(small), chunkBytes-len(s.data))
		s.data = append(s.data, small[:n]...)
		small = small[n:]
	}
	if len(big) > 0 {
		q.segs = append(q.segs, segment{data: big, since: now})
	}
	q.wake.Signal()
	return ""
}

// take waits for something to write and moves up to about flushBytes of it
// to batch. It returns false once the queue is closed.
func (q *queue) take(batch []segment) ([]segment, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.oldest = time.Time{}
	for len(q.segs) == 0 && !q.closed {
		q.wake.Wait()
	}
	if q.closed {
		return batch, false
	}
	size, n := 0, 0
	for n < len(q.segs) && size < flushBytes {
		s := &q.segs[n]
		if s.chunk == nil && len(s.data) > pieceBytes {
			batch = append(batch, segment{data: s.data[:pieceBytes], since: s.since})
			s.data = s.data[pieceBytes:]
			break
		}
		size += len(s.data)
		batch = append(batch, *s)
		n++
	}
	m := copy(q.segs, q.segs[n:])
	clear(q.segs[m:])
	q.segs = q.segs[:m]
	if m == 0 && cap(q.segs) > 1024 {
		q.segs = nil
	}
	q.oldest = batch[0].since
	return batch, true
}

// done gives a written batch back.
func (q *queue) done(batch []segment) {
	size := 0
	for i, s := range batch {
		size += len(s.data)
		if s.chunk != nil {
			chunks.Put(s.chunk)
		}
		batch[i] = segment{}
	}
	q.mu.Lock()
	if !q.closed { // close has already subtracted everything
		q.bytes -= size
		if q.total != nil {
			q.total.Add(-int64(size))
		}
	}
	q.mu.Unlock()
}

// close drops what waits and releases the writer.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	if q.total != nil {
		q.total.Add(-int64(q.bytes))
	}
	q.bytes, q.segs = 0, nil
	q.wake.Broadcast()
}

// waiting returns the queued bytes and whether the oldest of them has waited
// less than stall.
func (q *queue) waiting(now time.Time, stall time.Duration) (bytes int, healthy bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest := q.oldest
	if oldest.IsZero() && len(q.segs) > 0 {
		oldest = q.segs[0].since
	}
	return q.bytes, oldest.IsZero() || now.Sub(oldest) < stall
}

// batchWriter writes batches to one connection.
type batchWriter struct {
	conn     net.Conn
	vectored bool   // several buffers in one system call: TCP and Unix sockets
	joined   []byte // for others (TLS): one buffer, one record or few
	bufs     net.Buffers
}

func (w *batchWriter) write(batch []segment) error {
	if w.vectored {
		bufs := w.bufs[:0]
		for _, s := range batch {
			bufs = append(bufs, s.data)
		}
		w.bufs = bufs
		_, err := bufs.WriteTo(w.conn)
		clear(w.bufs)
		return err
	}
	if len(batch) == 1 {
		_, err := w.conn.Write(batch[0].data)
		return err
	}
	w.joined = w.joined[:0]
	for _, s := range batch {
		w.joined = append(w.joined, s.data...)
	}
	_, err := w.conn.Write(w.joined)
	return err
}
