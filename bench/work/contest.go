package work

import (
	"context"
	"fmt"
	"slices"

	"bluerings/bench/measure"
)

// contestant is one of those who do the same work.
type contestant struct {
	name      string
	guarantee string // what holds when it answers
	skipped   string // why it does not take part
	// turn does the work once; it returns one figure for each metric of the contest.
	turn func(ctx context.Context) (figures, error)
	// server lets its processes run, or stops them while it is the others' turn; it may be nil.
	server server
}

// figures are what one turn gave, by the name of the metric.
type figures map[string]float64

// server is something that can be told to stand still.
type server interface {
	Pause() error
	Resume() error
}

// contest is the same work done by several.
type contest struct {
	note        string
	metrics     []measure.Metric
	contestants []contestant // ours first
	optional    []string     // metrics that ours does not have
	ordered     bool         // the order is the same in every round, because one turn serves the next
}

// run gives every contestant its turn in each round, a different one first each time. While one
// works the others' processes are stopped, so that what they do in the background counts in their own turns.
func (c *contest) run(ctx context.Context, e *Env) ([]measure.Result, error) {
	results := make([]measure.Result, len(c.metrics))
	for i, m := range c.metrics {
		results[i] = measure.Result{Note: c.note, Metric: m}
		for _, who := range c.contestants {
			results[i].Rows = append(results[i].Rows, measure.Row{Name: who.name, Guarantee: who.guarantee, Skipped: who.skipped})
		}
	}
	if err := c.stand(); err != nil {
		return nil, err
	}
	for round := range e.Rounds {
		calibration, err := e.calibrate()
		if err != nil {
			return nil, err
		}
		for i := range results {
			results[i].Calibration = append(results[i].Calibration, calibration)
		}
		for offset := range c.contestants {
			at := (round + offset) % len(c.contestants)
			if c.ordered {
				at = offset
			}
			who := &c.contestants[at]
			if who.skipped != "" {
				continue
			}
			got, err := who.take(ctx)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				e.Log("  %s, round %d: %v", who.name, round+1, err)
			}
			for i, m := range c.metrics {
				x, ok := got[m.Name]
				if !ok {
					x = measure.Missing
				} else {
					e.Log("  round %d  %-34s %s %s", round+1, who.name, m.Name, m.Unit.Format(x))
				}
				results[i].Rows[at].Values = append(results[i].Rows[at].Values, x)
			}
		}
	}
	return results, c.failed(results)
}

// stand makes all servers stand still.
func (c *contest) stand() error {
	for _, who := range c.contestants {
		if who.server == nil || who.skipped != "" {
			continue
		}
		if err := who.server.Pause(); err != nil {
			return err
		}
	}
	return nil
}

func (c *contestant) take(ctx context.Context) (figures, error) {
	if c.server != nil {
		if err := c.server.Resume(); err != nil {
			return nil, err
		}
		defer c.server.Pause() //nolint:errcheck // a server that has ended is told of at its next turn
	}
	return c.turn(ctx)
}

// failed is an error where ours gave no figure at all: then there is nothing to compare.
func (c *contest) failed(results []measure.Result) error {
	for _, r := range results {
		if _, ok := measure.Of(r.Rows[0].Values); !ok && !slices.Contains(c.optional, r.Metric.Name) {
			return fmt.Errorf("%s: %s gave no figure", r.Metric.Name, r.Rows[0].Name)
		}
	}
	return nil
}
