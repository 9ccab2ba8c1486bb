package boltstore

import (
	"cmp"
	"context"
	"encoding/binary"

	"go.etcd.io/bbolt"

	"bluerings/ring/replica"
)

// Rows of neighbouring slots share a record. When most rows of a large index
// changed, each put costs more than the copying of the rows beside it, and a
// page is written whole for one of them all the same.
const rowsTogether = 16

func groupOf(slot uint32) (key [4]byte) {
	binary.BigEndian.PutUint32(key[:], slot/rowsTogether)
	return key
}

// appendRow appends a row to the record of its group.
func appendRow(dst []byte, r replica.Row) []byte {
	dst = append(dst, byte(r.Slot%rowsTogether))
	dst = binary.AppendUvarint(dst, uint64(len(r.Data)))
	return append(dst, r.Data...)
}

// group is a record of rows whose checksum and shape are right.
type group struct {
	first uint32 // slot
	rows  []byte
}

// decodeGroup shares the bytes of value.
func decodeGroup(key, value []byte) (g group, err error) {
	v, err := unseal(tagRow, key, value)
	switch {
	case err != nil:
		return g, err
	case len(key) != 4 || binary.BigEndian.Uint32(key) > 1<<32/rowsTogether-1 || len(v) == 0:
		return g, damaged("the rows under %x are of an unknown shape", key)
	}
	g = group{binary.BigEndian.Uint32(key) * rowsTogether, v}
	before := -1
	for rest := v; len(rest) > 0; {
		at := int(rest[0])
		size, n := binary.Uvarint(rest[1:])
		if at <= before || at >= rowsTogether || n <= 0 || size > uint64(len(rest)-1-n) {
			return g, damaged("the rows under %x are of an unknown shape", key)
		}
		before, rest = at, rest[1+n+int(size):]
	}
	return g, nil
}

// next takes the first row off; there must be one.
func (g *group) next() (r replica.Row) {
	size, n := binary.Uvarint(g.rows[1:])
	from := 1 + n
	to := from + int(size)
	r = replica.Row{Slot: g.first + uint32(g.rows[0]), Data: g.rows[from:to:to]}
	g.rows = g.rows[to:]
	return r
}

func (g group) each(visit func(replica.Row) error) error {
	for len(g.rows) > 0 {
		if err := visit(g.next()); err != nil {
			return err
		}
	}
	return nil
}

// merge appends the record of a group after changes, which are sorted by slot
// and not empty: of two of one slot the later counts, and one without data
// removes the row. Nothing is appended if no row is left.
func merge(dst []byte, old group, changes []replica.Row) []byte {
	for len(old.rows) > 0 || len(changes) > 0 {
		if len(changes) == 0 || len(old.rows) > 0 && old.first+uint32(old.rows[0]) < changes[0].Slot {
			dst = appendRow(dst, old.next())
			continue
		}
		row := changes[0]
		for len(changes) > 0 && changes[0].Slot == row.Slot {
			row, changes = changes[0], changes[1:]
		}
		if len(old.rows) > 0 && old.first+uint32(old.rows[0]) == row.Slot {
			old.next()
		}
		if row.Data != nil {
			dst = appendRow(dst, row)
		}
	}
	return dst
}

// chunkBytes is how much memory a checkpoint takes at once for its values,
// which must keep their bytes until the transaction ends.
const chunkBytes = 1 << 20

func putRows(ctx context.Context, tx *bbolt.Tx, list []replica.Row) error {
	rows := sorted(list, func(a, b replica.Row) int { return cmp.Compare(a.Slot, b.Slot) })
	bucket, marks := tx.Bucket(bucketRows), tx.Bucket(bucketMarks)
	bucket.FillPercent = fillIndex
	var chunk []byte
	for i := 0; len(rows) > 0; i++ {
		if err := ended(ctx, 4*i); err != nil { // a group takes longer than a single put
			return err
		}
		key, n := groupOf(rows[0].Slot), 0
		size := sumBytes
		for n < len(rows) && groupOf(rows[n].Slot) == key {
			if rows[n].Data == nil {
				if err := dropMarks(marks, binary.BigEndian.AppendUint32(nil, rows[n].Slot)); err != nil {
					return err
				}
			}
			size += 1 + binary.MaxVarintLen64 + len(rows[n].Data)
			n++
		}
		var old group
		if v := bucket.Get(key[:]); v != nil {
			var err error
			if old, err = decodeGroup(key[:], v); err != nil {
				return err
			}
			size += len(v)
		}
		if cap(chunk)-len(chunk) < size {
			chunk = make([]byte, 0, max(size, chunkBytes))
		}
		from := len(chunk)
		if chunk = merge(chunk, old, rows[:n]); len(chunk) == from {
			if err := bucket.Delete(key[:]); err != nil {
				return err
			}
		} else {
			chunk = seal(chunk, from, tagRow, key[:])
			if err := bucket.Put(key[:], chunk[from:len(chunk):len(chunk)]); err != nil {
				return err
			}
		}
		rows = rows[n:]
	}
	return nil
}
