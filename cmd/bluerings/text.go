package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"bluerings/internal/client"
)

// maxTextBytes is how much of a text is read from standard input: more than any node takes.
const maxTextBytes = 1 << 20

func newText(c *console) *cobra.Command {
	return newGroup("text", "Set and read texts, of which the last one written wins",
		`  bluerings text set tariff "gold" --expire never
  bluerings text get tariff`,
		newTextSet(c), newTextGet(c), newList(c, "text", "texts", []string{"name", "text", "expire"}))
}

func newTextSet(c *console) *cobra.Command {
	ch := &change{}
	cmd := &cobra.Command{
		Use:   "set NAME TEXT",
		Short: "Set a text; - reads it from standard input",
		Example: `  bluerings text set tariff "gold" --expire never
  bluerings text set motd - < motd.txt`,
		Args: takes(2),
	}
	r := newRemote(c, cmd).printing(cmd).patient(cmd)
	ch.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text := args[1]
		if text == "-" {
			all, err := io.ReadAll(io.LimitReader(c.in, maxTextBytes))
			if err != nil {
				return fmt.Errorf("standard input: %w", err)
			}
			text = string(all)
		}
		return ch.apply(cmd, r, http.MethodPut, "/v1/texts/"+client.Segment(args[0]), map[string]any{"text": text})
	}
	return cmd
}

func newTextGet(c *console) *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Read a text",
		Example: `  bluerings text get tariff
  bluerings text get motd --raw`,
		Args: takes(1),
	}
	r := newRemote(c, cmd).printing(cmd).patient(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "print the text alone, as it is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req := client.Request{Method: http.MethodGet, Path: "/v1/texts/" + client.Segment(args[0])}
		if !raw {
			return r.show(cmd.Context(), req, []string{"name", "text", "coherent", "final_through", "expire"})
		}
		a, err := r.call(cmd.Context(), req)
		if err != nil {
			return err
		}
		var answer struct {
			Text string `json:"text"`
		}
		if err := parseInto(a.Body, &answer); err != nil {
			return err
		}
		_, err = io.WriteString(c.out, answer.Text)
		return err
	}
	return cmd
}
