package httpapi

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestTokens(t *testing.T) {
	s := newServer(t, withTokens(t,
		"# who may what", "", "reader read "+HashToken("r"), "writer  write\t"+HashToken("w"),
		"both read,write "+strings.ToUpper(HashToken("rw")), "boss admin "+HashToken("a")))
	status := func(target, method, body, token string) int {
		return s.call(method, target, body, "Authorization: Bearer "+token).Code
	}
	put := `{"expire":"never"}`
	for token, want := range map[string][3]int{
		"r": {200, 403, 403}, "w": {403, 200, 403}, "rw": {200, 200, 403}, "a": {200, 200, 200}, "x": {401, 401, 401}, "": {401, 401, 401},
	} {
		status("/v1/counters/c", "PUT", put, "a")
		got := [3]int{status("/v1/counters/c", "GET", "", token), status("/v1/counters/c", "PUT", put, token), status("/v1/backup", "GET", "", token)}
		if got != want {
			t.Errorf("%q: %v, want %v", token, got, want)
		}
	}
	for _, path := range []string{"/metrics", "/openapi.json", "/docs", "/v1/coherence"} {
		answer := s.want(401, Unauthorized, "GET", path, "")
		if answer.Header().Get("WWW-Authenticate") == "" {
			t.Error("no WWW-Authenticate")
		}
		s.want(401, Unauthorized, "GET", path, "", "Authorization: Basic r")
	}
	for _, path := range []string{"/livez", "/readyz", "/"} {
		s.want(200, "", "GET", path, "")
	}
}

func TestReload(t *testing.T) {
	s := newServer(t, withTokens(t, "one read "+HashToken("1")))
	s.want(200, "", "GET", "/v1/statistics", "", "Authorization: bearer 1")
	write := func(line string) {
		if err := os.WriteFile(s.tokenFile, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("two read " + HashToken("2"))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	s.want(401, Unauthorized, "GET", "/v1/statistics", "", "Authorization: Bearer 1")
	s.want(200, "", "GET", "/v1/statistics", "", "Authorization: Bearer 2")
	write("two read abc\nthree all " + HashToken("3") + "\nfour\n")
	err := s.Reload()
	if err == nil || strings.Count(err.Error(), "line ") != 3 {
		t.Fatalf("%v", err)
	}
	s.want(200, "", "GET", "/v1/statistics", "", "Authorization: Bearer 2")
}

func TestClientCertificates(t *testing.T) {
	s := newServer(t, func(c *Config) { c.TrustClientCert = true })
	s.want(401, Unauthorized, "GET", "/v1/statistics", "")
	r := httptest.NewRequest("GET", "/v1/backup", nil)
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{}}}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	if rec.Code != 200 {
		t.Error(rec.Code)
	}
}

func TestCoherenceAnswer(t *testing.T) {
	s := newServer(t)
	answer := s.want(200, "", "GET", "/v1/coherence?wait=10s", "")
	s.has(answer, "coherent", "true")
	s.has(answer, "reasons", "[]")
	s.has(answer, "vector", `{"a/1f":1}`)
	s.has(answer, "final_through", "null")
	s.node.set(func() { s.node.verdict.Coherent = false })
	s.has(s.want(200, "", "GET", "/v1/coherence?wait=1ms", ""), "blocked_by", `["b"]`)
}

func TestDocumentsAndPictures(t *testing.T) {
	s := newServer(t)
	s.has(s.want(200, "", "GET", "/openapi.json", ""), "openapi", `"3.1.0"`)
	docs := s.want(200, "", "GET", "/docs", "", "Accept: text/html,*/*;q=0.8").text
	for _, rt := range routes {
		if !strings.Contains(docs, `id="`+rt.id+`"`) {
			t.Errorf("/docs lacks %s", rt.id)
		}
	}
	if strings.Contains(docs, "&lt;no value&gt;") || strings.Contains(docs, "ZgotmplZ") {
		t.Error("/docs has holes")
	}
	for _, path := range []string{"/", "/docs"} {
		answer := s.want(200, "", "GET", path, "")
		policy := answer.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "sha256-") || strings.Contains(policy, "unsafe") {
			t.Error(policy)
		}
	}
	s.want(200, "", "GET", "/v1/topology", "")
	for format, mediaType := range map[string]string{"svg": "image/svg+xml", "dot": "text/plain; charset=utf-8", "mermaid": "text/plain; charset=utf-8"} {
		answer := s.want(200, "", "GET", "/v1/topology?format="+format, "")
		if answer.text != "<svg>"+format+"\n" || answer.Header().Get("Content-Type") != mediaType {
			t.Errorf("%s: %v %s", format, answer.Header(), answer.text)
		}
	}
	if got := s.want(200, "", "GET", "/v1/backup", "").text; got != "a tar" {
		t.Error(got)
	}
}

func TestMetricsCountRoutesNotNames(t *testing.T) {
	s := newServer(t)
	s.want(201, "", "POST", "/v1/counters/secret", `{"amount":1,"expire":"1h"}`)
	s.want(404, UnknownCounter, "GET", "/v1/counters/secret2", "")
	s.want(404, NotFound, "GET", "/secret3", "")
	text := s.want(200, "", "GET", "/metrics", "").text
	for _, want := range []string{
		`bluerings_http_requests_total{method="POST",route="/v1/counters/{name}",status="201"} 1`,
		`bluerings_http_requests_total{method="GET",route="/v1/counters/{name}",status="404"} 1`,
		`bluerings_http_requests_total{method="",route="unmatched",status="404"} 1`,
		`bluerings_http_request_seconds_count{method="POST",route="/v1/counters/{name}"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "secret") {
		t.Error("a name is in the metrics")
	}
}

func TestNewRefuses(t *testing.T) {
	registry := prometheus.NewRegistry()
	if _, err := New(newFake(), Config{Registerer: registry}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(newFake(), Config{Registerer: registry}); err == nil {
		t.Error("metrics registered twice")
	}
	if _, err := New(newFake(), Config{Tokens: t.TempDir()}); err == nil {
		t.Error("a directory of tokens")
	}
}

// TestEverySuccess meets every status of success that is documented, as the
// tests of names do before it: it runs them where it is run alone.
func TestEverySuccess(t *testing.T) {
	for _, run := range []func(*testing.T){
		TestCounterLife, TestReplicas, TestNamesOfAllKinds, TestTexts, TestSets, TestListPages, TestLedger, TestBatch, TestCoherenceAnswer, TestDocumentsAndPictures,
		TestFinality, TestTokens, TestMetricsCountRoutesNotNames,
	} {
		run(t)
	}
	newServer(t).want(200, "", "GET", "/v1/statistics", "")
	seenMu.Lock()
	defer seenMu.Unlock()
	for _, rt := range routes {
		for _, status := range rt.statuses {
			if !seen[rt.method+" "+rt.pattern+" "+strconv.Itoa(status)] {
				t.Errorf("no test meets %s %s %d", rt.method, rt.pattern, status)
			}
		}
	}
}
