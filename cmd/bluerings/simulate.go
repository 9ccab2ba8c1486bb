package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"bluerings/ring/simulator"
	"bluerings/topologies"
)

// simulation is what the command was asked to do.
type simulation struct {
	simulator.Many
	nodes       int
	shape, file string
	hours       float64
	faults      faultsFlag
	trace       bool
	shrink      time.Duration
}

func newSimulate(c *console) *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run whole rings in virtual time, with faults, and check every promise",
		Long: `Each seed is one history of a ring under faults of its own choice: crashes, pauses, cut
links, lost messages, skewed clocks, slow, full, lost and rewound disks. Checkers watch every step.
The same seed always gives the same history. Of a seed that fails, the least part of its plan with
which the same checker still fails is printed, and what happens then.`,
		Example: `  bluerings simulate --seed 1 --seeds 200
  bluerings simulate --nodes 5 --topology star --hours 10
  bluerings simulate --faults kill,cut,clock --seeds 1000
  bluerings simulate --seed 1912 --seeds 1 --trace`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second signal ends the process
			if cmd.Flags().Changed("hours") && !cmd.Flags().Changed("seeds") {
				s.Seeds = 0
			}
			return s.run(ctx, c)
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&s.Seed, "seed", 1, "first seed")
	f.IntVar(&s.Seeds, "seeds", 100, "how many seeds")
	f.IntVar(&s.Workers, "workers", 0, "seeds at once; 0: as many as there are processors")
	f.DurationVar(&s.Duration, "duration", 0, "virtual time with faults in each seed; 0: drawn from the seed")
	f.Float64Var(&s.hours, "hours", 0, "go on with further seeds until so many node-hours have run")
	f.IntVar(&s.nodes, "nodes", 0, "nodes of the ring; 0: drawn from the seed")
	f.StringVar(&s.shape, "shape", topologies.FullMesh, "shape of the ring, with --nodes")
	f.StringVar(&s.file, "topology", "", "topology file, or a shape with --nodes; default: drawn from the seed")
	f.Var(&s.faults, "faults", "inject faults: true, false, or `kinds` of "+strings.Join(simulator.FaultNames(), ","))
	f.DurationVar(&s.shrink, "shrink", 30*time.Second, "how long the least plan that fails is looked for; 0: print it whole")
	f.BoolVar(&s.trace, "trace", false, "print what happens")
	return cmd
}

func (s *simulation) run(ctx context.Context, c *console) error {
	if err := s.choose(); err != nil {
		return err
	}
	s.NoFaults, s.Faults, s.Time = s.faults.none, s.faults.only, time.Duration(s.hours*float64(time.Hour))
	if s.trace {
		s.Trace, s.Workers = c.out, 1
	}
	debug.SetGCPercent(400) // little is kept, and much is made
	begun := time.Now()
	total := s.Play(ctx)
	wall := time.Since(begun)
	if _, err := fmt.Fprintf(c.out, "%d seeds, %.2f node-hours in %s: %.2f node-hours a second\n%s\n",
		total.Seeds, total.NodeTime.Hours(), wall.Round(time.Millisecond), total.NodeTime.Hours()/max(wall.Seconds(), 1e-9), total.String()); err != nil {
		return err
	}
	if total.Failure == nil {
		return nil
	}
	s.show(ctx, c, total.Failure)
	return total.Failure
}

// faultsFlag reads which faults to inject.
type faultsFlag struct {
	none bool
	only simulator.Faults
}

// Set implements pflag.Value.
func (f *faultsFlag) Set(text string) error {
	if on, err := strconv.ParseBool(text); err == nil {
		*f = faultsFlag{none: !on}
		return nil
	}
	only, err := simulator.ParseFaults(text)
	*f = faultsFlag{only: only}
	return err
}

// String implements pflag.Value.
func (f *faultsFlag) String() string {
	if f.only != 0 {
		return f.only.String()
	}
	return strconv.FormatBool(!f.none)
}

// Type implements pflag.Value.
func (*faultsFlag) Type() string { return "kinds" }

// choose finds the topology that was asked for.
func (s *simulation) choose() (err error) {
	switch {
	case s.file != "" && s.nodes > 0:
		s.Topology, err = topologies.Generate(s.file, s.nodes)
	case s.file != "":
		s.Topology, err = topologies.Load(s.file)
	case s.nodes > 0:
		s.Topology, err = topologies.Generate(s.shape, s.nodes)
	}
	return err
}

// show prints the failure, and then the least plan that fails alike, as far as it was
// found when ctx ends, and what happens with it.
func (s *simulation) show(ctx context.Context, c *console, f *simulator.Failure) {
	o := s.Options
	o.Seed = f.Seed
	plan := simulator.Draw(o)
	whole := len(plan.Steps)
	fmt.Fprintf(c.out, "\n%v\n\nlooking for the least of its %d steps with which it fails alike, for %s at most; --seed %d --seeds 1 plays it whole\n", f, whole, s.shrink, f.Seed)
	within, cancel := context.WithTimeout(ctx, s.shrink)
	plan = plan.Shrink(within, f.Checker)
	cancel()
	fmt.Fprintf(c.out, "\nthe plan, with %d of %d steps:\n%s\nwhat happens:\n", len(plan.Steps), whole, plan)
	if !s.trace {
		if r := plan.Play(c.out); r.Failure != nil {
			fmt.Fprintln(c.out, r.Failure)
		}
	}
}
