// Package house holds the rules of the house as tests: who may import whom,
// what pure code may not touch, and how files look.
package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "bluerings"
)

// mayImport lists, for the packages that have a place, all packages of this
// module that they may import outside of tests.
var mayImport = map[string][]string{
	"value":            {},
	"internal/inplace": {},
	"hlc":              {},
	"topologies":       {},
	"tickets":          {"value", "hlc"},
	"ring/replica":     {"tickets", "value", "hlc"},
	"ring/zmqbus":      {},
	"ring/journal":     {"internal/inplace"},
	"ring/boltstore":   {"ring/journal", "internal/inplace", "ring/replica", "tickets", "value", "hlc"},
	"ring/simulator":   {"ring/replica", "tickets", "value", "hlc", "topologies"},
	"ring":             {"ring/replica", "ring/boltstore", "ring/zmqbus", "tickets", "value", "hlc", "topologies"},
	"httpapi":          {"ring", "tickets", "value", "hlc", "topologies"},
}

// pure are the packages that decide and do not act.
var pure = []string{"value", "hlc", "tickets", "ring/replica"}

// impure matches imports that pure packages do without.
var impure = regexp.MustCompile(`^(os|net|io/fs|io/ioutil|syscall|embed|log|sync|context|runtime|plugin|math/rand|crypto/rand|testing)(/.*)?$`)

// exempt are the exceptions, by package and import.
var exempt = map[[2]string]string{
	{"tickets", "sync"}: "readers that share a table build its order at the first need",
}

// clocks are the functions of package time that look at a clock or wait.
var clocks = []string{"Now", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Since", "Until"}

type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) map[string]goPackage {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	list.Dir = root
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	found := map[string]goPackage{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(p.ImportPath, module+"/")] = p
	}
}

func TestImportsPointDownwards(t *testing.T) {
	all := packages(t)
	for name, allowed := range mayImport {
		p, ok := all[name]
		if !ok {
			t.Errorf("there is no package %s", name)
		}
		for _, i := range p.Imports {
			if own, ours := strings.CutPrefix(i, module+"/"); ours && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s; it may import %v", name, own, allowed)
			}
		}
	}
	for name, p := range all {
		for _, i := range p.Imports {
			own, ours := strings.CutPrefix(i, module+"/")
			switch {
			case !ours:
			case strings.HasPrefix(own, "cmd/"):
				t.Errorf("%s imports the command %s", name, own)
			case own == "ring/simulator" && !strings.HasPrefix(name, "cmd/"):
				t.Errorf("%s imports the simulator", name)
			}
		}
	}
}

func TestPurePackagesArePure(t *testing.T) {
	all := packages(t)
	for _, name := range pure {
		p := all[name]
		if len(p.GoFiles) == 0 {
			t.Errorf("there is no package %s", name)
		}
		for _, file := range p.GoFiles {
			checkPure(t, name, filepath.Join(p.Dir, file))
		}
	}
}

func checkPure(t *testing.T, pkg, file string) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	at := func(n ast.Node) token.Position { return fset.Position(n.Pos()) }
	timeName := ""
	for _, i := range f.Imports {
		what := strings.Trim(i.Path.Value, `"`)
		if impure.MatchString(what) && exempt[[2]string{pkg, what}] == "" {
			t.Errorf("%s: the pure package %s imports %s", at(i), pkg, what)
		}
		if what == "time" {
			timeName = "time"
			if i.Name != nil {
				timeName = i.Name.Name
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s: the pure package %s starts a goroutine", at(n), pkg)
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && timeName != "" && x.Name == timeName && slices.Contains(clocks, n.Sel.Name) {
				t.Errorf("%s: the pure package %s uses time.%s", at(n), pkg, n.Sel.Name)
			}
		}
		return true
	})
}

// eachFile calls f with every file that belongs to the tree, by its slashed
// path.
func eachFile(t *testing.T, f func(name string, text []byte)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		base := path.Base(name)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name != "." && base != ".ci" && (strings.HasPrefix(base, ".") || base == "testdata" || base == "bluerings-data") {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		switch path.Ext(name) {
		case ".go", ".md", ".toml", ".yml", ".html", ".json", "":
		default:
			return nil
		}
		info, err := d.Info()
		if err != nil || info.Size() > 1<<20 {
			return err
		}
		text, err := fs.ReadFile(os.DirFS(root), name)
		if err == nil {
			f(name, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestGoFilesAreShortAndFormatted(t *testing.T) {
	const most = 500
	eachFile(t, func(name string, text []byte) {
		if path.Ext(name) != ".go" {
			return
		}
		if n := bytes.Count(text, []byte("\n")); n >= most {
			t.Errorf("%s has %d lines; it must have fewer than %d", name, n, most)
		}
		formatted, err := format.Source(text)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case !bytes.Equal(formatted, text):
			t.Errorf("%s is not formatted: run gofmt -w %[1]s", name)
		}
	})
}

// unfinished is put together so that it does not find itself.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

func TestNothingIsLeftToDo(t *testing.T) {
	eachFile(t, func(name string, text []byte) {
		number := 0
		for line := range bytes.Lines(text) {
			number++
			if m := unfinished.Find(line); m != nil {
				t.Errorf("%s:%d says %s: do it, or write an issue", name, number, m)
			}
		}
	})
}

// headings are the anchors of a document, as the usual renderers make them.
func headings(text []byte) map[string]bool {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(string(m[1])), "")
		found[strings.ReplaceAll(plain, " ", "-")] = true
	}
	return found
}

// TestLinksInDocumentsLead follows the relative links of all documents, and
// their anchors.
func TestLinksInDocumentsLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]*)(?:#([^)\s]*))?\)`)
	eachFile(t, func(name string, text []byte) {
		if path.Ext(name) != ".md" {
			return
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			to := filepath.Join(root, path.Dir(name), string(m[1]))
			if len(m[1]) == 0 {
				to = filepath.Join(root, name)
			}
			info, err := os.Stat(to)
			if err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
				continue
			}
			if len(m[2]) == 0 || info.IsDir() {
				continue
			}
			if target, err := os.ReadFile(to); err != nil || !headings(target)[string(m[2])] {
				t.Errorf("%s links to #%s of %s, which is not there (%v)", name, m[2], to, err)
			}
		}
	})
}
