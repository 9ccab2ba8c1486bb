package httpapi

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestCounterLife(t *testing.T) {
	s := newServer(t)
	answer := s.want(201, "", "PUT", "/v1/counters/c", `{"expire":"30d"}`)
	s.has(answer, "value", `"0"`)
	s.has(answer, "expire", `"2026-03-31T12:00:00.000000000Z"`)
	s.want(200, "", "PUT", "/v1/counters/c", `{"expire":"never"}`)
	answer = s.want(201, "", "POST", "/v1/counters/c", `{"amount":"-3.50","id":"i","ref":"r\u00e4\n","expire":null}`)
	s.has(answer, "value", `"-3.5"`)
	s.has(answer, "expire", `"never"`)
	ticket := answer.json["ticket"].(map[string]any)
	for key, want := range map[string]string{
		"amount": `"-3.5"`, "amount_as_sent": `"-3.50"`, "origin": `"a/1f"`, "seq": "3", "host": `"a"`, "id": `"i"`,
		"ref": `"rä\n"`, "op": `"counter.update"`, "timestamp": `"2026-03-01T12:00:03.000000000Z"`,
	} {
		if b, _ := json.Marshal(ticket[key]); string(b) != want {
			t.Errorf("ticket.%s is %s, want %s", key, b, want)
		}
	}
	for range 2 {
		replay := s.want(200, "", "POST", "/v1/counters/c", `{"amount":"-3.5"}`, "Idempotency-Key: i")
		if replay.Header().Get("Idempotency-Replayed") != "true" {
			t.Error("no Idempotency-Replayed")
		}
		s.has(replay, "value", `"-3.5"`)
	}
	answer = s.want(201, "", "POST", "/v1/counters/c", `{"amount":1e3}`)
	s.has(answer, "value", `"996.5"`)
	s.want(201, "", "POST", "/v1/counters/c", ` {"amount" : 0.000000000000000000000000000001 } `)
	s.has(s.want(200, "", "GET", "/v1/counters/c", ""), "value", `"996.500000000000000000000000000001"`)
	if head := s.call("HEAD", "/v1/counters/c", ""); head.Code != 200 || head.Header().Get("Coherent") != "true" {
		t.Errorf("HEAD: %d %v", head.Code, head.Header())
	}
}

// TestAmountsAreExact: what is sent comes back, as a JSON number and as a
// text, also where a float has fewer digits.
func TestAmountsAreExact(t *testing.T) {
	s := newServer(t)
	for i, amount := range []string{"9007199254740993", "0.12345678901234567890123", "-123456789012345678901234567890.5", "0.30000000000000004441"} {
		for _, sent := range []string{amount, `"` + amount + `"`} {
			path := fmt.Sprintf("/v1/counters/c%d", i)
			s.want(201, "", "POST", path, `{"amount":`+sent+`,"expire":"never"}`)
			s.has(s.want(200, "", "GET", path, ""), "value", `"`+amount+`"`)
			s.want(201, "", "POST", path, `{"amount":"`+strings.TrimPrefix("-"+amount, "--")+`"}`)
		}
	}
}

func TestReplicas(t *testing.T) {
	s := newServer(t)
	s.node.replicas = 1
	s.has(s.want(201, "", "POST", "/v1/counters/c", `{"amount":1,"expire":"1h","replicas":1}`), "replicated", "1")
	s.has(s.want(202, "", "POST", "/v1/counters/c?replicas=2&wait=1ms", `{"amount":1}`), "replicated", "1")
	s.has(s.want(202, "", "PUT", "/v1/counters/c", `{"expire":"1h","replicas":3,"wait":"1ms"}`), "replicated", "1")
	s.want(202, "", "PUT", "/v1/texts/c?replicas=2&wait=1ms", `{"text":"t","expire":"1h"}`)
	s.want(202, "", "PUT", "/v1/sets/c?replicas=2&wait=1ms", `{"expire":"1h"}`)
	s.want(202, "", "PUT", "/v1/sets/c/elements/e?replicas=2&wait=1ms", "")
	s.want(202, "", "DELETE", "/v1/sets/c/elements/e?replicas=2&wait=1ms", "")
	answer := s.call("POST", "/v1/batch?replicas=2&wait=1ms", `{"op":"counter.update","name":"c","amount":1}`)
	if !strings.Contains(answer.text, `"status":202`) || !strings.Contains(answer.text, `"replicated":1`) {
		t.Error(answer.text)
	}
}

func TestNamesOfAllKinds(t *testing.T) {
	s := newServer(t)
	for _, name := range []string{"a b", "a/b", "a%2Fb", "ä", "日本", "%", "..a", "a?b#c", "tickets", `"`, "a+b", "<script>", "a;b", "~", ":", "🙂"} {
		path := "/v1/counters/" + url.PathEscape(name)
		quotedName, _ := json.Marshal(name)
		want := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(quotedName))
		s.want(201, "", "POST", path, `{"amount":1,"expire":"never"}`)
		answer := s.want(200, "", "GET", path, "")
		if !strings.Contains(answer.text, `"name":`+want) {
			t.Errorf("%s: %s", name, answer.text)
		}
		s.want(200, "", "GET", path+"/tickets", "")
		s.want(201, "", "PUT", "/v1/sets/"+url.PathEscape(name)+"/elements/"+url.PathEscape(name), `{"expire":"1h"}`)
		s.want(200, "", "GET", "/v1/sets/"+url.PathEscape(name)+"/elements/"+url.PathEscape(name), "")
	}
}

func TestTexts(t *testing.T) {
	s := newServer(t)
	s.has(s.want(201, "", "PUT", "/v1/texts/t", `{"text":"a\u0000\ud83d\ude00","expire":1924992000000}`), "expire", `"2031-01-01T00:00:00.000000000Z"`)
	s.want(200, "", "PUT", "/v1/texts/t", `{"text":""}`)
	s.has(s.want(200, "", "PUT", "/v1/texts/t", `{"text":"b"}`), "text", `"b"`)
	s.want(200, "", "PUT", "/v1/texts/t", `{"expire":"never"}`)
	s.has(s.want(200, "", "GET", "/v1/texts/t", ""), "text", `"b"`)
	s.want(200, "", "GET", "/v1/texts", "")
}

func TestSets(t *testing.T) {
	s := newServer(t)
	s.want(201, "", "PUT", "/v1/sets/s", `{"expire":"1h"}`)
	s.want(200, "", "PUT", "/v1/sets/s", `{"expire":"2h"}`)
	for _, e := range []string{"a", "b", "c"} {
		s.has(s.want(201, "", "PUT", "/v1/sets/s/elements/"+e, ""), "present", "true")
	}
	s.want(200, "", "PUT", "/v1/sets/s/elements/a", `{"ref":"again"}`)
	s.has(s.want(200, "", "DELETE", "/v1/sets/s/elements/b", ""), "present", "false")
	s.has(s.want(200, "", "PUT", "/v1/sets/s/elements/b", ""), "present", "false")
	s.want(404, UnknownElement, "GET", "/v1/sets/s/elements/b", "")
	answer := s.want(200, "", "GET", "/v1/sets/s?limit=1", "")
	s.has(answer, "elements", `["a"]`)
	s.has(answer, "size", "2")
	answer = s.want(200, "", "GET", "/v1/sets/s?limit=1&cursor="+answer.json["next_cursor"].(string), "")
	s.has(answer, "elements", `["c"]`)
	s.has(answer, "next_cursor", "null")
	s.want(200, "", "GET", "/v1/sets?prefix=s", "")
}

func TestListPages(t *testing.T) {
	s := newServer(t)
	for i := range 25 {
		s.want(201, "", "PUT", fmt.Sprintf("/v1/counters/n%02d", i), `{"expire":"never"}`)
	}
	s.want(201, "", "PUT", "/v1/counters/other", `{"expire":"never"}`)
	var names []string
	for query := "?prefix=n&limit=10"; ; {
		answer := s.want(200, "", "GET", "/v1/counters"+query, "")
		for _, c := range answer.json["counters"].([]any) {
			names = append(names, c.(map[string]any)["name"].(string))
		}
		next, more := answer.json["next_cursor"].(string)
		if !more {
			break
		}
		query = "?prefix=n&limit=10&cursor=" + next
	}
	if len(names) != 25 || names[0] != "n00" || names[24] != "n24" {
		t.Errorf("%q", names)
	}
}

func TestLedger(t *testing.T) {
	s := newServer(t)
	s.want(201, "", "PUT", "/v1/counters/c", `{"expire":"never"}`)
	nasty := "=1+1,\"x\"\r\ny"
	body, _ := json.Marshal(map[string]string{"amount": "1.0", "ref": nasty})
	s.want(201, "", "POST", "/v1/counters/c", string(body))
	for range 2100 {
		s.call("POST", "/v1/counters/c", `{"amount":1}`)
	}
	answer := s.want(200, "", "GET", "/v1/counters/c/tickets?limit=2", "")
	s.has(answer, "value", `"2101"`)
	answer = s.want(200, "", "GET", "/v1/counters/c/tickets?limit=5000&cursor="+answer.json["next_cursor"].(string), "")
	if n := len(answer.json["tickets"].([]any)); n != 2100 {
		t.Errorf("%d tickets on the second page", n)
	}
	answer = s.call("GET", "/v1/counters/c/tickets", "", "Accept: text/csv")
	rows, err := csv.NewReader(strings.NewReader(answer.text)).ReadAll()
	if err != nil || len(rows) != 2103 || strings.Join(rows[0], ",") != strings.Join(csvColumns, ",") {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if rows[2][2] != "1" || rows[2][3] != "1.0" || rows[2][8] != strings.ReplaceAll(nasty, "\r\n", "\n") {
		t.Errorf("%q", rows[2])
	}
	if !strings.Contains(answer.text, "\"=1+1,\"\"x\"\"\r\ny\"") {
		t.Error("the cell is altered")
	}
	answer = s.call("GET", "/v1/counters/c/tickets?from=2026-03-01T12:00:02Z&to=2026-03-01T12:00:04Z", "", "Accept: application/x-ndjson")
	lines := strings.Split(strings.TrimSuffix(answer.text, "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines), answer.text)
	}
	answer = s.call("GET", "/v1/counters/c/tickets?limit=2", "", "Accept: application/x-ndjson;q=0.5, text/csv;q=0.9")
	if got := strings.Count(answer.text, "false\r\n"); got != 2 || answer.Header().Get("Next-Cursor") == "" {
		t.Errorf("%d rows, headers %v", got, answer.Header())
	}
}

func TestBatch(t *testing.T) {
	lines := []struct{ line, want string }{
		{`{"op":"counter.update","name":"c","amount":"1","expire":"never","id":"x"}`, `"status":201`},
		{`{"op":"counter.update","name":"c","amount":"1","id":"x"}`, `"replayed":true`},
		{`{"op":"counter.update","name":"c","amount":"2","id":"x"}`, `"code":"id_reused"`},
		{`{"op":"counter.update","name":"c","amount":"x"}`, `"code":"bad_amount"`},
		{`{"op":"counter.update","name":"c","amount":[[[{"a":"]"}]]]}`, `"code":"bad_amount"`},
		{`{"op":"counter.update","name":"c","text":"x"}`, `"code":"unknown_field"`},
		{`{"op":"counter.update","amount":1}`, `"code":"bad_name"`},
		{`{"op":"counter.updat","name":"c"}`, `"code":"bad_op"`},
		{`{"name":"c"}`, `"code":"bad_op"`},
		{`{"op":"counter.setup","name":"c"}`, `"code":"bad_expire"`},
		{`{"op":"counter.setup","name":"d","expire":"1h"}`, `"value":"0"`},
		{`{"op":"text.set","name":"t","text":"hi\n","expire":"1h"}`, `"text":"hi\n"`},
		{`{"op":"text.setup","name":"t","expire":"2h"}`, `"status":200`},
		{`{"op":"set.setup","name":"s","expire":"2h"}`, `"size":0`},
		{`{"op":"set.add","name":"s","element":"e"}`, `"size":1`},
		{`{"op":"set.remove","name":"s","element":"e"}`, `"size":0`},
		{`{"op":"set.add","name":"unknown","element":"e"}`, `"code":"unknown_set"`},
		{`"no object"`, `"code":"bad_json"`},
	}
	var all []string
	for _, l := range lines {
		all = append(all, l.line)
	}
	answer := newServer(t).call("POST", "/v1/batch", strings.Join(all, "\n\n")+"\n", "Content-Type: application/x-ndjson")
	outcomes := strings.Split(strings.TrimSuffix(answer.text, "\n"), "\n")
	if answer.Code != 200 || len(outcomes) != len(lines) {
		t.Fatalf("%d with %d lines: %s", answer.Code, len(outcomes), answer.text)
	}
	for i, o := range outcomes {
		if !json.Valid([]byte(o)) || !strings.Contains(o, lines[i].want) {
			t.Errorf("%s gives %s, want %s", lines[i].line, o, lines[i].want)
		}
	}
	asArray := newServer(t).call("POST", "/v1/batch", "["+strings.Join(all, ",")+"]")
	if want := "[" + strings.Join(outcomes, ",") + "]\n"; asArray.text != want {
		t.Errorf("as an array %s, want %s", asArray.text, want)
	}
	for body, want := range map[string]string{"[]": "[]\n", "": "", "\n": ""} {
		if answer := newServer(t).call("POST", "/v1/batch", body); answer.text != want || answer.Code != 200 {
			t.Errorf("%q: %d %q", body, answer.Code, answer.text)
		}
	}
	for _, body := range []string{"[1 2]", "[{}", "[{},]", "[{}]x", "[tru]", `[{"]`} {
		newServer(t).want(400, BadJSON, "POST", "/v1/batch", body)
	}
}
