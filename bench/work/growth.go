package work

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"

	"bluerings/bench/measure"
	"bluerings/bench/node"
	"bluerings/bench/rival"
	"bluerings/bench/wrk"
	"bluerings/internal/client"
	"bluerings/internal/load"
)

var growthCounters = Work{
	ID: "growth-counters", Title: "Updates a second against the number of counters", Run: runGrowthCounters,
}

var growthTickets = Work{
	ID: "growth-tickets", Title: "Latency against the number of tickets of one counter", Run: runGrowthTickets,
}

var growthConnections = Work{
	ID: "growth-connections", Title: "Single updates a second against the number of connections", Run: runGrowthConnections,
}

// growthRounds is how often each place on a curve is measured.
func (e *Env) growthRounds() int { return min(e.Rounds, 3) }

// grown is the result of a growth.
func grown(note, x, y string, m measure.Metric, lines ...measure.Line) measure.Result {
	return measure.Result{Note: note, Metric: m, Chart: &measure.Chart{XLabel: x, YLabel: y, Lines: lines}}
}

// addPoint finds the line of a name, or begins one, and adds a value at x.
func addPoint(lines *[]measure.Line, name string, x, value float64) {
	at := -1
	for i := range *lines {
		if (*lines)[i].Name == name {
			at = i
		}
	}
	if at < 0 {
		*lines, at = append(*lines, measure.Line{Name: name}), len(*lines)
	}
	l := &(*lines)[at]
	for i := range l.Points {
		if l.Points[i].X == x {
			l.Points[i].Values = append(l.Points[i].Values, value)
			return
		}
	}
	l.Points = append(l.Points, measure.Point{X: x, Values: []float64{value}})
}

// growthTurn is shorter than a turn: there are many places to measure.
func (e *Env) growthTurn() time.Duration { return max(time.Second, e.Turn*3/5) }

func runGrowthCounters(ctx context.Context, e *Env) ([]measure.Result, error) {
	if missing := rival.Missing("wrk"); missing != "" {
		return nil, fmt.Errorf("there is no load generator: %s", missing)
	}
	var lines []measure.Line
	for n := 1000; n <= e.scaled(10_000_000); n *= 10 {
		if err := e.growCounters(ctx, n, &lines); err != nil {
			return nil, err
		}
	}
	return []measure.Result{grown(
		fmt.Sprintf("Durable, over HTTP, random counters: single updates by %d connections, batches of %d by %d.", httpConnections, batchSize, batchConnections),
		"counters", "updates a second", measure.Metric{Name: "rate", Unit: measure.PerSecond, Better: measure.Higher}, lines...)}, nil
}

func (e *Env) growCounters(ctx context.Context, counters int, lines *[]measure.Line) error {
	s, err := e.stage("growth")
	if err != nil {
		return err
	}
	defer s.strike()
	data := filepath.Join(s.dir, "data")
	if err := node.Prepare(ctx, data, node.Store{Counters: counters}); err != nil {
		return err
	}
	n, err := node.Start(ctx, node.Options{Program: e.Program, Data: data})
	if err != nil {
		return err
	}
	defer n.Stop()
	for range e.growthRounds() {
		for _, l := range []struct {
			name, script string
			connections  int
			worth        float64
		}{{"single", "update", httpConnections, 1}, {"batches", "batch", batchConnections, batchSize}} {
			r, err := wrk.Run(ctx, wrk.Load{
				Script: l.script, Addr: n.Addr, Connections: l.connections, Duration: e.growthTurn(), Counters: counters, Dir: e.Dir,
			})
			if err != nil {
				return err
			}
			e.Log("  %d counters, %s: %s/s", counters, l.name, measure.Number(r.Rate()*l.worth))
			addPoint(lines, l.name, float64(counters), r.Rate()*l.worth)
		}
	}
	return nil
}

// growthSamples is how many requests one by one are timed at each place of growthTickets.
const growthSamples = 200

func runGrowthTickets(ctx context.Context, e *Env) ([]measure.Result, error) {
	s, err := e.stage("growth")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	n, err := e.alone(ctx, s.dir, 1)
	if err != nil {
		return nil, err
	}
	defer n.Stop()
	var lines []measure.Line
	made, first := 0, time.Now()
	for tickets := 1; tickets <= e.scaled(10_000_000); tickets *= 10 {
		err := n.InBatches(ctx, max(0, tickets-made), batchSize, func(b []byte, _ int) []byte { return node.AppendUpdate(b, node.Name(0)) })
		if err != nil {
			return nil, err
		}
		made = max(made, tickets)
		if err := growTickets(ctx, n, first, tickets, &made, &lines); err != nil {
			return nil, err
		}
		e.Log("  %d tickets", tickets)
	}
	return []measure.Result{grown(
		fmt.Sprintf("One client, one request after another, over HTTP; the median of %d. As of: at random moments in the counter's history. An update waits for the disk.", growthSamples),
		"tickets of the counter", "milliseconds", measure.Metric{Name: "latency", Unit: measure.Milliseconds, Better: measure.Lower}, lines...)}, nil
}

func growTickets(ctx context.Context, n *node.Node, first time.Time, tickets int, made *int, lines *[]measure.Line) error {
	path := "/v1/counters/" + node.Name(0)
	median := func(h *load.Histogram) float64 { return float64(h.Quantile(0.5)) / float64(time.Millisecond) }
	add := func(name string, h *load.Histogram) { addPoint(lines, name, float64(tickets), median(h)) }
	past, err := readAsOf(ctx, n, first, time.Now(), growthSamples)
	if err != nil {
		return err
	}
	add("as of", past)
	reads, err := timed(ctx, n, growthSamples, client.Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return err
	}
	add("read", reads)
	// As few as there are tickets, or the place on the axis would be a lie.
	updates, err := timed(ctx, n, min(growthSamples, tickets), client.Request{
		Method: http.MethodPost, Path: path, Body: []byte(`{"amount":"7"}`), Header: http.Header{"Content-Type": {"application/json"}},
	})
	if err != nil {
		return err
	}
	*made += min(growthSamples, tickets)
	add("update", updates)
	return nil
}

// timed makes a request so many times, one after another.
func timed(ctx context.Context, n *node.Node, times int, r client.Request) (*load.Histogram, error) {
	h := &load.Histogram{}
	for range times {
		began := time.Now()
		if _, err := n.Do(ctx, r); err != nil {
			return nil, err
		}
		h.Add(time.Since(began))
	}
	return h, nil
}

func runGrowthConnections(ctx context.Context, e *Env) ([]measure.Result, error) {
	s, err := e.stage("growth")
	if err != nil {
		return nil, err
	}
	defer s.strike()
	var lines []measure.Line
	counters := e.scaled(100_000)
	who, err := e.httpPair(ctx, s, wrk.Load{Script: "update", Connections: 1, Counters: counters}, 1)
	if err != nil {
		return nil, err
	}
	for i := range who {
		lines = append(lines, measure.Line{Name: who[i].name})
	}
	addrs := []string{who[0].server.(*node.Node).Addr, who[1].server.(*rival.Bare).Addr}
	for range e.growthRounds() {
		for connections := 1; connections <= 1024; connections *= 4 {
			for _, i := range rand.Perm(len(who)) {
				r, err := wrk.Run(ctx, wrk.Load{
					Script: "update", Addr: addrs[i], Connections: connections, Duration: e.growthTurn(), Counters: counters, Dir: e.Dir,
				})
				if err != nil {
					return nil, err
				}
				e.Log("  %d connections, %s: %s/s", connections, who[i].name, measure.Number(r.Rate()))
				addPoint(&lines, who[i].name, float64(connections), r.Rate())
			}
		}
	}
	return []measure.Result{grown(
		fmt.Sprintf("Durable, %d counters, wrk on the same cores.", counters),
		"connections", "updates a second", measure.Metric{Name: "rate", Unit: measure.PerSecond, Better: measure.Higher}, lines...)}, nil
}
