package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFileBytes is the size of a configuration file.
const maxFileBytes = 1 << 20

// entry is what a file states for one key.
type entry struct{ text, source string }

// readFile returns what the file at path states by key. A table's name and the keys in it are
// joined by an underscore, so that
//
//	[ring]
//	tls_cert = "…"
//
// states ring_tls_cert.
func (s *Set) readFile(path string, problems *Problems) map[string]entry {
	f, err := os.Open(path)
	if err != nil {
		problems.Add("", "configuration file: "+err.Error(), "give --config a file that can be read")
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(data) > maxFileBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	if err != nil {
		problems.Add("", "configuration file: "+err.Error(), "give --config a file of settings")
		return nil
	}
	// The decoder finds what the parser below lets pass, such as keys defined twice.
	var anything map[string]any
	if err := toml.Unmarshal(data, &anything); err != nil {
		source := path
		var decode *toml.DecodeError
		if errors.As(err, &decode) {
			line, column := decode.Position()
			source = fmt.Sprintf("%s:%d:%d", path, line, column)
		}
		problems.Add(source, "the file is no TOML: "+strings.TrimPrefix(err.Error(), "toml: "),
			"mend this first; the rest of the file was not looked at")
		return nil
	}
	return s.read(path, data, problems)
}

func (s *Set) read(path string, data []byte, problems *Problems) map[string]entry {
	stated := map[string]entry{}
	var parser unstable.Parser
	parser.Reset(data)
	table := ""
	for parser.NextExpression() {
		node := parser.Expression()
		key, offset := joined(node)
		at := position(path, data, offset)
		switch node.Kind {
		case unstable.Table:
			table = key + "_"
		case unstable.ArrayTable:
			problems.Add(at, fmt.Sprintf("a list of tables, %q, is not a setting", key), "write key = value")
			return stated
		case unstable.KeyValue:
			s.state(stated, table+key, at, node.Value(), problems)
		}
	}
	return stated
}

// state takes in one key = value.
func (s *Set) state(stated map[string]entry, key, at string, value *unstable.Node, problems *Problems) {
	set := s.lookup(key)
	if set == nil {
		problems.Add(at, fmt.Sprintf("%q is not a setting", key), s.suggestion(key))
		return
	}
	if first, twice := stated[key]; twice {
		problems.Add(at, fmt.Sprintf("%q is stated twice", key), "it was first stated at "+first.source+"; keep one")
		return
	}
	text, err := plain(value, set.kind)
	if err != nil {
		problems.Add(at, key+": "+err.Error(), set.remedy)
		return
	}
	stated[key] = entry{text, at}
}

func (s *Set) suggestion(key string) string {
	var keys []string
	for _, set := range s.list {
		keys = append(keys, set.key)
	}
	if near := nearest(key, keys); near != "" {
		return "did you mean " + near + "?"
	}
	return "--help lists all settings; a key is a flag with _ for -"
}

// plain is a value as the text that a flag would have.
func plain(v *unstable.Node, want kind) (string, error) {
	switch {
	case v.Kind == unstable.Array && want == listKind:
		var parts []string
		for it := v.Children(); it.Next(); {
			if it.Node().Kind != unstable.String {
				return "", errors.New("the list has something other than strings in it")
			}
			parts = append(parts, string(it.Node().Data))
		}
		return strings.Join(parts, ","), nil
	case v.Kind == unstable.Bool && want == boolKind,
		v.Kind == unstable.Integer && want == sizeKind,
		v.Kind == unstable.String && want != boolKind:
		return string(v.Data), nil
	default:
		return "", fmt.Errorf("a %s is wanted here", want)
	}
}

// joined is the dotted key of an expression with underscores, and where it begins.
func joined(node *unstable.Node) (key string, offset int) {
	var parts []string
	for it := node.Key(); it.Next(); {
		if len(parts) == 0 {
			offset = int(it.Node().Raw.Offset)
		}
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, "_"), offset
}

// position is a place in a file as path:line:column, counted from 1, columns in bytes.
func position(path string, data []byte, offset int) string {
	before := data[:min(offset, len(data))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("%s:%d:%d", path, line, column)
}
