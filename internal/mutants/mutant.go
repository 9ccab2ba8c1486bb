package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one planted bug, read from a file of planted:
//
//	promise: 1
//	what: it acknowledges before the fsync
//	killers: transcripts, ring:TestOne|TestTwo, simulator
//
//	--- ring/commit.go
//	@@
//	 a line that is there
//	-a line that goes
//	+a line that comes
//
// A hunk is a unified diff without line numbers. What it takes for there, the
// lines with a blank or a minus, must be found in the file exactly once;
// indentation does not matter.
type mutant struct {
	name    string // of the file
	promise string // number in docs/GUARANTEES.md
	what    string
	killers []killer // cheapest first
	changes []change
}

type change struct {
	path  string // from the root of the module, with slashes
	hunks []hunk
}

type hunk []string // lines with their first letter

// readAll reads every mutant of a directory, in the order of names.
func readAll(dir string) ([]*mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var all []*mutant
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m, err := parse(strings.TrimSuffix(filepath.Base(file), ".txt"), string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, m)
	}
	return all, nil
}

func parse(name, text string) (*mutant, error) {
	m := &mutant{name: name}
	head, body, found := strings.Cut(text, "\n--- ")
	if !found {
		return nil, fmt.Errorf("it changes no file")
	}
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "":
		case "promise":
			m.promise = value
		case "what":
			m.what = value
		case "killers":
			for spec := range strings.SplitSeq(value, ",") {
				k, err := parseKiller(strings.TrimSpace(spec))
				if err != nil {
					return nil, err
				}
				m.killers = append(m.killers, k)
			}
		default:
			return nil, fmt.Errorf("what is %q?", key)
		}
	}
	if m.promise == "" || m.what == "" || len(m.killers) == 0 {
		return nil, fmt.Errorf("promise, what or killers is missing")
	}
	slices.SortStableFunc(m.killers, func(a, b killer) int { return a.cost - b.cost })
	for part := range strings.SplitSeq(body, "\n--- ") {
		c, err := parseChange(part)
		if err != nil {
			return nil, err
		}
		m.changes = append(m.changes, c)
	}
	return m, nil
}

func parseChange(text string) (change, error) {
	path, rest, _ := strings.Cut(text, "\n")
	c := change{path: strings.TrimSpace(path)}
	for line := range strings.SplitSeq(strings.TrimRight(rest, "\n"), "\n") {
		last := len(c.hunks) - 1
		switch {
		case line == "@@":
			c.hunks = append(c.hunks, nil)
		case last < 0:
			return c, fmt.Errorf("%s: a hunk begins with @@", c.path)
		case line == "":
			c.hunks[last] = append(c.hunks[last], " ")
		case strings.ContainsRune(" -+", rune(line[0])):
			c.hunks[last] = append(c.hunks[last], line)
		default:
			return c, fmt.Errorf("%s: a line begins with %q", c.path, line[0])
		}
	}
	if len(c.hunks) == 0 {
		return c, fmt.Errorf("%s: no hunk", c.path)
	}
	return c, nil
}

// mutate applies the hunks to the text of a file.
func (c *change) mutate(text string) (string, error) {
	lines := strings.Split(text, "\n")
	for n, h := range c.hunks {
		var err error
		if lines, err = h.apply(lines); err != nil {
			return "", fmt.Errorf("%s: hunk %d: %w", c.path, n+1, err)
		}
	}
	changed := strings.Join(lines, "\n")
	if changed == text {
		return "", fmt.Errorf("%s: it changes nothing", c.path)
	}
	return changed, nil
}

func (h hunk) apply(lines []string) ([]string, error) {
	var old []string
	for _, line := range h {
		if line[0] != '+' {
			old = append(old, line[1:])
		}
	}
	var places []int
	for at := 0; at+len(old) <= len(lines) && len(old) > 0; at++ {
		if slices.EqualFunc(lines[at:at+len(old)], old, sameLine) {
			places = append(places, at)
		}
	}
	if len(places) != 1 {
		return nil, fmt.Errorf("its lines are found %d times, want once: the code has changed, look at both", len(places))
	}
	at := places[0]
	changed := slices.Clone(lines[:at])
	for _, line := range h {
		switch line[0] {
		case '+':
			changed = append(changed, line[1:])
		case ' ':
			changed = append(changed, lines[at])
			at++
		default:
			at++
		}
	}
	return append(changed, lines[at:]...), nil
}

func sameLine(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }

// write puts the changed files of the mutant into a directory, and beside them
// what go build takes as -overlay. It returns the path of that. The tree at
// root stays as it is.
func (m *mutant) write(root, dir string) (string, error) {
	var replace []string
	for i := range m.changes {
		c := &m.changes[i]
		path := filepath.Join(root, filepath.FromSlash(c.path))
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		changed, err := c.mutate(string(text))
		if err != nil {
			return "", err
		}
		to := filepath.Join(dir, fmt.Sprintf("%s-%d.go", m.name, i))
		if err := os.WriteFile(to, []byte(changed), 0o600); err != nil {
			return "", err
		}
		replace = append(replace, fmt.Sprintf("%q: %q", path, to))
	}
	overlay := filepath.Join(dir, m.name+".json")
	text := fmt.Sprintf("{\"Replace\": {%s}}\n", strings.Join(replace, ", "))
	return overlay, os.WriteFile(overlay, []byte(text), 0o600)
}
