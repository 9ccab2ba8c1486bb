package zmqbus

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

var benchSizes = []int{100, 1 << 10, 16 << 10, 64 << 10}

// flood publishes b.N messages and waits for all to arrive, with at most so
// many under way that neither side's bounds come into play.
func flood(b *testing.B, size int, arrived *atomic.Int64, publish func([]byte)) {
	b.Helper()
	payload := make([]byte, size)
	window := int64(max(32, min(8192, (2<<20)/size)))
	start := arrived.Load()
	b.SetBytes(int64(size))
	b.ResetTimer()
	for i := range b.N {
		for int64(i)-(arrived.Load()-start) > window {
			runtime.Gosched()
		}
		publish(payload)
	}
	for deadline := time.Now().Add(patience); arrived.Load()-start < int64(b.N); runtime.Gosched() {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d arrived", arrived.Load()-start, b.N)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func benchBus(b *testing.B, onRecv func([]byte)) *Bus {
	a := pub(b, Limits{}, nil)
	sub(b, a, &recorder{onRecv: func(_ string, p []byte) { onRecv(p) }}, "t")
	subscribed(b, a, 1, 1)
	return a
}

// bareSockets connects the library's own sockets, without any guard.
func bareSockets(b *testing.B, onRecv func([]byte)) (publish func([]byte)) {
	p := zmq4.NewPub(context.Background(), quiet()...)
	if err := p.Listen("tcp://127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	s := zmq4.NewSub(context.Background(), quiet()...)
	_ = s.SetOption(zmq4.OptionSubscribe, "t")
	if err := s.Dial("tcp://" + p.Addr().String()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = s.Close(), p.Close() })
	go func() {
		for {
			msg, err := s.Recv()
			if err != nil {
				return
			}
			onRecv(msg.Frames[1])
		}
	}()
	return func(payload []byte) { _ = p.Send(zmq4.NewMsgFrom([]byte("t"), payload)) }
}

// warm publishes until something arrives and nothing more is under way.
func warm(b *testing.B, arrived *atomic.Int64, publish func([]byte)) {
	b.Helper()
	sent := int64(0)
	eventually(b, "a first message", func() bool { publish(nil); sent++; return arrived.Load() > 0 })
	for last := int64(-1); last != arrived.Load(); time.Sleep(20 * time.Millisecond) {
		last = arrived.Load()
	}
}

func BenchmarkThroughput(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("bus/%d", size), func(b *testing.B) {
			var arrived atomic.Int64
			a := benchBus(b, func([]byte) { arrived.Add(1) })
			publish := func(p []byte) { a.Publish("t", p) }
			warm(b, &arrived, publish)
			flood(b, size, &arrived, publish)
		})
		b.Run(fmt.Sprintf("bare/%d", size), func(b *testing.B) {
			var arrived atomic.Int64
			publish := bareSockets(b, func([]byte) { arrived.Add(1) })
			warm(b, &arrived, publish)
			flood(b, size, &arrived, publish)
		})
	}
}

// BenchmarkLatency sends 200 messages a second and reports how long they take
// one way; ns/op is the pace.
func BenchmarkLatency(b *testing.B) {
	origin := time.Now()
	run := func(b *testing.B, connect func(onRecv func([]byte)) (publish func([]byte))) {
		var arrived atomic.Int64
		took := make(chan time.Duration, 1<<20)
		publish := connect(func(p []byte) {
			arrived.Add(1)
			if len(p) == 100 {
				took <- time.Since(origin) - time.Duration(binary.LittleEndian.Uint64(p))
			}
		})
		warm(b, &arrived, publish)
		b.ResetTimer()
		var all []time.Duration
		for range b.N {
			p := make([]byte, 100)
			binary.LittleEndian.PutUint64(p, uint64(time.Since(origin)))
			publish(p)
			all = append(all, <-took)
			time.Sleep(5 * time.Millisecond)
		}
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
		b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
	}
	b.Run("bus", func(b *testing.B) {
		run(b, func(onRecv func([]byte)) func([]byte) {
			a := benchBus(b, onRecv)
			return func(p []byte) { a.Publish("t", p) }
		})
	})
	b.Run("bare", func(b *testing.B) {
		run(b, func(onRecv func([]byte)) func([]byte) { return bareSockets(b, onRecv) })
	})
}
