package blackbox

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// waitFor is the path of a request that waits.
func waitFor(d time.Duration) string {
	return fmt.Sprintf("/v1/counters/well?at=%d&final=true&wait=%s", time.Now().Add(d).UnixMilli(), d)
}

// reaches waits until a metric has a value.
func (g *target) reaches(name string, want float64) {
	g.t.Helper()
	eventually(g.t, fmt.Sprintf("%s is %v", name, want), func() error {
		if n := g.metric(name); n != want {
			return fmt.Errorf("it is %v", n)
		}
		return nil
	})
}

// newSecureTarget is a target that speaks HTTPS, and with that HTTP/2. Its own client speaks
// HTTP/1.1, over other connections than the attackers.
func newSecureTarget(t *testing.T, args ...string) *target {
	t.Helper()
	ours, addr := newAuthority(t), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	i := ours.issue("server", time.Hour, "127.0.0.1")
	p := serve(t, addr, append([]string{
		"--pub", fmt.Sprintf("tcp://127.0.0.1:%d", freePort(t)), "--data", t.TempDir() + "/data",
		"--log-format", "json", "--log-level", "info", "--tls-cert", i.cert, "--tls-key", i.key,
	}, args...)...)
	p.url = "https://" + addr
	p.web = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ours.pool()}, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}}
	t.Cleanup(p.web.CloseIdleConnections)
	return measured(p.ready(), addr)
}

// h2 is an HTTP/2 connection whose client keeps to no rule but what it is told.
type h2 struct {
	t      *testing.T
	conn   net.Conn
	frames *http2.Framer
	head   bytes.Buffer
	pack   *hpack.Encoder
	stream uint32 // the last one opened

	mu     sync.Mutex
	limit  uint32            // streams that the node permits
	status map[uint32]string // by stream
	resets map[uint32]http2.ErrCode
	away   *http2.ErrCode
	closed chan struct{} // when the node ended it
}

// dialH2 connects and shakes hands. With deaf nothing more is read after that.
func (g *target) dialH2(deaf bool, settings ...http2.Setting) *h2 {
	g.t.Helper()
	below := g.dial()
	if deaf {
		_ = below.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	conn := tls.Client(below, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := conn.Handshake(); err != nil {
		g.t.Fatal(err)
	}
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		g.t.Fatal("the node does not speak HTTP/2")
	}
	c := &h2{t: g.t, conn: conn, frames: http2.NewFramer(conn, conn), stream: ^uint32(0), closed: make(chan struct{}),
		status: make(map[uint32]string), resets: make(map[uint32]http2.ErrCode)}
	c.pack = hpack.NewEncoder(&c.head)
	c.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err := conn.Write([]byte(http2.ClientPreface))
	err = errors.Join(err, c.frames.WriteSettings(settings...), c.read(), c.frames.WriteSettingsAck())
	if err != nil {
		g.t.Fatal(err)
	}
	if !deaf {
		go func() {
			defer close(c.closed)
			for c.read() == nil {
			}
		}()
	}
	return c
}

// read takes a frame in.
func (c *h2) read() error {
	frame, err := c.frames.ReadFrame()
	if err != nil && !errors.As(err, new(http2.StreamError)) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if n, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
			c.limit = n
		}
	case *http2.MetaHeadersFrame:
		c.status[f.StreamID] = f.PseudoValue("status")
	case *http2.RSTStreamFrame:
		c.resets[f.StreamID] = f.ErrCode
	case *http2.GoAwayFrame:
		c.away = &f.ErrCode
	}
	return nil
}

// open sends the head of a request on a new stream.
func (c *h2) open(method, path string, whole bool, fields ...string) (uint32, error) {
	c.stream += 2
	c.head.Reset()
	all := append([]string{":method", method, ":scheme", "https", ":authority", "a", ":path", path}, fields...)
	for i := 0; i+1 < len(all); i += 2 {
		if err := c.pack.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}); err != nil {
			return 0, err
		}
	}
	return c.stream, c.frames.WriteHeaders(http2.HeadersFrameParam{
		StreamID: c.stream, BlockFragment: c.head.Bytes(), EndStream: whole, EndHeaders: true,
	})
}

// counts tells how many streams were answered with a status, and how many reset.
func (c *h2) counts(status string) (answered, reset int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.status {
		if s == status {
			answered++
		}
	}
	return answered, len(c.resets)
}

// isClosed waits until the node has ended the connection.
func (c *h2) isClosed(what string) {
	c.t.Helper()
	select {
	case <-c.closed:
	case <-time.After(20 * time.Second):
		c.t.Fatalf("the connection stands after %s", what)
	}
}

// TestStreamsAreBounded: one connection has a hundred requests under way and no more, all of
// them together as many as there may be connections, and as many wait as may; others are served.
func TestStreamsAreBounded(t *testing.T) {
	g := newSecureTarget(t)
	c := g.dialH2(false)
	if c.limit != 100 {
		t.Fatalf("%d streams are permitted", c.limit)
	}
	ask := func(c *h2, n int, path string) {
		for range n {
			if _, err := c.open("GET", path, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask(c, 100, waitFor(50*time.Second))
	g.reaches("bluerings_http_waiting_requests", 100)
	ask(c, 5, "/livez")
	eventually(t, "5 streams are refused", func() error {
		if answered, reset := c.counts("200"); answered != 0 || reset != 5 {
			return fmt.Errorf("%d are answered, %d reset", answered, reset)
		}
		return nil
	})
	g.well()
	crowd := []*h2{c}
	for range 11 {
		c := g.dialH2(false)
		ask(c, 100, waitFor(50*time.Second))
		crowd = append(crowd, c)
	}
	eventually(t, "what may not wait is refused", func() error {
		refused := 0
		for _, c := range crowd {
			busy, _ := c.counts("503")
			refused += busy
		}
		if refused != 12*100-1024 {
			return fmt.Errorf("%d are refused", refused)
		}
		return nil
	})
	g.reaches("bluerings_http_waiting_requests", 1024)
	g.well()
	for _, c := range crowd {
		c.conn.Close()
	}
	g.reaches("bluerings_http_waiting_requests", 0)
	g.reaches("bluerings_http_streams", 0)
	g.recovered("the crowd")
}

// TestStreamsCountAsConnections: where few connections are permitted, so are requests.
func TestStreamsCountAsConnections(t *testing.T) {
	g := newSecureTarget(t, "--max-connections", "64")
	c := g.dialH2(false)
	for range 100 {
		if _, err := c.open("GET", waitFor(50*time.Second), true); err != nil {
			t.Fatal(err)
		}
	}
	g.reaches("bluerings_http_streams_refused_total", 36)
	g.reaches("bluerings_http_waiting_requests", 64)
	if busy, _ := c.counts("503"); busy != 36 {
		t.Fatalf("%d were told", busy)
	}
	g.well()
	c.conn.Close()
	g.recovered("the streams")
}

// TestRapidReset: requests that are taken back as soon as they were made (CVE-2023-44487) cost
// neither goroutines nor memory, or the connection.
func TestRapidReset(t *testing.T) {
	g := newSecureTarget(t)
	resets := 10_000
	if *hostileLong {
		resets = 200_000
	}
	for what, path := range map[string]string{"waits": waitFor(50 * time.Second), "reads": "/v1/counters/well", "lists": "/v1/counters?limit=1000"} {
		t.Run(what, func(t *testing.T) {
			g.t = t
			c, sent, most := g.dialH2(false), 0, 0.0
			for ; sent < resets; sent++ {
				stream, err := c.open("GET", path, true)
				if err == nil {
					err = c.frames.WriteRSTStream(stream, http2.ErrCodeCancel)
				}
				if err != nil {
					break
				}
				if sent%1000 == 999 {
					g.well()
					most = max(most, g.metric("go_goroutines"))
				}
			}
			if most > g.goroutines+150 {
				t.Errorf("%v goroutines, before %v", most, g.goroutines)
			}
			t.Logf("%d requests, at most %v goroutines, %s", sent, most, c.end())
			g.well()
			c.conn.Close()
			g.recovered(what)
		})
	}
	g.t = t
}

// end tells how the node said that the connection ends.
func (c *h2) end() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away != nil {
		return "closed: " + c.away.String()
	}
	return "open"
}

// TestEndlessHeads: heads of requests that never end lose the connection, soon if they are large,
// and in time if they are slow.
func TestEndlessHeads(t *testing.T) {
	g := newSecureTarget(t, "--header-timeout", "1s", "--read-timeout", "1s", "--idle-timeout", "1s")
	for what, size := range map[string]int{"large": 16 << 10, "small": 100, "empty": 0, "silent": -1} {
		t.Run(what, func(t *testing.T) {
			g.t = t
			c := g.dialH2(false)
			if err := c.pack.WriteField(hpack.HeaderField{Name: ":method", Value: "GET"}); err != nil {
				t.Fatal(err)
			}
			err := c.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.head.Bytes()})
			// A field that no table keeps: 0, length of the name, name, length of the value, value.
			fragment := bytes.Repeat([]byte("\x00\x01a\x01b"), max(size, 0)/5)
			frames := 0
			for ; err == nil && size >= 0 && frames < 1_000_000; frames++ {
				err = c.frames.WriteContinuation(1, false, fragment)
			}
			c.isClosed(fmt.Sprintf("%d frames of %d bytes", frames, len(fragment)))
			if sent := frames * len(fragment); sent > 32<<20 {
				t.Errorf("it took %d bytes", sent)
			}
			t.Logf("closed after %d frames", frames)
			g.well()
			g.recovered(what)
		})
	}
	g.t = t
}

// TestSlowStreams: bodies that come byte by byte are cut off in time, though all of them share a
// connection, and then the connection.
func TestSlowStreams(t *testing.T) {
	g := newSecureTarget(t, "--header-timeout", "1s", "--read-timeout", "1s", "--max-wait", "1s", "--answer-timeout", "1s", "--idle-timeout", "1s")
	c := g.dialH2(false)
	var streams []uint32
	for range 100 {
		stream, err := c.open("POST", "/v1/batch", false, "content-type", "application/x-ndjson", "content-length", "8000000")
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 5 {
		for _, stream := range streams {
			_ = c.frames.WriteData(stream, false, []byte(" ")) // it may have been cut off
		}
		<-tick.C
	}
	g.well()
	eventually(t, "all are told that they are late", func() error {
		if late, reset := c.counts("408"); late != len(streams) {
			return fmt.Errorf("%d were told, %d reset", late, reset)
		}
		return nil
	})
	g.reaches("bluerings_http_streams", 0)
	c.isClosed("slow bodies")
	g.recovered("slow streams")
}

// TestStreamsNobodyReads: a client that asks for long answers and takes nothing, be it that it gives
// no room for them, or that it does not read the connection, holds no handler for long.
func TestStreamsNobodyReads(t *testing.T) {
	g := newSecureTarget(t, "--header-timeout", "1s", "--read-timeout", "1s", "--max-wait", "1s", "--answer-timeout", "1s", "--idle-timeout", "1s")
	line := `{"op":"counter.update","name":"well","amount":"1","ref":"` + strings.Repeat("r", 200) + `"}` + "\n"
	for range 3 {
		a, err := g.call("POST", "/v1/batch", strings.Repeat(line, 10_000), "Content-Type: application/x-ndjson")
		if err != nil || a.status != 200 {
			t.Fatal(err, a)
		}
	}
	g.heap += 32 << 20 // for 30,000 tickets
	for what, window := range map[string]uint32{"no room": 0, "no reader": 1<<31 - 1} {
		t.Run(what, func(t *testing.T) {
			g.t = t
			c := g.dialH2(window > 0, http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
			err := c.frames.WriteWindowUpdate(0, 1<<30)
			for i := 0; err == nil && i < 60; i++ { // a slow client is cut off before
				path := []string{"/v1/counters/well/tickets?limit=10000", "/v1/backup", "/v1/counters/well"}[i%3]
				_, err = c.open("GET", path, true, "accept", "application/x-ndjson, */*")
			}
			g.well()
			g.reaches("bluerings_http_streams", 0)
			g.recovered(what)
		})
	}
	g.t = t
}
