package httpapi

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bluerings/hlc"
)

// TestOverTheWire meets what only a real connection shows.
func TestOverTheWire(t *testing.T) {
	s := newServer(t)
	h := httptest.NewServer(s)
	defer h.Close()
	lines := strings.Repeat(`{"op":"counter.update","name":"c","amount":1,"expire":"never"}`+"\n", 9_999) + "{}"
	answer, err := http.Post(h.URL+"/v1/batch", mediaNDJSON, strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || bytes.Count(body, newline) != 10_000 || bytes.Count(body, []byte(`"status":201`)) != 9_999 {
		t.Errorf("%d lines, %v", bytes.Count(body, newline), err)
	}
	answer.Body.Close()
	endless := io.MultiReader(strings.NewReader(`{"ref":"`), &repeated{'x'})
	answer, err = http.Post(h.URL+"/v1/counters/c", mediaJSON, io.LimitReader(endless, 1<<21))
	if err != nil || answer.StatusCode != 413 || !answer.Close {
		t.Errorf("a body without a length: %v, %v", answer, err)
	}
}

// repeated reads as one byte for ever.
type repeated struct{ b byte }

func (r *repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.b
	}
	return len(p), nil
}

func TestTimesAreWrittenAsByTheLayout(t *testing.T) {
	check := func(at hlc.Timestamp) {
		if got := string(appendTime(nil, at)); got != `"`+at.String()+`"` {
			t.Fatalf("%d: %s, want %s", at, got, at)
		}
	}
	for day := time.Unix(0, 0); day.Before(hlc.Latest.Time()); day = day.AddDate(0, 0, 1) {
		check(hlc.FromTime(day))
	}
	for range 10_000 {
		check(1 + hlc.Timestamp(rand.Int64N(int64(hlc.Latest))))
	}
	check(hlc.Latest)
}
