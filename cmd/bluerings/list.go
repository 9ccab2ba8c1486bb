package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"bluerings/internal/client"
)

// pageSize is how many entries one request asks for.
const pageSize = 1000

// page is one answer to a request for a list.
type page struct {
	items []json.RawMessage
	next  string
}

func parsePage(body []byte, key string) (page, error) {
	r, err := parseRecord(body)
	if err != nil {
		return page{}, err
	}
	var p page
	if err := json.Unmarshal(r[key], &p.items); err != nil {
		return page{}, fmt.Errorf("the node's answer has no list of %s: %w", key, err)
	}
	if raw, ok := r["next_cursor"]; ok {
		if err := json.Unmarshal(raw, &p.next); err != nil {
			return page{}, fmt.Errorf("the node's answer is not understood: next_cursor: %w", err)
		}
	}
	return p, nil
}

// pages yields the entries of a list page by page, limit in all (0: every one).
func (r *remote) pages(ctx context.Context, path, key string, query url.Values, limit int) iter.Seq2[[]json.RawMessage, error] {
	return func(yield func([]json.RawMessage, error) bool) {
		c, err := r.connect(0)
		if err != nil {
			yield(nil, err)
			return
		}
		left := limit
		for cursor := ""; ; {
			size := pageSize
			if limit > 0 {
				size = min(size, left)
			}
			query.Set("limit", strconv.Itoa(size))
			if cursor != "" {
				query.Set("cursor", cursor)
			}
			a, err := c.Retry(ctx, client.Request{Method: http.MethodGet, Path: path, Query: query}, r.patience)
			var p page
			if err == nil {
				p, err = parsePage(a.Body, key)
			}
			if err == nil && p.next != "" && p.next == cursor {
				err = errors.New("the node's list does not go on: the same cursor came twice")
			}
			if err != nil {
				yield(nil, err)
				return
			}
			left -= len(p.items)
			if !yield(p.items, nil) || p.next == "" || limit > 0 && left <= 0 {
				return
			}
			cursor = p.next
		}
	}
}

// entries prints entries as they come.
type entries interface {
	add(item json.RawMessage) error
	flush() error // at the end of each page
	end() error   // at the end of all
}

// printPages prints all entries of a list.
func printPages(pages iter.Seq2[[]json.RawMessage, error], to entries) error {
	for items, err := range pages {
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := to.add(item); err != nil {
				return err
			}
		}
		if err := to.flush(); err != nil {
			return err
		}
	}
	return to.end()
}

// rows prints entries as a table.
type rows struct {
	table   *table
	columns []string
}

func newRows(w io.Writer, columns []string) *rows {
	return &rows{newTable(w, headings(columns)...), columns}
}

func (r *rows) add(item json.RawMessage) error {
	entry, err := parseRecord(item)
	if err != nil {
		return err
	}
	r.table.row(entry.cells(r.columns)...)
	return nil
}

func (r *rows) flush() error { return r.table.flush() }
func (r *rows) end() error   { return r.table.flush() }

// array prints entries as a JSON array, one a line.
type array struct {
	w     io.Writer
	count int
}

func (a *array) add(item json.RawMessage) error {
	lead := ",\n  "
	if a.count == 0 {
		lead = "[\n  "
	}
	a.count++
	_, err := fmt.Fprintf(a.w, "%s%s", lead, item)
	return err
}

func (a *array) flush() error { return nil }

func (a *array) end() error {
	text := "\n]\n"
	if a.count == 0 {
		text = "[]\n"
	}
	_, err := io.WriteString(a.w, text)
	return err
}

// newList is the command that lists all names of a kind.
func newList(c *console, kind, plural string, columns []string) *cobra.Command {
	var prefix string
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List all " + plural + " in the order of their names",
		Example: "  bluerings " + kind + " list --prefix eu/ --limit 100",
		Args:    takes(0),
	}
	r := newRemote(c, cmd).printing(cmd).patient(cmd)
	cmd.Flags().StringVar(&prefix, "prefix", "", "only names that begin so")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many (0: all)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{}
		if prefix != "" {
			query.Set("prefix", prefix)
		}
		var to entries = newRows(c.out, columns)
		if r.output == outputJSON {
			to = &array{w: c.out}
		}
		return printPages(r.pages(cmd.Context(), "/v1/"+plural, plural, query, limit), to)
	}
	return cmd
}
