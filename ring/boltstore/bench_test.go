package boltstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

// ticketBytes and blockTickets are those of the benchmarks.
const (
	ticketBytes  = 50
	blockTickets = 1024
)

// BenchmarkCommit measures durable commits, each followed by one of bare bbolt
// that appends the same bytes, so that the drift of the machine hits both.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("tickets=%d", n), func(b *testing.B) {
			run := make([]byte, n*ticketBytes)
			for i := range run {
				run[i] = byte(rand.Uint32())
			}
			ours, bare := storeAppender(b), bareAppender(b)
			var times [2][]time.Duration
			for next := uint64(1); b.Loop(); next += uint64(n) {
				for i, appendTo := range []func(uint64, int, []byte) error{ours, bare} {
					start := time.Now()
					if err := appendTo(next, n, run); err != nil {
						b.Fatal(err)
					}
					times[i] = append(times[i], time.Since(start))
				}
			}
			for i, name := range []string{"store", "bare"} {
				slices.Sort(times[i])
				median := times[i][len(times[i])/2]
				b.ReportMetric(float64(median.Microseconds()), name+"-us")
				b.ReportMetric(float64(n)/median.Seconds(), name+"-tickets/s")
			}
		})
	}
}

func storeAppender(b *testing.B) func(next uint64, n int, run []byte) error {
	s := mustOpen(b, b.TempDir(), options())
	if err := s.Commit(&replica.Batch{Origins: []replica.NewOrigin{{Origin: tickets.Origin{Host: "a", Epoch: 1}}}}); err != nil {
		b.Fatal(err)
	}
	return func(next uint64, n int, run []byte) error {
		batch := replica.Batch{}
		for left := n; left > 0; left -= blockTickets {
			size := min(left, blockTickets)
			batch.Blocks = append(batch.Blocks, replica.Block{First: next, Last: next + uint64(size) - 1, Run: run[:size*(ticketBytes-1)], Links: run[:size]})
			next += uint64(size)
		}
		return s.Commit(&batch)
	}
}

func bareAppender(b *testing.B) func(next uint64, n int, run []byte) error {
	o := &bbolt.Options{InitialMmapSize: mapSizes()[0], FreelistType: bbolt.FreelistMapType}
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return func(next uint64, n int, run []byte) error {
		return db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists(bucketBlocks)
			if err != nil {
				return err
			}
			bucket.FillPercent = fillAppend
			for left := n; left > 0; left -= blockTickets {
				key, size := blockKey(0, next), min(left, blockTickets)
				if err := bucket.Put(key[:], run[:size*ticketBytes]); err != nil {
					return err
				}
				next += uint64(size)
			}
			return nil
		})
	}
}

// millionRows is an index of a million rows of 60 bytes, and 200,000 claims.
func millionRows(b *testing.B) *Store {
	b.Helper()
	dir := b.TempDir()
	fill(b, dir, 41, 10, 0)
	s := mustOpen(b, dir, options())
	c := &replica.Checkpoint{Covers: s.Ends(), Rows: make([]replica.Row, 1_000_000), Claims: make([]replica.Claim, 200_000)}
	for i := range c.Rows {
		c.Rows[i] = replica.Row{Slot: uint32(i), Data: make([]byte, 60)}
	}
	for i := range c.Claims {
		c.Claims[i].Hash = claimHash(i)
	}
	if err := s.Checkpoint(context.Background(), c); err != nil {
		b.Fatal(err)
	}
	return s
}

func claimHash(i int) (h [16]byte) {
	binary.LittleEndian.PutUint64(h[:], uint64(i)*0x9E3779B97F4A7C15)
	return h
}

func BenchmarkIndex(b *testing.B) {
	s := millionRows(b)
	b.Run("LoadIndex/rows=1000000", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if _, err := s.LoadIndex(func(replica.Row) error { n++; return nil }); err != nil || n != 1_000_000 {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("Claim", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if i++; i == 200_000 {
				i = 0
			}
			if _, found, err := s.Claim(claimHash(i)); !found || err != nil {
				b.Fatal(found, err)
			}
		}
	})
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("Checkpoint/rows=%d", n), func(b *testing.B) {
			c := &replica.Checkpoint{Covers: s.Ends(), Rows: make([]replica.Row, n)}
			for i := range c.Rows {
				c.Rows[i] = replica.Row{Slot: rand.Uint32N(1_000_000), Data: make([]byte, 60)}
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Checkpoint(context.Background(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("Open", func(b *testing.B) {
		dir := filepath.Join(b.TempDir(), "copy")
		if err := copyDir(s.dir, dir); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			r, err := Open(dir, options())
			if err != nil {
				b.Fatal(err)
			}
			_ = r.Close()
		}
	})
}

func BenchmarkBlockOf(b *testing.B) {
	dir := b.TempDir()
	w := fill(b, dir, 42, 2000, 0)
	s := mustOpen(b, dir, options())
	for b.Loop() {
		if _, found, err := s.BlockOf(0, 1+w.rnd.Uint64N(w.ends[0])); !found || err != nil {
			b.Fatal(found, err)
		}
	}
}
