package boltstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"go.etcd.io/bbolt"

	"bluerings/ring/replica"
)

// fillIndex is how full pages are left in the index, where keys grow in the
// middle.
const fillIndex = 0.8

// Checkpoint brings the index up to c.Covers in one durable transaction. Its
// lists need not be in order and are left alone; of two rows of one slot the
// later counts. A row without data is removed together with its marks, before
// the marks of c are added.
//
// An index is usable only up to some Covers: a checkpoint with none marks it
// as being made, and LoadIndex finds nothing until one with Covers follows.
// That lets a large index be made anew in pieces.
//
// When ctx ends, so does the checkpoint, unless it is already being written to
// the disk. That error and ErrNoSpace leave the index as it was. After ErrIndex it cannot be used any more:
// see ResetIndex.
func (s *Store) Checkpoint(ctx context.Context, c *replica.Checkpoint) error {
	return s.indexDo(func(d *database) error {
		return d.update(func(tx *bbolt.Tx) error { return applyCheckpoint(ctx, tx, c) })
	})
}

func applyCheckpoint(ctx context.Context, tx *bbolt.Tx, c *replica.Checkpoint) error {
	if err := putRows(ctx, tx, c.Rows); err != nil {
		return err
	}
	if err := putClaims(ctx, tx, c); err != nil {
		return err
	}
	if err := errors.Join(putMarks(tx, c.Marks), ctx.Err()); err != nil {
		return err
	}
	meta := tx.Bucket(bucketMeta)
	if len(c.Covers) == 0 {
		return meta.Delete(keyCovers)
	}
	covers := make([]byte, 0, 8*len(c.Covers)+sumBytes)
	for _, seq := range c.Covers {
		covers = binary.BigEndian.AppendUint64(covers, seq)
	}
	return putIndexMeta(meta, keyCovers, covers)
}

// ended looks at ctx before some of the puts: after a hundred that each load
// another page, a millisecond has passed at the most.
func ended(ctx context.Context, i int) error {
	if i%128 == 0 {
		return ctx.Err()
	}
	return nil
}

// sorted is list in order: bbolt inserts rising keys several times faster.
func sorted[T any](list []T, compare func(a, b T) int) []T {
	if slices.IsSortedFunc(list, compare) {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, compare)
	return list
}

// dropMarks collects first and deletes then: a cursor skips keys when it
// deletes as it goes.
func dropMarks(marks *bbolt.Bucket, slot []byte) error {
	var keys [][]byte
	c := marks.Cursor()
	for k, _ := c.Seek(slot); bytes.HasPrefix(k, slot); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := marks.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func putClaims(ctx context.Context, tx *bbolt.Tx, c *replica.Checkpoint) error {
	bucket := tx.Bucket(bucketClaims)
	bucket.FillPercent = fillIndex
	drop := sorted(c.Drop, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	for i := range drop {
		if err := bucket.Delete(drop[i][:]); err != nil {
			return err
		}
	}
	claims := sorted(c.Claims, func(a, b replica.Claim) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	buf := make([]byte, 0, len(claims)*(12+sumBytes))
	for i := range claims {
		if err := ended(ctx, i); err != nil {
			return err
		}
		from := len(buf)
		buf = appendClaim(buf, &claims[i])
		if err := bucket.Put(claims[i].Hash[:], buf[from:len(buf):len(buf)]); err != nil {
			return err
		}
	}
	return nil
}

func putMarks(tx *bbolt.Tx, list []replica.Mark) error {
	marks := sorted(list, func(a, b replica.Mark) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.At, b.At))
	})
	size := 0
	for i := range marks {
		size += 8 + len(marks[i].Sum) + sumBytes
	}
	bucket := tx.Bucket(bucketMarks)
	bucket.FillPercent = fillIndex
	buf := make([]byte, 0, size)
	for i := range marks {
		m := &marks[i]
		key, from := markKey(m.Slot, m.Origin, m.At), len(buf)
		buf = appendMark(buf, key[:], m)
		if err := bucket.Put(key[:], buf[from:len(buf):len(buf)]); err != nil {
			return err
		}
	}
	return nil
}
