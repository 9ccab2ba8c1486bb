package boltstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"bluerings/ring/replica"
	"bluerings/value"
)

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, options())
	_, err := Open(dir, options())
	wantError(t, err, ErrBusy)
	wantError(t, Check(dir), ErrBusy)
	_ = s.Close()
	o := options()
	o.ReadOnly = true
	one, two := mustOpen(t, dir, o), mustOpen(t, dir, o)
	_, err = Open(dir, options())
	wantError(t, err, ErrBusy)
	wantError(t, one.Commit(newWriter(1).batch()), ErrReadOnly)
	wantError(t, two.ResetIndex(), ErrReadOnly)
	_, err = Open(filepath.Join(dir, "nothing"), o)
	wantError(t, err, fs.ErrNotExist)
}

// TestTwoInitialise: of many that open an empty directory at once none loses
// what it committed.
func TestTwoInitialise(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var opened []*Store
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := Open(dir, options())
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				opened = append(opened, s)
			} else if !errors.Is(err, ErrBusy) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(opened) != 1 {
		t.Fatalf("%d have it open", len(opened))
	}
	if err := errors.Join(opened[0].Commit(newWriter(1).batch()), opened[0].Close()); err != nil {
		t.Fatal(err)
	}
}

func TestForeign(t *testing.T) {
	dir := t.TempDir()
	_ = mustOpen(t, dir, options()).Close()
	for _, o := range []Options{{Host: "b"}, {Ring: "other"}, {Kind: value.Integer}} {
		_, err := Open(dir, o)
		wantError(t, err, ErrForeign)
	}
	s := mustOpen(t, dir, Options{ReadOnly: true})
	if host, ring, kind := s.Identity(); host != "a" || ring != "test" || kind != value.Decimal {
		t.Fatal(host, ring, kind)
	}
	other := t.TempDir()
	write(t, filepath.Join(other, "homework.txt"), "mine")
	_, err := Open(other, options())
	wantError(t, err, ErrForeign)
	write(t, filepath.Join(other, labelName), `{"name": "bluerings"}`)
	_, err = Open(other, options())
	wantError(t, err, ErrForeign)
}

func TestLedgerOfAnotherNode(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	_ = mustOpen(t, a, options()).Close()
	o := options()
	o.Host = "b"
	_ = mustOpen(t, b, o).Close()
	if err := copyFile(filepath.Join(b, ledgerName), filepath.Join(a, ledgerName)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(a, options())
	wantError(t, err, ErrForeign)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNewer(t *testing.T) {
	dir := t.TempDir()
	_ = mustOpen(t, dir, options()).Close()
	l, err := readLabel(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.Format = FormatVersion + 1
	write(t, filepath.Join(dir, labelName), string(l.encode()))
	_, err = Open(dir, options())
	wantError(t, err, ErrNewer)
}

func TestNewerLedger(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 1, 5, 5)
	path := filepath.Join(dir, ledgerName)
	d, err := openDatabase(path, false, false)
	if err != nil {
		t.Fatal(err)
	}
	err = d.update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keyFormat, seal([]byte{0, 0, 0, FormatVersion + 1}, 0, tagMeta, keyFormat))
	})
	if err := errors.Join(err, d.close()); err != nil {
		t.Fatal(err)
	}
	for _, skip := range []bool{false, true} {
		o := options()
		o.SkipCheck = skip
		_, err = Open(dir, o)
		wantError(t, err, ErrNewer)
	}
	o := options()
	o.CheckCommand = childCommand(t, "check "+dir)
	_, err = Open(dir, o)
	wantError(t, err, ErrNewer)
}

func TestMissingLedger(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 1, 5, 5)
	if err := os.Remove(filepath.Join(dir, ledgerName)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, options())
	wantError(t, err, ErrDamaged)
	write(t, filepath.Join(dir, ledgerName), "")
	_, err = Open(dir, options())
	wantError(t, err, ErrDamaged)
}

func TestMissingLabel(t *testing.T) {
	dir := t.TempDir()
	_ = mustOpen(t, dir, options()).Close()
	if err := os.Remove(filepath.Join(dir, labelName)); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir, options()) // as if creation had been cut short
	if !s.Fresh() {
		t.Fatal("not fresh")
	}
	if err := errors.Join(s.Commit(newWriter(1).batch()), s.Close(), os.Remove(filepath.Join(dir, labelName))); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, options())
	wantError(t, err, ErrDamaged)
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{ledgerName, labelName} {
		write(t, filepath.Join(dir, name+newSuffix), "half")
	}
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	_ = mustOpen(t, dir, options()).Close()
	write(t, filepath.Join(dir, labelName+newSuffix), "half")
	_ = mustOpen(t, dir, options()).Close()
	found, err := survey(dir)
	if err != nil || len(found.leftover) != 0 {
		t.Fatal(found.leftover, err)
	}
}

func TestIndexIsMadeAnew(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"garbage": func(path string) error { return os.WriteFile(path, make([]byte, 100_000), 0o600) },
		"of another store": func(path string) error {
			other := filepath.Join(filepath.Dir(path), "other")
			fill(t, other, 3, 3, 3)
			return os.Rename(filepath.Join(other, indexName), path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := fill(t, dir, 2, 20, 100)
			if err := spoil(filepath.Join(dir, indexName)); err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, dir, options())
			if covers, err := s.LoadIndex(nil); covers != nil || err != nil || s.Restored() {
				t.Fatal(covers, err, s.Restored())
			}
			if err := errors.Join(s.Checkpoint(context.Background(), w.checkpoint(50)), s.Close()); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, dir, options())
			if covers, err := s.LoadIndex(func(replica.Row) error { return nil }); covers == nil || err != nil {
				t.Fatal(covers, err)
			}
		})
	}
}

// TestIndexDamagedInUse: the ledger goes on.
func TestIndexDamagedInUse(t *testing.T) {
	dir := t.TempDir()
	w := fill(t, dir, 16, 20, 3000)
	s := mustOpen(t, dir, options())
	if err := os.Truncate(filepath.Join(dir, indexName), 4096*3); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.EachClaim(func(replica.Claim) error { return nil }), ErrIndex)
	wantError(t, s.Checkpoint(context.Background(), w.checkpoint(5)), ErrIndex)
	if err := s.Commit(w.batch()); err != nil {
		t.Fatal(err)
	}
	if covers, err := s.LoadIndex(func(replica.Row) error { return nil }); covers != nil || err != nil {
		t.Fatal(covers, err)
	}
	if err := s.Checkpoint(context.Background(), w.checkpoint(5)); err != nil {
		t.Fatal(err)
	}
	if covers, err := s.LoadIndex(func(replica.Row) error { return nil }); covers == nil || err != nil {
		t.Fatal(covers, err)
	}
}

func TestLedgerMovedOrCutInUse(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"moved":   func(path string) error { return os.Rename(path, path+".old") },
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(copyFile(path, path+".copy"), os.Rename(path+".copy", path))
		},
		"cut": func(path string) error { return os.Truncate(path, 8192) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := fill(t, dir, 17, 50, 0)
			s := mustOpen(t, dir, options())
			if err := spoil(filepath.Join(dir, ledgerName)); err != nil {
				t.Fatal(err)
			}
			wantError(t, s.Commit(w.batch()), ErrDamaged)
			if name == "cut" {
				_, err := digestLedger(s)
				wantError(t, err, ErrDamaged)
			}
			wantError(t, s.Commit(w.batch()), ErrDamaged)
			_ = s.Close()
		})
	}
}

// commitUntilKilled is a child that prints the number of each commit.
func commitUntilKilled(job string) int {
	dir, seed, _ := strings.Cut(job, " ")
	n, _ := strconv.ParseUint(seed, 10, 64)
	s, err := Open(dir, options())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	w := newWriter(n)
	for {
		if err := s.Commit(w.batch()); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(w.number)
	}
}

// TestKill: what was committed when the process was killed is there, and
// nothing but whole batches.
func TestKill(t *testing.T) {
	for seed := range uint64(5) {
		dir := filepath.Join(t.TempDir(), "data")
		argv := childCommand(t, fmt.Sprintf("commit %s %d", dir, seed))
		child := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines, told := bufio.NewScanner(out), uint64(0)
		for lines.Scan() {
			if told, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Fatal(lines.Text())
			}
			if told == 20+seed*30 {
				_ = child.Process.Kill()
			}
		}
		_ = child.Wait()
		s := mustOpen(t, dir, options())
		same := mustOpen(t, t.TempDir(), options())
		w := newWriter(seed)
		for range told {
			if err := same.Commit(w.batch()); err != nil {
				t.Fatal(err)
			}
		}
		got := mustDigest(t, s)
		if got != mustDigest(t, same) { // one more may be durable and not told
			if err := same.Commit(w.batch()); err != nil {
				t.Fatal(err)
			}
			if got != mustDigest(t, same) {
				t.Fatalf("seed %d: after %d commits told, something else is there", seed, told)
			}
		}
		_, _ = s.Close(), same.Close()
	}
}
