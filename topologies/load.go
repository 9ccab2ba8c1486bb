package topologies

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
)

// Load reads and checks the topology file at path. Its error is either that of reading the file,
// wrapped, or of type [Problems]. Warnings alone are no error; Check returns them.
func Load(path string) (*Topology, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("topology file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("topology file: %w", err)
	}
	return Parse(path, data)
}

// Parse reads and checks a topology from the text of its file; name stands for the file in
// problems. The error, if any, is of type [Problems] and lists every problem: of the text, or, if
// it has no error, of what it says, and of reachability only when all else is right.
func Parse(name string, data []byte) (*Topology, error) {
	problems := &report{file: name}
	if len(data) > MaxFileBytes {
		problems.fail(position{}, fmt.Sprintf("the file is larger than %d bytes", MaxFileBytes), "split the ring, or shorten the file")
		return nil, problems.list
	}
	root, ok := grow(data, problems)
	if !ok {
		return nil, problems.list
	}
	t := decode(root, problems)
	if !problems.list.failed() {
		reread(data, problems)
	}
	t.check(problems)
	if problems.list.failed() {
		return nil, problems.sorted()
	}
	return t, nil
}

// Check returns what is wrong with the topology, errors and warnings, in the order of its file.
// For one that Parse returned these can only be warnings, unless it was changed since.
func (t *Topology) Check() []Problem {
	problems := &report{}
	if t.source != nil {
		problems.file = t.source.file
	}
	t.check(problems)
	return problems.sorted()
}

// report collects the problems of one file. Its messages quote what they found with %q, so that
// nothing in a file can disturb a terminal.
type report struct {
	file    string
	list    Problems
	dropped int // problems beyond maxCollected
}

func (r *report) fail(at position, message, remedy string) {
	r.add(at, SeverityError, message, remedy)
}

func (r *report) warn(at position, message, remedy string) {
	r.add(at, SeverityWarning, message, remedy)
}

func (r *report) add(at position, s Severity, message, remedy string) {
	if len(r.list) >= maxCollected {
		r.dropped++
		return
	}
	r.list = append(r.list, Problem{
		File: r.file, Line: at.line, Column: at.column, Severity: s, Message: message, Remedy: remedy,
	})
}

// suggest is suggest, cheaper once there are more problems than anybody reads.
func (r *report) suggest(word string, known []string) string {
	if len(r.list) > maxProblems {
		return useOneOf(known)
	}
	return suggest(word, known)
}

func (r *report) nearest(word string, known []string) string {
	if len(r.list) > maxProblems {
		return ""
	}
	return nearest(word, known)
}

// sorted returns the problems in the order of the file, the list cut off at maxProblems, errors
// before warnings.
func (r *report) sorted() Problems {
	ps := r.list
	byPosition := func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	}
	extra := max(0, len(ps)-maxProblems) + r.dropped
	if extra > 0 {
		slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Severity, b.Severity) })
		ps = ps[:maxProblems]
	}
	slices.SortStableFunc(ps, byPosition)
	if extra > 0 {
		ps = append(ps[:len(ps):len(ps)], Problem{
			File: r.file, Severity: ps[0].Severity,
			Message: fmt.Sprintf("%d more problems are not listed", extra), Remedy: "mend those listed first",
		})
	}
	return ps
}
