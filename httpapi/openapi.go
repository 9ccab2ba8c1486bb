package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// schemasJSON are the schemas of bodies and answers, except that of problems.
//
//go:embed schemas.json
var schemasJSON []byte

// object is a JSON object whose keys are written in order.
type object = map[string]any

// parameters are the query parameters that routes may have.
var parameters = map[string]struct{ schema, about string }{
	"prefix":            {`{"type":"string"}`, "Only what begins with it."},
	"limit":             {`{"type":"integer","minimum":1,"maximum":10000}`, "At most so many; 100 where it is not said. Names go up to 1000, tickets up to 10,000."},
	"cursor":            {`{"type":"string"}`, "The next_cursor of the page before."},
	"at":                {`{"type":"string"}`, "As of then: RFC 3339, or milliseconds since 1970."},
	"from":              {`{"type":"string"}`, "Not before then: RFC 3339, or milliseconds since 1970."},
	"to":                {`{"type":"string"}`, "Not after then: RFC 3339, or milliseconds since 1970."},
	"final":             {`{"type":"boolean"}`, "Only a value that can never change again: 409 not_final where wait ends first."},
	"wait":              {`{"type":"string","examples":["5s"]}`, "How long to wait, up to 60 s."},
	"replicas":          {`{"type":"integer","minimum":0,"maximum":65536}`, "Answer when so many other members hold the change durably; 202 where wait, 5 s unless said, ends first."},
	"require_coherence": {`{"type":"boolean"}`, "Refuse with 503 not_coherent unless the ring is coherent. May come as the header Require-Coherence."},
	"format":            {`{"enum":["json","svg","dot","mermaid"]}`, "The form of the answer."},
}

// everywhere are the problems that any route may answer with.
var everywhere = []Code{BadRequest, BadParameter, Unauthorized, Forbidden, NotAcceptable, URITooLong, Internal}

// document makes the OpenAPI 3.1 description of the routes.
func (a *API) document(version string) object {
	if version == "" {
		version = "development"
	}
	paths := object{}
	for i := range routes {
		rt := &routes[i]
		path, ok := paths[rt.pattern].(object)
		if !ok {
			path = object{}
			paths[rt.pattern] = path
		}
		path[strings.ToLower(rt.method)] = rt.operation()
	}
	return object{
		"openapi":           "3.1.0",
		"jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
		"info": object{
			"title": "Blue Rings", "version": version,
			"description": "Distributed billing counters. Every answer about a name tells whether the ring is whole " +
				"(coherent) and up to which moment the number can never change again (final_through).",
		},
		"servers": []any{object{"url": "/"}},
		"tags":    tags(),
		"paths":   paths,
		"components": object{
			"schemas":         schemas(),
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
		},
	}
}

func tags() []any {
	var list []any
	for _, t := range [...][2]string{
		{"counters", "Exact sums of all tickets, with a ledger."},
		{"texts", "Registers: the last writer wins."},
		{"sets", "Elements that can be added, and removed for good."},
		{"batch", "Many changes in one request."},
		{"ring", "The state of the ring, for operators and billing runs."},
		{"process", "The process and its documents."},
	} {
		list = append(list, object{"name": t[0], "description": t[1]})
	}
	return list
}

func schemas() object {
	all := object{}
	if err := json.Unmarshal(schemasJSON, &all); err != nil {
		panic("httpapi: embedded schemas: " + err.Error())
	}
	names := make([]any, len(codes))
	for i, c := range codes {
		names[i] = string(c.code)
	}
	str := object{"type": "string"}
	all["Problem"] = object{
		"type": "object", "required": []any{"type", "title", "status", "code"},
		"description": "An RFC 9457 problem. The code is stable.",
		"properties": object{
			"type": str, "title": str, "detail": str, "field": str, "name": str, "request_id": str,
			"status":     object{"type": "integer", "minimum": 400, "maximum": 599},
			"code":       object{"enum": names},
			"reasons":    object{"$ref": "#/components/schemas/Reasons"},
			"blocked_by": object{"type": "array", "items": str},
		},
	}
	return all
}

func ref(schema string) object { return object{"$ref": "#/components/schemas/" + schema} }

// operation is the route's part of the document.
func (rt *route) operation() object {
	op := object{
		"operationId": rt.id, "tags": []any{rt.tag}, "summary": rt.summary, "responses": rt.responses(),
	}
	if rt.about != "" {
		op["description"] = rt.about
	}
	if params := rt.parameters(); len(params) > 0 {
		op["parameters"] = params
	}
	if rt.scope == open {
		op["security"] = []any{}
	} else {
		op["security"] = []any{object{"token": []any{}}}
		op["x-scope"] = rt.scope.String()
	}
	if rt.body != "" {
		content := object{mediaJSON: object{"schema": ref(rt.body)}}
		if rt.body == "Batch" {
			content[mediaNDJSON] = object{"schema": object{"type": "string", "description": "A Line of JSON each."}}
		}
		op["requestBody"] = object{"content": content, "required": rt.body == "CounterUpdate" || rt.body == "Batch"}
	}
	return op
}

func (rt *route) parameters() []any {
	var list []any
	for _, segment := range [...][2]string{{"name", "Name"}, {"element", "ElementName"}} {
		if strings.Contains(rt.pattern, "{"+segment[0]+"}") {
			list = append(list, object{"name": segment[0], "in": "path", "required": true, "schema": ref(segment[1])})
		}
	}
	names := rt.params
	if rt.changes {
		names = slices.Concat(names, changeParams)
	}
	for _, name := range names {
		p := parameters[name]
		list = append(list, object{
			"name": name, "in": "query", "description": p.about, "schema": json.RawMessage(p.schema),
		})
	}
	if rt.changes && rt.body != "Batch" {
		list = append(list, object{
			"name": "Idempotency-Key", "in": "header", "description": "The id of the change.", "schema": ref("IDSent"),
		})
	}
	if slices.Contains(names, "require_coherence") {
		list = append(list, object{
			"name": "Require-Coherence", "in": "header", "schema": object{"type": "boolean"},
			"description": "As the parameter require_coherence.",
		})
	}
	return list
}

var meanings = map[int]string{
	200: "Done, or known already: a replay has the header Idempotency-Replayed.",
	201: "Made, and durable.",
	202: "Durable here; the wait ended before so many members held it.",
}

func (rt *route) responses() object {
	responses := object{}
	for _, status := range rt.statuses {
		content := object{}
		for _, media := range rt.media {
			schema := object{"type": "string"}
			if media == mediaJSON && rt.answer != "" {
				schema = ref(rt.answer)
			}
			content[media] = object{"schema": schema}
		}
		responses[strconv.Itoa(status)] = object{"description": meanings[status], "content": content}
	}
	byStatus := make(map[int][]string)
	for _, c := range codes {
		if c.code == NotFound && strings.Contains(rt.pattern, "{") || slices.Contains(rt.codes, c.code) || slices.Contains(everywhere, c.code) {
			byStatus[c.status] = append(byStatus[c.status], string(c.code)+": "+c.title)
		}
	}
	for status, meanings := range byStatus {
		responses[strconv.Itoa(status)] = object{
			"description": strings.Join(meanings, "\n\n"),
			"content":     object{mediaProblem: object{"schema": ref("Problem")}},
		}
	}
	return responses
}

// encodeDocument writes the document for people too: indented, keys in order.
func encodeDocument(document object) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(document)
	return bytes.TrimSpace(b.Bytes()), err
}
