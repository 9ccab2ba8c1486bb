package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// words are all texts in the code that ships, and the first word of each.
func words(t *testing.T) map[string]bool {
	found := map[string]bool{}
	eachFile(t, func(name string, text []byte) {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					first, _, _ := strings.Cut(s, " ")
					found[s], found[first] = true, true
				}
			}
			return true
		})
	})
	return found
}

// TestDocumentsNameWhatThereIs: the flags, metrics, codes and commands in the
// documents are in the code.
func TestDocumentsNameWhatThereIs(t *testing.T) {
	known := words(t)
	known["help"] = true // every command has it
	// Flags of the go command, of make and of curl are none of ours.
	foreign := regexp.MustCompile(`(?m)^.*(?:\bgo (?:test|run \./(?:internal|bench))|curl ).*$`)
	flag := regexp.MustCompile(`--[a-z][a-z-]+`)
	metric := regexp.MustCompile(`\bbluerings_[a-z_]+`)
	command := regexp.MustCompile("(?m)(?:^|`|run ./cmd/)bluerings ([a-z]+)(?: ([a-z]+)\\b)?")
	eachFile(t, func(name string, text []byte) {
		if path.Ext(name) != ".md" || strings.HasPrefix(name, "bench/") {
			return
		}
		text = foreign.ReplaceAll(text, nil)
		for _, m := range flag.FindAll(text, -1) {
			f := string(m[2:])
			if !known[f] && !known[strings.ReplaceAll(f, "-", "_")] {
				t.Errorf("%s: there is no flag --%s", name, f)
			}
		}
		for _, m := range metric.FindAll(text, -1) {
			rest := strings.TrimPrefix(string(m), "bluerings_")
			if !known[string(m)] && !known[rest] && !known[strings.TrimPrefix(rest, "bus_")] && !known[strings.TrimPrefix(rest, "http_")] {
				t.Errorf("%s: there is no metric %s", name, m)
			}
		}
		for _, m := range command.FindAllSubmatch(text, -1) {
			if !known[string(m[1])] {
				t.Errorf("%s: there is no command %s", name, m[1])
			}
		}
	})
}
