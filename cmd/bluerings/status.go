package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bluerings/internal/client"
)

// coherence is what a node says of its ring.
type coherence struct {
	Host            string            `json:"host"`
	Ring            string            `json:"ring"`
	Now             *time.Time        `json:"now"` // by the node's clock
	Coherent        bool              `json:"coherent"`
	Since           *time.Time        `json:"since"`
	Reasons         []client.Reason   `json:"reasons"`
	FinalThrough    *time.Time        `json:"final_through"`
	CompleteThrough *time.Time        `json:"complete_through"`
	BlockedBy       []string          `json:"blocked_by"`
	Members         []json.RawMessage `json:"members"`
}

// graph is the part of a node's topology that is shown.
type graph struct {
	Links []json.RawMessage `json:"links"`
}

func newStatus(c *console) *cobra.Command {
	var watch, coherentOnly bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show members, links, coherence and finality as a node sees them",
		Example: `  bluerings status
  bluerings status --watch --url http://127.0.0.1:8081`,
		Args: takes(0),
	}
	r := newRemote(c, cmd).printing(cmd)
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every second until interrupted")
	cmd.Flags().BoolVar(&coherentOnly, "exit-code", false, "exit 1 if the ring is not coherent")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if watch {
			return r.watchStatus(cmd.Context())
		}
		coherent, err := r.status(cmd.Context(), c.out)
		if err == nil && coherentOnly && !coherent {
			return errSilent
		}
		return err
	}
	return cmd
}

// watchStatus shows the status every second, in place at a terminal, until it is interrupted. A
// node that does not answer is shown as that.
func (r *remote) watchStatus(ctx context.Context) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var screen bytes.Buffer
		if terminal(r.out) {
			screen.WriteString("\x1b[H\x1b[2J")
		}
		if _, err := r.status(ctx, &screen); err != nil && ctx.Err() == nil {
			fmt.Fprintln(&screen, err)
		}
		if ctx.Err() != nil {
			return nil
		}
		if r.output != outputJSON {
			fmt.Fprintln(&screen)
		}
		if _, err := screen.WriteTo(r.out); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// status prints what the node says, and returns whether the ring is coherent.
func (r *remote) status(ctx context.Context, w io.Writer) (coherent bool, err error) {
	a, err := r.call(ctx, client.Request{Method: http.MethodGet, Path: "/v1/coherence"})
	if err != nil {
		return false, err
	}
	var state coherence
	if err := parseInto(a.Body, &state); err != nil {
		return false, err
	}
	links, err := r.call(ctx, client.Request{Method: http.MethodGet, Path: "/v1/topology"})
	if err != nil {
		return false, err
	}
	if r.output == outputJSON {
		both := record{"coherence": a.Body, "topology": links.Body}
		text, err := json.Marshal(both)
		if err != nil {
			return false, fmt.Errorf("the node's answer is not JSON: %w", err)
		}
		return state.Coherent, writeJSON(w, text)
	}
	var drawn graph
	if err := parseInto(links.Body, &drawn); err != nil {
		return false, err
	}
	now := time.Now()
	if state.Now != nil {
		now = *state.Now
	}
	return state.Coherent, state.print(w, drawn, now)
}

func (s *coherence) print(w io.Writer, drawn graph, now time.Time) error {
	head := newTable(w)
	if s.Ring != "" {
		head.row("ring", s.Ring)
	}
	if s.Host != "" {
		head.row("seen from", s.Host)
	}
	verdict := "yes"
	if !s.Coherent {
		verdict = "NO"
	}
	if s.Since != nil {
		verdict += ", for " + ago(now, *s.Since)
	}
	head.row("coherent", verdict)
	for _, reason := range s.Reasons {
		head.row("", printable(reason.String()))
	}
	final := moment(now, s.FinalThrough)
	if len(s.BlockedBy) > 0 {
		final += ", waiting for " + strings.Join(s.BlockedBy, ", ")
	}
	head.row("final through", final)
	head.row("complete through", moment(now, s.CompleteThrough))
	if err := head.flush(); err != nil {
		return err
	}
	if err := printRecords(w, s.Members, []string{"host", "role", "connected", "heard_ms_ago", "hears_all", "behind", "lacks", "clock_offset_ms", "epoch"}); err != nil {
		return err
	}
	return printRecords(w, drawn.Links, []string{"from", "to", "state"})
}

// printRecords prints objects as a table of the columns that any of them has.
func printRecords(w io.Writer, items []json.RawMessage, columns []string) error {
	var list []record
	for _, item := range items {
		entry, err := parseRecord(item)
		if err != nil {
			return err
		}
		list = append(list, entry)
	}
	var present []string
	for _, key := range columns {
		for _, entry := range list {
			if entry.has(key) {
				present = append(present, key)
				break
			}
		}
	}
	if len(list) == 0 || len(present) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := newTable(w, headings(present)...)
	for _, entry := range list {
		t.row(entry.cells(present)...)
	}
	return t.flush()
}

// moment is a time with how long before now it was.
func moment(now time.Time, at *time.Time) string {
	if at == nil {
		return "none yet"
	}
	return fmt.Sprintf("%s, %s ago", at.UTC().Format("2006-01-02T15:04:05.000Z"), ago(now, *at))
}

func ago(now, at time.Time) string {
	d := max(0, now.Sub(at))
	switch {
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}
