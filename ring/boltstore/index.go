package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// indexBuckets but the meta bucket.
var indexBuckets = [][]byte{bucketRows, bucketClaims, bucketMarks}

// openIndex opens the index or makes an empty one; reason says why the one
// there cannot be used.
func (s *Store) openIndex(reason error) error {
	path := filepath.Join(s.dir, indexName)
	missing := false
	if reason == nil {
		index, err := openDatabase(path, s.o.ReadOnly, false)
		switch {
		case err == nil:
			if reason = s.adoptIndex(index); reason == nil {
				index.synced = s.o.Trial.synced()
				s.index = index
				return nil
			}
			_ = index.close()
			if !isDamage(reason) {
				return reason
			}
		case errors.Is(err, fs.ErrNotExist):
			missing = true
		case isDamage(err):
			reason = err
		default:
			return err
		}
	}
	switch {
	case reason != nil:
		s.log.Warn("index_dropped", "file", path, "reason", reason)
	case !s.fresh:
		s.log.Warn("index_missing", "file", path)
	}
	if s.o.ReadOnly {
		return nil
	}
	if !missing {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a bad index: %w", err)
		}
	}
	var err error
	s.index, err = s.createIndex(path)
	return err
}

// createIndex makes an empty index, at once or not at all: half of one would
// look like damage.
func (s *Store) createIndex(path string) (*database, error) {
	if err := install(path, s.emptyIndex); err != nil {
		return nil, err
	}
	d, err := openDatabase(path, false, false)
	if err != nil {
		return nil, err
	}
	d.synced = s.o.Trial.synced()
	d.synced(path)
	d.synced(s.dir)
	return d, nil
}

func (s *Store) emptyIndex(path string) error {
	d, err := openDatabase(path, false, true)
	if err != nil {
		return err
	}
	err = d.update(func(tx *bbolt.Tx) error {
		for _, name := range indexBuckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		meta, err := tx.CreateBucket(bucketMeta)
		if err != nil {
			return err
		}
		return errors.Join(
			putIndexMeta(meta, keyFormat, binary.BigEndian.AppendUint32(nil, indexVersion)),
			putIndexMeta(meta, keyStore, []byte(s.label.Store)))
	})
	return errors.Join(err, d.close())
}

func putIndexMeta(meta *bbolt.Bucket, key, value []byte) error {
	return meta.Put(key, seal(value, 0, tagIndexMeta, key))
}

// adoptIndex tells why an index that bbolt can read cannot be used.
func (s *Store) adoptIndex(d *database) error {
	return d.view(func(tx *bbolt.Tx) error {
		for _, name := range append(indexBuckets[:len(indexBuckets):len(indexBuckets)], bucketMeta) {
			if tx.Bucket(name) == nil {
				return damaged("%s: its bucket %q is missing", indexName, name)
			}
		}
		meta := tx.Bucket(bucketMeta)
		format, err := unseal(tagIndexMeta, keyFormat, meta.Get(keyFormat))
		if err != nil {
			return err
		}
		if len(format) != 4 || binary.BigEndian.Uint32(format) != indexVersion {
			return damaged("%s is of another format", indexName)
		}
		store, err := unseal(tagIndexMeta, keyStore, meta.Get(keyStore))
		if err != nil {
			return err
		}
		if string(store) != s.label.Store {
			return damaged("%s was made from another ledger", indexName)
		}
		covers, err := readCovers(meta)
		if err != nil {
			return err
		}
		for i, seq := range covers {
			if i >= len(s.ends) || seq > s.ends[i] {
				return s.behindIndex(i, seq)
			}
		}
		return nil
	})
}

// behindIndex: a checkpoint is made of what is durable, so a ledger that ends
// before it went back in time.
func (s *Store) behindIndex(origin int, seq uint64) error {
	s.log.Error("ledger_behind_index", "origin", origin, "index", seq)
	if err := s.setRestored(true); err != nil {
		return err
	}
	return damaged("%s reflects ticket %d of origin %d, which %s does not have: the ledger went back in time", indexName, seq, origin, ledgerName)
}

func readCovers(meta *bbolt.Bucket) ([]uint64, error) {
	v := meta.Get(keyCovers)
	if v == nil {
		return nil, nil
	}
	b, err := unseal(tagIndexMeta, keyCovers, v)
	if err == nil && len(b)%8 != 0 {
		err = damaged("%s: what it covers is of an unknown shape", indexName)
	}
	if err != nil {
		return nil, err
	}
	covers := make([]uint64, len(b)/8)
	for i := range covers {
		covers[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return covers, nil
}

// indexFile is nil when there is none.
func (s *Store) indexFile() *database {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index
}

// indexDo runs do on the index. Damage found becomes ErrIndex, and the file is
// removed, so that a restart makes a new one even if this process crashes.
func (s *Store) indexDo(do func(*database) error) error {
	d := s.indexFile()
	if d == nil {
		return fmt.Errorf("%w: there is none", ErrIndex)
	}
	err := do(d)
	if own := (visitError{}); errors.As(err, &own) {
		return own.error
	}
	if !isDamage(err) && !errors.Is(err, ErrUncertain) {
		return err
	}
	d.write.Lock()
	first := !d.dropped
	d.dropped = true
	d.write.Unlock()
	if first {
		s.log.Error("index_damaged", "file", d.path, "error", err)
		d.refuse(err)
		if !s.o.ReadOnly && d.inPlace(0) == nil {
			_ = os.Remove(d.path)
		}
	}
	return fmt.Errorf("%w: %w", ErrIndex, err)
}

// ResetIndex drops the index and makes an empty one, to be filled by
// Checkpoint. It waits for reads of the old one.
func (s *Store) ResetIndex() error {
	if s.o.ReadOnly {
		return ErrReadOnly
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.dir, indexName)
	if s.index != nil {
		if s.index.closed.Load() {
			return ErrClosed
		}
		_ = s.index.close()
		s.index = nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the index: %w", err)
	}
	var err error
	s.index, err = s.createIndex(path)
	return err
}
