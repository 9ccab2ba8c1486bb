package httpapi

import (
	"io"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestEveryRouteWantsItsScope asks for every route of the table without a token, with one that is
// not known, and with one of every scope.
func TestEveryRouteWantsItsScope(t *testing.T) {
	s := newServer(t, withTokens(t, "r read "+HashToken("read"), "w write "+HashToken("write"), "a admin "+HashToken("admin")))
	scopes := map[string]Scope{"read": Read, "write": Write, "admin": Read | Write | Admin}
	for _, rt := range routes {
		path := strings.NewReplacer("{name}", "n", "{element}", "e").Replace(rt.pattern)
		for _, token := range []string{"", "unknown", "read", "write", "admin"} {
			headers := []string{}
			if token != "" {
				headers = append(headers, "Authorization: Bearer "+token)
			}
			code := s.call(rt.method, path, "", headers...).Code
			scope, known := scopes[token]
			switch {
			case rt.scope == open || known && scope&rt.scope == rt.scope:
				if code == 401 || code == 403 {
					t.Errorf("%s %s with token %q: %d", rt.method, path, token, code)
				}
			case !known && code != 401, known && code != 403:
				t.Errorf("%s %s with token %q: %d", rt.method, path, token, code)
			}
		}
	}
}

func TestTokensExpire(t *testing.T) {
	at := func(d time.Duration) string { return " " + time.Now().Add(d).UTC().Format(time.RFC3339) }
	s := newServer(t, withTokens(t, "old read "+HashToken("old")+at(-time.Minute), "new read "+HashToken("new")+at(time.Hour)))
	s.want(401, Unauthorized, "GET", "/v1/statistics", "", "Authorization: Bearer old")
	s.want(200, "", "GET", "/v1/statistics", "", "Authorization: Bearer new")
	for _, end := range []string{"tomorrow", "2026-13-01T00:00:00Z", "1969-01-01T00:00:00Z", "2027-01-01"} {
		if _, err := ParseTokens([]byte("x read " + HashToken("x") + " " + end)); err == nil {
			t.Errorf("the end %s was taken", end)
		}
	}
}

// TestBodiesAreBounded: large bodies that arrive slowly share a limit, and give back what they held.
func TestBodiesAreBounded(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits = Limits{Body: 100 << 10, Batch: 100 << 10} })
	if s.limits.Bodies = 150 << 10; s.bodies.Load() != 0 {
		t.Fatal(s.bodies.Load())
	}
	r, stalled := io.Pipe()
	done := make(chan int)
	request := httptest.NewRequest("POST", "/v1/batch", r)
	request.Header.Set("Content-Type", mediaNDJSON)
	go func() {
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, request)
		done <- rec.Code
	}()
	if _, err := stalled.Write(make([]byte, 90<<10)); err != nil {
		t.Fatal(err)
	}
	for s.bodies.Load() < 90<<10 { // the reader counts a moment after the pipe is empty
		runtime.Gosched()
	}
	s.want(503, Busy, "POST", "/v1/batch", strings.Repeat("\n", 90<<10), "Content-Type: application/x-ndjson")
	s.want(404, UnknownCounter, "POST", "/v1/counters/c", `{"amount":1}`)
	stalled.Close()
	if code := <-done; code != 200 {
		t.Error(code)
	}
	if held := s.bodies.Load(); held != 0 {
		t.Errorf("%d bytes are counted after all bodies ended", held)
	}
	s.want(200, "", "POST", "/v1/batch", strings.Repeat("\n", 90<<10), "Content-Type: application/x-ndjson")
}
