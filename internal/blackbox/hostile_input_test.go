package blackbox

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBombs: inputs that are small to send and would be large or slow to take are refused, each with
// its code, and soon.
func TestBombs(t *testing.T) {
	g := newTarget(t)
	amount := func(text string) string { return `{"amount":` + text + `}` }
	line := `{"op":"counter.update","name":"well","amount":"1"}` + "\n"
	ndjson, json := "Content-Type: application/x-ndjson", "Content-Type: application/json"
	for _, c := range []struct {
		what, path, body, header string
		status                   int
		code                     string
	}{
		{"exponent", "counters/well", amount(`"1e100000"`), json, 400, "bad_amount"},
		{"negative exponent", "counters/well", amount(`1e-100000`), json, 400, "bad_amount"},
		{"huge exponent", "counters/well", amount(`1e999999999999999999999`), json, 400, "bad_amount"},
		{"million digits", "counters/well", amount(strings.Repeat("9", 1_000_000)), json, 400, "bad_amount"},
		{"million digits in a string", "counters/well", amount(`"0.` + strings.Repeat("9", 1_000_000) + `"`), json, 400, "bad_amount"},
		{"million zeros", "counters/well", amount(`"` + strings.Repeat("0", 1_000_000) + `"`), json, 400, "bad_amount"},
		{"NaN", "counters/well", amount(`"NaN"`), json, 400, "bad_amount"},
		{"Infinity", "counters/well", amount(`"-Infinity"`), json, 400, "bad_amount"},
		{"deep array", "counters/well", strings.Repeat("[", 1_000_000), json, 400, "bad_json"},
		{"deep object", "counters/well", strings.Repeat(`{"amount":`, 100_000), json, 400, "bad_amount"},
		{"deep batch", "batch", strings.Repeat("[", 1_000_000), json, 400, "bad_json"},
		{"deep line", "batch", strings.Repeat(`{"op":`, 100_000), ndjson, 200, "bad_op"},
		{"many keys", "counters/well", "{" + strings.Repeat(`"amount":null,`, 60_000) + `"id":"i"}`, json, 400, "duplicate_field"},
		{"long key", "counters/well", `{"` + strings.Repeat("k", 1_000_000) + `":1}`, json, 400, "unknown_field"},
		{"large body", "counters/well", strings.Repeat(" ", 2<<20), json, 413, "too_large"},
		{"large batch", "batch", strings.Repeat(" ", 9<<20), ndjson, 413, "too_large"},
		{"many lines", "batch", strings.Repeat(line, 10_001), ndjson, 413, "too_large"},
		{"many elements", "batch", "[" + strings.Repeat("1,", 20_000) + "1]", json, 413, "too_large"},
		{"compressed", "batch", line, "Content-Encoding: gzip", 415, "unsupported_media_type"},
		{"null bytes", "counters/well", strings.Repeat("\x00", 1000), json, 400, "bad_json"},
		{"lone surrogate", "counters/well", `{"amount":"1","ref":"\ud800"}`, json, 400, "bad_json"},
		{"no UTF-8", "counters/well", "{\"amount\":\"1\",\"ref\":\"\xff\"}", json, 400, "bad_json"},
	} {
		begun := time.Now()
		a, err := g.call("POST", "/v1/"+c.path, c.body, c.header)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if a.status != c.status || !strings.Contains(string(a.body), `"code":"`+c.code) {
			t.Errorf("%s: %d %.300s", c.what, a.status, a.body)
		}
		if len(a.body) > 4096 {
			t.Errorf("%s: an answer of %d bytes", c.what, len(a.body))
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s took %s", c.what, took)
		}
	}
	g.recovered("bombs")
}

// TestOddNames: what may be a name comes back the same from every path; what may not is refused;
// none of it makes a line of the log.
func TestOddNames(t *testing.T) {
	g := newTarget(t)
	for _, name := range []string{
		"a/b", "a b", "%2F", "%", "?x=y#z", "a;b=c", "...", "-", "ä€😀", "\u202egnp.exe", "\u05d0\u05d1", "<script>alert(1)</script>",
		"'; DROP TABLE counters; --", "{{7*7}}", "$(id)", "../../etc/passwd", strings.Repeat("n", 512), "calls:+/=", "\u2028",
	} {
		path := "/v1/counters/" + url.PathEscape(name)
		var got struct{ Name, Value string }
		g.must("PUT", path, `{"expire":"never"}`)
		g.must("POST", path, `{"amount":"2.50"}`)
		if err := g.get(path, &got); err != nil || got.Name != name || got.Value != "2.5" {
			t.Errorf("%q: %v, %+v", name, err, got)
		}
	}
	for _, segment := range []string{
		".", "..", "%2e%2e", "%00", "a%0Atime=now+level=ERROR+msg=forged", "a%0D%0A%7B%22msg%22:%22forged%22%7D", "%7f", "%c2%85", "%ff%fe",
		strings.Repeat("n", 513),
	} {
		a, err := g.call("PUT", "/v1/counters/"+segment, `{"expire":"never"}`)
		if err != nil || a.status != 400 && a.status != 404 {
			t.Errorf("%.40s: %v, %+v", segment, err, a)
		}
	}
	odd := "x\\n\\u0000\\r\\nforged"
	for _, body := range []string{
		`{"amount":"1","id":"` + odd + `"}`, `{"amount":"1","ref":"` + odd + `"}`, `{"amount":"` + odd + `"}`, `{"` + odd + `":1}`,
		`{"amount":"1","expire":"` + odd + `"}`,
	} {
		if _, err := g.call("POST", "/v1/counters/well", body); err != nil {
			t.Error(err)
		}
	}
	for _, header := range []string{"X-Request-Id: {\"msg\":\"forged\"}", "Idempotency-Key: \xff\xfe", "Accept: " + strings.Repeat("*/*;q=1,", 5000)} {
		if _, err := g.call("GET", "/v1/counters/well", "", header); err != nil {
			t.Error(err)
		}
	}
	g.recovered("odd names")
}

// TestSmuggling: of requests whose end two parsers could see at different places none is served as
// two, and a request that is not HTTP gets an error or nothing.
func TestSmuggling(t *testing.T) {
	g := newTarget(t, "--header-timeout", "1s")
	const inner = "POST /v1/counters/well HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{\"amount\":\"5\"}"
	post := "POST /v1/counters/smuggled HTTP/1.1\r\nHost: a\r\n"
	for what, c := range map[string]struct {
		request  string
		statuses string // permitted, of the first answer; none: the connection is closed without
		answers  int    // at most
	}{
		"two lengths":        {post + "Content-Length: 5\r\nContent-Length: 0\r\n\r\n" + inner, "400", 1},
		"list of lengths":    {post + "Content-Length: 5, 0\r\n\r\n" + inner, "400", 1},
		"negative length":    {post + "Content-Length: -1\r\n\r\n" + inner, "400", 1},
		"signed length":      {post + "Content-Length: +5\r\n\r\n" + inner, "400", 1},
		"huge length":        {post + "Content-Length: 99999999999999999999\r\n\r\n" + inner, "400", 1},
		"unknown coding":     {post + "Transfer-Encoding: xchunked\r\n\r\n" + inner, "501 400", 1},
		"two codings":        {post + "Transfer-Encoding: chunked, identity\r\n\r\n" + inner, "501 400", 1},
		"coding twice":       {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + inner, "501 400", 1},
		"space before colon": {post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner, "400", 1},
		"folded header":      {post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + inner, "400 501", 1},
		"bad chunk size":     {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + inner, "400", 1},
		"endless chunk line": {post + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 1<<20) + inner, "400", 1},
		"newline in name":    {"GET /v1/counters/we\nll HTTP/1.1\r\nHost: a\r\n\r\n" + inner, "400", 1},
		"no host":            {"GET /v1/counters/well HTTP/1.1\r\n\r\n" + inner, "400", 1},
		"two hosts":          {"GET /v1/counters/well HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + inner, "400", 1},
		"no version":         {"GET /v1/counters/well\r\n\r\n" + inner, "400", 1},
		"version 9":          {"GET /v1/counters/well HTTP/9.9\r\nHost: a\r\n\r\n" + inner, "505 400", 1},
		"method with space":  {"G ET /v1/counters/well HTTP/1.1\r\nHost: a\r\n\r\n" + inner, "400", 1},
		"header without end": {"GET /v1/counters/well HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 1<<20), "431", 1},
		"many headers":       {"GET /v1/counters/well HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 100_000) + "\r\n", "431", 1},
		"long path":          {"GET /v1/counters/" + strings.Repeat("x", 30<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414", 1},
		"no HTTP":            {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 100), "400", 1},
		"ZMTP":               {"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + strings.Repeat("\x00", 48) + "\r\n\r\n", "400", 1},
		"HTTP/2 in clear":    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 505 405 404", 1},
	} {
		answers := g.raw(c.request)
		if len(answers) > c.answers || len(answers) > 0 && !strings.Contains(c.statuses, fmt.Sprint(answers[0].StatusCode)) {
			t.Errorf("%s: %d answers, the first %v, want %s", what, len(answers), answers[0].Status, c.statuses)
		}
	}
	// Both a length and chunks: the chunks count, and nothing may follow on the connection.
	answers := g.raw(post + "Content-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner)
	if len(answers) != 1 {
		t.Errorf("a length and chunks: %d answers", len(answers))
	}
	if v := g.must("GET", "/v1/counters/well", "").Value; v != "0" {
		t.Errorf("%s was smuggled in", v)
	}
	g.recovered("smuggling")
}

// TestMethodsAndPipelines: unknown methods are refused with what is allowed, and requests sent at
// once are answered in order.
func TestMethodsAndPipelines(t *testing.T) {
	g := newTarget(t)
	for method, want := range map[string]int{
		"FOO": 405, "TRACE": 405, "PATCH": 405, "PROPFIND": 405, "DELETE": 405, "OPTIONS": 405, "get": 405, "CONNECT": 405,
	} {
		answers := g.raw(method + " /v1/counters/well HTTP/1.1\r\nHost: a\r\n\r\n")
		if len(answers) != 1 || answers[0].StatusCode != want && answers[0].StatusCode != 400 {
			t.Errorf("%s: %+v", method, answers)
		} else if answers[0].StatusCode == 405 && !strings.Contains(answers[0].Header.Get("Allow"), "GET") {
			t.Errorf("%s: Allow is %q", method, answers[0].Header.Get("Allow"))
		}
	}
	const updates = 200
	c := g.dial()
	var all strings.Builder
	for range updates {
		all.WriteString("POST /v1/counters/well HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{\"amount\":\"1\"}")
	}
	go io.WriteString(c, all.String())
	r := bufio.NewReader(c)
	for i := 1; i <= updates; i++ {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		a, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got changed
		if err := json.NewDecoder(a.Body).Decode(&got); err != nil || a.StatusCode != 201 || got.Value != fmt.Sprint(i) {
			t.Fatalf("answer %d: %v %s %+v", i, err, a.Status, got)
		}
		_, _ = io.Copy(io.Discard, a.Body)
	}
	g.recovered("pipelines")
}

// TestTokensOfEveryRoute asks a real node for all that its OpenAPI document names: without a token,
// with a wrong one, an expired one, one of a lesser scope and one that is revoked while in use.
func TestTokensOfEveryRoute(t *testing.T) {
	file := t.TempDir() + "/tokens"
	tokens := make(map[string]string)
	var admin string
	write := func(names ...string) {
		var text strings.Builder
		for _, name := range names {
			text.WriteString(tokens[name+"/line"] + "\n")
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, scope := range []string{"read", "write", "admin", "expired"} {
		args := []string{"token", "new", "--name", scope, "--scope", scope}
		if scope == "expired" {
			args = []string{"token", "new", "--name", scope, "--scope", "admin", "--life", "1ms"}
		}
		_, made := run(t, args...)
		secret, line, _ := strings.Cut(strings.TrimSpace(made), "\n")
		tokens[scope], tokens[scope+"/line"] = "Authorization: Bearer "+secret, line
	}
	admin = tokens["admin"]
	write("read", "write", "admin", "expired")
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	p := serve(t, addr, "--pub", fmt.Sprintf("tcp://127.0.0.1:%d", freePort(t)), "--data", t.TempDir()+"/data", "--token-file", file)
	eventually(t, "the node is ready", func() error { return p.get("/readyz", &struct{}{}) })
	a, err := p.call("GET", "/openapi.json", "", admin)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]struct {
			Security *[]any
		}
	}
	if err := a.into(200, &document); err != nil || len(document.Paths) < 15 {
		t.Fatal(err, len(document.Paths))
	}
	status := func(method, path string, headers ...string) int {
		a, err := p.call(method, path, "", headers...)
		if err != nil {
			t.Fatal(err)
		}
		return a.status
	}
	unprotected := 0
	for pattern, methods := range document.Paths {
		path := strings.NewReplacer("{name}", "n", "{element}", "e").Replace(pattern)
		for method := range methods {
			method = strings.ToUpper(method)
			if status(method, path) < 400 {
				unprotected++
				continue
			}
			for what, header := range map[string]string{
				"none": "X: y", "wrong": "Authorization: Bearer br_WRONG", "basic": "Authorization: Basic YTph", "expired": tokens["expired"],
			} {
				if got := status(method, path, header); got != 401 {
					t.Errorf("%s %s with token %s: %d", method, path, what, got)
				}
			}
			reads, writes := status(method, path, tokens["read"]), status(method, path, tokens["write"])
			if reads == 401 || writes == 401 || reads != 403 && writes != 403 || method != "GET" && reads != 403 {
				t.Errorf("%s %s: %d with read, %d with write", method, path, reads, writes)
			}
			if got := status(method, path, admin); got == 401 || got == 403 {
				t.Errorf("%s %s as admin: %d", method, path, got)
			}
		}
	}
	if unprotected != 3 {
		t.Errorf("%d routes take no token, want /livez, /readyz and the page", unprotected)
	}
	write("admin")
	p.signal(syscall.SIGHUP)
	eventually(t, "the token is revoked", func() error {
		if got := status("GET", "/v1/statistics", tokens["read"]); got != 401 {
			return fmt.Errorf("status %d", got)
		}
		return nil
	})
	for name, header := range tokens {
		if secret, ok := strings.CutPrefix(header, "Authorization: Bearer "); ok && strings.Contains(p.log.String(), secret) {
			t.Errorf("the log has the token %s", name)
		}
	}
}
