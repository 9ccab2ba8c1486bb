// Package boltstore keeps a node's tickets on disk, in bbolt files.
//
// A data directory holds ledger.db, which is what must not be lost; index.db,
// which is derived from it and is made anew when it is missing or bad;
// bluerings.json, which says that the directory was initialised; and, while a
// node runs, a journal of commits on their way to ledger.db. The bytes are
// described at [FormatVersion].
//
// bbolt trusts the pages it reads: a flipped bit may give other data or end
// the process. Therefore every stored value carries a checksum over its key
// and itself; every file is walked with plain, bounded reads before bbolt may
// open it; and whatever touches the memory map turns a fault or a panic into
// ErrDamaged. Storage either yields what was stored or says that it cannot.
package boltstore

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"bluerings/ring/journal"
	"bluerings/tickets"
	"bluerings/value"
)

// Options say whose directory is to be opened, and how. Host, Ring and Kind
// must be there to create one; left empty, they match any that exists.
type Options struct {
	Host, Ring string
	Kind       value.Kind
	// SkipCheck leaves out the full check: opening takes milliseconds. A bad
	// record or page is then noticed when it is read, but a bad page may hide
	// the last records of a log, and any in the index, whose keys are not
	// dense; and it may send bbolt in circles. It is for tests and for what was
	// just checked.
	SkipCheck bool
	// CheckCommand is the program with its arguments that does the full check
	// in a process of its own, by RunCheck; with none it is done in this one.
	CheckCommand []string
	// CheckTimeout bounds the child process. 0: one minute, and one second for
	// each 8 MiB.
	CheckTimeout time.Duration
	// AcceptRewind opens a ledger one of whose two head pages is bad, which
	// may have lost its last commit. The node must mint a new epoch then:
	// Restored says so.
	AcceptRewind bool
	// ReadOnly changes nothing in the directory, not even a bad index, which
	// then looks empty. Several processes may read at once.
	ReadOnly bool
	// Logger is told what Open repaired; nil discards.
	Logger *slog.Logger
	// Trial is for tests; nil for a node.
	Trial *Trial
}

// Store is an open data directory. Its methods may be called from several
// goroutines at once; writes wait for each other, reads for nobody.
type Store struct {
	dir    string
	o      Options
	log    *slog.Logger
	fresh  bool
	ledger *database

	commit  sync.Mutex // one Commit at a time
	values  []byte     // its buffer
	closing bool       // no journal is begun any more

	flushing    sync.Mutex    // one way from the journal to the ledger at a time
	begun, full chan struct{} // the journal has something, is full
	stopFlusher chan struct{}
	flusher     sync.WaitGroup
	applied     atomic.Uint64 // last record of the journal that is in the ledger
	ledgerBytes atomic.Int64  // what the ledger's file must have

	mu      sync.RWMutex // guards what follows
	label   label
	meta    []byte
	origins []tickets.Origin
	ends    []uint64
	index   *database        // nil: none, ReadOnly only
	journal *journal.Journal // nil: commits go to the ledger at once
	pending pending
}

// Open opens a data directory; a missing or empty one is initialised, at once
// or not at all. Errors are ErrBusy, ErrDamaged, ErrForeign, ErrNewer,
// ErrNoSpace or those of the operating system. A bad index is no error.
//
// After a panic in bbolt, which becomes ErrDamaged, its memory map stays:
// the process should say so and exit.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{dir: dir, o: o, log: o.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	found, err := survey(dir)
	if err != nil {
		return nil, err
	}
	if found.label == nil {
		if found, err = s.initialise(); err != nil {
			return nil, err
		}
	}
	s.label = *found.label
	if err := s.label.check(filepath.Join(dir, labelName), &o); err != nil {
		return nil, err
	}
	if err := s.open(found); err != nil {
		if s.ledger != nil {
			_ = s.Close()
		}
		return nil, err
	}
	return s, nil
}

func (s *Store) open(found contents) error {
	ledgerPath := filepath.Join(s.dir, ledgerName)
	verdict, err := s.check(found)
	if err != nil {
		return err
	}
	if s.ledger, err = openDatabase(ledgerPath, s.o.ReadOnly, false); err != nil {
		return err
	}
	s.ledger.synced = s.o.Trial.synced()
	if !s.o.ReadOnly { // only now, as another process may just have made them
		for _, path := range found.leftover {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove an unfinished file: %w", err)
			}
		}
	}
	// Until now another process may have changed it.
	if s.label, err = readLabel(s.dir); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return err
	}
	if err := s.recoverJournal(); err != nil {
		return err
	}
	if verdict.rewound {
		s.log.Warn("ledger_rewound", "file", ledgerPath)
		if err := s.setRestored(true); err != nil {
			return err
		}
	}
	return s.openIndex(verdict.index)
}

// initialise makes the ledger, then the label: a directory with a label is
// whole. A ledger without a label is one whose making was cut short if nothing
// was ever committed to it.
func (s *Store) initialise() (contents, error) {
	if s.o.ReadOnly || s.o.Host == "" || s.o.Ring == "" || s.o.Kind == 0 {
		return contents{}, fmt.Errorf("%s was never initialised: %w", s.dir, fs.ErrNotExist)
	}
	found, unlock, err := claimDir(s.dir)
	if err != nil {
		return contents{}, err
	}
	defer unlock()
	if found.label != nil { // by another process, just now
		return found, nil
	}
	ledgerPath := filepath.Join(s.dir, ledgerName)
	if found.ledger {
		if err := removeVirgin(ledgerPath); err != nil {
			return found, err
		}
	}
	l := newLabel(&s.o, rand.Text())
	if err := install(ledgerPath, func(temporary string) error { return createLedger(temporary, l) }); err != nil {
		return found, err
	}
	if err := writeLabel(s.dir, l); err != nil {
		return found, err
	}
	s.fresh = true
	s.log.Info("data_directory_created", "dir", s.dir)
	return contents{label: &l, ledger: true, index: found.index}, nil
}

// claimDir makes a directory if need be, and looks at it while no other
// process may initialise it, until unlock.
func claimDir(dir string) (found contents, unlock func(), err error) {
	if err := makeDir(dir); err != nil {
		return found, nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return found, nil, err
	}
	if err = lockFile(f, true); err == nil {
		found, err = survey(dir)
	}
	if err != nil {
		_ = f.Close()
		return found, nil, err
	}
	return found, func() { _ = f.Close() }, nil
}

// removeVirgin removes a ledger without a label, but only if nothing was ever
// committed to it.
func removeVirgin(path string) error {
	records := 0
	_, err := checkFile(path, func(p *pageFile) error {
		n, _, err := checkLedger(p)
		records = n
		return err
	})
	switch {
	case err != nil:
		return err
	case records > 0:
		return damaged("%s is missing beside %s: put it back, or restore a backup into an empty directory", labelName, path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove an unfinished file: %w", err)
	}
	return nil
}

func createLedger(path string, l label) error {
	d, err := openDatabase(path, false, true)
	if err != nil {
		return err
	}
	err = d.update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketBlocks, bucketOrigins, bucketMeta} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		identity, err := json.Marshal(l)
		if err != nil {
			return err
		}
		meta := tx.Bucket(bucketMeta)
		version := binary.BigEndian.AppendUint32(nil, FormatVersion)
		return errors.Join(
			meta.Put(keyFormat, seal(version, 0, tagMeta, keyFormat)),
			meta.Put(keyIdentity, seal(identity, 0, tagMeta, keyIdentity)))
	})
	return errors.Join(err, d.close())
}

// load reads what is kept in memory.
func (s *Store) load() error {
	var identity label
	err := s.ledger.view(func(tx *bbolt.Tx) (err error) {
		for _, name := range [][]byte{bucketBlocks, bucketOrigins, bucketMeta} {
			if tx.Bucket(name) == nil {
				return damaged("%s: its bucket %q is missing", ledgerName, name)
			}
		}
		s.ledgerBytes.Store(tx.Size())
		meta := tx.Bucket(bucketMeta)
		if identity, err = readIdentity(meta.Get); err != nil {
			return err
		}
		if v := meta.Get(keyNode); v != nil {
			node, err := unseal(tagMeta, keyNode, v)
			if err != nil {
				return err
			}
			s.meta = slices.Clone(node)
		}
		if v := meta.Get(keyApplied); v != nil {
			applied, err := readApplied(v)
			if err != nil {
				return err
			}
			s.applied.Store(applied)
		}
		err = tx.Bucket(bucketOrigins).ForEach(func(k, v []byte) error {
			index, origin, err := decodeOrigin(k, v)
			if err == nil && int(index) != len(s.origins) {
				err = damaged("%s: origin %d is missing", ledgerName, len(s.origins))
			}
			s.origins = append(s.origins, origin)
			return err
		})
		if err != nil {
			return err
		}
		s.ends, err = readEnds(tx.Bucket(bucketBlocks), len(s.origins))
		return err
	})
	if err != nil {
		return err
	}
	if identity.Ring != s.label.Ring || identity.Host != s.label.Host || identity.Value != s.label.Value {
		return foreign("%s is of ring %q, host %q, value kind %s, unlike %s beside it", ledgerName, identity.Ring, identity.Host, identity.Value, labelName)
	}
	s.label.Store = identity.Store
	return nil
}

// readIdentity reads the records that say whose a ledger is. Errors are
// ErrNewer and ErrDamaged.
func readIdentity(get func(key []byte) []byte) (l label, err error) {
	version, err := unseal(tagMeta, keyFormat, get(keyFormat))
	if err != nil {
		return l, err
	}
	if len(version) != 4 {
		return l, damaged("%s: its format record is of an unknown shape", ledgerName)
	}
	if v := binary.BigEndian.Uint32(version); v > FormatVersion {
		return l, fmt.Errorf("%w: %s is of format %d, this program reads up to %d", ErrNewer, ledgerName, v, FormatVersion)
	}
	identity, err := unseal(tagMeta, keyIdentity, get(keyIdentity))
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(identity, &l); err != nil {
		return l, damaged("%s: its identity record: %v", ledgerName, err)
	}
	return l, nil
}

func readApplied(v []byte) (uint64, error) {
	number, err := unseal(tagMeta, keyApplied, v)
	if err == nil && len(number) != 8 {
		err = damaged("%s: its record of the journal is of an unknown shape", ledgerName)
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(number), nil
}

// Fresh tells whether this Open initialised the directory.
func (s *Store) Fresh() bool { return s.fresh }

// Meta is the node's record as last committed, nil before the first.
func (s *Store) Meta() []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.meta)
}

// Origins lists the origins by index.
func (s *Store) Origins() []tickets.Origin {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.origins)
}

// Ends has for each origin the last number of its log, 0 where there is none.
func (s *Store) Ends() []uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.ends)
}

// Identity is the host, the ring and the value kind the directory is for.
func (s *Store) Identity() (host, ring string, kind value.Kind) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	kind, _ = value.ParseKind(s.label.Value)
	return s.label.Host, s.label.Ring, kind
}

// Restored tells that the directory was restored from a backup, or is found
// to be behind what it once held. The node must mint a new epoch: numbers of
// its last one may be known to peers with tickets that are not here.
func (s *Store) Restored() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.label.Restored
}

// ClearRestored is called once the new epoch is committed.
func (s *Store) ClearRestored() error { return s.setRestored(false) }

func (s *Store) setRestored(restored bool) error {
	if s.o.ReadOnly && !restored {
		return ErrReadOnly
	}
	return s.relabel(func(l *label) { l.Restored = restored })
}

// relabel changes the label, on disk too unless the store is read-only.
func (s *Store) relabel(change func(*label)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.label
	if change(&l); l == s.label {
		return nil
	}
	if !s.o.ReadOnly {
		if err := writeLabel(s.dir, l); err != nil {
			return err
		}
		s.o.Trial.synced()(filepath.Join(s.dir, labelName))
	}
	s.label = l
	return nil
}

// DiskBytes is the length of the data files together. They never shrink, and
// grow in steps of 16 MiB of which the unused part takes no room on most
// filesystems.
func (s *Store) DiskBytes() int64 {
	n := s.ledger.size()
	if index := s.indexFile(); index != nil {
		n += index.size()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.journal != nil {
		n += s.journal.Size()
	}
	return n
}

// Close waits for calls under way. It may be called again.
func (s *Store) Close() error {
	s.commit.Lock()
	s.closing = true
	s.closeJournal()
	s.commit.Unlock()
	err := s.ledger.close()
	if index := s.indexFile(); index != nil {
		err = errors.Join(err, index.close())
	}
	return err
}
