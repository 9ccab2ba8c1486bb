package boltstore

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

// ticketBytes and blockTickets are those of the benchmarks.
const (
	ticketBytes  = 50
	blockTickets = 1024
)

// BenchmarkCommit measures durable commits beside bare bbolt appending the
// same bytes, in alternation.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10000} {
		run := make([]byte, n*ticketBytes)
		for i := range run {
			run[i] = byte(rand.Uint32())
		}
		b.Run(fmt.Sprintf("tickets=%d/store", n), func(b *testing.B) {
			s := mustOpen(b, b.TempDir(), options())
			batch := &replica.Batch{Origins: []replica.NewOrigin{{Origin: tickets.Origin{Host: "a", Epoch: 1}}}}
			if err := s.Commit(batch); err != nil {
				b.Fatal(err)
			}
			next := uint64(1)
			for b.Loop() {
				batch = &replica.Batch{Number: next}
				for left := n; left > 0; left -= blockTickets {
					size := min(left, blockTickets)
					batch.Blocks = append(batch.Blocks, replica.Block{First: next, Last: next + uint64(size) - 1, Run: run[:size*(ticketBytes-1)], Links: run[:size]})
					next += uint64(size)
				}
				if err := s.Commit(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "tickets/s")
		})
		b.Run(fmt.Sprintf("tickets=%d/bare", n), func(b *testing.B) {
			db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, &bbolt.Options{InitialMmapSize: 64 << 30, FreelistType: bbolt.FreelistMapType})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			next := uint64(1)
			for b.Loop() {
				err := db.Update(func(tx *bbolt.Tx) error {
					bucket, err := tx.CreateBucketIfNotExists(bucketBlocks)
					if err != nil {
						return err
					}
					bucket.FillPercent = fillAppend
					for left := n; left > 0; left -= blockTickets {
						key := blockKey(0, next)
						size := min(left, blockTickets)
						if err := bucket.Put(key[:], run[:size*ticketBytes]); err != nil {
							return err
						}
						next += uint64(size)
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "tickets/s")
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
	if err := s.Checkpoint(c); err != nil {
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
	b.Run("Checkpoint/rows=100000", func(b *testing.B) {
		c := &replica.Checkpoint{Covers: s.Ends(), Rows: make([]replica.Row, 100_000)}
		for i := range c.Rows {
			c.Rows[i] = replica.Row{Slot: rand.Uint32N(1_000_000), Data: make([]byte, 60)}
		}
		for b.Loop() {
			if err := s.Checkpoint(c); err != nil {
				b.Fatal(err)
			}
		}
	})
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
