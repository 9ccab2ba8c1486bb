package rival

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"bluerings/bench/machine"
)

// Redis is a redis-server of our own.
type Redis struct {
	*machine.Process
	Port int
	Dir  string
}

// StartRedis starts a Redis that appends every command to its file and syncs before it answers, and
// waits until it has read what the file has.
// The file is not rewritten meanwhile, which would cost Redis time.
func StartRedis(ctx context.Context, dir string, args ...string) (*Redis, error) {
	ports, err := machine.Ports(1)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	r := &Redis{Port: ports[0], Dir: dir}
	args = append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(r.Port), "--dir", dir, "--save", "", "--daemonize", "no",
		"--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0",
	}, args...)
	if r.Process, err = machine.Start("redis-server", exec.Command("redis-server", args...), nil); err != nil {
		return nil, err
	}
	if err = answers(ctx, r.Process, r.Addr()); err == nil {
		err = r.loaded(ctx)
	}
	if err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

// Addr is where it listens.
func (r *Redis) Addr() string { return "127.0.0.1:" + strconv.Itoa(r.Port) }

// answers waits until something accepts connections.
func answers(ctx context.Context, p *machine.Process, addr string) error {
	for began := time.Now(); time.Since(began) < time.Minute; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.Ended():
			return p.Failure()
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen on %s", p.Name, addr)
}

// Rate is what a load generator reports.
type Rate struct {
	PerSecond float64
	P50, P99  float64 // milliseconds; 0 where it is not told
}

// Increment runs redis-benchmark for about so long: INCRBY of random keys, of 20 bytes like the
// names of our counters, by so many clients with so many commands under way each.
func (r *Redis) Increment(ctx context.Context, clients, pipeline, keys int, d time.Duration) (Rate, error) {
	probe, err := r.benchmark(ctx, clients, pipeline, keys, 20_000)
	if err != nil {
		return Rate{}, err
	}
	return r.benchmark(ctx, clients, pipeline, keys, max(20_000, int(probe.PerSecond*d.Seconds())))
}

func (r *Redis) benchmark(ctx context.Context, clients, pipeline, keys, n int) (Rate, error) {
	out, err := machine.Run(ctx, exec.Command("redis-benchmark", "-h", "127.0.0.1", "-p", strconv.Itoa(r.Port), "--csv",
		"-c", strconv.Itoa(clients), "-P", strconv.Itoa(pipeline), "-n", strconv.Itoa(n), "-r", strconv.Itoa(keys),
		"INCRBY", "tenant-0__rand_int__", "7"))
	if err != nil {
		return Rate{}, err
	}
	return redisRate(out)
}

// redisRate reads the two lines of CSV that redis-benchmark prints.
func redisRate(out string) (Rate, error) {
	at := strings.Index(out, `"test"`)
	if at < 0 {
		return Rate{}, fmt.Errorf("redis-benchmark: %q", out)
	}
	records, err := csv.NewReader(strings.NewReader(out[at:])).ReadAll()
	if err != nil {
		return Rate{}, fmt.Errorf("redis-benchmark: %q: %w", out, err)
	}
	if len(records) < 2 {
		return Rate{}, fmt.Errorf("redis-benchmark: %q", out)
	}
	var rate Rate
	for i, head := range records[0] {
		into := map[string]*float64{"rps": &rate.PerSecond, "p50_latency_ms": &rate.P50, "p99_latency_ms": &rate.P99}[head]
		if into == nil {
			continue
		}
		if *into, err = strconv.ParseFloat(records[1][i], 64); err != nil {
			return Rate{}, err
		}
	}
	return rate, nil
}

// Conn is a connection that speaks as much of the protocol as is needed here.
type Conn struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
}

// Dial connects.
func (r *Redis) Dial() (*Conn, error) {
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c, r: bufio.NewReaderSize(c, 1<<16), w: bufio.NewWriterSize(c, 1<<16)}, nil
}

// Do sends a command and returns its answer, without the first byte where that is : or +.
func (c *Conn) Do(args ...string) (string, error) {
	if err := c.Send(args...); err != nil {
		return "", err
	}
	return c.Receive()
}

// Send queues a command; Receive flushes what is queued.
func (c *Conn) Send(args ...string) error {
	fmt.Fprintf(c.w, "*%d\r\n", len(args))
	for _, a := range args {
		if _, err := fmt.Fprintf(c.w, "$%d\r\n%s\r\n", len(a), a); err != nil {
			return err
		}
	}
	return nil
}

// Receive reads one answer.
func (c *Conn) Receive() (string, error) {
	if err := c.w.Flush(); err != nil {
		return "", err
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case strings.HasPrefix(line, "-"):
		return "", fmt.Errorf("redis: %s", line[1:])
	case !strings.HasPrefix(line, "$"):
		return line[1:], nil
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil || n < 0 {
		return "", err
	}
	text := make([]byte, n+2)
	for at := 0; at < len(text); {
		got, err := c.r.Read(text[at:])
		if err != nil {
			return "", err
		}
		at += got
	}
	return string(text[:n]), nil
}

// Fill increments the keys 0 to n-1 once each, named by name, by amount.
func (r *Redis) Fill(n int, name func(i int) string, amount func(i int) int64) error {
	return r.pipelined(n, func(c *Conn, i int) error {
		return c.Send("INCRBY", name(i), strconv.FormatInt(amount(i), 10))
	}, func(int, string) error { return nil })
}

// CheckFilled reads all keys and tells whether they are those of Fill.
func (r *Redis) CheckFilled(n int, name func(i int) string, amount func(i int) int64) error {
	return r.pipelined(n, func(c *Conn, i int) error { return c.Send("GET", name(i)) }, func(i int, answer string) error {
		if answer != strconv.FormatInt(amount(i), 10) {
			return fmt.Errorf("redis: %s is %q, want %d", name(i), answer, amount(i))
		}
		return nil
	})
}

// pipelined sends n commands, a thousand at a time, and hands over their answers.
func (r *Redis) pipelined(n int, send func(c *Conn, i int) error, answered func(i int, answer string) error) error {
	c, err := r.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	const window = 1000
	for at := 0; at < n; at += window {
		end := min(n, at+window)
		for i := at; i < end; i++ {
			if err := send(c, i); err != nil {
				return err
			}
		}
		for i := at; i < end; i++ {
			answer, err := c.Receive()
			if err == nil {
				err = answered(i, answer)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Info reads a number of INFO.
func (r *Redis) Info(key string) (int64, error) {
	c, err := r.Dial()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	text, err := c.Do("INFO")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+":"); ok {
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, fmt.Errorf("redis: INFO has no %s", key)
}

// loaded waits until Redis has read its file and answers.
func (r *Redis) loaded(ctx context.Context) error {
	c, err := r.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		if _, err = c.Do("GET", "any"); err == nil || !strings.Contains(err.Error(), "LOADING") {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
