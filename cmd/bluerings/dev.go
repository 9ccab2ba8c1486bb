package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bluerings/internal/devring"
	"bluerings/topologies"
)

// devPlan is what `dev` was told.
type devPlan struct {
	file, shape, data string
	nodes, basePort   int
}

func newDev(c *console) *cobra.Command {
	p := &devPlan{}
	cmd := &cobra.Command{
		Use:   "dev [--topology FILE | --nodes N] [-- SERVE-FLAGS]",
		Short: "Run a whole ring on this machine",
		Long: `Run all nodes of a ring as processes on this machine, with their logs on stderr, until Ctrl-C. What
follows "--" goes to every node's serve.

Lines on stdin pull nodes out and put them back:
  stop HOST    let a node shut down
  kill HOST    end a node at once, as a crash would
  start HOST   start a node that was stopped or killed
  quit         stop all

What happens is printed on stdout, one line each: "HOST URL" as each node comes up, "ready", then
"stopped HOST", "killed HOST", "started HOST URL", and "exited HOST: reason" if one ends by itself.`,
		Example: `  bluerings dev --nodes 3
  bluerings dev --nodes 5 --shape star --data ./ring --base-port 9000
  bluerings dev --topology topologies/ring-5.toml -- --durability none --log-level warn`,
		Args: cobra.ArbitraryArgs,
	}
	f := cmd.Flags()
	f.StringVar(&p.file, "topology", "", "run the nodes of this topology file")
	f.IntVar(&p.nodes, "nodes", 3, "run so many nodes")
	f.StringVar(&p.shape, "shape", topologies.FullMesh, "of the ring of --nodes: full-mesh, star, dual-star, triple-star, ring, one-way-ring or hierarchy")
	f.StringVar(&p.data, "data", "", "keep data here (default: a temporary directory, removed at the end)")
	f.IntVar(&p.basePort, "base-port", 0, "first of the ports for --nodes (default: free ones)")
	complete(cmd, "shape", topologies.FullMesh, topologies.Star, topologies.DualStar, topologies.TripleStar,
		topologies.Ring, topologies.OneWayRing, topologies.Hierarchy)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.ArgsLenAtDash() != 0 && len(args) > 0 {
			return &usageError{cmd.CommandPath(), fmt.Errorf("unexpected %q: flags for serve come after --", args[0])}
		}
		if p.file != "" && (cmd.Flags().Changed("nodes") || cmd.Flags().Changed("shape") || cmd.Flags().Changed("base-port")) {
			return &usageError{cmd.CommandPath(), errors.New("--topology says what --nodes, --shape and --base-port would: leave those out")}
		}
		return p.run(cmd.Context(), c, args)
	}
	return cmd
}

func (p *devPlan) run(ctx context.Context, c *console, extra []string) (err error) {
	if p.data == "" {
		if p.data, err = os.MkdirTemp("", "bluerings-dev-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(p.data)) }()
	} else if err := os.MkdirAll(p.data, 0o755); err != nil {
		return err
	}
	t, err := p.topology(c)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("this program's own file: %w", err)
	}
	ctx, cancel := interruptible(ctx)
	defer cancel()
	hosts := make([]string, len(t.Nodes))
	for i, n := range t.Nodes {
		hosts[i] = n.Host
	}
	return devring.Run(ctx, devring.Config{
		Hosts: hosts,
		Command: func(host string) *exec.Cmd {
			cmd := exec.Command(program, p.serveArgs(t, host, extra)...)
			cmd.Env = withoutSettings(c.env)
			return cmd
		},
		Orders: c.in, Out: c.out, Log: c.stderr,
		Colour: terminal(c.stderr) && c.lookup("NO_COLOR") == "",
		Ready:  func(urls map[string]string) { suggest(c, hosts, urls) },
	})
}

// topology reads the file, or makes one in the data directory.
func (p *devPlan) topology(c *console) (*topologies.Topology, error) {
	if p.file != "" {
		return loadTopology(c.stderr, p.file)
	}
	var ports []int
	if p.basePort != 0 {
		ports = []int{p.basePort}
	}
	t, err := topologies.Generate(p.shape, p.nodes, ports...)
	if err != nil {
		return nil, &usageError{"bluerings dev", err}
	}
	if p.basePort == 0 {
		if err := chooseFreePorts(t); err != nil {
			return nil, err
		}
	}
	p.file = filepath.Join(p.data, "topology.toml")
	return t, os.WriteFile(p.file, t.Encode(), 0o644)
}

// chooseFreePorts gives every node ports that nobody listens on now.
func chooseFreePorts(t *topologies.Topology) error {
	for i := range t.Nodes {
		for _, set := range []func(string){
			func(address string) { t.Nodes[i].Pub = "tcp://" + address },
			func(address string) { t.Nodes[i].HTTP = address },
		} {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return fmt.Errorf("a free port: %w", err)
			}
			defer l.Close() // only when all are chosen: no port comes twice
			set(l.Addr().String())
		}
	}
	return nil
}

func (p *devPlan) serveArgs(t *topologies.Topology, host string, extra []string) []string {
	args := []string{"serve", "--topology", p.file, "--host", host, "--data", filepath.Join(p.data, host)}
	if n, _ := t.Node(host); n.HTTP == "" {
		args = append(args, "--http", "127.0.0.1:0")
	}
	return append(args, extra...)
}

// withoutSettings is the environment without what would configure all nodes alike.
func withoutSettings(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(pair string) bool { return strings.HasPrefix(pair, envPrefix) })
}

// suggest prints commands to try.
func suggest(c *console, hosts []string, urls map[string]string) {
	first, last := urls[hosts[0]], urls[hosts[len(hosts)-1]]
	fmt.Fprintf(c.out, `# try, from another terminal:
#   bluerings status --watch --url %[1]s
#   bluerings counter add calls 1 --expire 1h --url %[1]s
#   bluerings counter get calls --url %[2]s
# and here: stop %[3]s, start %[3]s, kill %[3]s, quit
`, first, last, hosts[len(hosts)-1])
}
