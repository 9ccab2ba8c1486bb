package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// server is an API over a fake node. Every answer that tests get from it is
// held against the OpenAPI document.
type server struct {
	*API
	node *fakeNode
	log  bytes.Buffer
	t    testing.TB
}

func newServer(t testing.TB, change ...func(*Config)) *server {
	t.Helper()
	s := &server{node: newFake(), t: t}
	cfg := Config{
		Registerer: prometheus.NewRegistry(), Version: "test",
		Log:   slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Graph: func(format string) ([]byte, error) { return []byte("<svg>" + format), nil },
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if s.API, err = New(s.node, cfg); err != nil {
		t.Fatal(err)
	}
	return s
}

// reply is an answer, with its body parsed where it is an object.
type reply struct {
	*httptest.ResponseRecorder
	json map[string]any
	text string
}

// call sends a request. Lines after the first word of target are headers.
func (s *server) call(method, target, body string, headers ...string) reply {
	s.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		key, v, _ := strings.Cut(h, ": ")
		r.Header.Set(key, v)
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	answer := reply{ResponseRecorder: rec, text: rec.Body.String()}
	if strings.HasPrefix(answer.text, "{") {
		d := json.NewDecoder(strings.NewReader(answer.text))
		d.UseNumber()
		if err := d.Decode(&answer.json); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, target, err, answer.text)
		}
	}
	s.hold(r, &answer)
	return answer
}

// want calls and compares the status and, for problems, the code.
func (s *server) want(status int, code Code, method, target, body string, headers ...string) reply {
	s.t.Helper()
	answer := s.call(method, target, body, headers...)
	if got, _ := answer.json["code"].(string); answer.Code != status || got != string(code) {
		s.t.Fatalf("%s %s %s: %d %q, want %d %q: %s", method, target, brief(body), answer.Code, got, status, code, answer.text)
	}
	return answer
}

// has compares one member of the answer.
func (s *server) has(answer reply, key, want string) {
	s.t.Helper()
	got := answer.json[key]
	b, _ := json.Marshal(got)
	if string(b) != want {
		s.t.Errorf("%s is %s, want %s, in %s", key, b, want, answer.text)
	}
}

// seen collects what was held against the document: "METHOD pattern status".
var (
	seenMu sync.Mutex
	seen   = map[string]bool{}
)

var compiled = sync.OnceValues(func() (*jsonschema.Compiler, object) {
	api, err := New(newFake(), Config{})
	if err != nil {
		panic(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(api.openAPI))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("https://bluerings/openapi.json", parsed); err != nil {
		panic(err)
	}
	return c, parsed.(object)
})

// hold fails the test where the answer is not as the document says.
func (s *server) hold(r *http.Request, answer *reply) {
	s.t.Helper()
	c := chi.NewRouteContext()
	method := r.Method
	if method == "HEAD" || !s.mux.Match(c, method, r.URL.EscapedPath()) {
		return
	}
	pattern := c.RoutePattern()
	compiler, document := compiled()
	op := document["paths"].(object)[pattern].(object)[strings.ToLower(method)].(object)
	status := strconv.Itoa(answer.Code)
	response, ok := op["responses"].(object)[status].(object)
	if !ok {
		s.t.Errorf("%s %s: the status %s is not documented: %s", method, r.URL, status, answer.text)
		return
	}
	mediaType, _, _ := mime.ParseMediaType(answer.Header().Get("Content-Type"))
	if _, ok := response["content"].(object)[mediaType]; !ok {
		s.t.Errorf("%s %s: %s with the type %q is not documented", method, r.URL, status, mediaType)
		return
	}
	seenMu.Lock()
	seen[method+" "+pattern+" "+status] = true
	seenMu.Unlock()
	if mediaType != mediaJSON && mediaType != mediaProblem {
		return
	}
	pointer := "/paths/" + strings.ReplaceAll(strings.ReplaceAll(pattern, "~", "~0"), "/", "~1") + "/" + strings.ToLower(method) +
		"/responses/" + status + "/content/" + strings.ReplaceAll(mediaType, "/", "~1") + "/schema"
	pointer = strings.NewReplacer("{", "%7B", "}", "%7D", "+", "%2B").Replace(pointer)
	seenMu.Lock()
	schema, err := compiler.Compile("https://bluerings/openapi.json#" + pointer)
	seenMu.Unlock()
	if err != nil {
		s.t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(answer.text))
	if err != nil {
		s.t.Fatalf("%v in %s", err, answer.text)
	}
	if err := schema.Validate(parsed); err != nil {
		s.t.Errorf("%s %s answers %s\n%v", method, r.URL, answer.text, err)
	}
	if mediaType == mediaProblem {
		s.holdCode(response, answer)
	}
}

// holdCode checks that the code is among those of the operation.
func (s *server) holdCode(response object, answer *reply) {
	s.t.Helper()
	if code := answer.json["code"].(string); !strings.Contains(response["description"].(string), code+": ") {
		s.t.Errorf("%d %s is not documented: %s", answer.Code, code, answer.text)
	}
	if n, _ := answer.json["status"].(json.Number); n.String() != strconv.Itoa(answer.Code) {
		s.t.Errorf("status %d, in the body %s", answer.Code, n)
	}
}
