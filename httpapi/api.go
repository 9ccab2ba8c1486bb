// Package httpapi serves a node over HTTP: counters, texts, sets and their
// ledgers under /v1, what operators and monitors ask for, and the documents
// that describe it all.
//
// One table, routes, says what there is: the router, the checks of scopes,
// parameters and media types, the metrics and the OpenAPI document are all
// made from it, so none can drift from the others. One table, codes, says
// what can go wrong.
package httpapi

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"bluerings/value"
)

// API is the HTTP interface of one node. It is an http.Handler.
type API struct {
	node     Node
	kind     value.Kind
	limits   Limits
	log      *slog.Logger
	mux      *chi.Mux
	direct   map[string]*route // by method: those of one counter, see find
	metrics  *metrics
	graph    func(string) ([]byte, error)
	topology func() any
	gatherer prometheus.Gatherer
	origins  *http.CrossOriginProtection

	tokenFile       string
	trustClientCert bool
	tokens          atomic.Pointer[[]Token]

	last      atomic.Pointer[verdict]
	bodies    atomic.Int64  // bytes of larger bodies that are being read
	waits     chan struct{} // one element for each request that waits
	idPrefix  string
	idCounter atomic.Uint64

	openAPI []byte // GET /openapi.json
	docs    []byte // GET /docs
}

// New makes the interface of a node. It fails when the token file cannot be
// read, or the registerer refuses the metrics.
func New(node Node, cfg Config) (*API, error) {
	a := &API{
		node: node, kind: node.Kind(), limits: cfg.Limits.effective(), log: cfg.Log,
		graph: cfg.Graph, topology: cfg.Topology, gatherer: cfg.Gatherer,
		origins:   http.NewCrossOriginProtection(),
		tokenFile: cfg.Tokens, trustClientCert: cfg.TrustClientCert,
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if g, ok := cfg.Registerer.(prometheus.Gatherer); ok && a.gatherer == nil {
		a.gatherer = g
	}
	if a.gatherer == nil {
		a.gatherer = prometheus.Gatherers{}
	}
	a.waits = make(chan struct{}, a.limits.Waits)
	var seed [5]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	a.idPrefix = hex.EncodeToString(seed[:]) + "-"
	if err := a.Reload(); err != nil {
		return nil, err
	}
	var err error
	if a.metrics, err = newMetrics(a, cfg.Registerer); err != nil {
		return nil, fmt.Errorf("register the metrics of HTTP: %w", err)
	}
	a.router()
	document := a.document(cfg.Version)
	if a.openAPI, err = encodeDocument(document); err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	if a.docs, err = renderDocs(document); err != nil {
		return nil, fmt.Errorf("render the reference: %w", err)
	}
	return a, nil
}

// Routes is the router, for tests that walk it.
func (a *API) Routes() chi.Routes { return a.mux }

func (a *API) router() {
	a.mux, a.direct = chi.NewRouter(), make(map[string]*route)
	a.mux.Use(escapedPath)
	a.mux.NotFound(func(w http.ResponseWriter, r *http.Request) {
		w.(*exchange).fail(problem(NotFound, ""))
	})
	a.mux.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		p := problem(MethodNotAllowed, "")
		p.Allow = strings.Join(a.allowed(r), ", ")
		w.(*exchange).fail(p)
	})
	for _, declared := range routes {
		rt := declared
		rt.metrics = a.metrics.of(rt.pattern, rt.method)
		if rt.changes {
			rt.params = slices.Concat(rt.params, changeParams)
		}
		a.mux.Method(rt.method, rt.pattern, &rt)
		if rt.pattern == counterPath+"{name}" {
			a.direct[rt.method] = &rt
		}
	}
}

const counterPath = "/v1/counters/"

// find is the route of a single counter with its name, the hot ones, found without what the router
// allocates for each request. nil leaves the request to the router.
//
// Where the path needs no RawPath, its default encoding is what was sent: no segment has an encoded
// slash, and each is the decoded one.
func (a *API) find(r *http.Request) (rt *route, name string) {
	if r.URL.RawPath != "" || !strings.HasPrefix(r.URL.Path, counterPath) {
		return nil, ""
	}
	name = r.URL.Path[len(counterPath):]
	if name == "" || strings.IndexByte(name, '/') >= 0 {
		return nil, ""
	}
	return a.direct[r.Method], name
}

// ServeHTTP checks what all routes have in common and calls the handler. The
// writer is the exchange: the API wraps it around every request.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange)
	x.r, x.route = r, rt
	if err := rt.serve(x); err != nil {
		x.fail(err)
	}
}

func (rt *route) serve(x *exchange) error {
	if p := x.api.admit(x.r, rt.scope); p != nil {
		return p
	}
	if p := x.parseQuery(); p != nil {
		return p
	}
	if len(rt.media) == 1 && negotiate(x.r.Header["Accept"], rt.media[0]) == "" {
		return problem(NotAcceptable, "the answer is %s", rt.media[0])
	}
	return rt.handle(x.api, x)
}

// escapedPath routes by the path as sent, so that a name may have a slash in
// it, and answers HEAD as GET.
func escapedPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := chi.RouteContext(r.Context())
		c.RoutePath = r.URL.EscapedPath()
		if r.Method == http.MethodHead {
			c.RouteMethod = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// allowed are the methods that the path takes.
func (a *API) allowed(r *http.Request) []string {
	var methods []string
	for _, m := range []string{"GET", "POST", "PUT", "DELETE"} {
		if a.mux.Match(chi.NewRouteContext(), m, r.URL.EscapedPath()) {
			if methods = append(methods, m); m == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
	}
	return methods
}

// requestID is the client's own id of the request, where it is harmless, or a
// new one.
func (a *API) requestID(r *http.Request) string {
	if sent := r.Header["X-Request-Id"]; len(sent) == 1 && harmless(sent[0]) {
		return sent[0]
	}
	var b [48]byte
	return string(strconv.AppendUint(append(b[:0], a.idPrefix...), a.idCounter.Add(1), 36))
}

func harmless(id string) bool {
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return id != "" && len(id) <= 128
}
