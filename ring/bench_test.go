package ring

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// full makes the benchmarks of stored data as large as docs/PERFORMANCE.md
// says, which takes a minute to build; without it they have a tenth.
var full = flag.Bool("full", false, "benchmark with a million counters and ten million tickets")

func scaled(n int) int {
	if *full {
		return n
	}
	return n / 10
}

// benchNames are n names of 20 bytes.
func benchNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("tenant/%013d", i)
	}
	return names
}

// crowded opens a node that knows n counters.
func crowded(b testing.TB, dir, durability string, names []string) *Node {
	b.Helper()
	d, err := ParseDurability(durability)
	if err != nil {
		b.Fatal(err)
	}
	n := open(b, Config{Data: dir, Durability: d})
	cmds := make([]Command, 0, 10_000)
	for at := 0; at < len(names); at += cap(cmds) {
		cmds = cmds[:0]
		for _, name := range names[at:min(at+cap(cmds), len(names))] {
			cmds = append(cmds, Command{Op: tickets.CounterSetup, Name: name, Expire: hlc.Never})
		}
		applyAll(b, n, cmds)
	}
	if err := n.checkpoint(b.Context()); err != nil {
		b.Fatal(err)
	}
	return n
}

// applyAll applies commands, waiting where the queue is full.
func applyAll(b testing.TB, n *Node, cmds []Command) {
	for {
		out, err := n.Apply(context.Background(), cmds)
		if errors.Is(err, ErrBusy) {
			time.Sleep(100 * time.Microsecond)
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		for i := range out {
			if out[i].Err != nil {
				b.Fatal(out[i].Err)
			}
		}
		return
	}
}

// hammer makes total updates by so many callers, each of batch updates a call.
func hammer(b *testing.B, n *Node, names []string, callers, batch, total int) {
	var left atomic.Int64
	left.Store(int64(total))
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(c)))
			cmds := make([]Command, batch)
			for i := range cmds {
				cmds[i] = Command{Op: tickets.CounterAdd, Amount: value.FromInt64(int64(c%7 + 1))}
			}
			for left.Add(-int64(batch)) > -int64(batch) {
				for i := range cmds {
					cmds[i].Name = names[rnd.IntN(len(names))]
				}
				applyAll(b, n, cmds)
			}
		})
	}
	wg.Wait()
}

var populations = []struct {
	name  string
	count int
}{{"hot", 1}, {"million", 1_000_000}}

// BenchmarkDurable is 512 callers who each wait for the disk, and then the
// bytes that this stored, appended to a bare bbolt file, and to a file, in the
// same batches.
func BenchmarkDurable(b *testing.B) {
	for _, p := range populations {
		dir := b.TempDir()
		var n *Node
		names := benchNames(p.count)
		b.Run(p.name, func(b *testing.B) {
			if n == nil {
				n = crowded(b, dir+"/data", "always", names)
			}
			before, bare := n.Statistics(), newBareLog(b, n)
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			for round := range durableRounds {
				hammer(b, n, names, 512, 1, b.N*(round+1)/durableRounds-b.N*round/durableRounds)
				b.StopTimer()
				bare.follow(b, n)
				b.StartTimer()
			}
			b.StopTimer()
			after := n.Statistics()
			made := float64(after.Tickets - before.Tickets)
			rate := made / b.Elapsed().Seconds()
			b.ReportMetric(rate, "updates/s")
			b.ReportMetric(made/float64(after.Commits-before.Commits), "tickets/commit")
			b.ReportMetric(bare.rate(bare.took), "bare/s")
			b.ReportMetric(rate/bare.rate(bare.took), "of-bare")
			b.ReportMetric(bare.rate(bare.fileTook), "bare-file/s")
			b.ReportMetric(float64(bare.wire)/float64(bare.count), "wire-B/ticket")
		})
		if n != nil {
			closeNode(b, n)
		}
	}
}

// durableRounds is how often BenchmarkDurable turns from the node to the bare
// file and back, so that both meet the same mood of the machine.
const durableRounds = 8

// bareLog is a bbolt file and nothing else; beside it, a file that the same
// bytes are appended to with one sync for each commit.
type bareLog struct {
	db             *bbolt.DB
	file           *os.File
	next           uint64 // number of the ticket to append next
	count, wire    int    // tickets appended, and their bytes on the wire
	took, fileTook time.Duration
}

var bareBucket = []byte("blocks")

func newBareLog(b *testing.B, n *Node) *bareLog {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, &bbolt.Options{
		FreelistType: bbolt.FreelistMapType, NoStatistics: true, InitialMmapSize: 8 << 30,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bareBucket); return err }); err != nil {
		b.Fatal(err)
	}
	file, err := os.Create(filepath.Join(b.TempDir(), "bare.log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { file.Close() })
	return &bareLog{db: db, file: file, next: n.Statistics().Tickets + 1}
}

// follow appends what the node has stored since, one commit for each of its
// blocks: 512 callers fill no more than one in a commit.
func (l *bareLog) follow(b *testing.B, n *Node) {
	var keys [][12]byte
	var values [][]byte
	err := n.store.Blocks(0, l.next, 1<<62, func(k replica.Block) (bool, error) {
		var key [12]byte
		binary.BigEndian.PutUint64(key[4:], k.First)
		keys = append(keys, key)
		values = append(values, append(slices.Concat(k.Run, k.Links), 0, 0, 0, 0))
		l.count += int(k.Last - k.First + 1)
		l.wire += len(n.replica.Frame(k.Run, false))
		l.next = k.Last + 1
		return true, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	for i := range keys {
		err := l.db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(bareBucket)
			bucket.FillPercent = 0.95
			return bucket.Put(keys[i][:], values[i])
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	l.took += time.Since(began)
	began = time.Now()
	for i := range keys {
		if _, err := l.file.Write(slices.Concat(keys[i][:], values[i])); err != nil {
			b.Fatal(err)
		}
		if err := syncData(l.file); err != nil {
			b.Fatal(err)
		}
	}
	l.fileTook += time.Since(began)
}

// rate is how many tickets a second were appended in the time it took.
func (l *bareLog) rate(took time.Duration) float64 { return float64(l.count) / took.Seconds() }

// BenchmarkNone is durability none: acknowledged at once, written every second
// and whenever much has come together.
func BenchmarkNone(b *testing.B) {
	for _, p := range populations {
		names := benchNames(p.count)
		dir := b.TempDir()
		var n *Node
		for _, batch := range []int{1, 64, 1000} {
			b.Run(fmt.Sprintf("%s/batch=%d", p.name, batch), func(b *testing.B) {
				if n == nil {
					n = crowded(b, dir+"/data", "none", names)
				}
				runtime.GC()
				b.ReportAllocs()
				b.ResetTimer()
				hammer(b, n, names, 8, batch, b.N)
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
				if err := n.settle(b.Context()); err != nil {
					b.Fatal(err)
				}
			})
		}
		if n != nil {
			closeNode(b, n)
		}
	}
}

// BenchmarkRead is a read in process.
func BenchmarkRead(b *testing.B) {
	for _, p := range populations {
		names := benchNames(p.count)
		dir := b.TempDir()
		var n *Node
		read := func(b *testing.B, rnd *rand.Rand) {
			if _, ok := n.Read(tickets.Key{Family: tickets.Counters, Name: names[rnd.IntN(len(names))]}); !ok {
				b.Fail()
			}
		}
		for _, parallel := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/parallel=%v", p.name, parallel), func(b *testing.B) {
				if n == nil {
					n = crowded(b, dir+"/data", "none", names)
				}
				b.ReportAllocs()
				b.ResetTimer()
				if parallel {
					b.RunParallel(func(pb *testing.PB) {
						rnd := rand.New(rand.NewPCG(1, 2))
						for pb.Next() {
							read(b, rnd)
						}
					})
					return
				}
				rnd := rand.New(rand.NewPCG(1, 2))
				for b.Loop() {
					read(b, rnd)
				}
			})
		}
		if n != nil {
			closeNode(b, n)
		}
	}
}

// BenchmarkAsOf reads a counter with a million tickets as of random times.
func BenchmarkAsOf(b *testing.B) {
	names := benchNames(1)
	var n *Node
	dir := b.TempDir()
	var first hlc.Timestamp
	b.Run("as-of", func(b *testing.B) {
		if n == nil {
			n = crowded(b, dir+"/data", "none", names)
			first = n.Now()
			hammer(b, n, names, 1, 1000, scaled(1_000_000))
			if err := n.checkpoint(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		last := n.Now()
		rnd := rand.New(rand.NewPCG(1, 2))
		b.ResetTimer()
		for range b.N {
			at := first + hlc.Timestamp(rnd.Int64N(int64(last-first)))
			if _, err := n.ReadAt(b.Context(), tickets.Key{Family: tickets.Counters, Name: names[0]}, at); err != nil {
				b.Fatal(err)
			}
		}
	})
	if n != nil {
		closeNode(b, n)
	}
}

// BenchmarkMemory measures what a node needs for each of a million counters.
func BenchmarkMemory(b *testing.B) {
	for range b.N {
		names := benchNames(1_000_000)
		n := crowded(b, b.TempDir()+"/data", "none", names)
		if err := n.checkpoint(b.Context()); err != nil {
			b.Fatal(err)
		}
		n.rest() // as it does by itself
		var with, without runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&with)
		closeNode(b, n)
		n.table, n.replica, n.store = nil, nil, nil
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&without)
		runtime.KeepAlive(names)
		b.ReportMetric(float64(with.HeapAlloc-without.HeapAlloc)/1e6, "B/counter")
	}
}

// BenchmarkStart opens a directory of a million counters and ten million
// tickets, until the node serves: as it was closed, and with no index.
func BenchmarkStart(b *testing.B) {
	var dir string
	for _, index := range []bool{true, false} {
		b.Run(fmt.Sprintf("index=%v", index), func(b *testing.B) {
			if dir == "" {
				dir = b.TempDir()
			}
			if _, err := os.Stat(dir + "/data"); err != nil {
				names := benchNames(scaled(1_000_000))
				n := crowded(b, dir+"/data", "none", names)
				hammer(b, n, names, 1, 1000, scaled(10_000_000)-len(names))
				closeNode(b, n)
			}
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				if !index {
					if err := os.Remove(dir + "/data/index.db"); err != nil {
						b.Fatal(err)
					}
				}
				runtime.GC()
				b.StartTimer()
				n := open(b, Config{Data: dir + "/data"})
				b.StopTimer()
				ledger, err := os.Stat(dir + "/data/ledger.db")
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(ledger.Size())/float64(n.Statistics().Tickets), "disk-B/ticket")
				closeNode(b, n)
				b.StartTimer()
			}
		})
	}
}
