// Package settings reads a program's configuration from flags, the environment, a TOML file and
// defaults, in this order of precedence, and tells where each value came from.
//
// Every source uses the same keys: `max_body` in a file is the flag `--max-body` and, with prefix
// BLUERINGS, the variable BLUERINGS_MAX_BODY. Mistakes are collected, never reported one by one.
package settings

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Problem is one mistake in the configuration.
type Problem struct {
	Source  string // "flag --data", "environment BLUERINGS_DATA", "file.toml:3:1"; empty if it has none
	Message string
	Remedy  string
}

// String is the problem on one line: "source: message (remedy)".
func (p Problem) String() string {
	s := p.Message
	if p.Source != "" {
		s = p.Source + ": " + s
	}
	if p.Remedy != "" {
		s += " (" + p.Remedy + ")"
	}
	return s
}

// Problems is a list of mistakes as an error.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Add appends a problem.
func (ps *Problems) Add(source, message, remedy string) {
	*ps = append(*ps, Problem{Source: source, Message: message, Remedy: remedy})
}

// fromDefault is the source of what nobody stated.
const fromDefault = "default"

// setting is one key, its text as stated last, and the parser that stores it.
type setting struct {
	key, usage   string
	text, source string
	kind         kind
	remedy       string
	parse        func(string) error
	failed       bool // its parser refused what was stated
}

// kind is how a setting is written in a TOML file.
type kind string

const (
	textKind kind = "string"
	boolKind kind = "bool"
	timeKind kind = "duration"
	sizeKind kind = "size"
	listKind kind = "list"
)

// Set is the settings of a program. The zero Set is empty. It is not safe for concurrent use.
type Set struct {
	Prefix string // of variables in the environment, with its underscore
	list   []*setting
}

func (s *Set) add(key, def, usage string, k kind, remedy string, parse func(string) error) {
	s.list = append(s.list, &setting{
		key: key, usage: usage, text: def, source: fromDefault, kind: k, remedy: remedy, parse: parse,
	})
}

// Text adds a setting that is any text.
func (s *Set) Text(p *string, key, def, usage string) {
	s.add(key, def, usage, textKind, "", func(t string) error { *p = t; return nil })
}

// Choice adds a setting that is one of a few words.
func (s *Set) Choice(p *string, key, usage string, words ...string) {
	s.add(key, words[0], usage, textKind, "write one of "+strings.Join(words, ", "), func(t string) error {
		if !slices.Contains(words, t) {
			return fmt.Errorf("%q is not known", t)
		}
		*p = t
		return nil
	})
}

// Parsed adds a setting whose text parse takes and keeps.
func (s *Set) Parsed(key, def, usage, remedy string, parse func(string) error) {
	s.add(key, def, usage, textKind, remedy, parse)
}

// Bool adds a setting that is off by default.
func (s *Set) Bool(p *bool, key, usage string) {
	s.add(key, "false", usage, boolKind, "write true or false", func(t string) error {
		on, err := strconv.ParseBool(t)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", t)
		}
		*p = on
		return nil
	})
}

// Duration adds a setting that is a length of time, not negative.
func (s *Set) Duration(p *time.Duration, key, def, usage string) {
	s.add(key, def, usage, timeKind, `write a duration such as "500ms", "10s" or "1h"`, func(t string) error {
		d, err := time.ParseDuration(t)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is no duration of 0 or more", t)
		}
		*p = d
		return nil
	})
}

// Size adds a setting that is a number of bytes, above 0.
func (s *Set) Size(p *int64, key, def, usage string) {
	s.add(key, def, usage, sizeKind, `write a size such as "65536", "64KiB" or "8MiB"`, func(t string) error {
		n, err := parseSize(t)
		if err != nil {
			return err
		}
		*p = n
		return nil
	})
}

// List adds a setting that is several texts: a flag given several times, or separated by commas;
// in a file an array or one text.
func (s *Set) List(p *[]string, key, def, usage string) {
	s.add(key, def, usage, listKind, "", func(t string) error {
		*p = nil
		for part := range strings.SplitSeq(t, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*p = append(*p, part)
			}
		}
		return nil
	})
}

// Source says where a setting's value came from.
func (s *Set) Source(key string) string { return s.find(key).source }

// Stated reports whether anything but the default gave a setting its value.
func (s *Set) Stated(key string) bool { return s.find(key).source != fromDefault }

// OK reports whether a setting's value was understood.
func (s *Set) OK(key string) bool { return !s.find(key).failed }

// Fallback gives settings that nobody stated a better default, which came from source.
func (s *Set) Fallback(key, text, source string, problems *Problems) {
	if set := s.find(key); set.source == fromDefault && text != "" {
		set.text, set.source = text, source
		set.apply(problems)
	}
}

func (set *setting) apply(problems *Problems) {
	if err := set.parse(set.text); err != nil {
		set.failed = true
		problems.Add(set.source, set.key+": "+err.Error(), set.remedy)
	}
}

// find returns the setting of a key. It panics on a key that was never added: keys are constants.
func (s *Set) find(key string) *setting {
	if set := s.lookup(key); set != nil {
		return set
	}
	panic("settings: no setting " + key)
}

func (s *Set) lookup(key string) *setting {
	i := slices.IndexFunc(s.list, func(set *setting) bool { return set.key == key })
	if i < 0 {
		return nil
	}
	return s.list[i]
}

// Flags adds a flag for each setting. Their values are looked at in Resolve only, so that a bad
// one is listed along with all other mistakes.
func (s *Set) Flags(flags *pflag.FlagSet) {
	for _, set := range s.list {
		f := flags.VarPF(&flagText{setting: set}, flagName(set.key), "", set.usage)
		if set.kind == boolKind {
			f.NoOptDefVal = "true"
		}
	}
}

// flagText is a flag that keeps its text for later.
type flagText struct {
	setting *setting
	text    string
	given   bool
}

func (f *flagText) Set(text string) error {
	if f.given && f.setting.kind == listKind {
		text = f.text + "," + text
	}
	f.text, f.given = text, true
	return nil
}

// String is what help prints as the default.
func (f *flagText) String() string {
	switch {
	case f.setting == nil:
		return ""
	case f.given:
		return f.text
	case f.setting.kind == boolKind && f.setting.text == "false":
		return ""
	default:
		return f.setting.text
	}
}

func (f *flagText) Type() string { return string(f.setting.kind) }

func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

func (s *Set) envName(key string) string { return s.Prefix + strings.ToUpper(key) }

// Print writes the effective configuration as a TOML file that Resolve would take, each line with
// the source of its value.
func (s *Set) Print(w io.Writer) error {
	width := 0
	lines := make([]string, len(s.list))
	for i, set := range s.list {
		lines[i] = set.key + " = " + set.literal()
		width = max(width, len(lines[i]))
	}
	for i, set := range s.list {
		if _, err := fmt.Fprintf(w, "%-*s  # %s\n", width, lines[i], set.source); err != nil {
			return err
		}
	}
	return nil
}

func (set *setting) literal() string {
	switch set.kind {
	case boolKind:
		on, _ := strconv.ParseBool(set.text)
		return strconv.FormatBool(on)
	case listKind:
		parts := strings.Split(set.text, ",")
		for i, p := range parts {
			parts[i] = quote(strings.TrimSpace(p))
		}
		if set.text == "" {
			parts = nil
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return quote(set.text)
	}
}
