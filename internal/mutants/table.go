package main

import (
	"fmt"
	"os"
	"strings"
)

// row is what became of a mutant.
type row struct {
	*mutant
	kills   []string // for the terminal
	by      []string // for the table: killer and test
	seeds   string
	seconds float64 // until the first kill
	tried   string  // the killers that did not
}

func (r *row) add(k killer, v verdict) {
	test := v.by
	if v.checker != "" || v.seeds > 0 {
		test = v.checker
	}
	if v.seeds > 0 {
		r.seeds = fmt.Sprint(v.seeds)
	}
	if len(r.kills) == 0 {
		r.seconds = v.took.Seconds()
	}
	r.kills = append(r.kills, fmt.Sprintf("%s, %s, in %.1f s", k.name, v.by, v.took.Seconds()))
	r.by = append(r.by, strings.TrimSpace(k.name+" "+test))
}

const (
	tableBegins = "<!-- mutants: go run ./internal/mutants -every -write docs/MUTANTS.md -->"
	tableEnds   = "<!-- end of mutants -->"
)

// markdown is the row of the table.
func (r *row) markdown() string {
	by := "**survived**"
	if len(r.by) > 0 {
		by = strings.ReplaceAll(strings.Join(r.by, "; "), "|", "\\|")
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %.1f |", r.name, r.promise, r.what, by, r.seeds, r.seconds)
}

// updateTable writes the rows of what was run into the table; the rows of the
// other mutants stay, and those of mutants that are gone go.
func updateTable(path string, all []*mutant, rows []row) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), tableBegins+"\n")
	old, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		return fmt.Errorf("%s: the marks of the table are missing", path)
	}
	known := tableRows(old)
	for i := range rows {
		known[rows[i].name] = rows[i].markdown()
	}
	var table strings.Builder
	table.WriteString("\n| mutant | promise | the bug | killed by | seeds | seconds |\n|---|---|---|---|---|---|\n")
	for _, m := range all {
		if line, ok := known[m.name]; ok {
			table.WriteString(line + "\n")
		}
	}
	table.WriteString("\n")
	return os.WriteFile(path, []byte(before+tableBegins+"\n"+table.String()+tableEnds+after), 0o644)
}

// tableRows finds the rows of a table by the names of mutants.
func tableRows(table string) map[string]string {
	rows := make(map[string]string)
	for line := range strings.Lines(table) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			rows[name] = strings.TrimSpace(line)
		}
	}
	return rows
}
