package main

import (
	"net/http"
	"sync/atomic"
)

// gate answers HTTP while the node is still opening its store, which may take a while: alive, but
// not ready.
type gate struct {
	open atomic.Pointer[http.Handler]
}

// let makes next answer from now on.
func (g *gate) let(next http.Handler) { g.open.Store(&next) }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if next := g.open.Load(); next != nil {
		(*next).ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/livez" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte("ok\n")) //nolint:errcheck // the client is gone
		return
	}
	refuse(w, `{"type":"about:blank","title":"Starting","status":503,"detail":"the node is opening its data directory","code":"starting"}`)
}

// refuse says that a request may be tried again in a second.
func refuse(w http.ResponseWriter, problem string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	w.Write([]byte(problem + "\n")) //nolint:errcheck // the client is gone
}
