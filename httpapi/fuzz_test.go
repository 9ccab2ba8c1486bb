package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/value"
)

// everyField allows any field.
const everyField = fieldSet(1<<fieldEnd - 1)

// FuzzFields holds the parser of bodies against encoding/json: what the one
// takes the other takes too, with the same content.
func FuzzFields(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `{"amount":"1"}`, `{"amount":1e-3,"id":"a\u00e4\ud83d\ude00"}`, `{"op":null , "name":"x"}`, `{"wait":"\/\b\f\n\r\t\""}`,
		`{"amount":1,"amount":2}`, `{"text":"` + "\xff" + `"}`, `{"text":"\ud800\u0041"}`, `{"text":[1]}`, `{"text":-}`, `{"text":1.}`, `{"id":tru}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got fields
		before := bytes.Clone(body)
		p := got.parse(body, everyField)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		if p != nil {
			if !json.Valid(p.appendMembers([]byte("{"))[1:]) && !json.Valid(append(p.appendMembers([]byte("{")), '}')) {
				t.Fatalf("the problem is not JSON: %s", p.appendMembers(nil))
			}
			return
		}
		if len(bytes.TrimSpace(body)) == 0 {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("taken, but %v", err)
		}
		for which, token := range got.tokens {
			compare(t, token, want[fieldNames[which].name])
		}
	})
}

func compare(t *testing.T, got token, want json.RawMessage) {
	t.Helper()
	switch got.kind {
	case absent:
		if len(want) > 0 && string(want) != "null" {
			t.Fatalf("nothing, want %s", want)
		}
	case text:
		var s string
		if err := json.Unmarshal(want, &s); err != nil || s != string(got.bytes) || !utf8.Valid(got.bytes) {
			t.Fatalf("%q, want %s", got.bytes, want)
		}
	case number:
		if string(want) != string(got.bytes) {
			t.Fatalf("%s, want %s", got.bytes, want)
		}
	}
}

// FuzzLine holds what a line makes against the rules for tickets.
func FuzzLine(f *testing.F) {
	for _, s := range []string{
		`{"op":"counter.update","name":"c","amount":"1.0","id":"i","ref":"r","expire":"30d"}`,
		`{"op":"text.set","name":"t","text":"","expire":"never"}`, `{"op":"set.remove","name":"s","element":"e"}`,
		`{"op":"counter.setup","name":"c","expire":1924992000000}`, `{"op":"counter.update","name":"c","amount":1e3}`,
	} {
		f.Add([]byte(s))
	}
	api, err := New(newFake(), Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var c ring.Command
		if p := api.line(&c, line); p != nil {
			return
		}
		ticket := tickets.Ticket{
			At: 1, Op: c.Op, Name: c.Name, Amount: c.Amount, Text: c.Text, Expire: c.Expire, ID: c.ID, Ref: c.Ref,
		}
		if err := ticket.Check(); err != nil {
			t.Fatalf("%s gives a ticket that is refused: %v", line, err)
		}
		if c.Op == tickets.CounterAdd && c.Text != "" {
			again, err := value.Parse(api.kind, c.Text, tickets.NumberLimits)
			if err != nil || !again.Equal(api.kind, c.Amount) || c.Amount.String(api.kind) == c.Text {
				t.Fatalf("as sent %q, amount %s", c.Text, c.Amount.String(api.kind))
			}
		}
	})
}

// FuzzArray: a batch as an array never has other elements than encoding/json
// finds.
func FuzzArray(f *testing.F) {
	for _, s := range []string{`[]`, `[{},{"a":[{}]}]`, `[1, "]" ,{"x":"\"}"}]`, `[`, `[,]`, `[{]}]`, `["\`} {
		f.Add([]byte(s))
	}
	api, err := New(newFake(), Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var b batch
		if !isArray(body) || b.readArray(api, body) != nil {
			return
		}
		var want []json.RawMessage
		if json.Unmarshal(body, &want) == nil && len(want) != len(b.problems) {
			t.Fatalf("%d elements, want %d", len(b.problems), len(want))
		}
	})
}

// FuzzTimes: what is read as a time is read the same from its own text, and
// no expiry lies beyond what timestamps can hold.
func FuzzTimes(f *testing.F) {
	for _, s := range []string{"2026-01-01T00:00:00.5Z", "1767225600000", "never", "30d", "1d12h", "1.5h", "0", "-1h", "1e3", "2026-01-01T00:00:00+24:00"} {
		f.Add(s)
	}
	now := newFake().clock
	f.Fuzz(func(t *testing.T, s string) {
		if at, err := parseTime(s); err == nil {
			again, err := parseTime(at.String())
			if err != nil || again != at || at < 1 || at > hlc.Latest {
				t.Fatalf("%q is %s, and that %s, %v", s, at, again, err)
			}
		}
		for _, k := range []kind{text, number} {
			if at, err := parseExpire(token{k, []byte(s)}, now); err == nil && (at < 1 || at > hlc.Latest && at != hlc.Never) {
				t.Fatalf("%q expires at %d", s, at)
			}
		}
		if d, err := parseDuration(s); err == nil && (d < 0 || d > maxDuration) {
			t.Fatalf("%q is %s", s, d)
		}
	})
}

// FuzzNames: any name that is taken can be set up and read by its path.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"a", "a/b", "%2F", "..", "\x00", "ä", "\xff", "a b+c;d"} {
		f.Add(s)
	}
	s := newServer(f)
	f.Fuzz(func(t *testing.T, name string) {
		s.t = t
		s.node.names = make(map[tickets.Key]*fakeName)
		s.log.Reset()
		path := "/v1/counters/" + url.PathEscape(name)
		if len(path) > 10_000 {
			return
		}
		answer := s.call("PUT", path, `{"expire":"never"}`)
		switch {
		case name == "":
			s.want(404, NotFound, "GET", path, "")
		case checkName(name) != nil:
			s.want(400, BadName, "GET", path, "")
		case answer.Code != 201:
			t.Fatalf("%q: %s", name, answer.text)
		default:
			got := s.want(200, "", "GET", path, "").json["name"]
			if got != name {
				t.Fatalf("%q is called %q", name, got)
			}
		}
	})
}

// FuzzStrings: what is written as a JSON string reads back the same.
func FuzzStrings(f *testing.F) {
	f.Add("a\"\\\n\x00\x7fä\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Fatalf("%q reads %q, %v", s, got, err)
		}
	})
}

// FuzzQuery: whatever the query and the headers that choose, a route answers with a documented
// status and, where that is an error, a whole problem.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"limit=1&cursor=&prefix=a", "at=2026-01-01T00:00:00Z&final=true&wait=0s", "from=1&to=2&limit=10", "require_coherence=1", "replicas=1&wait=0s",
		"format=svg", "cursor=AAAA", "limit=-1", "at=1;from=2", "%zz", "a=%ff&&=", "wait=0&final", "cursor=eyJhIjoxfQ",
	} {
		f.Add(s, "application/x-ndjson;q=0.5, */*;q=0.1")
	}
	f.Add("", "text/csv;q=1.0001,;,/;q=")
	s := newServer(f, func(c *Config) { c.Log = nil; c.Limits.Wait = 1 })
	s.call("PUT", "/v1/counters/n", `{"expire":"never"}`)
	s.call("POST", "/v1/counters/n", `{"amount":"1.50","id":"i"}`)
	f.Fuzz(func(t *testing.T, query, accept string) {
		s.t = t
		for i := range routes {
			rt := &routes[i]
			r := httptest.NewRequest(rt.method, "/", nil)
			r.URL.Path = strings.NewReplacer("{name}", "n", "{element}", "e").Replace(rt.pattern)
			r.URL.RawQuery, r.Header["Accept"] = query, []string{accept}
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, r)
			problem := rec.Header().Get("Content-Type") == mediaProblem
			if rec.Code >= 400 != problem || rec.Code == 500 || problem && !json.Valid(rec.Body.Bytes()) {
				t.Fatalf("%s %s?%q, accept %q: %d %s", rt.method, rt.pattern, query, accept, rec.Code, rec.Body)
			}
		}
	})
}

// FuzzCursors: a cursor that is taken is written the same again.
func FuzzCursors(f *testing.F) {
	f.Add(encodeName("a/ä"))
	f.Add(encodePosition(ring.Position{At: 1, Host: "a", Epoch: 2}))
	f.Add("====")
	s := newServer(f)
	f.Fuzz(func(t *testing.T, cursor string) {
		x := &exchange{api: s.API, query: url.Values{"cursor": {cursor}}}
		if name, err := x.afterName(); err == nil && cursor != "" && encodeName(name) != cursor {
			t.Fatalf("%q is after %q", cursor, name)
		}
		if at, err := x.afterPosition(); err == nil && cursor != "" && encodePosition(*at) != cursor {
			t.Fatalf("%q is after %+v", cursor, at)
		}
	})
}

// FuzzTokens: a token file that is taken says of every token who holds it and what it permits.
func FuzzTokens(f *testing.F) {
	for _, s := range []string{"", "# none", "a read " + HashToken("x"), "a read,write,admin " + HashToken("x") + " 2027-01-31T00:00:00Z", "a none 00", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		tokens, err := ParseTokens(file)
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		for _, token := range tokens {
			if token.Name == "" || token.Scopes == 0 || token.Expire < 0 || seen[token.Name] {
				t.Fatalf("%+v", token)
			}
			seen[token.Name] = true
		}
	})
}
