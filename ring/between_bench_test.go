package ring

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/topologies"
	"bluerings/value"
)

// pace is how many small updates a second the benchmarks make beside the work
// that they measure, to see how long a caller waits.
const pace = 500

// probe makes single updates of one counter at an even pace until stop is
// closed, and tells how long each took.
func probe(b testing.TB, n *Node, stop <-chan struct{}) []time.Duration {
	var took []time.Duration
	var mu sync.Mutex
	var wg sync.WaitGroup
	ticker := time.NewTicker(time.Second / pace)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			wg.Wait()
			return took
		case due := <-ticker.C:
			wg.Go(func() {
				applyAll(b, n, []Command{{Op: tickets.CounterAdd, Name: "probe", Amount: value.FromInt64(1), Expire: hlc.Never}})
				mu.Lock()
				took = append(took, time.Since(due))
				mu.Unlock()
			})
		}
	}
}

// probed runs do while single updates are made at n, and tells how long they took.
func probed(b testing.TB, n *Node, do func()) []time.Duration {
	stop, done := make(chan struct{}), make(chan []time.Duration)
	go func() { done <- probe(b, n, stop) }()
	do()
	close(stop)
	return <-done
}

// quantiles are p50 and p99 in milliseconds.
func quantiles(took []time.Duration) (p50, p99 float64) {
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	ms := func(q float64) float64 { return took[int(q*float64(len(took)-1))].Seconds() * 1e3 }
	return ms(0.5), ms(0.99)
}

func reportQuantiles(b *testing.B, what string, took []time.Duration) {
	p50, p99 := quantiles(took)
	b.ReportMetric(p50, what+"-p50-ms")
	b.ReportMetric(p99, what+"-p99-ms")
}

// member opens a host of a topology.
func member(b testing.TB, topo *topologies.Topology, host, dir string, d Durability) *Node {
	self, _ := topo.Node(host)
	return open(b, Config{Topology: topo, Host: host, Data: filepath.Join(dir, host), Bind: []string{self.Pub}, Durability: d})
}

// holding waits until n has count tickets in its ledger.
func holding(b testing.TB, n *Node, count uint64) {
	for n.Statistics().Tickets < count {
		select {
		case err := <-n.Fatal():
			b.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
}

// write makes total updates over names by one caller of 1,000 each, every
// ticket with an id where ids is set.
func write(b *testing.B, n *Node, names []string, total int, ids bool) {
	rnd := rand.New(rand.NewPCG(1, 2))
	cmds := make([]Command, 1000)
	for at := 0; at < total; at += len(cmds) {
		for i := range cmds {
			cmds[i] = Command{Op: tickets.CounterAdd, Name: names[rnd.IntN(len(names))], Amount: value.FromInt64(int64(at % 97)), Expire: hlc.Never}
			if ids {
				cmds[i].ID = fmt.Sprintf("call-%016x", at+i)
			}
		}
		applyAll(b, n, cmds)
	}
}

// BenchmarkCatchUp lets a new node, in a process of its own, fetch ten million
// tickets (a tenth without -full) from another, while both take single updates.
func BenchmarkCatchUp(b *testing.B) {
	for _, ids := range []bool{false, true} {
		b.Run(fmt.Sprintf("ids=%v", ids), func(b *testing.B) {
			dir, topo := b.TempDir(), generate(b, "full-mesh", 2)
			none, err := ParseDurability("none")
			if err != nil {
				b.Fatal(err)
			}
			hosts := topo.Members()
			total := scaled(10_000_000)
			if ids {
				total /= 2
			}
			n := member(b, topo, hosts[0], dir, none)
			write(b, n, benchNames(100_000), total, ids)
			closeNode(b, n)
			n = member(b, topo, hosts[0], dir, Durability{})
			runtime.GC()
			before := probed(b, n, func() { time.Sleep(2 * time.Second) })
			b.ResetTimer()
			reportQuantiles(b, "source-before", before)
			for range b.N {
				late := startLate(b, topo, hosts[1], dir, n.Statistics().Tickets)
				reportQuantiles(b, "source-during", probed(b, n, late.caughtUp))
				reportQuantiles(b, "source-after", probed(b, n, func() { time.Sleep(3 * time.Second) }))
				late.end()
				b.ReportMetric(late.Rate, "tickets/s")
				b.ReportMetric(late.P50, "late-p50-ms")
				b.ReportMetric(late.P99, "late-p99-ms")
				if err := os.RemoveAll(filepath.Join(dir, hosts[1])); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			closeNode(b, n)
		})
	}
}

// late is a node in a process of its own, and what it measured.
type late struct {
	Rate, P50, P99 float64
	b              *testing.B
	cmd            *exec.Cmd
	in             io.WriteCloser
	out            io.Reader
}

const lateEnv = "BLUERINGS_LATE_NODE"

func startLate(b *testing.B, topo *topologies.Topology, host, dir string, want uint64) *late {
	file := filepath.Join(dir, "topology.toml")
	if err := os.WriteFile(file, topo.Encode(), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLateNode$", "-test.v")
	if cpu := os.Getenv("BLUERINGS_LATE_CPU"); cpu != "" { // for a machine of its own
		cmd = exec.Command("taskset", slices.Concat([]string{"-c", cpu}, cmd.Args)...)
	}
	cmd.Env = append(os.Environ(), fmt.Sprint(lateEnv, "=", file, " ", host, " ", dir, " ", want))
	if profile := os.Getenv("BLUERINGS_LATE_PROFILE"); profile != "" {
		cmd.Args = append(cmd.Args, "-test.cpuprofile="+profile)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return &late{b: b, cmd: cmd, in: in, out: out}
}

// caughtUp waits until it is; it goes on with its updates until end.
func (l *late) caughtUp() {
	for lines := bufio.NewScanner(l.out); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "late: "); ok {
			if err := json.Unmarshal([]byte(text), l); err != nil {
				l.b.Fatal(err)
			}
			return
		}
	}
	l.b.Fatal("the late node failed")
}

func (l *late) end() {
	_ = l.in.Close()
	_, _ = io.Copy(io.Discard, l.out)
	if err := l.cmd.Wait(); err != nil {
		l.b.Fatal("the late node failed: ", err)
	}
}

// TestLateNode is the process of a late node.
func TestLateNode(t *testing.T) {
	if os.Getenv(lateEnv) == "" {
		t.Skip("run by BenchmarkCatchUp")
	}
	var file, host, dir string
	var want uint64
	if _, err := fmt.Sscan(os.Getenv(lateEnv), &file, &host, &dir, &want); err != nil {
		t.Fatal(err)
	}
	topo, err := topologies.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if at := os.Getenv("BLUERINGS_LATE_DIR"); at != "" {
		dir = at
	}
	n := member(t, topo, host, dir, Durability{})
	var l late
	took := probed(t, n, func() {
		for n.Statistics().RecvTickets < 10_000 {
			time.Sleep(time.Millisecond)
		}
		began := time.Now()
		holding(t, n, want)
		l.Rate = float64(want) / time.Since(began).Seconds()
	})
	l.P50, l.P99 = quantiles(took)
	text, err := json.Marshal(&l)
	if err != nil {
		t.Fatal(err)
	}
	probed(t, n, func() {
		fmt.Printf("late: %s\n", text)
		_, _ = io.Copy(io.Discard, os.Stdin)
	})
	closeNode(t, n)
}

// BenchmarkBurst makes a million updates over 100,000 counters at one node, and
// waits until all the others have them. Each is acknowledged when durable.
func BenchmarkBurst(b *testing.B) {
	for _, nodes := range []int{1, 2, 3} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			var ring []*Node
			dir := b.TempDir()
			if nodes == 1 {
				ring = []*Node{open(b, Config{Data: dir + "/a"})}
			} else {
				topo := generate(b, "full-mesh", nodes)
				for _, h := range topo.Members() {
					ring = append(ring, member(b, topo, h, dir, Durability{}))
				}
			}
			ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
			defer cancel()
			for _, n := range ring {
				if err := n.WaitCoherent(ctx); err != nil {
					b.Fatal(err)
				}
			}
			names := benchNames(100_000)
			for at := 0; at < len(names); at += 1000 {
				cmds := make([]Command, 1000)
				for i := range cmds {
					cmds[i] = Command{Op: tickets.CounterSetup, Name: names[at+i], Expire: hlc.Never}
				}
				applyAll(b, ring[0], cmds)
			}
			b.ResetTimer()
			for range b.N {
				runtime.GC()
				before := ring[0].Statistics().Tickets
				began := time.Now()
				hammer(b, ring[0], names, 8, 1000, 1_000_000)
				acked := time.Since(began)
				want := ring[0].Statistics().Tickets
				for _, n := range ring {
					holding(b, n, want)
				}
				b.ReportMetric(float64(want-before)/acked.Seconds(), "acked/s")
				b.ReportMetric(float64(want-before)/time.Since(began).Seconds(), "converged/s")
			}
			b.StopTimer()
			for _, n := range ring {
				closeNode(b, n)
			}
		})
	}
}

// BenchmarkPropagation makes single updates at one node and waits for each to
// be readable at the other; in turns with them, a bare message from one zmq4
// socket to another and a bare write of 4 KiB to a file with one fsync.
func BenchmarkPropagation(b *testing.B) {
	topo, dir := generate(b, "full-mesh", 2), b.TempDir()
	hosts := topo.Members()
	from, to := member(b, topo, hosts[0], dir, Durability{}), member(b, topo, hosts[1], dir, Durability{})
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	if err := from.WaitCoherent(ctx); err != nil {
		b.Fatal(err)
	}
	bare := newBarePath(b, dir)
	var own, took, message, fsync []time.Duration
	key := tickets.Key{Family: tickets.Counters, Name: "probe"}
	b.ResetTimer()
	for i := range b.N {
		began := time.Now()
		applyAll(b, from, []Command{{Op: tickets.CounterAdd, Name: "probe", Amount: value.FromInt64(1), Expire: hlc.Never}})
		acked := time.Now()
		want := value.FromInt64(int64(i + 1))
		err := to.wait(ctx, func() bool {
			r, ok := to.reading(key)
			return ok && r.Value.Equal(to.Kind(), want)
		})
		if err != nil {
			b.Fatal(err)
		}
		own, took = append(own, acked.Sub(began)), append(took, time.Since(acked))
		time.Sleep(2 * time.Millisecond)
		m, f := bare.once(b)
		message, fsync = append(message, m), append(fsync, f)
		time.Sleep(2 * time.Millisecond)
	}
	b.StopTimer()
	reportQuantiles(b, "acknowledged", own)
	reportQuantiles(b, "propagation", took)
	reportQuantiles(b, "bare-message", message)
	reportQuantiles(b, "bare-fsync", fsync)
	closeNode(b, from)
	closeNode(b, to)
}

// barePath is what a message and a file cost by themselves.
type barePath struct {
	pub  zmq4.Socket
	got  chan time.Time
	file *os.File
}

func newBarePath(b *testing.B, dir string) *barePath {
	quiet := []zmq4.Option{zmq4.WithTimeout(-1), zmq4.WithAutomaticReconnect(false)}
	p := &barePath{pub: zmq4.NewPub(context.Background(), quiet...), got: make(chan time.Time, 1)}
	if err := p.pub.Listen("tcp://127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	sub := zmq4.NewSub(context.Background())
	if err := errors.Join(sub.SetOption(zmq4.OptionSubscribe, ""), sub.Dial("tcp://"+p.pub.Addr().String())); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = sub.Close(); _ = p.pub.Close() })
	var err error
	if p.file, err = os.Create(filepath.Join(dir, "bare")); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.file.Close() })
	go func() {
		for {
			if _, err := sub.Recv(); err != nil {
				return
			}
			p.got <- time.Now()
		}
	}()
	for { // until the subscription is in force
		_ = p.pub.Send(zmq4.NewMsg(make([]byte, 100)))
		select {
		case <-p.got:
			time.Sleep(10 * time.Millisecond)
			for len(p.got) > 0 {
				<-p.got
			}
			return p
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *barePath) once(b *testing.B) (message, fsync time.Duration) {
	began := time.Now()
	if err := p.pub.Send(zmq4.NewMsg(make([]byte, 100))); err != nil {
		b.Fatal(err)
	}
	message = (<-p.got).Sub(began)
	began = time.Now()
	if _, err := p.file.WriteAt(make([]byte, 4096), 0); err != nil {
		b.Fatal(err)
	}
	if err := p.file.Sync(); err != nil {
		b.Fatal(err)
	}
	return message, time.Since(began)
}
