package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"bluerings/hlc"
	"bluerings/ring"
)

// TestProblems meets every code there is.
func TestProblems(t *testing.T) {
	met := map[Code]bool{BadOp: true} // of lines of batches only
	long := strings.Repeat("x", 70<<10)
	for _, c := range []struct {
		code                 Code
		method, target, body string
		header               string
	}{
		{BadRequest, "GET", "/v1/counters/x", "", "Require-Coherence: maybe"},
		{BadJSON, "POST", "/v1/counters/x", `{"amount":1`, ""},
		{BadJSON, "POST", "/v1/counters/x", `[]`, ""},
		{BadJSON, "POST", "/v1/counters/x", `{"amount":01}`, ""},
		{BadJSON, "POST", "/v1/counters/x", `{"amount":1} {}`, ""},
		{BadJSON, "POST", "/v1/counters/x", `{"amount":"` + "\xff" + `"}`, ""},
		{BadJSON, "POST", "/v1/counters/x", `{"ref":"\ud800"}`, ""},
		{BadJSON, "POST", "/v1/batch", `[{"op":"counter.update"`, ""},
		{UnknownField, "POST", "/v1/counters/x", `{"amuont":1}`, ""},
		{UnknownField, "POST", "/v1/counters/x", `{"op":"x"}`, ""},
		{DuplicateField, "POST", "/v1/counters/x", `{"amount":1,"amount":2}`, ""},
		{DuplicateField, "POST", "/v1/counters/x", `{"id":null,"\u0069d":"b"}`, ""},
		{BadParameter, "GET", "/v1/counters/x?att=1", "", ""},
		{BadParameter, "GET", "/v1/counters/x?at=1&at=2", "", ""},
		{BadParameter, "GET", "/v1/counters/x?at=%zz", "", ""},
		{BadParameter, "GET", "/v1/counters/x?final=maybe", "", ""},
		{BadParameter, "GET", "/v1/topology?format=png", "", ""},
		{BadName, "GET", "/v1/counters/%00", "", ""},
		{BadName, "GET", "/v1/counters/a%0Ab", "", ""},
		{BadName, "GET", "/v1/counters/%ff", "", ""},
		{BadName, "GET", "/v1/counters/..", "", ""},
		{BadName, "GET", "/v1/counters/%2E%2e", "", ""},
		{BadName, "PUT", "/v1/counters/.", `{"expire":"1h"}`, ""},
		{BadName, "GET", "/v1/counters/" + strings.Repeat("n", 513), "", ""},
		{BadAmount, "POST", "/v1/counters/x", `{}`, ""},
		{BadAmount, "POST", "/v1/counters/x", "", ""},
		{BadAmount, "POST", "/v1/counters/x", `{"amount":""}`, ""},
		{BadAmount, "POST", "/v1/counters/x", `{"amount":"+1"}`, ""},
		{BadAmount, "POST", "/v1/counters/x", `{"amount":"NaN"}`, ""},
		{BadAmount, "POST", "/v1/counters/x", `{"amount":-0}`, ""},
		{BadAmount, "POST", "/v1/counters/x", `{"amount":true}`, ""},
		{BadAmount, "POST", "/v1/counters/x", `{"amount":{}}`, ""},
		{BadAmount, "POST", "/v1/counters/x", `{"amount":1e100000}`, ""},
		{BadAmount, "POST", "/v1/counters/x", `{"amount":"` + strings.Repeat("9", 5000) + `"}`, ""},
		{BadText, "PUT", "/v1/texts/x", `{"text":"` + long + `"}`, ""},
		{BadText, "PUT", "/v1/texts/x", `{"text":1}`, ""},
		{BadText, "PUT", "/v1/texts/x", `{}`, ""},
		{BadElement, "PUT", "/v1/sets/x/elements/%7F", "", ""},
		{BadElement, "GET", "/v1/sets/x/elements/..", "", ""},
		{BadID, "POST", "/v1/counters/x", `{"amount":1,"id":""}`, ""},
		{BadID, "POST", "/v1/counters/x", `{"amount":1,"id":"a"}`, "Idempotency-Key: b"},
		{BadID, "POST", "/v1/batch", "", "Idempotency-Key: b"},
		{BadRef, "POST", "/v1/counters/x", `{"amount":1,"ref":7}`, ""},
		{BadExpire, "PUT", "/v1/counters/x", `{}`, ""},
		{BadExpire, "PUT", "/v1/counters/x", `{"expire":"2020-01-01T00:00:00Z"}`, ""},
		{BadExpire, "PUT", "/v1/counters/x", `{"expire":1577836800000}`, ""},
		{BadExpire, "PUT", "/v1/counters/x", `{"expire":1.5}`, ""},
		{BadExpire, "PUT", "/v1/counters/x", `{"expire":"0s"}`, ""},
		{BadExpire, "PUT", "/v1/counters/x", `{"expire":"-1h"}`, ""},
		{BadExpire, "PUT", "/v1/counters/x", `{"expire":"9999-01-01T00:00:00Z"}`, ""},
		{BadTime, "GET", "/v1/counters/x?at=yesterday", "", ""},
		{BadTime, "GET", "/v1/counters/x/tickets?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "", ""},
		{BadWait, "GET", "/v1/coherence?wait=61s", "", ""},
		{BadWait, "GET", "/v1/counters/x?wait=1s", "", ""},
		{BadWait, "POST", "/v1/counters/x?wait=1s", `{"amount":1,"wait":"2s"}`, ""},
		{BadLimit, "GET", "/v1/counters?limit=0", "", ""},
		{BadLimit, "GET", "/v1/counters?limit=1001", "", ""},
		{BadLimit, "GET", "/v1/counters/x/tickets?limit=10001", "", ""},
		{BadCursor, "GET", "/v1/counters?cursor=!", "", ""},
		{BadCursor, "GET", "/v1/counters/x/tickets?cursor=" + encodeName("x"), "", ""},
		{BadReplicas, "POST", "/v1/counters/x?replicas=-1", `{"amount":1}`, ""},
		{BadReplicas, "POST", "/v1/counters/x", `{"amount":1,"replicas":1.5}`, ""},
		{BadReplicas, "POST", "/v1/counters/x?replicas=1", `{"amount":1,"replicas":2}`, ""},
		{CrossOrigin, "POST", "/v1/counters/x", `{"amount":1}`, "Sec-Fetch-Site: cross-site"},
		{NotFound, "GET", "/v2", "", ""},
		{NotFound, "GET", "/v1/counters/", "", ""},
		{NotFound, "GET", "/v1/counters/x/", "", ""},
		{NotFound, "GET", "/v1/counters//tickets", "", ""},
		{NotFound, "GET", "/v1/sets/x/elements/", "", ""},
		{NotFound, "GET", "/livez/", "", ""},
		{UnknownCounter, "GET", "/v1/counters/nobody", "", ""},
		{UnknownCounter, "GET", "/v1/counters/nobody?at=2026-03-01T00:00:00Z", "", ""},
		{UnknownCounter, "GET", "/v1/counters/nobody/tickets", "", ""},
		{UnknownCounter, "POST", "/v1/counters/nobody", `{"amount":1}`, ""},
		{UnknownText, "GET", "/v1/texts/nobody", "", ""},
		{UnknownText, "PUT", "/v1/texts/nobody", `{"text":""}`, ""},
		{UnknownSet, "GET", "/v1/sets/nobody", "", ""},
		{UnknownSet, "PUT", "/v1/sets/nobody/elements/e", "", ""},
		{UnknownSet, "DELETE", "/v1/sets/nobody/elements/e", "", ""},
		{UnknownSet, "GET", "/v1/sets/nobody/elements/e", "", ""},
		{UnknownElement, "GET", "/v1/sets/x/elements/e", "", ""},
		{MethodNotAllowed, "PATCH", "/v1/counters/x", "", ""},
		{MethodNotAllowed, "DELETE", "/v1/counters/x", "", ""},
		{NotAcceptable, "GET", "/v1/counters/x", "", "Accept: text/html"},
		{NotAcceptable, "GET", "/v1/counters/x/tickets", "", "Accept: application/pdf"},
		{NotAcceptable, "POST", "/v1/batch", "", "Accept: text/csv"},
		{NotFinal, "GET", "/v1/counters/x?final=true", "", ""},
		{NotFinal, "GET", "/v1/counters/x?final=true&wait=1ms", "", ""},
		{NotFinal, "GET", "/v1/digest", "", ""},
		{Expired, "GET", "/v1/counters/x?at=0", "", ""},
		{TooLarge, "POST", "/v1/counters/x", `{"ref":"` + strings.Repeat(long, 16) + `"}`, ""},
		{TooLarge, "POST", "/v1/batch", strings.Repeat("{}\n", 10_001), ""},
		{URITooLong, "GET", "/v1/counters/" + long, "", ""},
		{UnsupportedMedia, "POST", "/v1/counters/x", "amount=1", "Content-Type: application/x-www-form-urlencoded"},
		{UnsupportedMedia, "POST", "/v1/counters/x", "{}", "Content-Type: application/json; charset=latin1"},
		{UnsupportedMedia, "POST", "/v1/counters/x", "{}", "Content-Encoding: gzip"},
		{IDReused, "POST", "/v1/counters/x", `{"amount":2,"id":"used"}`, ""},
	} {
		s := newServer(t)
		s.want(201, "", "POST", "/v1/counters/x", `{"amount":1,"id":"used","expire":"never"}`)
		s.want(201, "", "PUT", "/v1/sets/x", `{"expire":"never"}`)
		var headers []string
		if c.header != "" {
			headers = append(headers, c.header)
		}
		answer := s.want(c.code.status(), c.code, c.method, c.target, c.body, headers...)
		if got := answer.Header().Get("Content-Type"); got != mediaProblem {
			t.Errorf("%s: Content-Type %q", c.code, got)
		}
		met[c.code] = true
	}
	for _, c := range nodeProblems(t) {
		met[c] = true
	}
	for _, c := range codes {
		if !met[c.code] {
			t.Errorf("nothing meets %s", c.code)
		}
	}
}

// nodeProblems meets the codes that depend on the state of the node.
func nodeProblems(t *testing.T) (met []Code) {
	for err, code := range map[error]Code{
		ring.ErrReadOnly: ReadOnly, ring.ErrFull: DiskFull, ring.ErrUncertain: Uncertain, ring.ErrValueTooLarge: ValueTooLarge,
		ring.ErrBusy: Busy, ring.ErrClosed: Unavailable, context.Canceled: Unavailable, ring.ErrNotCoherent: NotCoherent,
		ring.ErrExpireInPast: BadExpire, errors.New("what is this"): Internal, fmt.Errorf("wrapped: %w", ring.ErrIDReused): IDReused,
	} {
		s := newServer(t)
		s.node.fail = err
		answer := s.want(code.status(), code, "POST", "/v1/counters/x", `{"amount":1}`)
		if retry := answer.Header().Get("Retry-After"); (retry != "") != (code.retry() > 0) {
			t.Errorf("%s: Retry-After %q", code, retry)
		}
		if strings.Contains(answer.text, "what is this") {
			t.Errorf("the client learns %s", answer.text)
		}
		s.node.fail, s.node.outcome = nil, err
		s.want(code.status(), code, "POST", "/v1/counters/x", `{"amount":1}`)
		met = append(met, code)
	}
	s := newServer(t)
	s.node.notReady = errors.New("catching up")
	s.want(503, NotReady, "GET", "/readyz", "")
	s = newServer(t, withTokens(t, "reader read "+HashToken("r")))
	s.want(401, Unauthorized, "GET", "/v1/statistics", "")
	s.want(403, Forbidden, "POST", "/v1/counters/x", `{"amount":1}`, "Authorization: Bearer r")
	r := httptest.NewRequest("POST", "/v1/counters/x", iotest.ErrReader(os.ErrDeadlineExceeded))
	s = newServer(t)
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	if rec.Code != 408 {
		t.Errorf("a body that does not come: %d", rec.Code)
	}
	return append(met, NotReady, Unauthorized, Forbidden, RequestTimeout)
}

func withTokens(t testing.TB, lines ...string) func(*Config) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Tokens = file }
}

func TestMethodNotAllowedNamesTheMethods(t *testing.T) {
	answer := newServer(t).want(405, MethodNotAllowed, "DELETE", "/v1/counters/a%2Fb", "")
	if got := answer.Header().Get("Allow"); got != "GET, HEAD, POST, PUT" {
		t.Errorf("Allow: %s", got)
	}
}

func TestPanicIsAnsweredAndLogged(t *testing.T) {
	s := newServer(t)
	s.node.broken = true
	answer := s.want(500, Internal, "POST", "/v1/counters/x", `{"amount":1}`)
	if strings.Contains(answer.text, "fake") || !strings.Contains(s.log.String(), "the fake is broken") {
		t.Errorf("the client learns %s, the log %s", answer.text, s.log.String())
	}
}

// TestBrokenOffStreamsAreNotEnded: half an answer must not look whole.
func TestBrokenOffStreamsAreNotEnded(t *testing.T) {
	s := newServer(t)
	defer func() {
		if caught := recover(); caught != http.ErrAbortHandler {
			t.Errorf("recovered %v", caught)
		}
	}()
	s.route(func(x *exchange) error {
		_, _ = x.Write([]byte("half"))
		return errors.New("the disk is gone")
	})
}

// route runs a handler as a route's.
func (s *server) route(handle func(*exchange) error) {
	rt := &route{
		scope: open, handle: func(_ *API, x *exchange) error { return handle(x) },
		metrics: s.metrics.of("/test", "GET"),
	}
	x := &exchange{ResponseWriter: httptest.NewRecorder(), api: s.API, r: httptest.NewRequest("GET", "/test", nil), began: time.Now()}
	defer x.finish()
	rt.ServeHTTP(x, x.r)
}

func TestBoundedWaits(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.Waits = 1 })
	s.waits <- struct{}{}
	s.want(201, "", "PUT", "/v1/counters/x", `{"expire":"never"}`)
	s.node.set(func() { s.node.verdict.Coherent = false })
	s.want(503, Busy, "GET", "/v1/coherence?wait=1s", "")
	s.want(503, Busy, "GET", "/v1/counters/x?final=true&wait=1s", "")
	s.want(503, Busy, "POST", "/v1/counters/x?replicas=1", `{"amount":1}`)
	s.has(s.want(200, "", "GET", "/v1/counters/x", ""), "value", `"0"`)
	<-s.waits
	s.want(200, "", "GET", "/v1/coherence?wait=1ms", "")
	if len(s.waits) != 0 {
		t.Errorf("%d wait still", len(s.waits))
	}
}

func TestCoherenceOnDemand(t *testing.T) {
	s := newServer(t)
	s.want(201, "", "PUT", "/v1/counters/x", `{"expire":"never"}`, "Require-Coherence: true")
	s.node.set(func() { s.node.verdict.Coherent = false })
	for _, c := range [][3]string{
		{"GET", "/v1/counters/x", ""}, {"GET", "/v1/counters/x/tickets", ""}, {"GET", "/v1/counters", ""},
		{"GET", "/v1/coherence", ""}, {"POST", "/v1/counters/x", `{"amount":1}`},
		{"POST", "/v1/batch", `{"op":"counter.update","name":"x","amount":1}`},
	} {
		answer := s.want(503, NotCoherent, c[0], c[1]+"?require_coherence=true", c[2])
		s.has(answer, "reasons", `[{"code":"not_heard","detail":"for 3s","host":"b"}]`)
		if answer.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		s.want(503, NotCoherent, c[0], c[1], c[2], "Require-Coherence: true")
	}
	answer := s.want(200, "", "GET", "/v1/counters/x", "")
	s.has(answer, "value", `"0"`)
	if got := answer.Header().Get("Coherent"); got != "false" {
		t.Errorf("Coherent: %s", got)
	}
}

func TestFinality(t *testing.T) {
	s := newServer(t)
	s.want(201, "", "POST", "/v1/counters/x", `{"amount":"1.50","expire":"never"}`)
	at := s.node.Now()
	s.want(201, "", "POST", "/v1/counters/x", `{"amount":2}`)
	answer := s.want(200, "", "GET", "/v1/counters/x?at="+at.String(), "")
	s.has(answer, "value", `"1.5"`)
	s.has(answer, "final", "false")
	s.want(409, NotFinal, "GET", "/v1/counters/x?final=true&wait=1ms&at="+at.String(), "")
	s.node.set(func() { s.node.verdict.FinalThrough = at })
	answer = s.want(200, "", "GET", "/v1/counters/x?final=true&at="+at.String(), "")
	s.has(answer, "final", "true")
	s.has(answer, "final_through", `"`+at.String()+`"`)
	if got := answer.Header().Get("Final-Through"); got != at.String() {
		t.Errorf("Final-Through: %s", got)
	}
	s.has(s.want(200, "", "GET", "/v1/digest", ""), "final", "true")
	s.node.set(func() { s.node.verdict.FinalThrough = hlc.Latest })
	s.has(s.want(200, "", "GET", "/v1/counters/x?final=true&wait=5s", ""), "value", `"3.5"`)
}

func TestNamesInTheLogStayOnTheirLine(t *testing.T) {
	s := newServer(t)
	s.call("GET", "/v1/counters/a%0Ab%22", "", "X-Request-Id: mine")
	if n := bytes.Count(s.log.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("%d lines: %s", n, s.log.String())
	}
	if !strings.Contains(s.log.String(), "request_id=mine") {
		t.Error(s.log.String())
	}
}
