package rival

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/go-chi/chi/v5"
	"github.com/valyala/fastjson"

	"bluerings/bench/machine"
)

// Answer is what a node answered, for the bare handler to answer too.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Answers are those for an update, a read and a batch.
type Answers struct{ Update, Read, Batch Answer }

// Bare is a server that does what any handler of such requests does and no more: chi finds it, it
// parses the body with fastjson, and answers with the bytes that a node answered. It keeps nothing.
type Bare struct {
	*machine.Process
	Addr string
}

// answersFile is where the process finds what to answer.
const answersFile = "answers.json"

// StartBare asks a node what it answers, and starts the process.
func StartBare(ctx context.Context, dir, nodeURL string) (*Bare, error) {
	answers, err := ask(nodeURL)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(answers)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, answersFile), text, 0o644); err != nil {
		return nil, err
	}
	p, addr, err := startChild(ctx, "bare", dir)
	return &Bare{Process: p, Addr: addr}, err
}

// ask makes an update, a read and a batch at a node and keeps the answers.
func ask(url string) (a Answers, err error) {
	const name = "/v1/counters/tenant-0000000000000"
	if a.Update, err = exchange(http.MethodPost, url+name, "application/json", []byte(`{"amount":"7"}`)); err != nil {
		return a, err
	}
	if a.Read, err = exchange(http.MethodGet, url+name, "", nil); err != nil {
		return a, err
	}
	lines := bytes.Repeat([]byte(`{"op":"counter.update","name":"tenant-0000000000000","amount":"7"}`+"\n"), 1000)
	a.Batch, err = exchange(http.MethodPost, url+"/v1/batch", "application/x-ndjson", lines)
	return a, err
}

func exchange(method, url, mediaType string, body []byte) (Answer, error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, text)
	}
	resp.Header.Del("Date")
	resp.Header.Del("Content-Length")
	resp.Header.Del("Transfer-Encoding")
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: text}, err
}

// serveBare is the process.
func serveBare(ctx context.Context, dir string, listening func(string)) error {
	text, err := os.ReadFile(filepath.Join(dir, answersFile))
	if err != nil {
		return err
	}
	var a Answers
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return serveHTTP(ctx, l, a.handler(), listening)
}

// serveHTTP serves until ctx ends.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, listening func(string)) error {
	s := &http.Server{Handler: h}
	listening(l.Addr().String())
	go func() {
		<-ctx.Done()
		_ = s.Close()
	}()
	if err := s.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

func (a *Answers) handler() http.Handler {
	mux := chi.NewRouter()
	mux.Get("/v1/counters/{name}", func(w http.ResponseWriter, r *http.Request) {
		if chi.URLParam(r, "name") == "" {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		a.Read.write(w)
	})
	mux.Post("/v1/counters/{name}", func(w http.ResponseWriter, r *http.Request) {
		if chi.URLParam(r, "name") == "" || !parsed(r.Body, "amount") {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		a.Update.write(w)
	})
	mux.Post("/v1/batch", func(w http.ResponseWriter, r *http.Request) {
		if !parsed(r.Body, "op", "name", "amount") {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		a.Batch.write(w)
	})
	return mux
}

var (
	parsers fastjson.ParserPool
	bodies  = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// parsed reads every line of a body and looks for fields in it.
func parsed(body io.Reader, fields ...string) bool {
	buf := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(io.LimitReader(body, 8<<20)); err != nil {
		return false
	}
	p := parsers.Get()
	defer parsers.Put(p)
	for line := range bytes.Lines(buf.Bytes()) {
		v, err := p.ParseBytes(line)
		if err != nil {
			return false
		}
		for _, f := range fields {
			if len(v.GetStringBytes(f)) == 0 {
				return false
			}
		}
	}
	return true
}

func (a *Answer) write(w http.ResponseWriter) {
	h := w.Header()
	for key, values := range a.Header {
		h[key] = values
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // a client that has gone needs no answer
}
