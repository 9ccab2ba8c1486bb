package main

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// boundedListener closes connections beyond a number of open ones at once, so that no crowd of
// idle clients takes the descriptors that the ledger and the ring need.
type boundedListener struct {
	net.Listener
	most    int64
	open    atomic.Int64
	refused atomic.Uint64
}

// descriptorsKept are those left to files and links where the system permits few.
const descriptorsKept = 256

func newBoundedListener(l net.Listener, most int64) *boundedListener {
	if permitted := descriptors(); permitted > 0 {
		most = min(most, max(permitted-descriptorsKept, permitted/2))
	}
	return &boundedListener{Listener: l, most: most}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			return &countedConn{Conn: c, open: &l.open}, nil
		}
		l.open.Add(-1)
		l.refused.Add(1)
		_ = c.Close() // nobody is told anything
	}
}

// countedConn is counted as open until it is closed.
type countedConn struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// collectors are the metrics of connections.
func (l *boundedListener) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bluerings_http_connections", Help: "Connections of HTTP clients that are open.",
		}, func() float64 { return float64(l.open.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "bluerings_http_connections_refused_total", Help: "Connections closed at once because there were too many.",
		}, func() float64 { return float64(l.refused.Load()) }),
	}
}

// boundedRequests answers no more HTTP/2 requests at a time than there may be connections: what
// a request may take, a buffer, a body, a wait, is then bounded as if each came over a connection
// of its own, which those of HTTP/1 do.
type boundedRequests struct {
	next    http.Handler
	most    int64
	open    atomic.Int64
	refused atomic.Uint64
}

func (b *boundedRequests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 {
		b.next.ServeHTTP(w, r)
		return
	}
	defer b.open.Add(-1)
	if b.open.Add(1) > b.most {
		b.refused.Add(1)
		refuse(w, `{"status":503,"code":"busy","type":"/docs#problem-busy","title":"too much is waiting; nothing was done","detail":"too many requests are under way"}`)
		return
	}
	b.next.ServeHTTP(w, r)
}

// collectors are the metrics of HTTP/2 requests.
func (b *boundedRequests) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bluerings_http_streams", Help: "HTTP/2 requests that are under way.",
		}, func() float64 { return float64(b.open.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "bluerings_http_streams_refused_total", Help: "HTTP/2 requests refused because there were too many under way.",
		}, func() float64 { return float64(b.refused.Load()) }),
	}
}
