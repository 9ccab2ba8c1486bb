package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"bluerings/ring/journal"
	"bluerings/ring/replica"
)

// recoverJournal takes in what a crash left in the journal.
func (s *Store) recoverJournal() error {
	if !s.label.Journal {
		if !s.o.ReadOnly { // it was made or removed, and that was cut short
			return journal.Remove(s.dir)
		}
		return nil
	}
	c, err := readJournal(s.dir, s.applied.Load(), s.o.AcceptRewind)
	if err != nil {
		return err
	}
	for i, record := range c.Records {
		err := s.replay(s.applied.Load()+1+uint64(i), record)
		if err != nil && !s.o.AcceptRewind {
			return err
		} else if err != nil {
			c.Records, c.Bad = c.Records[:i], err
			break
		}
	}
	if s.o.ReadOnly {
		return nil
	}
	if c.Torn || c.Bad != nil {
		// If it was durable all the same, peers may have seen it.
		s.log.Warn("journal_cut_short", "records", len(c.Records), "torn", c.Torn, "damage", c.Bad)
		if err := s.setRestored(true); err != nil {
			return err
		}
	}
	err = s.dropJournal()
	if errors.Is(err, ErrNoSpace) { // as it is; commits go to the ledger, with it
		s.log.Warn("journal_not_applied", "error", err)
		return s.syncJournal()
	}
	if err == nil {
		s.log.Info("journal_applied", "records", len(c.Records))
	}
	return err
}

// syncJournal makes durable what was read from a journal that stays: it may be
// in the cache of the system only, where a killed process left it.
func (s *Store) syncJournal() error {
	for _, name := range journal.Names() {
		if err := syncPath(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sync the journal: %w", err)
		}
	}
	return nil
}

func readJournal(dir string, after uint64, salvage bool) (journal.Contents, error) {
	c, err := journal.Read(dir, after, salvage)
	if errors.Is(err, journal.ErrDamaged) {
		err = damaged("%v: restore a backup, let the node start anew from its peers, or accept the loss of the last commits with --accept-rewind", err)
	}
	return c, err
}

// replay takes a record in as if it was committed just now, or not at all.
func (s *Store) replay(number uint64, record []byte) error {
	meta, origins, ends := s.meta, s.origins, slices.Clone(s.ends)
	err := entries(record, func(tag byte, key, value []byte) error {
		switch tag {
		case tagOrigin:
			index, origin, err := decodeOrigin(key, value)
			if err == nil && int(index) != len(s.origins) {
				err = damaged("record %d of the journal: origin %d is missing", number, len(s.origins))
			}
			s.origins, s.ends = append(s.origins, origin), append(s.ends, 0)
			return err
		case tagBlock:
			b, err := decodeBlock(key, value)
			if err == nil && (int(b.Origin) >= len(s.ends) || b.First != s.ends[b.Origin]+1) {
				err = damaged("record %d of the journal: block %d/%d does not follow the ledger", number, b.Origin, b.First)
			}
			if err == nil {
				s.ends[b.Origin] = b.Last
			}
			return err
		case tagMeta:
			node, err := unseal(tagMeta, key, value)
			if err == nil && !bytes.Equal(key, keyNode) {
				err = damaged("record %d of the journal has a record of the ledger's own, %.20q", number, key)
			}
			s.meta = slices.Clone(node)
			return err
		}
		return damaged("record %d of the journal has an entry of an unknown kind %q", number, tag)
	})
	if err != nil {
		s.meta, s.origins, s.ends = meta, origins, ends
		return err
	}
	return s.pend(number, record)
}

// dropJournal removes a journal that a crash left, once all of it is in the
// ledger durably. What the ledger is found to hold may be in the cache of the
// system only, as the crashed process left it, so there is one more transaction.
func (s *Store) dropJournal() error {
	s.mu.RLock()
	used := s.label.Journal
	s.mu.RUnlock()
	if used {
		if err := s.flush(new(replica.Batch)); err != nil {
			return err
		}
		if err := s.setJournal(false); err != nil {
			return err
		}
	}
	return journal.Remove(s.dir)
}
