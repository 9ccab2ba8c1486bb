package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/pb33f/libopenapi/datamodel"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestDocumentIsOpenAPI(t *testing.T) {
	_, document := compiled()
	meta, err := jsonschema.UnmarshalJSON(strings.NewReader(datamodel.OpenAPI31SchemaData))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("https://spec/oas31.json", meta); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("https://spec/oas31.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(any(document)); err != nil {
		t.Error(err)
	}
}

func TestDocumentSchemasAreSchemas(t *testing.T) {
	compiler, document := compiled()
	seenMu.Lock()
	defer seenMu.Unlock()
	for name := range document["components"].(object)["schemas"].(object) {
		if _, err := compiler.Compile("https://bluerings/openapi.json#/components/schemas/" + name); err != nil {
			t.Error(err)
		}
	}
}

func TestDocumentHasTheRoutesThereAre(t *testing.T) {
	_, document := compiled()
	var documented, routed []string
	for path, operations := range document["paths"].(object) {
		for method := range operations.(object) {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	err := chi.Walk(newServer(t).Routes(), func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routed = append(routed, method+" "+pattern)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(documented)
	slices.Sort(routed)
	if !slices.Equal(documented, routed) {
		t.Errorf("documented %q\nrouted %q", documented, routed)
	}
}

func TestDocumentNamesWhatExists(t *testing.T) {
	ids := map[string]bool{}
	for _, rt := range routes {
		if ids[rt.id] || rt.id == "" || rt.summary == "" || len(rt.statuses) == 0 {
			t.Errorf("%s %s: the id %q is missing or taken, or something else is missing", rt.method, rt.pattern, rt.id)
		}
		ids[rt.id] = true
		for _, p := range rt.params {
			if parameters[p].about == "" {
				t.Errorf("%s: the parameter %s is not described", rt.id, p)
			}
		}
		for _, code := range rt.codes {
			if _, ok := statuses[code]; !ok {
				t.Errorf("%s: unknown code %s", rt.id, code)
			}
		}
	}
}
