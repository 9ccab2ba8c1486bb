package boltstore

import (
	"bytes"
	"errors"
	"slices"

	"go.etcd.io/bbolt"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
)

// LoadIndex passes every row in the order of slots and tells the log prefixes
// that they reflect. Without a usable index covers is nil, no row is passed,
// the index is empty then (unless the store is read-only), and the log is the
// source: all rows are read and checked before the first is passed. A row's
// bytes are valid during visit only. The error is that of visit, one of making
// the index anew, or ErrIndex if it went bad just now: opening the directory
// again makes it anew.
func (s *Store) LoadIndex(visit func(replica.Row) error) (covers []uint64, err error) {
	unfinished := false
	err = s.indexDo(func(d *database) error {
		err := d.view(func(tx *bbolt.Tx) (err error) {
			covers, err = readCovers(tx.Bucket(bucketMeta))
			unfinished = covers == nil && !isEmpty(tx)
			return err
		})
		if err != nil || covers == nil {
			return err
		}
		return scan(d, bucketRows, decodeGroup, func(group) error { return nil })
	})
	switch {
	case errors.Is(err, ErrIndex) && s.o.ReadOnly:
		return nil, nil
	case errors.Is(err, ErrIndex), err == nil && unfinished && !s.o.ReadOnly:
		return nil, s.ResetIndex()
	case err != nil || covers == nil:
		return nil, err
	}
	return covers, s.EachRow(visit)
}

func isEmpty(tx *bbolt.Tx) bool {
	for _, name := range indexBuckets {
		if k, _ := tx.Bucket(name).Cursor().First(); k != nil {
			return false
		}
	}
	return true
}

// EachRow passes every row in the order of slots; EachClaim every claim in the
// order of hashes; EachMark every mark in the order of slot, origin and time.
// They read one state of the index, however long they take; while they do,
// room that checkpoints free in the file is not used again. Bytes are valid
// during visit only. Errors are that of visit, ErrIndex and ErrClosed.
func (s *Store) EachRow(visit func(replica.Row) error) error {
	return s.indexDo(func(d *database) error {
		return scan(d, bucketRows, decodeGroup, func(g group) error { return g.each(visit) })
	})
}

// EachClaim is described at EachRow.
func (s *Store) EachClaim(visit func(replica.Claim) error) error {
	return s.indexDo(func(d *database) error { return scan(d, bucketClaims, decodeClaim, visit) })
}

// EachMark is described at EachRow.
func (s *Store) EachMark(visit func(replica.Mark) error) error {
	return s.indexDo(func(d *database) error { return scan(d, bucketMarks, decodeMark, visit) })
}

// scanBytes is about how much a scan copies before it visits, outside of the
// guard.
const scanBytes = 256 << 10

func scan[T any](d *database, bucket []byte, decode func(k, v []byte) (T, error), visit func(T) error) error {
	var tx *bbolt.Tx
	err := d.guard(func() (err error) {
		tx, err = d.db.Begin(false)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = d.guard(tx.Rollback) }()
	var c *bbolt.Cursor
	var page []T
	var buf []byte
	for done := false; !done; {
		page, buf = page[:0], buf[:0]
		err := d.guard(func() error {
			var k, v []byte
			if c == nil {
				c = tx.Bucket(bucket).Cursor()
				k, v = c.First()
			} else {
				k, v = c.Next()
			}
			for ; k != nil; k, v = c.Next() {
				from := len(buf)
				buf = append(append(buf, k...), v...)
				record, err := decode(buf[from:from+len(k):from+len(k)], buf[from+len(k):])
				if err != nil {
					return err
				}
				if page = append(page, record); len(buf) >= scanBytes {
					return nil
				}
			}
			done = true
			return nil
		})
		if err != nil {
			return err
		}
		for i := range page {
			if err := visit(page[i]); err != nil {
				return visitError{err}
			}
		}
	}
	return nil
}

// visitError keeps a caller's own error from being taken for damage.
type visitError struct{ error }

// Claim finds the ticket that a client id belongs to. Errors are ErrIndex and
// ErrClosed.
func (s *Store) Claim(hash [16]byte) (ref tickets.Ref, found bool, err error) {
	err = s.indexDo(func(d *database) error {
		return d.view(func(tx *bbolt.Tx) error {
			v := tx.Bucket(bucketClaims).Get(hash[:])
			if v == nil {
				return nil
			}
			c, err := decodeClaim(hash[:], v)
			ref, found = c.Ref, err == nil
			return err
		})
	})
	return ref, found, err
}

// Mark finds the earliest mark of a chain at or after a time, and copies it.
// Errors are ErrIndex and ErrClosed.
func (s *Store) Mark(slot uint32, origin tickets.OriginIndex, at hlc.Timestamp) (m replica.Mark, found bool, err error) {
	err = s.indexDo(func(d *database) error {
		return d.view(func(tx *bbolt.Tx) error {
			from := markKey(slot, origin, at)
			k, v := tx.Bucket(bucketMarks).Cursor().Seek(from[:])
			if !bytes.HasPrefix(k, from[:8]) {
				return nil
			}
			var err error
			m, err = decodeMark(k, v)
			m.Sum, found = slices.Clone(m.Sum), err == nil
			return err
		})
	})
	return m, found, err
}
