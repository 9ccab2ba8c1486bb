package blackbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bluerings/topologies"
)

// request is one request and what must come of it.
type request struct {
	what    string
	method  string
	path    string
	body    string
	headers []string
	status  int
	code    string // of the problem; empty for a success
}

// provoke sends the requests in their order.
func provoke(t *testing.T, p *process, requests []request) {
	t.Helper()
	for _, r := range requests {
		a, err := p.call(r.method, r.path, r.body, r.headers...)
		if err != nil {
			t.Errorf("%s: %v", r.what, err)
			continue
		}
		if a.status != r.status {
			t.Errorf("%s: %s %s: status %d, want %d: %.300s", r.what, r.method, r.path, a.status, r.status, a.body)
			continue
		}
		if r.code != "" {
			checkProblem(t, &r, a)
		}
	}
}

// checkProblem checks an answer by RFC 9457.
func checkProblem(t *testing.T, r *request, a *answer) {
	t.Helper()
	var p struct {
		Type, Title, Code string
		Status            int
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Errorf("%s: %v: %.300s", r.what, err, a.body)
	}
	if p.Code != r.code || p.Status != r.status || p.Type == "" || p.Title == "" {
		t.Errorf("%s: the problem is %.300s, want code %s", r.what, a.body, r.code)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("%s: its media type is %s", r.what, got)
	}
	if r.status == 503 && a.header.Get("Retry-After") == "" {
		t.Errorf("%s: no Retry-After", r.what)
	}
	if r.status == 405 && a.header.Get("Allow") == "" {
		t.Errorf("%s: no Allow", r.what)
	}
}

// solitary starts a node without peers.
func solitary(t *testing.T, args ...string) *process {
	t.Helper()
	args = append([]string{"--data", filepath.Join(t.TempDir(), "data"), "--host", "a", "--pub", "tcp://127.0.0.1:0"}, args...)
	return serve(t, fmt.Sprintf("127.0.0.1:%d", freePort(t)), args...).ready()
}

func TestStatusCodes(t *testing.T) {
	t.Parallel()
	const ndjson = "Content-Type: application/x-ndjson"
	provoke(t, solitary(t), []request{
		{"set up", "PUT", "/v1/counters/c", `{"expire":"never"}`, nil, 201, ""},
		{"set up again", "PUT", "/v1/counters/c", `{"expire":"never"}`, nil, 200, ""},
		{"update", "POST", "/v1/counters/c", `{"amount":"-3.5","id":"i"}`, nil, 201, ""},
		{"replay", "POST", "/v1/counters/c", `{"amount":"-3.50","id":"i"}`, nil, 200, ""},
		{"id of a header", "POST", "/v1/counters/c", `{"amount":1}`, []string{"Idempotency-Key: h"}, 201, ""},
		{"id used again", "POST", "/v1/counters/c", `{"amount":"-4","id":"i"}`, nil, 422, "id_reused"},
		{"read", "GET", "/v1/counters/c", "", nil, 200, ""},
		{"name with slash and space", "POST", "/v1/counters/a%2Fb%20c", `{"amount":1,"expire":"30d"}`, nil, 201, ""},
		{"text", "PUT", "/v1/texts/t", `{"text":"x","expire":"720h"}`, nil, 201, ""},
		{"text again", "PUT", "/v1/texts/t", `{"text":"y"}`, nil, 200, ""},
		{"element", "PUT", "/v1/sets/s/elements/e", `{"expire":"never"}`, nil, 201, ""},
		{"element removed", "DELETE", "/v1/sets/s/elements/e", "", nil, 200, ""},
		{"batch", "POST", "/v1/batch", "{\"op\":\"counter.update\",\"name\":\"c\",\"amount\":1}\nnonsense\n", []string{ndjson}, 200, ""},
		{"replicas that do not exist", "POST", "/v1/counters/c?replicas=1&wait=50ms", `{"amount":1}`, nil, 202, ""},
		{"bad amount", "POST", "/v1/counters/c", `{"amount":"NaN"}`, nil, 400, "bad_amount"},
		{"huge exponent", "POST", "/v1/counters/c", `{"amount":1e100000}`, nil, 400, "bad_amount"},
		{"bad JSON", "POST", "/v1/counters/c", `{"amount":`, nil, 400, "bad_json"},
		{"bad name", "GET", "/v1/counters/a%00b", "", nil, 400, "bad_name"},
		{"long name", "GET", "/v1/counters/" + strings.Repeat("n", 513), "", nil, 400, "bad_name"},
		{"bad expire", "PUT", "/v1/counters/c", `{"expire":"2001-01-01T00:00:00Z"}`, nil, 400, "bad_expire"},
		{"bad time", "GET", "/v1/counters/c?at=yesterday", "", nil, 400, "bad_time"},
		{"unknown counter", "POST", "/v1/counters/unknown", `{"amount":1}`, nil, 404, "unknown_counter"},
		{"unknown counter read", "GET", "/v1/counters/unknown", "", nil, 404, "unknown_counter"},
		{"unknown text", "GET", "/v1/texts/unknown", "", nil, 404, "unknown_text"},
		{"unknown set", "GET", "/v1/sets/unknown", "", nil, 404, "unknown_set"},
		{"unknown path", "GET", "/v2", "", nil, 404, "not_found"},
		{"method", "PATCH", "/v1/counters/c", "", nil, 405, "method_not_allowed"},
		{"method of a list", "DELETE", "/v1/counters", "", nil, 405, "method_not_allowed"},
		{"not final yet", "GET", "/v1/counters/c?at=2200-01-01T00:00:00Z&final=true", "", nil, 409, "not_final"},
		{"not final in time", "GET", "/v1/counters/c?at=2200-01-01T00:00:00Z&final=true&wait=50ms", "", nil, 409, "not_final"},
		{"body", "POST", "/v1/counters/c", `{"ref":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "too_large"},
		{"body of a batch", "POST", "/v1/batch", strings.Repeat(" ", 8<<20+1), []string{ndjson}, 413, "too_large"},
		{"lines of a batch", "POST", "/v1/batch", strings.Repeat("{}\n", 10_001), []string{ndjson}, 413, "too_large"},
		{"media type", "POST", "/v1/counters/c", `amount=1`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported_media_type"},
		{"all is well", "GET", "/v1/counters/c", "", []string{"Require-Coherence: true"}, 200, ""},
		{"alive", "GET", "/livez", "", nil, 200, ""},
		{"ready", "GET", "/readyz", "", nil, 200, ""},
	})
}

func TestStatusCodesOfTokens(t *testing.T) {
	t.Parallel()
	var lines, tokens []string
	for _, scope := range []string{"read", "write", "admin"} {
		code, out := run(t, "token", "new", "--name", scope, "--scope", scope)
		token, line, ok := strings.Cut(strings.TrimSpace(out), "\n")
		if code != 0 || !ok {
			t.Fatalf("token new: exit %d\n%s", code, out)
		}
		tokens, lines = append(tokens, "Authorization: Bearer "+token), append(lines, line)
	}
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	p := serve(t, fmt.Sprintf("127.0.0.1:%d", freePort(t)), "--data", filepath.Join(t.TempDir(), "data"),
		"--host", "a", "--pub", "tcp://127.0.0.1:0", "--token-file", file)
	eventually(t, "it is ready without a token", func() error { return p.get("/readyz", &struct{}{}) })
	read, write, admin := tokens[:1], tokens[1:2], tokens[2:]
	provoke(t, p, []request{
		{"no token", "GET", "/v1/counters", "", nil, 401, "unauthorized"},
		{"unknown token", "GET", "/v1/counters", "", []string{"Authorization: Bearer x"}, 401, "unauthorized"},
		{"another scheme", "GET", "/v1/counters", "", []string{"Authorization: Basic eDp5"}, 401, "unauthorized"},
		{"reads", "GET", "/v1/counters", "", read, 200, ""},
		{"a reader writes", "PUT", "/v1/counters/c", `{"expire":"never"}`, read, 403, "forbidden"},
		{"a writer reads", "GET", "/v1/counters", "", write, 403, "forbidden"},
		{"writes", "PUT", "/v1/counters/c", `{"expire":"never"}`, write, 201, ""},
		{"a writer backs up", "GET", "/v1/backup", "", write, 403, "forbidden"},
		{"backs up", "GET", "/v1/backup", "", admin, 200, ""},
		{"alive", "GET", "/livez", "", nil, 200, ""},
	})
}

// One node of a pair runs: the ring is not whole.
func TestStatusCodesOfBrokenRing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, exampleFile(t, "pair"))
	provoke(t, c.start("a"), []request{
		{"update", "POST", "/v1/counters/c", `{"amount":1,"expire":"never","id":"1"}`, nil, 201, ""},
		{"coherence demanded", "POST", "/v1/counters/c", `{"amount":1,"id":"2"}`, []string{"Require-Coherence: true"}, 503, "not_coherent"},
		{"by query", "POST", "/v1/counters/c?require_coherence=true", `{"amount":1,"id":"2"}`, nil, 503, "not_coherent"},
		{"of a read", "GET", "/v1/counters/c?require_coherence=true", "", nil, 503, "not_coherent"},
		{"of a batch", "POST", "/v1/batch?require_coherence=true", `[]`, nil, 503, "not_coherent"},
		{"it was not applied", "POST", "/v1/counters/c", `{"amount":5,"id":"2"}`, nil, 201, ""},
		{"replicas", "POST", "/v1/counters/c?replicas=1&wait=100ms", `{"amount":1,"id":"3"}`, nil, 202, ""},
		{"replicas by the body", "POST", "/v1/counters/c", `{"amount":1,"id":"4","replicas":1,"wait":"100ms"}`, nil, 202, ""},
		{"not final", "GET", "/v1/counters/c?final=true&wait=100ms", "", nil, 409, "not_final"},
	})
	c.start("b")
	c.coherent()
	provoke(t, c.nodes["a"], []request{
		{"replicas", "POST", "/v1/counters/c?replicas=1&wait=30s", `{"amount":1,"id":"5"}`, nil, 201, ""},
		{"coherence demanded", "POST", "/v1/counters/c", `{"amount":1,"id":"6"}`, []string{"Require-Coherence: true"}, 201, ""},
		{"final", "GET", "/v1/counters/c?final=true&wait=30s", "", nil, 200, ""},
	})
	// 1 + 5 + four times 1.
	eventually(t, "b has the value", func() error {
		var now changed
		err := c.nodes["b"].get("/v1/counters/c", &now)
		if err == nil && now.Value != "10" {
			err = fmt.Errorf("it is %s", now.Value)
		}
		return err
	})
}

func TestStatusCodesOfReadOnlyNodes(t *testing.T) {
	t.Parallel()
	for _, role := range []string{topologies.Router, topologies.Receiver} {
		topo := exampleFile(t, "pair")
		topo.Nodes[1].Role = role
		provoke(t, newCluster(t, topo).start("b"), []request{
			{role + " takes an update", "POST", "/v1/counters/c", `{"amount":1,"expire":"never"}`, nil, 409, "read_only"},
			{role + " takes a text", "PUT", "/v1/texts/t", `{"text":"x","expire":"never"}`, nil, 409, "read_only"},
			{role + " is read", "GET", "/v1/counters", "", nil, 200, ""},
		})
	}
}
