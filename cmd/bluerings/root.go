package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:   "bluerings",
		Short: "Counters that a ring of nodes agrees on",
		Long: `Blue Rings counts for billing systems. Every node of a ring holds every counter, takes
updates without asking anyone, and says with each answer whether the ring is whole and up to
which moment the number can never change again.`,
		Example: `  bluerings serve
  bluerings counter add calls 1 --expire 720h
  bluerings status`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{cmd.CommandPath(), err}
	})
	root.AddGroup(
		&cobra.Group{ID: groupNode, Title: "Nodes:"},
		&cobra.Group{ID: groupClient, Title: "Talking to a node (--url):"},
		&cobra.Group{ID: groupFiles, Title: "Files:"},
	)
	add := func(id string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = id
			root.AddCommand(cmd)
		}
	}
	add(groupNode, newServe(c), newDev(c))
	add(groupClient, newCounter(c), newText(c), newSet(c), newStatus(c), newBackup(c), newBench(c))
	add(groupFiles, newTopology(c), newSimulate(c), newVerify(c), newRestore(c), newToken(c))
	root.AddCommand(newVersion(c), newCheckFiles(c))
	return root
}

const (
	groupNode   = "node"
	groupClient = "client"
	groupFiles  = "files"
)

// group is run when a command that only groups others is called by itself.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w: did you mean %s?", err, strings.Join(near, " or "))
	}
	return &usageError{cmd.CommandPath(), err}
}

// newGroup is a command that only groups others.
func newGroup(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.ArbitraryArgs, RunE: group}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(commands...)
	return cmd
}

// takes is exactly so many arguments, named in the command's Use.
func takes(n int) cobra.PositionalArgs { return wants(cobra.ExactArgs(n)) }

// wants makes what a check of arguments finds a mistake in usage.
func wants(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{cmd.CommandPath(), err}
		}
		return nil
	}
}
