package boltstore

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// The errors of this package, to be told apart with errors.Is. The text of
// each error returned is one line that names the file and the remedy.
var (
	// ErrBusy: another process, or another Store of this one, has the
	// directory open.
	ErrBusy = errors.New("the data directory is in use")
	// ErrDamaged: the ledger, or what describes it, is not as it was written.
	// Nothing more is written to it.
	ErrDamaged = errors.New("damaged")
	// ErrIndex: the index cannot be used. The ledger is not touched by that:
	// ResetIndex, or opening the directory again, makes an empty one.
	ErrIndex = errors.New("the index cannot be used")
	// ErrForeign: the directory is not one of ours, or belongs to another
	// host, ring or value kind.
	ErrForeign = errors.New("another data directory")
	// ErrNewer: a later program wrote the directory.
	ErrNewer = errors.New("written by a newer program")
	// ErrNoSpace: the disk or the quota is full. Nothing was applied, and the
	// same may be tried again.
	ErrNoSpace = errors.New("no room on disk")
	// ErrUncertain: writing failed in a way that leaves open whether the
	// commit is there. The store refuses all further writes; opening the
	// directory again tells what is there.
	ErrUncertain = errors.New("the outcome of a commit is unknown")
	// ErrReadOnly: the store was opened with Options.ReadOnly.
	ErrReadOnly = errors.New("the data directory is open for reading only")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store is closed")
)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

func foreign(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrForeign, fmt.Sprintf(format, args...))
}

func isDamage(err error) bool { return errors.Is(err, ErrDamaged) }

// isNoSpace looks at the text as well: bbolt wraps what growing a file
// returns without keeping the error.
func isNoSpace(err error) bool {
	for _, full := range [...]syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return true
		}
	}
	return false
}

// noSpaceOr marks an error that says the disk is full.
func noSpaceOr(err error) error {
	if err != nil && isNoSpace(err) && !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// oneLine cuts a message at its first line break and at 300 bytes.
func oneLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s[:min(len(s), 300)]
}
