package rival

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLoadGeneratorsAreRead(t *testing.T) {
	r, err := redisRate("warning\n\"test\",\"rps\",\"avg_latency_ms\",\"p50_latency_ms\",\"p99_latency_ms\"\n\"INCRBY a 7\",\"98765.43\",\"0.4\",\"0.3\",\"1.2\"\n")
	if want := (Rate{98765.43, 0.3, 1.2}); err != nil || r != want {
		t.Errorf("redis-benchmark: %v, %v", r, err)
	}
	p, err := pgbenchRate("number of clients: 16\ntps = 26000.125 (without initial connection time)\n")
	if err != nil || p.PerSecond != 26000.125 {
		t.Errorf("pgbench: %v, %v", p, err)
	}
	if _, err := redisRate("Could not connect"); err == nil {
		t.Error("an error of redis-benchmark was taken for a rate")
	}
	if _, err := pgbenchRate("fatal"); err == nil {
		t.Error("an error of pgbench was taken for a rate")
	}
}

func TestBareHandlerParsesAndAnswersTheSame(t *testing.T) {
	a := Answers{
		Update: Answer{201, http.Header{"Coherent": {"true"}}, []byte("u")},
		Read:   Answer{200, nil, []byte("r")}, Batch: Answer{200, nil, []byte("b")},
	}
	h := a.handler()
	for _, c := range []struct {
		method, path, body, answer string
		status                     int
	}{
		{"POST", "/v1/counters/x", `{"amount":"7"}`, "u", 201},
		{"POST", "/v1/counters/x", `{"amount":`, "bad\n", 400},
		{"POST", "/v1/counters/x", `{}`, "bad\n", 400},
		{"GET", "/v1/counters/x", "", "r", 200},
		{"POST", "/v1/batch", `{"op":"o","name":"n","amount":"1"}` + "\n" + `{"op":"o","name":"n","amount":"1"}`, "b", 200},
		{"POST", "/v1/batch", `{"op":"o","name":"n","amount":"1"}` + "\n{}", "bad\n", 400},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		if w.Code != c.status || w.Body.String() != c.answer {
			t.Errorf("%s %s %s: %d %q", c.method, c.path, c.body, w.Code, w.Body)
		}
	}
}

func TestOrdinaryArgumentsStartNoServer(t *testing.T) {
	for _, args := range [][]string{nil, {"-short"}, {"serve-none", "dir"}, {"-only", "single"}} {
		if served, err := Serve(args); served || err != nil {
			t.Errorf("%q: %v, %v", args, served, err)
		}
	}
}
