package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"bluerings/internal/client"
)

func newSet(c *console) *cobra.Command {
	return newGroup("set", "Change and read sets; what was removed once stays removed",
		`  bluerings set add blocked +4712345678 --expire 30d
  bluerings set get blocked`,
		newElement(c, "add", "Add an element to a set", http.MethodPut),
		newElement(c, "remove", "Remove an element from a set, for ever", http.MethodDelete),
		newSetGet(c), newList(c, "set", "sets", []string{"name", "size", "expire"}))
}

func newElement(c *console, verb, short, method string) *cobra.Command {
	ch := &change{}
	cmd := &cobra.Command{
		Use:     verb + " NAME ELEMENT",
		Short:   short,
		Example: fmt.Sprintf("  bluerings set %s blocked +4712345678 --expire 30d", verb),
		Args:    takes(2),
	}
	r := newRemote(c, cmd).printing(cmd).patient(cmd)
	ch.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := "/v1/sets/" + client.Segment(args[0]) + "/elements/" + client.Segment(args[1])
		return ch.apply(cmd, r, method, path, map[string]any{})
	}
	return cmd
}

func newSetGet(c *console) *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use:     "get NAME",
		Short:   "Print the elements of a set, one a line",
		Example: `  bluerings set get blocked`,
		Args:    takes(1),
	}
	r := newRemote(c, cmd).printing(cmd).patient(cmd)
	cmd.Flags().StringVar(&prefix, "prefix", "", "only elements that begin so")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{}
		if prefix != "" {
			query.Set("prefix", prefix)
		}
		var to entries = names{c.out}
		if r.output == outputJSON {
			to = &array{w: c.out}
		}
		return printPages(r.pages(cmd.Context(), "/v1/sets/"+client.Segment(args[0]), "elements", query, 0), to)
	}
	return cmd
}

// names prints texts, one a line.
type names struct{ w io.Writer }

func (n names) add(item json.RawMessage) error {
	var text string
	if err := parseInto(item, &text); err != nil {
		return err
	}
	_, err := fmt.Fprintln(n.w, printable(text))
	return err
}

func (names) flush() error { return nil }
func (names) end() error   { return nil }

// parseInto reads the part of an answer that v has fields for.
func parseInto(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("the node's answer is not understood: %w", err)
	}
	return nil
}
