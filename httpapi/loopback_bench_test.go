package httpapi

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/topologies"
)

// The benchmarks in this file drive real servers on loopback with wrk, in turns of so long, the
// node and then a bare handler: a Go load generator would take half of a small machine.
var (
	benchCounters = flag.Int("counters", 1_000_000, "counters of the loopback benchmarks")
	benchTurn     = flag.Duration("turn", time.Second, "how long wrk drives one server in the loopback benchmarks")
	benchOnly     = flag.String("only", "", "loopback benchmarks: drive only the node or bare, for a profile")
)

func benchName(i int) string { return fmt.Sprintf("tenant-%013d", i) }

// benchNode is a node on disk, alone in its ring, with counters that wrk.lua knows.
func benchNode(b *testing.B, durability string) *ring.Node {
	b.Helper()
	d, err := ring.ParseDurability(durability)
	if err != nil {
		b.Fatal(err)
	}
	n, err := ring.Open(b.Context(), ring.Config{
		Topology: topologies.Alone("bench", "decimal", "a"), Host: "a", Data: b.TempDir() + "/data", Durability: d,
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
	var commands []ring.Command
	for i := range *benchCounters {
		commands = append(commands, ring.Command{Op: tickets.CounterSetup, Name: benchName(i), Expire: hlc.Never})
		if len(commands) < 10_000 && i < *benchCounters-1 {
			continue
		}
		if _, err := n.Apply(b.Context(), commands); err != nil {
			b.Fatal(err)
		}
		commands = commands[:0]
	}
	return n
}

func newBenchAPI(b *testing.B, n Node) *API {
	b.Helper()
	api, err := New(n, Config{Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	return api
}

// serve serves h on loopback with the time limits that `bluerings serve` has.
func serve(b *testing.B, h http.Handler) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
	}
	go s.Serve(l)
	b.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// bareHandler does what any handler of such requests does: chi finds it, it reads and parses the
// body, and answers with the bytes and the header that a node answered. There is no state behind it.
func bareHandler(answer *http.Response, body []byte) http.Handler {
	mux := chi.NewRouter()
	respond := func(w http.ResponseWriter) {
		h := w.Header()
		for key, values := range answer.Header {
			if key != "Date" && key != "Content-Length" {
				h[key] = values
			}
		}
		w.WriteHeader(answer.StatusCode)
		w.Write(body)
	}
	mux.Get("/v1/counters/{name}", func(w http.ResponseWriter, r *http.Request) {
		if chi.URLParam(r, "name") == "" {
			http.Error(w, "bad", 400)
			return
		}
		respond(w)
	})
	mux.Post("/v1/counters/{name}", func(w http.ResponseWriter, r *http.Request) {
		var buf [512]byte
		n, err := io.ReadFull(r.Body, buf[:])
		var f fields
		if p := f.parse(buf[:n], counterFields); p != nil || !errors.Is(err, io.ErrUnexpectedEOF) || chi.URLParam(r, "name") == "" {
			http.Error(w, "bad", 400)
			return
		}
		respond(w)
	})
	return mux
}

// turn is what wrk measured in one turn.
type turn struct {
	perSecond float64
	p99       time.Duration
}

// wrk drives the server at addr for one turn. An answer that is no success fails the benchmark.
func wrk(b *testing.B, addr, kind string, connections int) turn {
	b.Helper()
	command := exec.Command("wrk", "-t1", "-c"+strconv.Itoa(connections), "-d"+fmt.Sprint(int(math.Ceil(benchTurn.Seconds())))+"s",
		"-s", "testdata/wrk.lua", "http://"+addr, "--", kind, strconv.Itoa(*benchCounters), strconv.FormatInt(time.Now().UnixNano()%1e9, 10))
	output, err := command.CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, output)
	}
	_, result, _ := bytes.Cut(output, []byte("\nRESULT "))
	var requests, micros, failed, p99 int64
	if _, err := fmt.Sscan(string(result), &requests, &micros, &failed, &p99); err != nil || failed > 0 || requests == 0 {
		b.Fatalf("%v: %s", err, output)
	}
	return turn{float64(requests) / (float64(micros) / 1e6), time.Duration(p99) * time.Microsecond}
}

func needWrk(b *testing.B) {
	if _, err := exec.LookPath("wrk"); err != nil {
		b.Skip("wrk is not installed")
	}
}

// benchmarkPair drives the node's interface and a bare handler in turns and reports both rates and
// the median of the ratios of the rounds. Run it with -benchtime 10x for ten rounds.
func benchmarkPair(b *testing.B, h http.Handler, method, kind string, connections int) {
	addr := serve(b, h)
	r, err := http.NewRequest(method, "http://"+addr+"/v1/counters/"+benchName(0), nil)
	if method == "POST" {
		r, err = http.NewRequest(method, r.URL.String(), bytes.NewReader([]byte(`{"amount":"7"}`)))
	}
	if err != nil {
		b.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || answer.StatusCode >= 300 {
		b.Fatal(err, answer.Status)
	}
	bareAddr := serve(b, bareHandler(answer, body))
	var ours, bares, ratios []float64
	b.ResetTimer()
	for b.Loop() {
		var mine, bare turn
		if *benchOnly != "bare" {
			mine = wrk(b, addr, kind, connections)
		}
		if *benchOnly != "node" {
			bare = wrk(b, bareAddr, kind, connections)
		}
		ours, bares, ratios = append(ours, mine.perSecond), append(bares, bare.perSecond), append(ratios, mine.perSecond/bare.perSecond)
	}
	b.ReportMetric(median(ours), kind+"s/s")
	b.ReportMetric(median(bares), "bare/s")
	b.ReportMetric(100*median(ratios), "%-of-bare")
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkLoopbackUpdate is one update a request. With "still" nothing is behind the interface but
// an answer made before: the share that is HTTP's alone.
func BenchmarkLoopbackUpdate(b *testing.B) {
	needWrk(b)
	b.Run("still", func(b *testing.B) { benchmarkPair(b, newBenchAPI(b, newStill()), "POST", "update", 64) })
	for _, durability := range []string{"none", "always"} {
		b.Run(durability, func(b *testing.B) {
			n := benchNode(b, durability)
			for _, connections := range []int{1, 16, 64, 256} {
				b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
					before := n.Statistics()
					benchmarkPair(b, newBenchAPI(b, n), "POST", "update", connections)
					after := n.Statistics()
					b.ReportMetric(float64(after.Tickets-before.Tickets)/float64(after.Commits-before.Commits), "updates/commit")
				})
			}
		})
	}
}

// BenchmarkLoopbackRead is a read a request.
func BenchmarkLoopbackRead(b *testing.B) {
	needWrk(b)
	b.Run("still", func(b *testing.B) { benchmarkPair(b, newBenchAPI(b, newStill()), "GET", "read", 64) })
	b.Run("always", func(b *testing.B) {
		benchmarkPair(b, newBenchAPI(b, benchNode(b, "always")), "GET", "read", 64)
	})
}

// BenchmarkLoopbackBatch is a thousand updates a request, each durable when answered.
func BenchmarkLoopbackBatch(b *testing.B) {
	needWrk(b)
	drive := func(b *testing.B, addr string, connections int) {
		var rates []float64
		for b.Loop() {
			rates = append(rates, 1000*wrk(b, addr, "batch", connections).perSecond)
		}
		b.ReportMetric(median(rates), "updates/s")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("still", func(b *testing.B) { drive(b, serve(b, newBenchAPI(b, newStill())), 4) })
	b.Run("always", func(b *testing.B) {
		addr := serve(b, newBenchAPI(b, benchNode(b, "always")))
		for _, connections := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) { drive(b, addr, connections) })
		}
	})
}
