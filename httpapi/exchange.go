package httpapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"bluerings/tickets"
)

// exchange is one request and its answer. It is the http.ResponseWriter that
// handlers write to, and notes what they wrote.
type exchange struct {
	http.ResponseWriter
	api     *API
	r       *http.Request
	route   *route // nil until it is found
	direct  string // the name where API.find found the route
	query   url.Values
	id      string
	began   time.Time
	status  int // 0 until the header is written
	written int64
	in      []byte // the body, valid until the exchange ends
	room    int64  // bytes of in that are counted in API.bodies
	out     []byte // where answers are put together
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// keptBytes is the largest buffer that waits for its next use, freeBytes how
// much of a body its Content-Length alone makes room for: promises are cheap.
const (
	keptBytes = 1 << 20
	freeBytes = 64 << 10
)

func (x *exchange) release() {
	if x.room > 0 {
		x.api.bodies.Add(-x.room)
	}
	in, out := x.in[:0], x.out[:0]
	if cap(in) > keptBytes {
		in = nil
	}
	if cap(out) > keptBytes {
		out = nil
	}
	*x = exchange{in: in, out: out}
	exchanges.Put(x)
}

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(p)
	x.written += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchanges.Get().(*exchange)
	x.ResponseWriter, x.api, x.r, x.began = w, a, r, time.Now()
	x.id = a.requestID(r)
	defer x.finish()
	h := w.Header()
	h["X-Request-Id"] = []string{x.id}
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noStore
	if len(r.TransferEncoding) > 0 && r.ProtoMajor == 1 {
		// A proxy may have gone by a Content-Length beside it, which net/http has dropped: what
		// follows on the connection would then be a request that nobody sent (RFC 9112, 6.1).
		h["Connection"] = closeValue
	}
	if len(r.RequestURI) > a.limits.URL {
		x.fail(problem(URITooLong, "path and query have %d bytes, the limit is %d", len(r.RequestURI), a.limits.URL))
		return
	}
	if err := a.origins.Check(r); err != nil {
		x.fail(problem(CrossOrigin, ""))
		return
	}
	if rt, name := a.find(r); rt != nil {
		x.direct = name
		rt.ServeHTTP(x, r)
		return
	}
	a.mux.ServeHTTP(x, r)
}

// finish counts and logs the exchange, and answers for a handler that
// panicked. It must be deferred.
func (x *exchange) finish() {
	caught := recover()
	if caught != nil && caught != any(http.ErrAbortHandler) {
		x.api.log.Error("request_panicked", "request_id", x.id, "method", x.r.Method,
			"panic", caught, "stack", string(debug.Stack()))
		x.api.metrics.panics.Inc()
		if x.status == 0 {
			x.fail(problem(Internal, "request %s", x.id))
			caught = nil
		} else {
			caught = http.ErrAbortHandler // the client must not take half an answer for a whole
		}
	}
	x.api.metrics.observe(x)
	if x.api.log.Enabled(x.r.Context(), slog.LevelDebug) {
		x.api.log.Debug("request", "request_id", x.id, "method", x.r.Method, "path", x.r.URL.EscapedPath(),
			"status", x.status, "bytes", x.written, "duration", time.Since(x.began), "remote", x.r.RemoteAddr)
	}
	if caught != nil {
		panic(caught)
	}
	x.release()
}

// Header values that are shared between answers, and never changed.
var (
	noSniff     = []string{"nosniff"}
	noStore     = []string{"no-store"}
	jsonType    = []string{"application/json"}
	ndjsonType  = []string{"application/x-ndjson"}
	problemType = []string{"application/problem+json"}
	trueValue   = []string{"true"}
	falseValue  = []string{"false"}
	closeValue  = []string{"close"}
)

// fail answers with the problem that err is.
func (x *exchange) fail(err error) {
	var family tickets.Family
	if x.route != nil {
		family = x.route.family
	}
	p := problemOf(err, family)
	if p.Code == NotCoherent && p.Reasons == nil {
		p = x.api.notCoherent()
	}
	if p.cause != nil {
		x.api.log.Error("request_failed", "request_id", x.id, "err", p.cause)
		p.Detail = "request " + x.id
	}
	if x.status != 0 {
		panic(http.ErrAbortHandler)
	}
	h := x.Header()
	if s := p.Code.retry(); s > 0 {
		h.Set("Retry-After", strconv.Itoa(s))
	}
	if p.Code == Unauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="bluerings"`)
	}
	if p.Allow != "" {
		h.Set("Allow", p.Allow)
	}
	if p.Code == TooLarge || p.Code == RequestTimeout {
		h.Set("Connection", "close")
	}
	h.Del("Content-Disposition")
	h["Content-Type"] = problemType
	x.WriteHeader(p.Code.status())
	x.out = p.appendMembers(append(x.out[:0], '{'))
	x.out = append(x.out, `,"request_id":`...)
	x.out = append(appendString(x.out, x.id), "}\n"...)
	_, _ = x.Write(x.out) // the client is gone: nobody to tell
}

// reply sends what stands in x.out as JSON.
func (x *exchange) reply(status int) error { return x.send(status, jsonType) }

func (x *exchange) send(status int, mediaType []string) error {
	x.out = append(x.out, '\n')
	h := x.Header()
	h["Content-Type"] = mediaType
	if len(x.out) > 2000 { // shorter ones are measured by net/http
		h["Content-Length"] = []string{strconv.Itoa(len(x.out))}
	}
	x.WriteHeader(status)
	_, _ = x.Write(x.out) // the client is gone: nobody to tell
	return nil
}

// judged puts the verdict into the headers.
func (x *exchange) judged() *verdict {
	v := x.api.verdict()
	x.mirror(v)
	return v
}

func (x *exchange) mirror(v *verdict) {
	h := x.Header()
	h["Coherent"] = falseValue
	if v.Coherent {
		h["Coherent"] = trueValue
	}
	if v.header != nil {
		h["Final-Through"] = v.header
	}
}

// body reads the request body, at most limit bytes of it, into x.in.
func (x *exchange) body(limit int, mediaTypes ...string) ([]byte, error) {
	if x.r.ContentLength > int64(limit) {
		return nil, tooLarge(limit)
	}
	if x.r.ContentLength != 0 {
		if err := checkMedia(x.r.Header, mediaTypes); err != nil {
			return nil, err
		}
	}
	x.in = x.in[:0]
	if n := int(x.r.ContentLength); n > cap(x.in) {
		x.in = make([]byte, 0, min(n+1, freeBytes))
	}
	for {
		if len(x.in) == cap(x.in) {
			x.in = append(x.in, 0)[:len(x.in)]
		}
		n, err := x.r.Body.Read(x.in[len(x.in):cap(x.in)])
		x.in = x.in[:len(x.in)+n]
		if p := x.counted(); p != nil {
			return nil, p
		}
		switch {
		case len(x.in) > limit:
			return nil, tooLarge(limit)
		case err == io.EOF:
			return x.in, nil
		case err != nil:
			return nil, unreadable(err)
		}
	}
}

// counted counts a body that is not small among all that are being read, and
// refuses what would not fit beside the others.
func (x *exchange) counted() *Problem {
	if len(x.in) <= freeBytes || int64(cap(x.in)) == x.room {
		return nil
	}
	grown := int64(cap(x.in)) - x.room
	x.room += grown
	if all := x.api.bodies.Add(grown); all > int64(x.api.limits.Bodies) {
		return problem(Busy, "the bodies of all requests may have %d bytes", x.api.limits.Bodies)
	}
	return nil
}

func tooLarge(limit int) *Problem {
	return problem(TooLarge, "the body may have %d bytes", limit)
}

func unreadable(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return tooLarge(int(tooBig.Limit))
	}
	if p := problemOf(err, 0); p.Code != Internal {
		return p
	}
	return problem(BadRequest, "the body cannot be read to its end")
}

// wait limits what follows to d, and counts it among the requests that wait.
// The caller must call done.
func (x *exchange) wait(d time.Duration) (ctx context.Context, done func(), err error) {
	select {
	case x.api.waits <- struct{}{}:
	default:
		return nil, nil, problem(Busy, "%d requests are waiting already", cap(x.api.waits))
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), d)
	return ctx, func() { cancel(); <-x.api.waits }, nil
}

// segment is a parameter of the path, decoded. An empty one is no resource.
func (x *exchange) segment(which field, check func(string) error) (string, error) {
	raw := chi.URLParam(x.r, fieldNames[which].name)
	if raw == "" {
		return "", problem(NotFound, "")
	}
	s, err := url.PathUnescape(raw)
	if err != nil {
		return "", which.problem("%s", err)
	}
	if err := check(s); err != nil {
		return "", which.problem("%s", err)
	}
	return s, nil
}

func (x *exchange) name() (string, error) {
	if x.direct == "" {
		return x.segment(fName, checkName)
	}
	if err := checkName(x.direct); err != nil {
		return "", fName.problem("%s", err)
	}
	return x.direct, nil
}

// checkName refuses what tickets.CheckName does, and the two names that
// clients and proxies take for directions in a path.
func checkName(name string) error {
	if err := checkDots(name); err != nil {
		return err
	}
	return tickets.CheckName(name)
}

func checkElement(element string) error {
	if err := checkDots(element); err != nil {
		return err
	}
	return tickets.CheckElement(element)
}

func checkDots(s string) error {
	if s == "." || s == ".." {
		return errors.New("a path cannot carry " + s)
	}
	return nil
}
