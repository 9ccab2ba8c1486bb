package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

const (
	outputTable = "table"
	outputJSON  = "json"
)

// record is a JSON object whose values are printed as they came: numbers are not converted.
type record map[string]json.RawMessage

// parseRecord reads an object.
func parseRecord(body []byte) (record, error) {
	r := record{}
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("the node's answer is not understood: %w", err)
	}
	return r, nil
}

// cell is a value for people: a text without quotes, "-" for what is missing. A dot in the key
// leads into an object.
func (r record) cell(key string) string {
	raw, within := r[key], ""
	if head, rest, ok := strings.Cut(key, "."); ok {
		raw, within = r[head], rest
	}
	if within != "" {
		var inner record
		if json.Unmarshal(raw, &inner) != nil {
			return "-"
		}
		return inner.cell(within)
	}
	var text string
	switch {
	case len(raw) == 0, string(raw) == "null", string(raw) == `""`:
		return "-"
	case json.Unmarshal(raw, &text) == nil:
		return printable(text)
	case raw[0] == '[':
		var list []string
		if json.Unmarshal(raw, &list) == nil {
			return printable(strings.Join(list, ", "))
		}
	}
	return printable(string(raw))
}

func (r record) has(key string) bool {
	head, _, _ := strings.Cut(key, ".")
	return len(r[head]) > 0
}

// printable is text that cannot disturb a terminal or a table.
func printable(text string) string {
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return strconv.Quote(text)
		}
	}
	return text
}

// heading is a column's title from its key.
func heading(key string) string {
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		key = key[i+1:]
	}
	return strings.ToUpper(strings.ReplaceAll(key, "_", " "))
}

// writeJSON prints an answer as received, indented.
func writeJSON(w io.Writer, body []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(body), "", "  "); err != nil {
		return fmt.Errorf("the node's answer is not JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

// writeRecord prints one object as a table of those columns that it has.
func writeRecord(w io.Writer, body []byte, columns []string) error {
	r, err := parseRecord(body)
	if err != nil {
		return err
	}
	var present []string
	for _, key := range columns {
		if r.has(key) {
			present = append(present, key)
		}
	}
	t := newTable(w, headings(present)...)
	t.row(r.cells(present)...)
	return t.flush()
}

func headings(keys []string) []string {
	titles := make([]string, len(keys))
	for i, key := range keys {
		titles[i] = heading(key)
	}
	return titles
}

func (r record) cells(keys []string) []string {
	cells := make([]string, len(keys))
	for i, key := range keys {
		cells[i] = r.cell(key)
	}
	return cells
}

// table prints rows in columns.
type table struct {
	w *tabwriter.Writer
}

func newTable(w io.Writer, titles ...string) *table {
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	if len(titles) > 0 {
		t.row(titles...)
	}
	return t
}

func (t *table) row(cells ...string) {
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t *table) flush() error { return t.w.Flush() }
