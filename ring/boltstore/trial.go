package boltstore

import "bluerings/ring/journal"

// Trial lets a test play a store in one goroutine and take its power away:
// nothing moves from the journal to the ledger but by Flush, by what Commit
// says, and when the store is closed.
type Trial struct {
	// Synced is told the path of a file whenever what was written to it has
	// become durable, before anything else happens, and that of the directory when
	// files were made in it. With the label all names are durable as well.
	Synced func(path string)
	// JournalBytes is when a file of the journal is full; 0: as for a node.
	JournalBytes int64
}

func (t *Trial) synced() func(path string) {
	if t == nil || t.Synced == nil {
		return func(string) {}
	}
	return t.Synced
}

func (t *Trial) journal() journal.Options {
	if t == nil {
		return journal.Options{}
	}
	return journal.Options{FileBytes: t.JournalBytes, Synced: t.Synced}
}

// Flush moves to the ledger what is in the journal, in one durable transaction.
func (s *Store) Flush() error { return s.flush(nil) }
