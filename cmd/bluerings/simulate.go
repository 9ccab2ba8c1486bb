package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"bluerings/ring/simulator"
	"bluerings/topologies"
)

func newSimulate(c *console) *cobra.Command {
	var o simulator.Options
	var seeds, nodes int
	var shape, file string
	var hours float64
	var faults, trace bool
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run whole rings in virtual time, with faults, and check every promise",
		Long: `Each seed is one history of a ring under faults of its own choice: crashes, pauses, cut
links, lost messages, skewed clocks, slow, lost and rewound disks. Checkers watch every step.
The same seed always gives the same history.`,
		Example: `  bluerings simulate --seed 1 --seeds 200
  bluerings simulate --nodes 5 --shape star --hours 10
  bluerings simulate --seed 1912 --seeds 1 --trace`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			switch {
			case file != "":
				o.Topology, err = topologies.Load(file)
			case nodes > 0:
				o.Topology, err = topologies.Generate(shape, nodes)
			}
			if err != nil {
				return err
			}
			o.NoFaults = !faults
			if trace {
				o.Trace = c.out
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			return simulate(ctx, c, o, seeds, time.Duration(hours*float64(time.Hour)))
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&o.Seed, "seed", 1, "first seed")
	f.IntVar(&seeds, "seeds", 100, "how many seeds, one after another")
	f.DurationVar(&o.Duration, "duration", time.Minute, "virtual time with faults in each seed")
	f.Float64Var(&hours, "hours", 0, "go on with further seeds until so many node-hours have run")
	f.IntVar(&nodes, "nodes", 0, "nodes of the ring; 0: drawn from the seed")
	f.StringVar(&shape, "shape", "full-mesh", "shape of the ring, with --nodes")
	f.StringVar(&file, "topology", "", "topology file, instead of --nodes")
	f.BoolVar(&faults, "faults", true, "inject faults")
	f.BoolVar(&trace, "trace", false, "print what happens")
	return cmd
}

// simulate plays seeds until enough have run, one fails, or it is interrupted.
func simulate(ctx context.Context, c *console, o simulator.Options, seeds int, hours time.Duration) error {
	var total simulator.Result
	begun := time.Now()
	for ; (total.Seeds < seeds || total.NodeTime < hours) && ctx.Err() == nil; o.Seed++ {
		r := simulator.Run(o)
		total.Add(r)
		if r.Failure != nil {
			return r.Failure
		}
	}
	wall := time.Since(begun)
	_, err := fmt.Fprintf(c.out, "%d seeds, %.1f node-hours in %s (%.0f simulated seconds a second)\n%s\n",
		total.Seeds, total.NodeTime.Hours(), wall.Round(time.Millisecond), total.NodeTime.Seconds()/max(wall.Seconds(), 1e-9), total)
	return err
}
