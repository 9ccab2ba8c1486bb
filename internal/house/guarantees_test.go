package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// named is what a list under a promise of docs/GUARANTEES.md names.
func named(list string) (names []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(list, -1) {
		names = append(names, m[1])
	}
	return names
}

// items are the lists of a section, by their first word, each with its lines.
func items(section string) map[string]string {
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^- ([A-Z][a-z ]+): (.*(?:\n  .*)*)`).FindAllStringSubmatch(section, -1) {
		found[m[1]] += m[2]
	}
	return found
}

// sources parses the Go files of a folder, with or without those of tests.
func sources(t *testing.T, folder string, tests bool) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", folder, len(names), err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") != tests {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// checkers are the names under which the simulator fails.
func checkers(t *testing.T) map[string]bool {
	found := map[string]bool{}
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if name, err := strconv.Unquote(lit.Value); err == nil {
				found[name] = true
			}
		}
	}
	for _, f := range sources(t, "ring/simulator", false) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "fail" && len(n.Args) > 1 {
					add(n.Args[0])
				}
			case *ast.CompositeLit:
				if id, ok := n.Type.(*ast.Ident); ok && id.Name == "Failure" && len(n.Elts) > 1 {
					add(n.Elts[1])
				}
			}
			return true
		})
	}
	return found
}

// methods are those of a folder, as Type.name.
func methods(t *testing.T, folder string) map[string]bool {
	found := map[string]bool{}
	for _, f := range sources(t, folder, false) {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil {
				continue
			}
			of := fn.Recv.List[0].Type
			if star, ok := of.(*ast.StarExpr); ok {
				of = star.X
			}
			if id, ok := of.(*ast.Ident); ok {
				found[id.Name+"."+fn.Name.Name] = true
			}
		}
	}
	return found
}

// tests are all tests of the tree, and the folders that have fuzz targets.
func tests(t *testing.T) (names, fuzzed map[string]bool) {
	names, fuzzed = map[string]bool{}, map[string]bool{}
	test := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w*)\(`)
	eachFile(t, func(name string, text []byte) {
		if !strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, m := range test.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
			if strings.HasPrefix(string(m[1]), "Fuzz") {
				fuzzed[path.Dir(name)] = true
			}
		}
	})
	return names, fuzzed
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestGuaranteesNameWhatExists: every promise names who checks it, and nobody
// who does not exist; and no checker, nor planted bug, is left out.
func TestGuaranteesNameWhatExists(t *testing.T) {
	text := document(t, "GUARANTEES.md")
	inSimulator, inChaos := checkers(t), methods(t, "internal/chaos")
	allTests, fuzzed := tests(t)
	bugs := map[string]bool{}
	planted, err := filepath.Glob(filepath.Join(root, "internal/mutants/planted/*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range planted {
		bugs[strings.TrimSuffix(filepath.Base(file), ".txt")] = true
	}
	exists := map[string]map[string]bool{"Simulator": inSimulator, "Chaos": inChaos, "Tests": allTests, "Planted bugs": bugs}
	used := map[string]bool{}
	promises := strings.Split(text, "\n## ")[1:]
	for n, section := range promises[:len(promises)-1] {
		title, rest, _ := strings.Cut(section, "\n")
		if !strings.HasPrefix(title, strconv.Itoa(n+1)+". ") || !strings.HasPrefix(rest, "\n> ") {
			t.Errorf("%q is not promise %d, or does not begin with it", title, n+1)
		}
		lists := items(rest)
		for kind, known := range exists {
			names := named(lists[kind])
			if len(names) == 0 {
				t.Errorf("%s: no %s", title, kind)
			}
			for _, name := range names {
				used[name] = true
				if !known[name] && !(kind == "Tests" && fuzzed[name]) {
					t.Errorf("%s: %s: there is no %s", title, kind, name)
				}
			}
		}
		for _, kind := range []string{"Conditions", "Not promised"} {
			if lists[kind] == "" && !strings.Contains(rest, "- "+kind) {
				t.Errorf("%s: it says nothing of: %s", title, kind)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inSimulator)) {
		if !used[name] {
			t.Errorf("the checker %s of the simulator checks no promise", name)
		}
		if !strings.Contains(document(t, "TESTING.md"), "`"+name+"`") {
			t.Errorf("docs/TESTING.md does not say what %s checks", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bugs)) {
		if !used[name] {
			t.Errorf("the planted bug %s breaks no promise", name)
		}
	}
	for folder := range fuzzed {
		if !used[folder] {
			t.Errorf("the fuzz targets of %s are left out", folder)
		}
	}
}

// TestDocumentsNameTestsThatExist: a test that was renamed is renamed there.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	all, _ := tests(t)
	name := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
	eachFile(t, func(file string, text []byte) {
		if path.Ext(file) != ".md" {
			return
		}
		for _, m := range name.FindAll(text, -1) {
			if !all[string(m)] {
				t.Errorf("%s: there is no %s", file, m)
			}
		}
	})
}
