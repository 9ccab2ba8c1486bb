package boltstore

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bluerings/ring/replica"
)

var leastTrials = flag.Uint64("trials", 0, "how often TestDamagedFilesAreNoticed damages a file in each way, if more than usual")

// trials is the job of a child: damage a copy of Base at a seeded place, open
// it, read all of it, and tell the outcome, Count times from seed Seed on.
type trials struct {
	Base, Work  string
	File, How   string
	Seed, Count uint64
	SkipCheck   bool
}

// runTrials prints a line for each trial: "ok" and the two digests, or "error"
// and the error.
func runTrials(job string) int {
	var tr trials
	if err := json.Unmarshal([]byte(job), &tr); err != nil {
		fmt.Println("job:", err)
		return 1
	}
	for i := range tr.Count {
		seed := tr.Seed + i
		dir := filepath.Join(tr.Work, fmt.Sprint(seed))
		what, err := damageCopy(tr, seed, dir)
		if err != nil {
			fmt.Println("damage:", err)
			return 1
		}
		fmt.Printf("%s: %s\n", what, openAndDigest(dir, tr.SkipCheck))
		_ = os.RemoveAll(dir)
	}
	return 0
}

func openAndDigest(dir string, skip bool) string {
	o := options()
	o.SkipCheck = skip
	s, err := Open(dir, o)
	if err != nil {
		return "error " + err.Error()
	}
	defer s.Close()
	ledger, err := digestLedger(s)
	if err != nil {
		return "error " + err.Error()
	}
	index, err := digestIndex(s)
	if err != nil {
		return "error " + err.Error()
	}
	return "ok " + ledger + " " + index
}

func damageCopy(tr trials, seed uint64, dir string) (what string, err error) {
	if err := copyDir(tr.Base, dir); err != nil {
		return "", err
	}
	f, err := os.OpenFile(filepath.Join(dir, tr.File), os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	used, page := info.Size(), int64(os.Getpagesize())
	if tr.File != labelName {
		p, err := inspect(f, tr.File)
		if err != nil {
			return "", err
		}
		used, page = int64(p.meta.pages)*p.pageSize, p.pageSize
	}
	rnd := rand.New(rand.NewPCG(seed, 99))
	switch tr.How {
	case "flip":
		at, bit := rnd.Int64N(used), rnd.IntN(8)
		if rnd.IntN(4) == 0 { // where the structure is
			at = at/page*page + rnd.Int64N(min(80, page, used))
			at = min(at, used-1)
		}
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			return "", err
		}
		b[0] ^= 1 << bit
		_, err = f.WriteAt(b[:], at)
		return fmt.Sprintf("seed %d: bit %d of byte %d", seed, bit, at), err
	case "truncate":
		size := rnd.Int64N(used)
		return fmt.Sprintf("seed %d: cut to %d bytes", seed, size), f.Truncate(size)
	case "page": // a page written to the wrong place, or lost
		from, to := rnd.Int64N(used/page)*page, rnd.Int64N(used/page)*page
		b := make([]byte, page)
		if rnd.IntN(3) > 0 {
			if _, err := f.ReadAt(b, from); err != nil {
				return "", err
			}
		}
		_, err = f.WriteAt(b, to)
		return fmt.Sprintf("seed %d: page %d over page %d", seed, from/page, to/page), err
	}
	return "", errors.New(tr.How)
}

func runTrialsInChild(t *testing.T, tr trials, visit func(line, ledger, index, failure string)) {
	t.Helper()
	job, err := json.Marshal(tr)
	if err != nil {
		t.Fatal(err)
	}
	argv := childCommand(t, "trials "+string(job))
	child := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr head
	child.Stderr = &stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	count := uint64(0)
	for lines.Scan() {
		count++
		line := lines.Text()
		if _, rest, found := strings.Cut(line, ": ok "); found {
			ledger, index, _ := strings.Cut(rest, " ")
			visit(line, ledger, index, "")
		} else if _, failure, found := strings.Cut(line, ": error "); found && failure != "" {
			visit(line, "", "", failure)
		} else {
			t.Errorf("odd line %q", line)
		}
	}
	_ = out.Close() // ends a child whose line was too long
	if err := errors.Join(lines.Err(), child.Wait()); err != nil || count != tr.Count {
		t.Fatalf("%s %s: the child ended after %d of %d trials: %v: %s", tr.File, tr.How, count, tr.Count, err, stderr)
	}
}

func TestDamagedFilesAreNoticed(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	fill(t, base, 11, 400, 3000)
	s := mustOpen(t, base, options())
	wantLedger := mustDigest(t, s)
	wantIndex, err := digestIndex(s)
	if err != nil || wantIndex == "" {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tr := range []trials{
		{File: ledgerName, How: "flip", Count: 300},
		{File: ledgerName, How: "truncate", Count: 60},
		{File: ledgerName, How: "page", Count: 80},
		{File: ledgerName, How: "flip", Count: 100, SkipCheck: true},
		{File: ledgerName, How: "truncate", Count: 30, SkipCheck: true},
		{File: indexName, How: "flip", Count: 100},
		{File: indexName, How: "truncate", Count: 30},
		{File: indexName, How: "page", Count: 50},
		{File: indexName, How: "flip", Count: 100, SkipCheck: true},
		{File: labelName, How: "flip", Count: 150},
		{File: labelName, How: "truncate", Count: 30},
	} {
		name := tr.File + " " + tr.How
		if tr.SkipCheck {
			name += " unchecked"
		}
		t.Run(name, func(t *testing.T) {
			tr.Base, tr.Work, tr.Seed = base, t.TempDir(), 1
			if testing.Short() {
				tr.Count /= 10
			}
			tr.Count = max(tr.Count, *leastTrials)
			same, failed, rebuilt := 0, 0, 0
			runTrialsInChild(t, tr, func(line, ledger, index, failure string) {
				switch {
				case tr.SkipCheck && tr.File == indexName && (failure == "" || strings.HasPrefix(failure, ErrIndex.Error())):
					failed++ // see Options.SkipCheck
				case tr.SkipCheck && tr.File == ledgerName && failure == "" && ledger != wantLedger && index == "":
					failed++ // the end of a log was hidden: the index, which knows more, was dropped
				case failure != "" && tr.File == indexName:
					t.Errorf("a damaged index stopped the node: %s", line)
				case failure != "" && (len(failure) > 400 || strings.Contains(failure, "goroutine")):
					t.Errorf("not a clear line: %s", line)
				case failure != "":
					failed++
				case ledger != wantLedger:
					t.Errorf("silently other data: %s", line)
				case index == wantIndex:
					same++
				case index == "" && tr.File == indexName:
					rebuilt++
				default:
					t.Errorf("silently another index: %s", line)
				}
			})
			if tr.How == "truncate" && same > 0 && tr.File != labelName { // which ends with a newline
				t.Errorf("%d truncated files went unnoticed", same)
			}
			t.Logf("%d errors, %d index rebuilt, %d of no consequence", failed, rebuilt, same)
		})
	}
}

// TestCheckPassesEveryState: the walk must pass all that bbolt makes, with free
// lists of all sizes.
func TestCheckPassesEveryState(t *testing.T) {
	dir := t.TempDir()
	s, w := mustOpen(t, dir, options()), newWriter(12)
	for i := range 150 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
		if i%15 == 0 {
			c := w.checkpoint(1 + w.rnd.IntN(2000))
			for range 500 {
				c.Rows = append(c.Rows, replica.Row{Slot: w.rnd.Uint32N(4000)})
			}
			if err := s.Checkpoint(context.Background(), c); err != nil {
				t.Fatal(err)
			}
		}
		if i%5 != 0 {
			continue
		}
		copied := crashed(t, s)
		if err := Check(copied); err != nil {
			t.Fatalf("commit %d: %v", i, err)
		}
		r := mustOpen(t, copied, options())
		if mustDigest(t, r) != mustDigest(t, s) {
			t.Fatalf("commit %d: the copy differs", i)
		}
		a, _ := digestIndex(r)
		if b, _ := digestIndex(s); a != b {
			t.Fatalf("commit %d: the copy's index differs", i)
		}
		_ = r.Close()
	}
}

func TestCheckInChild(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 13, 50, 500)
	o := options()
	with := func(job string) Options {
		o := o
		o.CheckCommand = childCommand(t, job)
		return o
	}
	s := mustOpen(t, dir, with("check "+dir))
	if covers, err := s.LoadIndex(func(replica.Row) error { return nil }); err != nil || covers == nil {
		t.Fatal(covers, err)
	}
	_, err := Open(dir, with("check "+dir))
	wantError(t, err, ErrBusy)
	_ = s.Close()

	_, err = Open(dir, with("crash"))
	wantError(t, err, ErrDamaged)
	t.Log(err)
	limited := with("hang")
	limited.CheckTimeout = 50 * time.Millisecond
	if _, err = Open(dir, limited); err == nil || errors.Is(err, ErrDamaged) {
		t.Fatalf("a check that hangs: %v", err)
	}
	if _, err = Open(dir, Options{CheckCommand: []string{"/nowhere/at/all"}}); err == nil || errors.Is(err, ErrDamaged) {
		t.Fatalf("no such command: %v", err)
	}
	if _, err = Open(dir, Options{CheckCommand: []string{"true"}}); err == nil {
		t.Fatal("a check that did nothing passed")
	}

	s = mustOpen(t, dir, with("crash "+ledgerPassed)) // the index crashed it
	if covers, err := s.LoadIndex(nil); covers != nil || err != nil {
		t.Fatal(covers, err)
	}
	_ = s.Close()
	flipLast(t, filepath.Join(dir, ledgerName))
	_, err = Open(dir, with("check "+dir))
	wantError(t, err, ErrDamaged)
	t.Log(err)
	if strings.Count(err.Error(), "damaged") != 1 {
		t.Fatalf("it repeats itself: %v", err)
	}
}

// flipLast changes a byte in the last page in use.
func flipLast(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := inspect(f, filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	for id := p.meta.pages - 1; id > 2; id-- {
		page := make([]byte, p.pageSize)
		if _, err := f.ReadAt(page, int64(id)*p.pageSize); err != nil {
			t.Fatal(err)
		}
		if native.Uint64(page) == id && native.Uint16(page[8:]) == flagLeaf {
			page[p.pageSize/2] ^= 0x10
			for i := range 16 { // so that it is hit whatever is free in it
				page[pageHeader+i] ^= 0xff
			}
			if _, err := f.WriteAt(page, int64(id)*p.pageSize); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no leaf page")
}

func TestRewindIsNoticed(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 14, 50, 0)
	f, err := os.OpenFile(filepath.Join(dir, ledgerName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	metas, pageSize, err := readMetas(f)
	if err != nil {
		t.Fatal(err)
	}
	newest := int64(0)
	if metas[1].txid > metas[0].txid {
		newest = pageSize
	}
	if _, err := f.WriteAt([]byte{0xff}, newest+pageHeader+50); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, options())
	wantError(t, err, ErrDamaged)
	t.Log(err)
	o := options()
	o.AcceptRewind = true
	s := mustOpen(t, dir, o)
	if !s.Restored() {
		t.Fatal("the node is not told to mint a new epoch")
	}
	if err := errors.Join(s.Commit(&replica.Batch{Meta: []byte("new epoch")}), s.ClearRestored(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if s = mustOpen(t, dir, options()); s.Restored() {
		t.Fatal("still restored")
	}
}

// TestLedgerBehindIndex: an older ledger.db was put in place.
func TestLedgerBehindIndex(t *testing.T) {
	dir := t.TempDir()
	w := fill(t, dir, 15, 20, 10)
	older := filepath.Join(t.TempDir(), "older")
	if err := copyDir(dir, older); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir, options())
	for range 20 {
		if err := s.Commit(w.batch()); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Checkpoint(context.Background(), w.checkpoint(10)), s.Close(), copyFile(filepath.Join(older, ledgerName), filepath.Join(dir, ledgerName))); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, options())
	if covers, err := s.LoadIndex(nil); covers != nil || err != nil || !s.Restored() {
		t.Fatalf("covers %v, restored %v, %v", covers, s.Restored(), err)
	}
}

// TestFailedCommitEndsWriting: after an error of the disk the outcome is
// unknown, and nothing more is written.
func TestFailedCommitEndsWriting(t *testing.T) {
	dir := t.TempDir()
	w := fill(t, dir, 18, 20, 10)
	s := mustOpen(t, dir, options())
	want := mustDigest(t, s)
	if err := s.ledger.file.Close(); err != nil { // every write and sync fails from here on
		t.Fatal(err)
	}
	wantError(t, s.Commit(w.large()), ErrUncertain)
	wantError(t, s.Commit(w.batch()), ErrUncertain)
	if mustDigest(t, s) != want {
		t.Fatal("it is told as committed")
	}
	_ = s.Close()
	if s = mustOpen(t, dir, options()); mustDigest(t, s) != want {
		t.Fatal("it came back different")
	}
	// A full disk is a clean error only while no head page names the commit.
	metas, _, err := readMetas(s.ledger.file)
	if err != nil {
		t.Fatal(err)
	}
	newest := max(metas[0].txid, metas[1].txid)
	if s.ledger.uncommitted(newest) || !s.ledger.uncommitted(newest+1) {
		t.Fatal("uncommitted is wrong")
	}
}
