package main

import (
	"slices"
	"strings"
	"testing"
)

func TestNegativeAmountsAreNoFlags(t *testing.T) {
	root := newRoot(&console{})
	for line, want := range map[string]string{
		"counter add x -3.5":                    "counter add x -- -3.5",
		"counter add x -3 --id a":               "counter add x --id a -- -3",
		"counter add x --require-coherence -.5": "counter add x --require-coherence -- -.5",
		"counter add --expire -1h x 3":          "counter add --expire -1h x 3",
		"counter add --expire -1h x -3":         "counter add --expire -1h x -- -3",
		"counter add --expire=1h x -3":          "counter add --expire=1h x -- -3",
		"counter add -o json x -3":              "counter add -o json x -- -3",
		"counter add -- x -3":                   "counter add -- x -3",
		"counter add x 3":                       "counter add x 3",
		"counter get -3":                        "counter get -3",
		"counter add x -h":                      "counter add x -h",
	} {
		if got := shieldAmounts(root, strings.Fields(line)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s becomes %s, want %s", line, strings.Join(got, " "), want)
		}
	}
}
