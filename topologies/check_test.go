package topologies

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/problems.txt with what is said now")

// TestProblems lists bad files and what is said of them, one problem a line.
func TestProblems(t *testing.T) {
	sections, err := os.ReadFile("testdata/problems.txt")
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for i, section := range strings.Split(string(sections), "\n=====\n") {
		text, want, found := strings.Cut(section, "\n-----\n")
		if !found {
			t.Fatalf("section %d has no answer", i)
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			top, err := Parse("f", []byte(text))
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = Problems(top.Check()).Error()
			}
			said = append(said, text+"\n-----\n"+got)
			if !*rewrite && strings.TrimSpace(got) != strings.TrimSpace(want) {
				t.Errorf("%s\n--- got\n%s\n--- want\n%s", text, got, want)
			}
			var problems Problems
			if errors.As(err, &problems) {
				for _, p := range problems {
					if p.Remedy == "" || p.Line == 0 || p.Column == 0 {
						t.Errorf("no remedy or place: %+v", p)
					}
				}
			}
		})
	}
	if *rewrite {
		text := strings.Join(said, "\n=====\n") + "\n"
		if err := os.WriteFile("testdata/problems.txt", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProblemsAreLimited(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "k%d=1\n", i)
	}
	_, err := Parse("f", []byte(b.String()))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != maxProblems+1 {
		t.Fatalf("%d problems", len(problems))
	}
	if last := problems[maxProblems].Message; !strings.HasPrefix(last, "99903 more") {
		t.Error(last)
	}
}

func TestLimits(t *testing.T) {
	big := strings.Repeat("#", MaxFileBytes+1)
	path := filepath.Join(t.TempDir(), "big.toml")
	if err := os.WriteFile(path, []byte(big), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Error(err)
	}
	if _, err := Load(filepath.Dir(path)); err == nil {
		t.Error("loaded a directory")
	}
	if _, err := Load(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	many := `ring="r"` + "\n" + `shape="full-mesh"` + "\n" + strings.Repeat("[[nodes]]\n", MaxNodes+1)
	if _, err := Parse("f", []byte(many)); err == nil || !strings.Contains(err.Error(), "1001 nodes are more than 1000") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	examples, err := filepath.Glob("*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range examples {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	bad, err := os.ReadFile("testdata/problems.txt")
	if err != nil {
		f.Fatal(err)
	}
	for section := range strings.SplitSeq(string(bad), "\n=====\n") {
		text, _, _ := strings.Cut(section, "\n-----\n")
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		top, err := Parse("f", data)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || !problems.failed() || len(problems) > maxProblems+1 {
				t.Fatalf("error %v", err)
			}
			return
		}
		again, err := Parse("f", top.Encode())
		if err != nil {
			t.Fatalf("encoded:\n%s\n%v", top.Encode(), err)
		}
		if again.Digest() != top.Digest() {
			t.Fatal("another digest after encoding")
		}
		top.Analyse()
		for _, format := range []string{SVG, Dot, Mermaid} {
			if _, err := top.Graph(format); err != nil {
				t.Fatal(err)
			}
		}
	})
}
