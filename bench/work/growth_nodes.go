package work

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"bluerings/bench/machine"
	"bluerings/bench/measure"
	"bluerings/bench/node"
	"bluerings/internal/load"
)

var growthNodes = Work{
	ID: "growth-nodes", Title: "Against the number of nodes", Run: runGrowthNodes,
}

// How many nodes are run as processes, which share the cores, and how many in the simulator.
var (
	realNodes      = []int{2, 3, 5, 8, 16}
	simulatedNodes = []int{2, 5, 10, 25, 50, 100}
	// In a mesh of n, n(n-1) pings are made at a time, each with n rows: beyond this nobody should want one.
	largestMesh = 25
)

func runGrowthNodes(ctx context.Context, e *Env) ([]measure.Result, error) {
	processes, simulated := realNodes, simulatedNodes
	if e.Scale < 1 {
		processes, simulated = realNodes[:2], simulatedNodes[:3]
	}
	var convergence, traffic []measure.Line
	for _, shape := range []string{"full-mesh", "star"} {
		for _, n := range processes {
			h, err := e.converge(ctx, shape, n)
			if err != nil {
				return nil, err
			}
			e.Log("  %s of %d processes: p50 %s", shape, n, h.Quantile(0.5))
			addPoint(&convergence, shape, float64(n), float64(h.Quantile(0.5))/float64(time.Millisecond))
		}
		for _, n := range simulated {
			if shape == "full-mesh" && n > largestMesh {
				continue
			}
			bytes, err := e.simulatedRest(ctx, shape, n)
			if err != nil {
				return nil, err
			}
			e.Log("  %s of %d simulated: %.0f B/s at rest", shape, n, bytes)
			addPoint(&traffic, shape, float64(n), bytes)
		}
	}
	return []measure.Result{
		grown("Convergence: processes on the same cores; from the acknowledgement of an update at the first node until it can be read at all others, median of 30. "+
			"At rest: what a node receives from all others together, from the simulator.",
			"nodes", "milliseconds until all have an update",
			measure.Metric{Name: "convergence", Unit: measure.Milliseconds, Better: measure.Lower}, convergence...),
		grown("", "nodes", "bytes a second received at rest",
			measure.Metric{Name: "at-rest", Unit: measure.BytesASecond, Better: measure.Lower}, traffic...),
	}, nil
}

// converge times how long updates take to be readable on all nodes of a ring.
func (e *Env) converge(ctx context.Context, shape string, nodes int) (*load.Histogram, error) {
	s, err := e.stage("growth")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	ring, err := node.NewRing(e.Program, s.dir, shape, nodes)
	if err != nil {
		return nil, err
	}
	s.defers(ring.Stop)
	if err := ring.StartAll(ctx); err != nil {
		return nil, err
	}
	if err := ring.Nodes[0].SetUp(ctx, 1); err != nil {
		return nil, err
	}
	if err := everywhere(ctx, ring); err != nil {
		return nil, err
	}
	h := &load.Histogram{}
	p := &nodePair{from: ring.Nodes[0].Client}
	for range 30 {
		if err := p.update(ctx); err != nil {
			return nil, err
		}
		began := time.Now()
		for _, n := range ring.Nodes[1:] {
			p.to = n.Client
			for there := false; !there; {
				if there, err = p.arrived(ctx, p.value); err != nil {
					return nil, err
				}
				if time.Since(began) > 20*time.Second {
					return nil, fmt.Errorf("%s of %d: an update did not reach %s", shape, nodes, n.Host)
				}
			}
		}
		h.Add(time.Since(began))
		if err := pause(ctx, 2*propagationInterval); err != nil {
			return nil, err
		}
	}
	return h, nil
}

var restRate = regexp.MustCompile(`at rest a node received (\d+) bytes a second`)

// simulatedRest asks the simulator for the traffic at rest.
func (e *Env) simulatedRest(ctx context.Context, shape string, nodes int) (float64, error) {
	out, err := machine.Run(ctx, exec.Command(e.Program, "simulate", "--nodes", strconv.Itoa(nodes), "--shape", shape,
		"--seeds", "1", "--duration", "3s", "--faults=false"))
	if err != nil {
		return 0, err
	}
	m := restRate.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("simulate: no traffic at rest in %q", out)
	}
	return strconv.ParseFloat(m[1], 64)
}
