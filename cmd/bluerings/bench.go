package main

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"bluerings/internal/load"
)

func newBench(c *console) *cobra.Command {
	plan := load.Plan{}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Update counters of a node as fast as it answers, and measure it",
		Long: `Update counters of a node as fast as it answers, for a while, and print the rate and the latency of
the requests. The generator needs a good part of a machine itself: run it on another one.`,
		Example: `  bluerings bench --connections 64 --duration 10s
  bluerings bench --batch 1000 --connections 4 --names 100000`,
		Args: takes(0),
	}
	r := newRemote(c, cmd).printing(cmd)
	f := cmd.Flags()
	f.IntVar(&plan.Connections, "connections", 16, "requests under way at a time")
	f.IntVar(&plan.Names, "names", 1000, "counters that are updated, at random")
	f.IntVar(&plan.Batch, "batch", 1, "updates per request")
	f.DurationVar(&plan.Duration, "duration", 10*time.Second, "how long")
	f.StringVar(&plan.Prefix, "prefix", "", "of the counters' names (default: a random one)")
	f.StringVar(&plan.Expire, "expire", "1h", "how long the counters live")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := plan.Check(); err != nil {
			return &usageError{cmd.CommandPath(), err}
		}
		plan.Prefix = cmp.Or(plan.Prefix, "bench-"+rand.Text()[:8]+"-")
		node, err := r.connect(plan.Connections)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		result := load.Run(ctx, node, plan)
		if err := r.report(result); err != nil {
			return err
		}
		if result.Updates == 0 || result.Failed > 0 {
			return fmt.Errorf("%d updates failed", result.Failed)
		}
		return nil
	}
	return cmd
}

var quantiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}

// report prints a result; latencies in JSON are in milliseconds.
func (r *remote) report(result *load.Result) error {
	seconds := result.Elapsed.Seconds()
	rate := float64(result.Updates) / seconds
	if r.output == outputJSON {
		latency := map[string]float64{"max": milliseconds(result.Latency.Max())}
		for _, q := range quantiles {
			latency[q.name] = milliseconds(result.Latency.Quantile(q.q))
		}
		text, err := json.Marshal(map[string]any{
			"updates": result.Updates, "requests": result.Requests, "failed": result.Failed, "seconds": seconds,
			"updates_per_second": rate, "latency_ms": latency, "errors": result.Errors,
		})
		if err != nil {
			return err
		}
		return writeJSON(r.out, text)
	}
	t := newTable(r.out)
	t.row("updates", fmt.Sprintf("%d in %.1fs", result.Updates, seconds))
	t.row("rate", fmt.Sprintf("%.0f updates/s", rate))
	t.row("requests", fmt.Sprintf("%d, %.0f/s", result.Requests, float64(result.Requests)/seconds))
	for _, q := range quantiles {
		t.row(q.name, result.Latency.Quantile(q.q).Round(time.Microsecond).String())
	}
	t.row("max", result.Latency.Max().Round(time.Microsecond).String())
	t.row("failed", fmt.Sprint(result.Failed))
	texts := make([]string, 0, len(result.Errors))
	for text, n := range result.Errors {
		texts = append(texts, fmt.Sprintf("  %s: %d times", flatten(text), n))
	}
	slices.Sort(texts)
	for _, text := range texts {
		t.row(text)
	}
	return t.flush()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
