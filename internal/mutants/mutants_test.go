package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func planted(t *testing.T) []*mutant {
	t.Helper()
	all, err := readAll("planted")
	if err != nil || len(all) == 0 {
		t.Fatalf("%d mutants, %v", len(all), err)
	}
	return all
}

// TestEveryMutantApplies: a mutant whose lines are gone is found here, before
// it is missed. That it compiles is found when it is run.
func TestEveryMutantApplies(t *testing.T) {
	dir := t.TempDir()
	for _, m := range planted(t) {
		if _, err := m.write(root, dir); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

const sample = `promise: 1
what: it is wrong
killers: simulator, laws:TestA|TestB

--- a.go
@@
 if x {
-	keep()
+lose()
 }
`

func TestMutantsAreReadAndApplied(t *testing.T) {
	m, err := parse("sample", sample)
	if err != nil {
		t.Fatal(err)
	}
	if m.killers[0].run != "^(TestA|TestB)$" || m.killers[1].name != "simulator" {
		t.Fatalf("killers %+v", m.killers)
	}
	const good = "func f() {\n\tif x {\n\t\tkeep()\n\t}\n}\n"
	got, err := m.changes[0].mutate(good)
	if err != nil || got != strings.Replace(good, "\t\tkeep()", "lose()", 1) {
		t.Fatalf("%q, %v", got, err)
	}
	for name, text := range map[string]string{"gone": "func f() {}\n", "twice": good + good} {
		if _, err := m.changes[0].mutate(text); err == nil {
			t.Errorf("%s: it applies", name)
		}
	}
	for name, text := range map[string]string{
		"no change":      "promise: 1\nwhat: x\nkillers: laws\n",
		"no killer":      strings.Replace(sample, "killers: simulator, laws:TestA|TestB\n", "", 1),
		"unknown killer": strings.Replace(sample, "simulator", "luck", 1),
		"unknown key":    strings.Replace(sample, "what", "why", 1),
		"no hunk":        "promise: 1\nwhat: x\nkillers: laws\n\n--- a.go\n",
		"stray line":     sample + "stray\n",
	} {
		if _, err := parse(name, text); err == nil {
			t.Errorf("%s: it is read", name)
		}
	}
}

func TestWatchTellsWhatFailed(t *testing.T) {
	for _, c := range []struct {
		output    string
		simulator bool
		by        string
		seeds     int
	}{
		{"=== RUN TestA\n--- PASS: TestA (0.00s)\nPASS\n", false, "", 0},
		{"--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/part (0.00s)\n--- FAIL: TestB (0.00s)\n", false, "TestA/part", 0},
		{"panic: boom\n\ngoroutine 1\n", false, "panic: boom", 0},
		{"    x_test.go:30: seed 7: final: lost\n", true, "x_test.go:30: seed 7: final: lost", 7},
	} {
		v := watch(strings.NewReader(c.output), c.simulator, func() {})
		if v.failed != (c.by != "") || v.by != c.by || v.seeds != c.seeds || c.simulator && v.checker != "final" {
			t.Errorf("%q: %+v", c.output, v)
		}
	}
}

// TestPrintedIsOfOneTest: of the output of many tests, what one printed is
// found, its parts' too.
func TestPrintedIsOfOneTest(t *testing.T) {
	const output = `=== RUN   TestA
    a_test.go:1: of A
--- PASS: TestA (0.00s)
=== RUN   TestB
=== RUN   TestB/part
    b_test.go:1: of its part
=== NAME  TestB
    b_test.go:2: of B
--- FAIL: TestB (0.00s)
    --- FAIL: TestB/part (0.00s)
=== RUN   TestBB
    b_test.go:3: of another
--- FAIL: TestBB (0.00s)
FAIL
`
	v := watch(strings.NewReader(output), false, func() {})
	if !slices.Equal(v.tests, []string{"TestB", "TestBB"}) || v.by != "TestB/part" {
		t.Fatalf("%q, by %s", v.tests, v.by)
	}
	_, want, _ := strings.Cut(output, "(0.00s)\n")
	want, _, _ = strings.Cut(want, "\n=== RUN   TestBB")
	if got := strings.Join(v.printed("TestB"), "\n"); got != want {
		t.Fatalf("%s\nwant\n%s", got, want)
	}
	v.output = "=== RUN   TestB\n" + strings.Repeat("line\n", 3*maxPrinted) + "last\n"
	if got := v.printed("TestB"); len(got) != maxPrinted || got[maxPrinted-1] != "last" {
		t.Fatalf("%q", got)
	}
}

func TestTableKeepsWhatWasNotRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.md")
	text := "before\n" + tableBegins + "\n| `a` | old |\n| `b` | old |\n| `gone` | old |\n" + tableEnds + "\nafter\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a, b, c := &mutant{name: "a"}, &mutant{name: "b", promise: "3", what: "wrong"}, &mutant{name: "c"}
	if err := updateTable(path, []*mutant{a, b, c}, []row{{mutant: b, by: []string{"laws TestX|TestY"}, seconds: 2}}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows := tableRows(string(got))
	if len(rows) != 2 || rows["a"] != "| `a` | old |" || rows["b"] != "| `b` | 3 | wrong | laws TestX\\|TestY |  | 2.0 |" {
		t.Fatalf("%s", got)
	}
	if !strings.HasPrefix(string(got), "before\n") || !strings.HasSuffix(string(got), "\nafter\n") {
		t.Fatalf("%s", got)
	}
}

// TestGuaranteesNameTheirBugs: beside each promise stand the bugs that break it.
func TestGuaranteesNameTheirBugs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "GUARANTEES.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range planted(t) {
		_, section, _ := strings.Cut(string(text), "\n## "+m.promise+". ")
		section, _, _ = strings.Cut(section, "\n## ")
		if !strings.Contains(section, "`"+m.name+"`") {
			t.Errorf("docs/GUARANTEES.md, promise %s: %s is not named", m.promise, m.name)
		}
	}
}
