package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"bluerings/internal/client"
)

// The columns of a ledger as a table, and as CSV, where they are those that a node itself gives.
var (
	ticketColumns = []string{"timestamp", "host", "amount", "id", "ref", "seq", "superseded", "conflict"}
	sheetColumns  = []string{
		"timestamp", "host", "amount", "amount_as_sent", "origin", "seq", "op", "id", "ref", "expire", "superseded", "conflict",
	}
)

func newTickets(c *console) *cobra.Command {
	var from, to, format string
	var limit int
	cmd := &cobra.Command{
		Use:   "tickets NAME",
		Short: "Print a counter's ledger, oldest ticket first",
		Example: `  bluerings counter tickets calls --from 2026-01-01T00:00:00Z
  bluerings counter tickets calls --format csv > calls.csv`,
		Args: takes(1),
	}
	r := newRemote(c, cmd).patient(cmd)
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "first time: RFC 3339 or milliseconds since 1970")
	f.StringVar(&to, "to", "", "last time")
	f.IntVar(&limit, "limit", 0, "at most so many (0: all)")
	f.StringVar(&format, "format", "table", "table, csv or ndjson")
	f.StringVarP(&r.output, "output", "o", outputTable, "table or json; see also --format")
	complete(cmd, "format", "table", "csv", "ndjson")
	complete(cmd, "output", outputTable, outputJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{}
		for key, text := range map[string]string{"from": from, "to": to} {
			if text != "" {
				query.Set(key, text)
			}
		}
		ledger, err := newLedger(c.out, format, r.output)
		if err != nil {
			return err
		}
		path := "/v1/counters/" + client.Segment(args[0]) + "/tickets"
		return printPages(r.pages(cmd.Context(), path, "tickets", query, limit), ledger)
	}
	return cmd
}

// newLedger prints tickets in a format.
func newLedger(w io.Writer, format, output string) (entries, error) {
	switch {
	case format == "csv":
		return newSheet(w, sheetColumns), nil
	case format == "ndjson":
		return lines{w}, nil
	case format != "table":
		return nil, badUsage("--format: %q is none of table, csv, ndjson", format)
	case output == outputJSON:
		return &array{w: w}, nil
	default:
		return newRows(w, ticketColumns), nil
	}
}

// lines prints entries as they came, one a line.
type lines struct{ w io.Writer }

func (l lines) add(item json.RawMessage) error {
	_, err := l.w.Write(append(item, '\n'))
	return err
}

func (lines) flush() error { return nil }
func (lines) end() error   { return nil }

// sheet prints entries as CSV with a head.
type sheet struct {
	w       *csv.Writer
	columns []string
}

func newSheet(w io.Writer, columns []string) *sheet {
	s := &sheet{csv.NewWriter(w), columns}
	s.w.Write(columns) //nolint:errcheck // flush tells
	return s
}

func (s *sheet) add(item json.RawMessage) error {
	entry, err := parseRecord(item)
	if err != nil {
		return err
	}
	fields := make([]string, len(s.columns))
	for i, key := range s.columns {
		if raw := entry[key]; len(raw) > 0 && string(raw) != "null" && json.Unmarshal(raw, &fields[i]) != nil {
			fields[i] = string(raw)
		}
	}
	return s.w.Write(fields)
}

func (s *sheet) flush() error {
	s.w.Flush()
	return s.w.Error()
}

func (s *sheet) end() error { return s.flush() }
