package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newToken(c *console) *cobra.Command {
	return newGroup("token", "Make bearer tokens", `  bluerings token new --name billing --scope read,write`, newTokenNew(c))
}

func newTokenNew(c *console) *cobra.Command {
	var name, scope string
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make a token, and the line that lets a node accept it",
		Long: `Make a random token. The first line printed is the token, for the client; nobody can print it
again. The second is the line for the node's --token-file, which holds only a hash of it. SIGHUP
makes a running node read the file again.`,
		Example: `  bluerings token new --name billing --scope read,write
  bluerings token new --scope admin --name ops | tail -n 1 >> tokens`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, line, err := newTokenLine(name, scope, life)
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			_, err = fmt.Fprintf(c.out, "%s\n%s\n", token, line)
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "whose token it is (default: made up)")
	cmd.Flags().StringVar(&scope, "scope", "read,write", "what it allows: read, write, both, or admin, which includes them")
	cmd.Flags().DurationVar(&life, "life", 0, "how long it is good, such as 720h (default: until its line is removed)")
	complete(cmd, "scope", "read", "write", "read,write", "admin")
	return cmd
}
