package boltstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Check reads every page and every record of the ledger, the journal and the
// index and checks their structure, their checksums, and that no log has a gap. It
// changes nothing, needs no options, and gives ErrBusy while a writer has the
// directory open. The first fault of each file is told; that the index is
// missing is none. A fault of the index is ErrIndex, one of the ledger
// ErrDamaged.
func Check(dir string) error {
	found, err := survey(dir)
	if err != nil {
		return err
	}
	if !found.ledger {
		return fmt.Errorf("%s was never initialised: %w", dir, fs.ErrNotExist)
	}
	rewound, err := checkFile(filepath.Join(dir, ledgerName), func(p *pageFile) error {
		_, applied, err := checkLedger(p)
		if err == nil && found.label != nil {
			err = checkJournal(dir, applied)
		}
		return err
	})
	if err == nil && rewound {
		err = errRewound()
	}
	if errors.Is(err, ErrBusy) {
		return err
	}
	indexErr := checkIndexAt(dir)
	if err != nil && indexErr != nil {
		return fmt.Errorf("%w; %w", err, indexErr)
	}
	return cmp.Or(err, indexErr)
}

// checkJournal must be called while no process writes to the ledger.
func checkJournal(dir string, applied uint64) error {
	l, err := readLabel(dir)
	if err == nil && l.Journal {
		_, err = readJournal(dir, applied, false)
	}
	return err
}

const (
	ledgerPassed = "ledger ok"
	indexPassed  = "index ok"
)

// RunCheck is the child's half of Options.CheckCommand: its result is the exit
// status. It does what Check does; standard output tells the parent which
// files passed, standard error the fault in one line. It may crash: that is
// what the process is for.
func RunCheck(dir string, stdout, stderr io.Writer) int {
	_, err := checkLedgerAt(dir)
	if err == nil {
		fmt.Fprintln(stdout, ledgerPassed)
		err = checkIndexAt(dir)
	}
	switch {
	case err == nil:
		fmt.Fprintln(stdout, indexPassed)
		return 0
	case errors.Is(err, ErrBusy):
		fmt.Fprintln(stderr, oneLine(err.Error()))
		return exitBusy
	case errors.Is(err, ErrNewer):
		fmt.Fprintln(stderr, oneLine(err.Error()))
		return exitNewer
	}
	fmt.Fprintln(stderr, oneLine(err.Error()))
	return exitDamaged
}

// Exit statuses of RunCheck besides 0. Two is what Go uses for a crash.
const (
	exitDamaged = 1
	exitBusy    = 3
	exitNewer   = 4
)

func errRewound() error {
	return damaged("%s: one of its two head pages is bad, and the last commit may be lost: restore a backup, let the node start anew from its peers, or accept the loss with --accept-rewind", ledgerName)
}

func checkLedgerAt(dir string) (rewound bool, err error) {
	return checkFile(filepath.Join(dir, ledgerName), func(p *pageFile) error {
		_, _, err := checkLedger(p)
		return err
	})
}

func checkIndexAt(dir string) error {
	_, err := checkFile(filepath.Join(dir, indexName), checkIndex)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, ErrBusy):
		return err
	}
	return fmt.Errorf("%w: %w", ErrIndex, err)
}

// checkFile inspects a file while no process writes to it, and then does the
// rest that is asked for, which may be nothing.
func checkFile(path string, rest func(*pageFile) error) (rewound bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := lockFile(f, false); err != nil {
		return false, err
	}
	p, err := inspect(f, filepath.Base(path))
	if err == nil && rest != nil {
		p.warm()
		err = rest(p)
	}
	return p != nil && p.rewound, err
}

// warmBytes bounds the files that are read through once beforehand, which
// makes a walk of a cold file ten times faster.
const warmBytes = 4 << 30

func (p *pageFile) warm() {
	if size := int64(p.meta.pages) * p.pageSize; size <= warmBytes {
		_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.NewSectionReader(p.f, 0, size), make([]byte, 1<<20))
	}
}

// checkLedger walks the whole ledger. It tells how many records there are
// besides those of a new one, and up to which record the journal is in it.
func checkLedger(p *pageFile) (records int, applied uint64, err error) {
	meta := make(map[string][]byte)
	origins, logs := 0, 0
	origin, next := -1, uint64(0)
	err = p.walk([]bucketVisit{
		{bucketMeta, func(k, v []byte) error {
			meta[string(k)] = slices.Clone(v)
			if bytes.Equal(k, keyIdentity) { // the keys are in order: format precedes it
				_, err := readIdentity(func(key []byte) []byte { return meta[string(key)] })
				return err
			}
			switch {
			case bytes.Equal(k, keyNode):
				records++
			case bytes.Equal(k, keyApplied):
				applied, err = readApplied(v)
				return err
			}
			_, err := unseal(tagMeta, k, v)
			return err
		}},
		{bucketOrigins, func(k, v []byte) error {
			index, _, err := decodeOrigin(k, v)
			if err == nil && int(index) != origins {
				err = damaged("%s: origin %d is missing", p.name, origins)
			}
			origins++
			return err
		}},
		{bucketBlocks, func(k, v []byte) error {
			b, err := decodeBlock(k, v)
			if err != nil {
				return fmt.Errorf("%w (%s)", err, p.name)
			}
			if int(b.Origin) != origin {
				origin, next, logs = int(b.Origin), 1, int(b.Origin)+1
			}
			if b.First != next {
				return damaged("%s: origin %d: after ticket %d comes %d", p.name, origin, next-1, b.First)
			}
			next = b.Last + 1
			records++
			return nil
		}},
	})
	if err == nil && (meta[string(keyFormat)] == nil || meta[string(keyIdentity)] == nil) {
		err = damaged("%s: it does not say whose it is", p.name)
	}
	if err == nil && logs > origins {
		err = damaged("%s: blocks of origin %d, of which nothing is known", p.name, logs-1)
	}
	return records + origins, applied, err
}

// checkIndex walks the whole index.
func checkIndex(p *pageFile) error {
	return p.walk([]bucketVisit{
		{bucketMeta, func(k, v []byte) error {
			v, err := unseal(tagIndexMeta, k, v)
			if err == nil && bytes.Equal(k, keyFormat) && (len(v) != 4 || binary.BigEndian.Uint32(v) != indexVersion) {
				err = damaged("%s is of another format", p.name)
			}
			return err
		}},
		{bucketRows, func(k, v []byte) error { _, err := decodeGroup(k, v); return err }},
		{bucketClaims, func(k, v []byte) error { _, err := decodeClaim(k, v); return err }},
		{bucketMarks, func(k, v []byte) error { _, err := decodeMark(k, v); return err }},
	})
}

// verdict is what is known of the files before bbolt opens them.
type verdict struct {
	rewound bool
	index   error // why it cannot be used
}

// check is the gate before bbolt. Its error is about the ledger.
func (s *Store) check(found contents) (v verdict, err error) {
	full := !s.o.SkipCheck && len(s.o.CheckCommand) == 0
	if full {
		v.rewound, err = checkLedgerAt(s.dir)
	} else {
		v.rewound, err = checkFile(filepath.Join(s.dir, ledgerName), nil)
	}
	if err == nil && v.rewound && !s.o.AcceptRewind {
		err = errRewound()
	}
	if err != nil {
		return v, err
	}
	if !s.o.SkipCheck && len(s.o.CheckCommand) > 0 {
		return v, s.checkInChild(&v)
	}
	if !found.index {
		return v, nil
	}
	if full {
		v.index = checkIndexAt(s.dir)
	} else {
		_, v.index = checkFile(filepath.Join(s.dir, indexName), nil)
	}
	if errors.Is(v.index, ErrBusy) {
		return v, v.index
	}
	return v, nil
}

// checkInChild runs Options.CheckCommand. A crash or an end without a word is
// a fault of the file that was being checked.
func (s *Store) checkInChild(v *verdict) error {
	limit := s.o.CheckTimeout
	if limit <= 0 {
		limit = time.Minute
		for _, name := range []string{ledgerName, indexName} {
			if info, err := os.Stat(filepath.Join(s.dir, name)); err == nil {
				limit += time.Duration(info.Size()>>23) * time.Second
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var stdout, stderr head
	child := exec.CommandContext(ctx, s.o.CheckCommand[0], s.o.CheckCommand[1:]...)
	child.Stdout, child.Stderr, child.WaitDelay = &stdout, &stderr, time.Second
	err := child.Run()
	var exit *exec.ExitError
	switch ledgerDone := strings.Contains(string(stdout), ledgerPassed); {
	case err == nil && strings.Contains(string(stdout), indexPassed):
		return nil
	case err == nil:
		return fmt.Errorf("the check of the data directory did nothing: %q is not the right command", s.o.CheckCommand)
	case ctx.Err() != nil:
		return fmt.Errorf("the check of the data directory took longer than %v and was stopped", limit)
	case !errors.As(err, &exit):
		return fmt.Errorf("the check of the data directory cannot be run: %w", err)
	case exit.ExitCode() == exitBusy:
		return fmt.Errorf("%w: another process has %s open", ErrBusy, s.dir)
	case exit.ExitCode() == exitNewer && !ledgerDone:
		return fmt.Errorf("%w: %s", ErrNewer, oneLine(string(stderr)))
	case exit.ExitCode() == exitDamaged && ledgerDone:
		v.index = fmt.Errorf("%w: %s", ErrIndex, strings.TrimPrefix(oneLine(string(stderr)), ErrIndex.Error()+": "))
		return nil
	case exit.ExitCode() == exitDamaged && len(stderr) > 0:
		return damaged("%s", strings.TrimPrefix(oneLine(string(stderr)), ErrDamaged.Error()+": "))
	case ledgerDone:
		v.index = fmt.Errorf("%w: its check crashed (%w)", ErrIndex, exit)
		return nil
	}
	return damaged("%s: its check crashed (%v: %s)", ledgerName, exit, oneLine(string(stderr)))
}

// head keeps the first 4 KiB written to it and forgets the rest.
type head []byte

func (t *head) Write(p []byte) (int, error) {
	room := max(0, 4096-len(*t))
	*t = append(*t, p[:min(room, len(p))]...)
	return len(p), nil
}
