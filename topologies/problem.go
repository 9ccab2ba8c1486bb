package topologies

import (
	"fmt"
	"slices"
	"strings"
)

// Severity says whether a problem keeps a topology from being used.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Problem is one thing that is wrong with a topology, where, and what to do about it.
type Problem struct {
	File     string // as given to Load or Parse; empty when the topology was not read
	Line     int    // from 1; 0 when unknown
	Column   int    // from 1, in bytes; 0 when unknown
	Severity Severity
	Message  string
	Remedy   string
}

// String is the problem on one line: "file:line:column: error: message (remedy)".
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	fmt.Fprintf(&b, "%s: %s", p.Severity, p.Message)
	if p.Remedy != "" {
		fmt.Fprintf(&b, " (%s)", p.Remedy)
	}
	return b.String()
}

// Problems is the error of [Load] and [Parse]: every problem found, in the order of the file.
// It holds at least one error; warnings are listed beside errors.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// failed reports whether one of the problems is an error.
func (ps Problems) failed() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Severity == SeverityError })
}

// listed joins names for a message, the first few of them.
func listed(names []string) string {
	if len(names) <= maxListed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
}
