package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/topologies"
)

const benchCounters = 10_000

func benchName(i int) string { return fmt.Sprintf("tenant-%013d", i%benchCounters) }

// benchNode is a node on disk, alone in its ring, behind HTTP on loopback.
func benchNode(b *testing.B) (addr string) {
	b.Helper()
	n, err := ring.Open(b.Context(), ring.Config{
		Topology: topologies.Alone("bench", "decimal", "a"), Host: "a", Data: b.TempDir() + "/data",
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			b.Error(err)
		}
	})
	cmds := make([]ring.Command, benchCounters)
	for i := range cmds {
		cmds[i] = ring.Command{Op: tickets.CounterSetup, Name: benchName(i), Expire: hlc.Never}
	}
	if _, err := n.Apply(b.Context(), cmds); err != nil {
		b.Fatal(err)
	}
	api, err := New(n, Config{Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	return serve(b, api)
}

func serve(b *testing.B, h http.Handler) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	b.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// bareHandler does what any handler of such updates does: chi finds it, it
// reads and parses the body, and answers with the bytes that a node answered.
func bareHandler(answer *http.Response, body []byte) http.Handler {
	mux := chi.NewRouter()
	mux.Post("/v1/counters/{name}", func(w http.ResponseWriter, r *http.Request) {
		var buf [512]byte
		n, err := io.ReadFull(r.Body, buf[:])
		var f fields
		if p := f.parse(buf[:n], counterFields); p != nil || !errors.Is(err, io.ErrUnexpectedEOF) || chi.URLParam(r, "name") == "" {
			http.Error(w, "bad", 400)
			return
		}
		h := w.Header()
		for key, values := range answer.Header {
			if key != "Date" && key != "Content-Length" {
				h[key] = values
			}
		}
		w.WriteHeader(answer.StatusCode)
		w.Write(body)
	})
	return mux
}

// load sends total requests over so many connections, each one after another.
// It parses of an answer what it must, so as to cost little beside the server.
func load(b *testing.B, addr string, connections, total int, request func(dst []byte, i int) []byte) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			r := bufio.NewReaderSize(c, 64<<10)
			var buf []byte
			for {
				i := int(next.Add(1))
				if i > total {
					return
				}
				buf = request(buf[:0], i)
				if _, err := c.Write(buf); err != nil {
					b.Error(err)
					return
				}
				if err := skipAnswer(r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

var contentLength = []byte("Content-Length: ")

func skipAnswer(r *bufio.Reader) error {
	status, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(status) < 12 || status[9] != '2' {
		return fmt.Errorf("answer %q", status)
	}
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			_, err = r.Discard(length)
			return err
		}
		if bytes.HasPrefix(line, contentLength) {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):])))
		}
	}
}

func updateRequest(dst []byte, i int) []byte {
	dst = append(append(append(dst, "POST /v1/counters/"...), benchName(i)...),
		" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"...)
	return append(dst, `{"amount":"7"}`...)
}

func readRequest(dst []byte, i int) []byte {
	return append(append(append(dst, "GET /v1/counters/"...), benchName(i)...), " HTTP/1.1\r\nHost: a\r\n\r\n"...)
}

// BenchmarkLoopbackUpdate is one update a request, each durable when answered, beside
// a bare handler in the same run.
func BenchmarkLoopbackUpdate(b *testing.B) {
	for _, connections := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			addr := benchNode(b)
			answer, err := http.Post("http://"+addr+"/v1/counters/"+benchName(0), "application/json", bytes.NewReader([]byte(`{"amount":"7"}`)))
			if err != nil {
				b.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != 201 {
				b.Fatal(err, answer.Status)
			}
			bareAddr := serve(b, bareHandler(answer, body))
			load(b, addr, connections, 1000, updateRequest)
			b.ReportAllocs()
			b.ResetTimer()
			// In turns, so that both meet the same mood of the machine.
			const rounds = 8
			var bareTook time.Duration
			for round := range rounds {
				share := b.N*(round+1)/rounds - b.N*round/rounds
				load(b, addr, connections, share, updateRequest)
				b.StopTimer()
				began := time.Now()
				load(b, bareAddr, connections, share, updateRequest)
				bareTook += time.Since(began)
				b.StartTimer()
			}
			b.StopTimer()
			rate := float64(b.N) / b.Elapsed().Seconds()
			bare := float64(b.N) / bareTook.Seconds()
			b.ReportMetric(rate, "updates/s")
			b.ReportMetric(bare, "bare/s")
			b.ReportMetric(rate/bare, "of-bare")
		})
	}
}

// BenchmarkLoopbackBatch is a thousand updates a request over four connections.
func BenchmarkLoopbackBatch(b *testing.B) {
	addr := benchNode(b)
	var lines bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&lines, `{"op":"counter.update","name":"%s","amount":"7"}`+"\n", benchName(i*7919))
	}
	request := fmt.Appendf(nil, "POST /v1/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", lines.Len(), lines.Bytes())
	b.ReportAllocs()
	b.ResetTimer()
	load(b, addr, 4, b.N, func(dst []byte, _ int) []byte { return append(dst, request...) })
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

// BenchmarkLoopbackRead is a read a request over 64 connections.
func BenchmarkLoopbackRead(b *testing.B) {
	addr := benchNode(b)
	b.ReportAllocs()
	b.ResetTimer()
	load(b, addr, 64, b.N, readRequest)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
}
