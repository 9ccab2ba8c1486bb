package zmqbus

import (
	"bufio"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// subscriber is the PUB side's end of one connection.
type subscriber struct {
	*guard
	asked   func(topic string)
	since   time.Time
	topics  map[string]struct{} // reading goroutine only
	held    atomic.Int64        // len(topics), for Stats
	pending string              // a request the library is just taking in
	frame   []byte
}

func newReader(c net.Conn, ours string) *bufio.Reader {
	return bufio.NewReaderSize(c, inBuffer(ours))
}

// next implements guard.next: it waits for the next subscription or
// cancellation and puts it into the one form the library understands.
func (s *subscriber) next() ([]byte, error) {
	if s.pending != "" {
		// The library reads on only after it has taken the subscription in;
		// so what is published by now finds its subscriber.
		s.asked(s.pending)
		s.pending = ""
	}
	for {
		what, arg, buf, err := readRequest(s.in, s.buf, s.lim)
		s.buf = buf
		if err != nil {
			return nil, err
		}
		switch what {
		case actPing:
			s.pong(arg)
		case actSubscribe:
			return s.subscribe(string(arg))
		case actCancel:
			if _, known := s.topics[string(arg)]; known {
				delete(s.topics, string(arg))
				s.held.Add(-1)
				return s.encode(0, string(arg)), nil
			}
		}
	}
}

func (s *subscriber) subscribe(topic string) ([]byte, error) {
	if _, known := s.topics[topic]; !known {
		if len(s.topics) >= s.lim.Topics {
			return nil, faultf(reasonTopics, "more than %d subscriptions", s.lim.Topics)
		}
		s.topics[topic] = struct{}{}
		s.held.Add(1)
	}
	if strings.HasPrefix(topic, askPrefix) {
		s.pending = topic
	}
	return s.encode(1, topic), nil
}

func (s *subscriber) encode(kind byte, topic string) []byte {
	s.frame = appendHeader(s.frame[:0], 0, 1+len(topic))
	s.frame = append(s.frame, kind)
	s.frame = append(s.frame, topic...)
	return s.frame
}

// waitingRoom holds the connections that are in their handshake, oldest
// first. When it is full the oldest has to go: an honest handshake takes a
// few round trips, so only silent ones grow old.
type waitingRoom struct {
	limit  int
	mu     sync.Mutex
	conns  []net.Conn
	closed bool
}

// enter adds c; it returns the connection to close in its favour, if any.
func (w *waitingRoom) enter(c net.Conn) (evicted net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return c
	}
	if len(w.conns) >= w.limit {
		evicted = w.conns[0]
		w.conns = slices.Delete(w.conns, 0, 1)
	}
	w.conns = append(w.conns, c)
	return evicted
}

// leave takes c out; false means that it had been evicted.
func (w *waitingRoom) leave(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.conns, c)
	if i < 0 {
		return false
	}
	w.conns = slices.Delete(w.conns, i, i+1)
	return true
}

// empty closes all and lets none in any more.
func (w *waitingRoom) empty() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}
