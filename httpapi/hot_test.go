package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// racing is set under the race detector, where pools drop what they hold at random.
var racing bool

// TestHotRoutesCostFewAllocations: of an update the id of the request and its header, the command,
// its outcome and its id; of a read the first two.
func TestHotRoutesCostFewAllocations(t *testing.T) {
	if racing {
		t.Skip("allocations are counted without the race detector")
	}
	api, err := New(newStill(), Config{Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, body string
		most         float64
	}{{"POST", updateBody, 5}, {"GET", "", 2}} {
		source := &rewound{text: c.body}
		r := httptest.NewRequest(c.method, "/v1/counters/alice", source)
		r.ContentLength = int64(len(c.body))
		w := &discard{header: make(http.Header)}
		allocs := testing.AllocsPerRun(1000, func() {
			source.Reset(source.text)
			r.Body = source
			clear(w.header)
			api.ServeHTTP(w, r)
		})
		if allocs > c.most || w.bytes == 0 {
			t.Errorf("%s: %v allocations, want at most %v", c.method, allocs, c.most)
		}
	}
}

// FuzzFind: a route found without the router is the one that the router finds, with the same name.
func FuzzFind(f *testing.F) {
	for _, path := range []string{
		"/v1/counters/a", "/v1/counters/a%2Fb", "/v1/counters/a%25b", "/v1/counters/", "/v1/counters/a/", "/v1/counters/a/tickets",
		"/v1/counters//a", "/v1/counters/..", "/v1/counters/%2e%2e", "/v1/counters/%C3%A4", "/v1/counters/a;b=c&d", "//v1/counters/a",
		"/v1/counters/{name}", "/v1/counters/*", "http://other/v1/counters/a", "/v1/counters/a%00", "/v1/counters/a?x=%2F", "*",
	} {
		f.Add(path)
	}
	api, err := New(newFake(), Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		for _, method := range []string{"GET", "PUT", "POST", "DELETE", "HEAD"} {
			got, name := api.find(&http.Request{Method: method, URL: u})
			if got == nil {
				continue
			}
			c := chi.NewRouteContext()
			seen := ""
			if api.mux.Match(c, method, u.EscapedPath()) {
				seen, _ = url.PathUnescape(c.URLParam("name"))
			}
			if c.RoutePattern() != got.pattern || got.method != method || seen != name {
				t.Fatalf("%s %q: found %s with %q, the router %s with %q", method, path, got.pattern, name, c.RoutePattern(), seen)
			}
		}
	})
}
