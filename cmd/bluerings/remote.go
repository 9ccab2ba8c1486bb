package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"bluerings/internal/client"
)

const defaultURL = "http://127.0.0.1:8080"

// remote is how a command reaches a node and prints what it answers.
type remote struct {
	*console
	url, token, ca, cert, key string
	output                    string
	patience                  time.Duration
}

// newRemote adds the flags that all commands for a node have.
func newRemote(c *console, cmd *cobra.Command) *remote {
	r := &remote{console: c}
	f := cmd.Flags()
	f.StringVar(&r.url, "url", "", "node to talk to, or BLUERINGS_URL (default "+defaultURL+")")
	f.StringVar(&r.token, "token", "", "bearer token, or BLUERINGS_TOKEN")
	f.StringVar(&r.ca, "ca", "", "PEM authorities the node's certificate comes from, or BLUERINGS_CA")
	f.StringVar(&r.cert, "cert", "", "PEM client certificate, or BLUERINGS_CERT")
	f.StringVar(&r.key, "key", "", "PEM key to it, or BLUERINGS_KEY")
	return r
}

// printing adds the choice of output.
func (r *remote) printing(cmd *cobra.Command) *remote {
	cmd.Flags().StringVarP(&r.output, "output", "o", outputTable, "table or json")
	complete(cmd, "output", outputTable, outputJSON)
	return r
}

// patient adds the time for attempts after the first.
func (r *remote) patient(cmd *cobra.Command) *remote {
	cmd.Flags().DurationVar(&r.patience, "retry", 10*time.Second,
		"keep trying so long while the node cannot be reached or answers 503")
	return r
}

// connect returns a client for the node. It connects to nothing yet.
func (r *remote) connect(connections int) (*client.Client, error) {
	if r.output != "" && r.output != outputTable && r.output != outputJSON {
		return nil, badUsage("--output: %q is neither table nor json", r.output)
	}
	c, err := client.New(client.Options{
		URL:         cmp.Or(r.url, r.lookup("BLUERINGS_URL"), defaultURL),
		Token:       cmp.Or(r.token, r.lookup("BLUERINGS_TOKEN")),
		CA:          cmp.Or(r.ca, r.lookup("BLUERINGS_CA")),
		Cert:        cmp.Or(r.cert, r.lookup("BLUERINGS_CERT")),
		Key:         cmp.Or(r.key, r.lookup("BLUERINGS_KEY")),
		UserAgent:   "bluerings/" + programVersion(),
		Connections: connections,
	})
	if err != nil {
		return nil, &usageError{err: err}
	}
	return c, nil
}

// call makes one request, again and again as far as the command is patient.
func (r *remote) call(ctx context.Context, req client.Request) (client.Answer, error) {
	c, err := r.connect(0)
	if err != nil {
		return client.Answer{}, err
	}
	return c.Retry(ctx, req, r.patience)
}

// show makes one request and prints the answer: as received, or by its columns.
func (r *remote) show(ctx context.Context, req client.Request, columns []string) error {
	a, err := r.call(ctx, req)
	if err != nil {
		return err
	}
	if r.output == outputJSON {
		return writeJSON(r.out, a.Body)
	}
	return writeRecord(r.out, a.Body, columns)
}

// interruptible is ctx until SIGINT, SIGTERM or SIGHUP. From the second signal on they end the
// program as usual.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// complete offers words for a flag in a shell.
func complete(cmd *cobra.Command, flag string, words ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is a constant that was just added
	}
}

// uncertain reports whether a failed update may have been applied all the same.
func uncertain(err error) bool {
	var usage *usageError
	if errors.As(err, &usage) {
		return false
	}
	var p *client.Problem
	if !errors.As(err, &p) {
		return true
	}
	return p.Status >= http.StatusInternalServerError && p.Code != "not_coherent"
}

// withID tells how to repeat an update whose outcome is unknown.
func withID(err error, id string) error {
	if uncertain(err) {
		return fmt.Errorf("%w\nwhether it was applied is unknown: repeating it with --id %s counts it once", err, id)
	}
	return err
}
