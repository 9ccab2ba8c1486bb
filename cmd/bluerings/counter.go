package main

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"bluerings/internal/client"
)

// changeColumns are what is shown of an answer to a change.
var changeColumns = []string{"name", "value", "text", "size", "ticket.timestamp", "ticket.host", "ticket.id", "replicated", "coherent", "final_through", "expire"}

func newCounter(c *console) *cobra.Command {
	return newGroup("counter", "Add to and read counters", `  bluerings counter add calls 1 --expire 720h
  bluerings counter get calls`,
		newCounterAdd(c), newCounterSetup(c), newCounterGet(c),
		newList(c, "counter", "counters", []string{"name", "value", "expire"}), newTickets(c))
}

// change is what every update of a name may ask for besides.
type change struct {
	id, ref, expire, wait string
	replicas              int
	coherent              bool
}

func (ch *change) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&ch.id, "id", "", "idempotency id: the same id counts once (default: a random one)")
	f.StringVar(&ch.ref, "ref", "", "reference kept in the ledger")
	f.StringVar(&ch.expire, "expire", "", `until when the name lives: a time, a duration such as 720h or 30d, or "never"`)
	f.IntVar(&ch.replicas, "replicas", 0, "answer only when so many other nodes hold it too")
	f.StringVar(&ch.wait, "wait", "", "how long to wait for the replicas, such as 5s")
	f.BoolVar(&ch.coherent, "require-coherence", false, "refuse if the ring is not coherent")
}

// request adds what was asked for to a request, whose body is fields and what the flags say. It
// makes sure that there is an id, so that the request can be repeated.
func (ch *change) request(method, path string, fields map[string]any) client.Request {
	if ch.id == "" {
		ch.id = rand.Text()
	}
	put := func(key, text string) {
		if text != "" {
			fields[key] = text
		}
	}
	put("id", ch.id)
	put("ref", ch.ref)
	put("expire", ch.expire)
	query := url.Values{}
	if ch.replicas > 0 {
		query.Set("replicas", strconv.Itoa(ch.replicas))
	}
	if ch.wait != "" {
		query.Set("wait", ch.wait)
	}
	if ch.coherent {
		query.Set("require_coherence", "true")
	}
	return client.Request{Method: method, Path: path, Query: query}.JSON(fields)
}

// apply makes the change and prints what became of it.
func (ch *change) apply(cmd *cobra.Command, r *remote, method, path string, fields map[string]any) error {
	req := ch.request(method, path, fields)
	if err := r.show(cmd.Context(), req, changeColumns); err != nil {
		return withID(err, ch.id)
	}
	return nil
}

func newCounterAdd(c *console) *cobra.Command {
	ch := &change{}
	cmd := &cobra.Command{
		Use:   "add NAME AMOUNT",
		Short: "Add an amount to a counter",
		Long: `Add an amount, which may be negative, to a counter. A counter that is not known yet takes --expire.

Every update has an id, a random one if none is given, and is tried again with the same id while
the node cannot be reached: it counts once.`,
		Example: `  bluerings counter add calls 1 --expire 720h
  bluerings counter add balance:4711 -3.50 --id invoice-88 --ref "call to Oslo"
  bluerings counter add balance:4711 100 --replicas 2 --wait 5s`,
		Args:        takes(2),
		Annotations: map[string]string{takesAmount: "yes"},
	}
	r := newRemote(c, cmd).printing(cmd).patient(cmd)
	ch.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return ch.apply(cmd, r, http.MethodPost, "/v1/counters/"+client.Segment(args[0]), map[string]any{"amount": args[1]})
	}
	return cmd
}

func newCounterSetup(c *console) *cobra.Command {
	var expire string
	cmd := &cobra.Command{
		Use:     "setup NAME --expire TIME",
		Short:   "Set up a counter, or extend its life",
		Example: `  bluerings counter setup calls --expire 30d`,
		Args:    takes(1),
	}
	r := newRemote(c, cmd).printing(cmd).patient(cmd)
	cmd.Flags().StringVar(&expire, "expire", "", `until when it lives: a time, a duration such as 720h or 30d, or "never"`)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if expire == "" {
			return &usageError{cmd.CommandPath(), errNoExpire}
		}
		req := client.Request{Method: http.MethodPut, Path: "/v1/counters/" + client.Segment(args[0])}
		return r.show(cmd.Context(), req.JSON(map[string]any{"expire": expire}), changeColumns)
	}
	return cmd
}

func newCounterGet(c *console) *cobra.Command {
	var at, wait string
	var final, coherent bool
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Read a counter, now or as of a moment",
		Example: `  bluerings counter get calls
  bluerings counter get calls --at 2026-01-01T00:00:00Z --final --wait 30s`,
		Args: takes(1),
	}
	r := newRemote(c, cmd).printing(cmd).patient(cmd)
	f := cmd.Flags()
	f.StringVar(&at, "at", "", "value as of this time: RFC 3339 or milliseconds since 1970")
	f.BoolVar(&final, "final", false, "only a value that can never change again")
	f.StringVar(&wait, "wait", "", "how long to wait until it is final, such as 5s")
	f.BoolVar(&coherent, "require-coherence", false, "refuse if the ring is not coherent")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{}
		for key, text := range map[string]string{"at": at, "wait": wait} {
			if text != "" {
				query.Set(key, text)
			}
		}
		if final {
			query.Set("final", "true")
		}
		if coherent {
			query.Set("require_coherence", "true")
		}
		req := client.Request{Method: http.MethodGet, Path: "/v1/counters/" + client.Segment(args[0]), Query: query}
		return r.show(cmd.Context(), req, []string{"name", "value", "at", "final", "coherent", "final_through", "expire"})
	}
	return cmd
}
