package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func connect(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(Options{URL: s.URL + "/", Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNamesAreOneSegment(t *testing.T) {
	for _, name := range []string{"a", "a/b", "..", ".", "%2F", "ü x?#", "a+b", "."} {
		var path string
		c := connect(t, func(_ http.ResponseWriter, r *http.Request) { path = r.URL.EscapedPath() })
		if _, err := c.Do(context.Background(), Request{Method: "GET", Path: "/v1/counters/" + Segment(name) + "/tickets"}); err != nil {
			t.Fatal(err)
		}
		if want := "/v1/counters/" + Segment(name) + "/tickets"; path != want || strings.Count(path, "/") != 4 {
			t.Errorf("%q was asked for as %s, want %s", name, path, want)
		}
	}
}

func TestRetryRepeatsTheSameRequest(t *testing.T) {
	var calls atomic.Int32
	var bodies []string
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body)+r.Header.Get("Authorization"))
		switch calls.Add(1) {
		case 1:
			http.Error(w, `{"title":"Busy","code":"busy"}`, http.StatusServiceUnavailable)
		case 2:
			hijacked, _, _ := w.(http.Hijacker).Hijack()
			hijacked.Close()
		default:
			w.Write([]byte("done"))
		}
	})
	a, err := c.Retry(context.Background(), Request{Method: "POST", Path: "/"}.JSON(map[string]string{"id": "x"}), time.Minute)
	if err != nil || string(a.Body) != "done" {
		t.Fatal(a, err)
	}
	for _, b := range bodies {
		if len(bodies) != 3 || b != `{"id":"x"}Bearer secret` {
			t.Errorf("requests were %q", bodies)
		}
	}
}

func TestAnswersAreNotRetried(t *testing.T) {
	for status, body := range map[int]string{
		404: `{"title":"Unknown counter","detail":"no counter \"x\"","code":"unknown_counter"}`,
		503: `{"title":"Not coherent","code":"not_coherent","reasons":[{"code":"not_heard","host":"b"}]}`,
	} {
		calls := 0
		c := connect(t, func(w http.ResponseWriter, _ *http.Request) { calls++; http.Error(w, body, status) })
		_, err := c.Retry(context.Background(), Request{Method: "GET", Path: "/"}, time.Minute)
		var p *Problem
		if !errors.As(err, &p) || p.Status != status || calls != 1 {
			t.Errorf("%d calls, error %v", calls, err)
		}
	}
}

func TestRetryEnds(t *testing.T) {
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	_, err := c.Retry(context.Background(), Request{Method: "GET", Path: "/"}, time.Minute)
	if err == nil || err.Error() != "Service Unavailable (503)" {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Retry(ctx, Request{Method: "GET", Path: "/"}, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestProblemsAreReadable(t *testing.T) {
	for body, want := range map[string]string{
		`{"title":"Id reused","detail":"other amount","code":"id_reused"}`:                                  "Id reused: other amount (id_reused)",
		`{"title":"Not coherent","code":"x","reasons":[{"code":"not_heard","host":"b","detail":"for 2s"}]}`: "Not coherent (x)\n  b: not_heard: for 2s",
		"<html>\x1b[2J oops</html>\nmore":                                                                   "I'm a teapot: <html>[2J oops</html> (418)",
		"":                                                                                                  "I'm a teapot (418)",
	} {
		c := connect(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			w.Write([]byte(body))
		})
		if _, err := c.Do(context.Background(), Request{Method: "GET", Path: "/"}); err == nil || err.Error() != want {
			t.Errorf("%q is %q, want %q", body, err, want)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	for _, o := range []Options{{URL: ""}, {URL: "localhost:80"}, {URL: "ftp://x"}, {URL: "http://x", Cert: "c"}, {URL: "https://x", CA: "/nothing"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
