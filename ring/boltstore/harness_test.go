package boltstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/ring/journal"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// The test binary plays the child process too.
const childVariable = "BOLTSTORE_TEST_CHILD"

func TestMain(m *testing.M) {
	job, dir, _ := strings.Cut(os.Getenv(childVariable), " ")
	switch job {
	case "":
		os.Exit(m.Run())
	case "check":
		os.Exit(RunCheck(dir, os.Stdout, os.Stderr))
	case "crash":
		fmt.Println(strings.TrimSpace(dir))
		go panic("unexpected fault address")
		select {}
	case "hang":
		time.Sleep(time.Hour)
	case "trials":
		os.Exit(runTrials(dir))
	case "commit":
		os.Exit(commitUntilKilled(dir))
	}
	os.Exit(9)
}

// childCommand runs this test binary with a job; env carries the variable, so
// that the argument vector needs no shell.
func childCommand(t testing.TB, job string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"env", childVariable + "=" + job, self}
}

func options() Options { return Options{Host: "a", Ring: "test", Kind: value.Decimal} }

func mustOpen(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that is %q", err, want)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Fatalf("error of several lines: %q", err)
	}
}

// writer makes batches of random blocks, the same for the same seed.
type writer struct {
	rnd    *rand.Rand
	ends   []uint64
	number uint64
}

func newWriter(seed uint64) *writer { return &writer{rnd: rand.New(rand.NewPCG(seed, 1))} }

func (w *writer) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.rnd.Uint32())
	}
	return b
}

func (w *writer) block(origin int, n uint64) replica.Block {
	b := replica.Block{
		Origin: tickets.OriginIndex(origin), First: w.ends[origin] + 1, Last: w.ends[origin] + n,
		Run: w.bytes(int(20 + n*uint64(10+w.rnd.IntN(50)))), Links: w.bytes(int(n)),
	}
	w.ends[origin] += n
	return b
}

func (w *writer) batch() *replica.Batch {
	w.number++
	b := &replica.Batch{Number: w.number}
	if len(w.ends) == 0 || w.rnd.IntN(20) == 0 && len(w.ends) < 6 {
		i := len(w.ends)
		w.ends = append(w.ends, 0)
		b.Origins = []replica.NewOrigin{{Index: tickets.OriginIndex(i), Origin: tickets.Origin{Host: fmt.Sprint("host", i), Epoch: w.rnd.Uint64()}}}
	}
	for range 1 + w.rnd.IntN(4) {
		n := uint64(1 + w.rnd.IntN(5))
		if w.rnd.IntN(10) == 0 {
			n = uint64(1 + w.rnd.IntN(1024))
		}
		b.Blocks = append(b.Blocks, w.block(w.rnd.IntN(len(w.ends)), n))
	}
	if w.rnd.IntN(3) == 0 {
		b.Meta = w.bytes(1 + w.rnd.IntN(100))
	}
	return b
}

// large is a batch that does not go through the journal.
func (w *writer) large() *replica.Batch {
	b := w.batch()
	for range 1 + directBytes/40_000 {
		b.Blocks = append(b.Blocks, replica.Block{
			Origin: 0, First: w.ends[0] + 1, Last: w.ends[0] + 1000, Run: w.bytes(40_000),
		})
		w.ends[0] += 1000
	}
	return b
}

// checkpoint covers all that was written.
func (w *writer) checkpoint(rows int) *replica.Checkpoint {
	c := &replica.Checkpoint{Covers: append([]uint64(nil), w.ends...)}
	for range rows {
		slot := w.rnd.Uint32N(uint32(2 * rows))
		c.Rows = append(c.Rows, replica.Row{Slot: slot, Data: w.bytes(10 + w.rnd.IntN(60))})
		c.Marks = append(c.Marks, replica.Mark{Slot: slot, Origin: tickets.OriginIndex(w.rnd.IntN(len(w.ends))), At: hlc.Timestamp(w.rnd.Uint64N(1 << 40)), Seq: w.rnd.Uint64N(1000), Sum: w.bytes(5)})
		claim := replica.Claim{Ref: tickets.Ref{Origin: 1, Seq: w.rnd.Uint64N(1000)}}
		copy(claim.Hash[:], w.bytes(16))
		c.Claims = append(c.Claims, claim)
	}
	return c
}

// digestLedger hashes all that the ledger holds.
func digestLedger(s *Store) (string, error) {
	h := sha256.New()
	ends := s.Ends()
	fmt.Fprintln(h, s.Origins(), ends, hex.EncodeToString(s.Meta()))
	for i, end := range ends {
		err := s.Blocks(tickets.OriginIndex(i), 1, end, func(b replica.Block) (bool, error) {
			fmt.Fprintf(h, "%d %d %d %x %x\n", b.Origin, b.First, b.Last, b.Run, b.Links)
			return true, nil
		})
		if err != nil {
			return "", err
		}
	}
	return hexSum(h), nil
}

// digestIndex hashes all that the index holds; empty if it covers nothing.
func digestIndex(s *Store) (string, error) {
	h := sha256.New()
	covers, err := s.LoadIndex(func(r replica.Row) error { _, err := fmt.Fprintf(h, "%d %x\n", r.Slot, r.Data); return err })
	if err != nil || covers == nil {
		return "", err
	}
	fmt.Fprintln(h, covers)
	if err := s.EachClaim(func(c replica.Claim) error { _, err := fmt.Fprintf(h, "%x %v\n", c.Hash, c.Ref); return err }); err != nil {
		return "", err
	}
	err = s.EachMark(func(m replica.Mark) error {
		_, err := fmt.Fprintf(h, "%d %d %d %d %x\n", m.Slot, m.Origin, m.At, m.Seq, m.Sum)
		return err
	})
	return hexSum(h), err
}

func mustDigest(t testing.TB, s *Store) string {
	t.Helper()
	d, err := digestLedger(s)
	if err != nil {
		t.Fatalf("read everything: %v", err)
	}
	return d
}

// fill makes a directory with commits and a checkpoint and closes it.
func fill(t testing.TB, dir string, seed uint64, commits, rows int) *writer {
	t.Helper()
	s, w := mustOpen(t, dir, options()), newWriter(seed)
	for range commits {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
	}
	if rows > 0 {
		if err := s.Checkpoint(context.Background(), w.checkpoint(rows)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// copyFile copies the pages in use, and the length.
func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	used := info.Size()
	if p, err := inspect(f, from); err == nil {
		used = int64(p.meta.pages) * p.pageSize
	}
	b := make([]byte, used)
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		return err
	}
	return os.Truncate(to, info.Size())
}

func copyDir(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, name := range append(journal.Names(), labelName, ledgerName, indexName) {
		if err := copyFile(filepath.Join(from, name), filepath.Join(to, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
