package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Sources are where the configuration of a program may be stated.
type Sources struct {
	Flags *pflag.FlagSet // those that Flags added, parsed
	Env   []string       // key=value, as os.Environ
	File  string         // path of a TOML file, empty for none
}

// Resolve reads all sources and returns every mistake in them.
func (s *Set) Resolve(from Sources) Problems {
	var problems Problems
	stated := map[string]entry{}
	if from.File != "" {
		stated = s.readFile(from.File, &problems)
	}
	env := map[string]string{}
	for _, pair := range from.Env {
		if name, text, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, s.Prefix) {
			env[name] = text
		}
	}
	for _, set := range s.list {
		name := flagName(set.key)
		flag := from.Flags.Lookup(name)
		variable, inEnv := env[s.envName(set.key)]
		line, inFile := stated[set.key]
		switch {
		case flag != nil && flag.Changed:
			set.text, set.source = flag.Value.String(), "flag --"+name
		case inEnv && variable != "":
			set.text, set.source = variable, "environment "+s.envName(set.key)
		case inFile:
			set.text, set.source = line.text, line.source
		}
		set.apply(&problems)
	}
	return problems
}

// Unknown lists variables of the environment that look like a misspelt setting. They are no
// mistakes by themselves: orchestrators add variables of their own to a program's environment.
// Keys in others are known to another part of the program.
func (s *Set) Unknown(env []string, others ...string) []Problem {
	known := slices.Clone(others)
	for _, set := range s.list {
		known = append(known, set.key)
	}
	var list []Problem
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		key, ours := strings.CutPrefix(name, s.Prefix)
		if key = strings.ToLower(key); !ours || slices.Contains(known, key) {
			continue
		}
		if near := nearest(key, known); near != "" {
			list = append(list, Problem{"environment " + name, "is not a setting", fmt.Sprintf("did you mean %s?", s.envName(near))})
		}
	}
	return list
}
