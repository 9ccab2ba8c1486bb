package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bluerings/internal/client"
)

// Statistics is what of GET /v1/statistics is needed here.
type Statistics struct {
	RecvTickets uint64 `json:"recv_tickets"`
	Counters    int    `json:"counters"`
	Tickets     uint64 `json:"tickets"`
	DiskBytes   int64  `json:"disk_bytes"`
}

// Statistics asks the node for its counts.
func (n *Node) Statistics(ctx context.Context) (s Statistics, err error) {
	return s, n.get(ctx, "/v1/statistics", nil, &s)
}

func (n *Node) get(ctx context.Context, path string, query url.Values, into any) error {
	answer, err := n.Do(ctx, client.Request{Method: http.MethodGet, Path: path, Query: query})
	if err != nil {
		return err
	}
	return json.Unmarshal(answer.Body, into)
}

// WaitCoherent waits until the node finds the ring coherent.
func (n *Node) WaitCoherent(ctx context.Context) error {
	var c struct {
		Coherent bool `json:"coherent"`
	}
	if err := n.get(ctx, "/v1/coherence", url.Values{"wait": {"60s"}}, &c); err != nil {
		return err
	}
	if !c.Coherent {
		return fmt.Errorf("%s: %w", n.Host, errNotCoherent)
	}
	return nil
}

// WaitTickets waits until the node has so many tickets, looking every few milliseconds.
func (n *Node) WaitTickets(ctx context.Context, want uint64) error {
	return poll(ctx, 5*time.Millisecond, func() (bool, error) {
		s, err := n.Statistics(ctx)
		return s.Tickets >= want, err
	})
}

// WaitReady waits for /readyz.
func (n *Node) WaitReady(ctx context.Context) error {
	return poll(ctx, 5*time.Millisecond, func() (bool, error) {
		_, err := n.Do(ctx, client.Request{Method: http.MethodGet, Path: "/readyz"})
		return err == nil, nil
	})
}

func poll(ctx context.Context, pause time.Duration, done func() (bool, error)) error {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		if ok, err := done(); err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Metric reads one of /metrics, summed over its labels.
func (n *Node) Metric(ctx context.Context, name string) (float64, error) {
	answer, err := n.Do(ctx, client.Request{Method: http.MethodGet, Path: "/metrics"})
	if err != nil {
		return 0, err
	}
	return sumMetric(answer.Body, name)
}

func sumMetric(text []byte, name string) (float64, error) {
	total, found := 0.0, false
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte(name))
		if !ok || len(rest) == 0 || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		fields := strings.Fields(string(rest[bytes.LastIndexByte(rest, '}')+1:]))
		if len(fields) == 0 {
			continue
		}
		x, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", name, err)
		}
		total, found = total+x, true
	}
	if !found {
		return 0, fmt.Errorf("there is no metric %s", name)
	}
	return total, nil
}

// Name is the i-th counter's name, of 20 bytes.
func Name(i int) string { return fmt.Sprintf("tenant-%013d", i) }

// Batch posts lines of NDJSON and returns an error if any of them failed.
func (n *Node) Batch(ctx context.Context, lines []byte) error {
	answer, err := n.Do(ctx, client.Request{
		Method: http.MethodPost, Path: "/v1/batch", Body: lines,
		Header: http.Header{"Content-Type": {"application/x-ndjson"}},
	})
	if err != nil {
		return err
	}
	if at := bytes.Index(answer.Body, []byte(`"status":4`)); at >= 0 {
		return fmt.Errorf("a line of the batch failed: %.300s", answer.Body[at:])
	}
	if at := bytes.Index(answer.Body, []byte(`"status":5`)); at >= 0 {
		return fmt.Errorf("a line of the batch failed: %.300s", answer.Body[at:])
	}
	return nil
}

// fillers is how many requests fill a node at a time.
const fillers = 4

// InBatches writes lines for 0 to n-1 and posts them, size a request.
func (n *Node) InBatches(ctx context.Context, count, size int, line func(b []byte, i int) []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range fillers {
		group.Go(func() {
			var body []byte
			for ctx.Err() == nil {
				from := int(next.Add(int64(size))) - size
				if from >= count {
					return
				}
				body = body[:0]
				for i := from; i < min(from+size, count); i++ {
					body = line(body, i)
				}
				if err := n.Batch(ctx, body); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// SetUp makes the node know so many counters.
func (n *Node) SetUp(ctx context.Context, counters int) error {
	return n.InBatches(ctx, counters, 5000, func(b []byte, i int) []byte {
		return fmt.Appendf(b, `{"op":"counter.setup","name":"%s","expire":"never"}`+"\n", Name(i))
	})
}

// AppendUpdate appends the line of an update.
func AppendUpdate(b []byte, name string) []byte {
	b = append(b, `{"op":"counter.update","name":"`...)
	b = append(b, name...)
	return append(b, `","amount":"7"}`+"\n"...)
}

// Amount is what the i-th counter is given where totals shall differ. Redis keeps one object for each integer below
// 10,000, and all keys with that value share it; these are above.
func Amount(i int) int64 { return 10_001 + int64(i) }

// Fill makes the node know so many counters by one update each, of the amount that Amount says.
func (n *Node) Fill(ctx context.Context, counters int) error {
	return n.InBatches(ctx, counters, 5000, func(b []byte, i int) []byte {
		return fmt.Appendf(b, `{"op":"counter.update","name":"%s","amount":"%d","expire":"never"}`+"\n", Name(i), Amount(i))
	})
}

// CheckFilled reads all counters and tells whether they are those of Fill.
func (n *Node) CheckFilled(ctx context.Context, counters int) error {
	i := 0
	err := n.each(ctx, func(name string, value int64) error {
		if name != Name(i) || value != Amount(i) {
			return fmt.Errorf("counter %d is %s with %d", i, name, value)
		}
		i++
		return nil
	})
	if err == nil && i != counters {
		return fmt.Errorf("there are %d counters of %d", i, counters)
	}
	return err
}

// Total adds up the values of all counters that the node lists.
func (n *Node) Total(ctx context.Context) (total int64, err error) {
	err = n.each(ctx, func(_ string, value int64) error {
		total += value
		return nil
	})
	return total, err
}

// each visits all counters in the order of their names.
func (n *Node) each(ctx context.Context, visit func(name string, value int64) error) error {
	for cursor := ""; ; {
		query := url.Values{"limit": {"1000"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var page struct {
			Counters []struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			} `json:"counters"`
			NextCursor string `json:"next_cursor"`
		}
		if err := n.get(ctx, "/v1/counters", query, &page); err != nil {
			return err
		}
		for _, c := range page.Counters {
			v, err := strconv.ParseInt(c.Value, 10, 64)
			if err == nil {
				err = visit(c.Name, v)
			}
			if err != nil {
				return err
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			return nil
		}
	}
}
