package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fastjson"

	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/value"
)

// stillNode answers every command with the same outcome, so that benchmarks
// see nothing but HTTP.
type stillNode struct {
	*fakeNode
	outcome ring.Outcome
}

func newStill() *stillNode {
	n := &stillNode{fakeNode: newFake()}
	c := ring.Command{Op: tickets.CounterAdd, Name: "calls/alice", Amount: value.FromInt64(1), Expire: n.clock.Add(1e15), ID: "4711"}
	n.outcome = n.apply(&c)
	n.verdict.FinalThrough = n.clock
	return n
}

func (n *stillNode) Apply(_ context.Context, commands []ring.Command) ([]ring.Outcome, error) {
	outcomes := make([]ring.Outcome, len(commands))
	for i := range outcomes {
		outcomes[i] = n.outcome
	}
	return outcomes, nil
}

func (n *stillNode) Read(tickets.Key) (ring.Reading, bool) { return n.outcome.Reading, true }

// discard is a ResponseWriter that costs nothing.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { d.bytes += len(p); return len(p), nil }

// rewound is a request body that can be sent again.
type rewound struct {
	strings.Reader
	text string
}

func (*rewound) Close() error { return nil }

func benchmark(b *testing.B, h http.Handler, method, target, body, mediaType string) {
	source := &rewound{text: body}
	r := httptest.NewRequest(method, target, source)
	r.ContentLength = int64(len(body))
	if body != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	w := &discard{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(source.text)
		r.Body = source
		clear(w.header)
		w.bytes = 0
		h.ServeHTTP(w, r)
	}
	if w.bytes < 20 {
		b.Fatal("there was no answer")
	}
}

const updateBody = `{"amount":"1","id":"4711"}`

// bare is chi with a handler that parses the body with fastjson and answers
// with bytes made before.
func bare(answer []byte) http.Handler {
	mux := chi.NewRouter()
	var pool fastjson.ParserPool
	handle := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		p := pool.Get()
		defer pool.Put(p)
		for line := range strings.SplitSeq(string(body), "\n") {
			if line == "" {
				continue
			}
			v, parseErr := p.Parse(line)
			if err != nil || parseErr != nil || v.Get("amount") == nil {
				w.WriteHeader(400)
				return
			}
		}
		w.Header().Set("Content-Type", mediaJSON)
		w.WriteHeader(201)
		_, _ = w.Write(answer)
	}
	mux.Post("/v1/counters/{name}", handle)
	mux.Get("/v1/counters/{name}", handle)
	mux.Post("/v1/batch", handle)
	return mux
}

func benchmarkBoth(b *testing.B, method, target, body, mediaType string) {
	api, err := New(newStill(), Config{Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	rec := httptest.NewRecorder()
	api.ServeHTTP(rec, r)
	b.Run("api", func(b *testing.B) { benchmark(b, api, method, target, body, mediaType) })
	b.Run("bare", func(b *testing.B) { benchmark(b, bare(rec.Body.Bytes()), method, target, body, mediaType) })
}

func BenchmarkUpdate(b *testing.B) {
	benchmarkBoth(b, "POST", "/v1/counters/alice", updateBody, mediaJSON)
}

func BenchmarkRead(b *testing.B) {
	benchmarkBoth(b, "GET", "/v1/counters/alice", "", "")
}

func BenchmarkBatch1000(b *testing.B) {
	var body strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&body, `{"op":"counter.update","name":"calls/%d","amount":"1.25","id":"id-%d"}`+"\n", i, i)
	}
	benchmarkBoth(b, "POST", "/v1/batch", body.String(), mediaNDJSON)
}

// BenchmarkParse is the body of an update, taken apart by us and by others.
func BenchmarkParse(b *testing.B) {
	body := []byte(updateBody)
	b.Run("fields", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var f fields
			if f.parse(body, counterFields) != nil {
				b.Fatal()
			}
		}
	})
	b.Run("fastjson", func(b *testing.B) {
		var p fastjson.Parser
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.ParseBytes(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding_json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v struct{ Amount, ID string }
			if err := json.Unmarshal(body, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
