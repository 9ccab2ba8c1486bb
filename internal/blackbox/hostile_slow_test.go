package blackbox

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

var hostileLong = flag.Bool("hostile-long", false, "the longer forms of the attacks on a node")

// TestSlowClients: heads and bodies that come byte by byte, and answers that nobody reads, are cut
// off in time, and the others are served meanwhile.
func TestSlowClients(t *testing.T) {
	g := newTarget(t, "--header-timeout", "1s", "--read-timeout", "2s", "--max-wait", "1s", "--answer-timeout", "1s", "--idle-timeout", "1s")
	clients := 100
	if *hostileLong {
		clients = 2000
	}
	for name, head := range map[string]string{
		"silence":   "",
		"headers":   "GET /v1/counters/well HTTP/1.1\r\nHost: a\r\nX-Slow: ",
		"bodies":    "POST /v1/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nContent-Length: 8000000\r\n\r\n",
		"chunks":    "POST /v1/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
		"idle":      "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
		"halfClose": "GET /livez HTTP/1.1\r\nHost: a\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			g.t = t
			var slow []net.Conn
			for range clients {
				c := g.dial()
				if _, err := io.WriteString(c, head); err != nil {
					t.Fatal(err)
				}
				if name == "halfClose" {
					_ = c.(*net.TCPConn).CloseWrite()
				}
				slow = append(slow, c)
			}
			if head != "" && name != "idle" && name != "halfClose" {
				drip(slow)
			}
			g.well()
			for _, c := range slow {
				g.closedBefore(c, 10*time.Second)
			}
			g.recovered(name)
		})
	}
	g.t = t
}

// drip sends a few bytes more on each connection, a byte at a time.
func drip(connections []net.Conn) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 5 {
		for _, c := range connections {
			_, _ = c.Write([]byte(" ")) // it may have been cut off
		}
		<-tick.C
	}
}

// TestAnswersNobodyReads: clients that ask and never read lose the connection, be it one long
// answer or very many short ones.
func TestAnswersNobodyReads(t *testing.T) {
	g := newTarget(t, "--header-timeout", "1s", "--read-timeout", "1s", "--max-wait", "1s", "--answer-timeout", "1s", "--idle-timeout", "1s", "--log-level", "info")
	var lines bytes.Buffer
	for range 10_000 {
		lines.WriteString(`{"op":"counter.update","name":"well","amount":"1","ref":"` + strings.Repeat("r", 200) + `"}` + "\n")
	}
	for range 3 {
		a, err := g.call("POST", "/v1/batch", lines.String(), "Content-Type: application/x-ndjson")
		if err != nil || a.status != 200 {
			t.Fatal(err, a)
		}
	}
	g.heap += 32 << 20 // for 30,000 tickets
	stream := "GET /v1/counters/well/tickets HTTP/1.1\r\nHost: a\r\nAccept: application/x-ndjson\r\n\r\n"
	backup := "GET /v1/backup HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, request := range map[string]string{
		"ledger": stream, "backup": backup, "pipelined": strings.Repeat("GET /v1/counters/well HTTP/1.1\r\nHost: a\r\n\r\n", 50_000),
	} {
		t.Run(name, func(t *testing.T) {
			g.t = t
			var deaf []net.Conn
			for range 5 {
				c := g.dial()
				_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
				go io.WriteString(c, request)
				deaf = append(deaf, c)
			}
			g.well()
			eventually(t, "the deaf lose their connections", func() error {
				if open := g.metric("bluerings_http_connections"); open > 3 {
					return fmt.Errorf("%v are open", open)
				}
				return nil
			})
			for _, c := range deaf {
				c.Close()
			}
			g.recovered(name)
		})
	}
	g.t = t
}

// TestIdleCrowd: 10,000 idle connections cost memory but nobody else's requests; beyond the limit
// new ones are closed at once, and what stands goes on.
func TestIdleCrowd(t *testing.T) {
	const crowd = 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < crowd+1000 {
		t.Skipf("%d open files are permitted, %d are needed: raise ulimit -n", limit.Cur, crowd+1000)
	}
	g := newTarget(t, "--max-connections", fmt.Sprint(crowd+64), "--log-level", "info")
	connections := make([]net.Conn, 0, crowd)
	answer := make([]byte, 512)
	for range crowd {
		c := g.dial()
		if _, err := io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		connections = append(connections, c)
	}
	for i, c := range connections {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := c.Read(answer); err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 200")) {
			t.Fatalf("connection %d: %v: %s", i, err, answer[:n])
		}
	}
	begun := time.Now()
	for range 50 {
		g.well()
	}
	t.Logf("%d idle connections: %.0f bytes resident, 100 requests took %s", crowd, g.metric("process_resident_memory_bytes"), time.Since(begun))
	for range 100 {
		connections = append(connections, g.dial())
	}
	eventually(t, "the connections beyond the limit are refused", func() error {
		if n := g.metric("bluerings_http_connections_refused_total"); n < 30 {
			return fmt.Errorf("%v are refused", n)
		}
		return nil
	})
	g.well()
	for _, c := range connections {
		c.Close()
	}
	g.recovered("the crowd")
}

// TestWaitsAreBounded: more waiting requests than are permitted are refused, and those that their
// clients abandon leave.
func TestWaitsAreBounded(t *testing.T) {
	g := newTarget(t)
	ask := fmt.Sprintf("GET /v1/counters/well?at=%d&final=true&wait=50s HTTP/1.1\r\nHost: a\r\n\r\n", time.Now().Add(50*time.Second).UnixMilli())
	var waiting []net.Conn
	for range 1024 {
		c := g.dial()
		if _, err := io.WriteString(c, ask); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, c)
	}
	eventually(t, "1,024 wait", func() error {
		if n := g.metric("bluerings_http_waiting_requests"); n != 1024 {
			return fmt.Errorf("%v wait", n)
		}
		return nil
	})
	for range 10 {
		c := g.dial()
		if _, err := io.WriteString(c, ask); err != nil {
			t.Fatal(err)
		}
		a, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
			t.Fatal(err, a)
		}
	}
	g.well()
	for _, c := range waiting {
		c.Close()
	}
	eventually(t, "the abandoned waits end", func() error {
		if n := g.metric("bluerings_http_waiting_requests"); n != 0 {
			return fmt.Errorf("%v wait", n)
		}
		return nil
	})
	g.recovered("waits")
}

// TestAbandonedUpdates: an update whose client is gone before the answer counts once, however often
// it is sent again with its id.
func TestAbandonedUpdates(t *testing.T) {
	g := newTarget(t)
	g.must("PUT", "/v1/counters/abandoned", `{"expire":"never"}`)
	const updates = 300
	for i := range updates {
		body := fmt.Sprintf(`{"amount":"1","id":"a%d"}`, i)
		head := fmt.Sprintf("POST /v1/counters/abandoned HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(body))
		whole := head + body
		for _, sent := range []string{whole, whole[:len(whole)-i%len(whole)], whole} {
			c := g.dial()
			_, _ = io.WriteString(c, sent)
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}
	for i := range updates {
		g.must("POST", "/v1/counters/abandoned", fmt.Sprintf(`{"amount":"1","id":"a%d"}`, i))
	}
	if v := g.must("GET", "/v1/counters/abandoned", "").Value; v != fmt.Sprint(updates) {
		t.Errorf("%s, want %d", v, updates)
	}
	g.recovered("abandoned updates")
}
