package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"bluerings/topologies"
)

func newTopology(c *console) *cobra.Command {
	return newGroup("topology", "Check and draw topology files", `  bluerings topology check topologies/star-5.toml
  bluerings topology graph topologies/star-5.toml > star.svg`,
		newTopologyCheck(c), newTopologyGraph(c))
}

// loadTopology reads a topology file. Its problems are printed on w, one a line.
func loadTopology(w io.Writer, path string) (*topologies.Topology, error) {
	t, err := topologies.Load(path)
	var problems topologies.Problems
	if !errors.As(err, &problems) {
		return t, err
	}
	for _, p := range problems {
		fmt.Fprintln(w, p)
	}
	return nil, errSilent
}

func newTopologyCheck(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong with a topology file, or what it amounts to",
		Long: `Print all problems of a topology file with their places, and exit 1. If there is none, print what
it amounts to: nodes, links, diameter, single points of failure, one-way links.`,
		Example: `  bluerings topology check topologies/star-5.toml`,
		Args:    takes(1),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := loadTopology(c.out, args[0])
			if err != nil {
				return err
			}
			for _, p := range t.Check() {
				fmt.Fprintln(c.out, p)
			}
			_, err = fmt.Fprint(c.out, t.Analyse())
			return err
		},
	}
}

func newTopologyGraph(c *console) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "graph FILE",
		Short: "Draw a topology file",
		Example: `  bluerings topology graph topologies/star-5.toml > star.svg
  bluerings topology graph topologies/star-5.toml --format mermaid`,
		Args: takes(1),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := loadTopology(c.stderr, args[0])
			if err != nil {
				return err
			}
			drawing, err := t.Graph(format)
			if err != nil {
				return &usageError{err: err}
			}
			_, err = c.out.Write(drawing)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", topologies.SVG, "svg, dot or mermaid")
	complete(cmd, "format", topologies.SVG, topologies.Dot, topologies.Mermaid)
	return cmd
}
