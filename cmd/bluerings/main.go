// Bluerings runs a node of a ring of counters, and talks to one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"bluerings/internal/settings"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // wrong flags, arguments or configuration: nothing was tried
)

// console is what the program was started with.
type console struct {
	env    []string // key=value
	in     io.Reader
	out    io.Writer
	stderr io.Writer
}

// lookup is a variable of the environment, empty if it is not set. As in a shell, the last wins.
func (c *console) lookup(name string) string {
	text := ""
	for _, pair := range c.env {
		if key, value, ok := strings.Cut(pair, "="); ok && key == name {
			text = value
		}
	}
	return text
}

// run is the program. When ctx ends it stops as it does on a signal.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(&console{env: env, in: stdin, out: stdout, stderr: stderr})
	root.SetArgs(shieldAmounts(root, args))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var problems settings.Problems
	var usage *usageError
	var status exitStatus
	switch {
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &problems):
		for _, p := range problems {
			fmt.Fprintf(stderr, "bluerings: %s\n", p)
		}
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "bluerings: %v\n", err)
		if usage.command != "" {
			fmt.Fprintf(stderr, "run '%s --help' for what it takes\n", usage.command)
		}
		return exitUsage
	case errors.Is(err, errSilent):
	default:
		fmt.Fprintf(stderr, "bluerings: %v\n", err)
	}
	return exitFailure
}

// errSilent is a failure that was shown already.
var errSilent = errors.New("failed")

// exitStatus is a failure that was shown already, with an exit code of its own.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// usageError is a mistake in how the program was called.
type usageError struct {
	command string // whose help says more; may be empty
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func badUsage(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}
