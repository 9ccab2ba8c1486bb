package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

// wantKnown asserts that an error of reading a file is one that callers can
// tell apart, and short.
func wantKnown(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer) {
		t.Fatalf("an error of another kind: %v", err)
	}
	if s := err.Error(); strings.Contains(s, "\n") || len(s) > 600 {
		t.Fatalf("not a clear line: %q", s)
	}
}

// FuzzRecords gives bodies whose checksum is right to the decoders of records.
// What one takes is encoded again to no more bytes, which mean the same, and
// any bit of it that is wrong is noticed.
func FuzzRecords(f *testing.F) {
	block := replica.Block{Origin: 1, First: 300, Last: 500, Run: []byte("run"), Links: []byte("links")}
	key := blockKey(1, 300)
	body := func(v []byte) []byte { return v[:len(v)-sumBytes] }
	f.Add(byte(tagBlock), key[:], body(appendBlock(nil, key[:], &block)), uint16(3))
	f.Add(byte(tagOrigin), []byte{0, 0, 0, 2}, body(appendOrigin(nil, nil, tickets.Origin{Host: "paris", Epoch: 7})), uint16(0))
	mark := replica.Mark{Slot: 7, Origin: 1, At: 1e18, Seq: 42, Sum: []byte{5}}
	at := markKey(mark.Slot, mark.Origin, mark.At)
	f.Add(byte(tagMark), at[:], body(appendMark(nil, at[:], &mark)), uint16(99))
	claim := replica.Claim{Hash: [16]byte{1, 2, 3}, Ref: tickets.Ref{Origin: 1, Seq: 42}}
	f.Add(byte(tagClaim), claim.Hash[:], body(appendClaim(nil, &claim)), uint16(1))
	f.Fuzz(func(t *testing.T, tag byte, key, body []byte, bit uint16) {
		value := seal(slices.Clone(body), 0, tag, key)
		got, err := recode(tag, key, value)
		if err != nil {
			wantError(t, err, ErrDamaged)
			return
		}
		if got == nil {
			return
		}
		if len(got) > len(value) || tag != tagBlock && !bytes.Equal(got, value) {
			t.Fatalf("%c/%x: %x is encoded again as %x", tag, key, value, got)
		}
		if again, err := recode(tag, key, got); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%c/%x: %x becomes %x, %v", tag, key, got, again, err)
		}
		at := int(bit) % (8 * len(value))
		value[at/8] ^= 1 << (at % 8)
		if _, err := recode(tag, key, value); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%c/%x: bit %d is wrong, and the error %v", tag, key, at, err)
		}
	})
}

// recode decodes a value and encodes it again under the key that it would get.
// It is nil for a tag that it does not know.
func recode(tag byte, key, value []byte) ([]byte, error) {
	switch tag {
	case tagBlock:
		b, err := decodeBlock(key, value)
		if err != nil {
			return nil, err
		}
		k := blockKey(b.Origin, b.First)
		out := appendBlock(nil, k[:], &b)
		if len(out) != blockLength(&b) || len(out) > blockBytes(&b) || b.Last < b.First || !bytes.Equal(k[:], key) {
			return nil, errors.New("its length or its key is not what was said")
		}
		return out, nil
	case tagOrigin:
		index, o, err := decodeOrigin(key, value)
		if err != nil {
			return nil, err
		}
		return appendOrigin(nil, binary.BigEndian.AppendUint32(nil, index), o), nil
	case tagMark:
		m, err := decodeMark(key, value)
		if err != nil {
			return nil, err
		}
		k := markKey(m.Slot, m.Origin, m.At)
		return appendMark(nil, k[:], &m), nil
	case tagClaim:
		c, err := decodeClaim(key, value)
		if err != nil {
			return nil, err
		}
		return appendClaim(nil, &c), nil
	}
	return nil, nil
}

// FuzzLabel reads what may stand in bluerings.json, as it is and with a
// checksum that is right.
func FuzzLabel(f *testing.F) {
	l := label{Product: product, Format: FormatVersion, Host: "a", Ring: "test", Value: "decimal", Store: "0011", Created: "2026-01-02T03:04:05Z"}
	f.Add(l.encode(), false)
	l.Restored, l.Journal = true, true
	f.Add(l.encode(), true)
	f.Add([]byte(`{"product":"bluerings","format":2,"later":{}}`), false)
	f.Add([]byte(`{"product":"another"}`), true)
	f.Add([]byte(`[]`), false)
	f.Fuzz(func(t *testing.T, text []byte, mend bool) {
		if mend {
			text = mendLabel(text)
		}
		l, err := decodeLabel("bluerings.json", text)
		if err != nil {
			wantKnown(t, err)
			return
		}
		if again, err := decodeLabel("bluerings.json", l.encode()); err != nil || again != l {
			t.Fatalf("%+v becomes %+v, %v", l, again, err)
		}
	})
}

// FuzzJournalRecord replays records of a journal. Each either adds to the logs
// without a gap, and all of it is found, or changes nothing. The letters of
// structure and the checksums are right: entries are letter, length of key,
// key, length of body as two bytes, body.
func FuzzJournalRecord(f *testing.F) {
	w := newWriter(5)
	for range 4 {
		b := w.batch()
		f.Add(encodeRecord(b, recordBytes(b)), false)
	}
	b := &replica.Batch{
		Origins: []replica.NewOrigin{{Index: 0, Origin: tickets.Origin{Host: "a", Epoch: 1}}},
		Blocks:  []replica.Block{{Origin: 0, First: 1, Last: 2, Run: []byte("r")}, {Origin: 0, First: 3, Last: 9, Run: []byte("s"), Links: []byte("l")}},
		Meta:    []byte("node"),
	}
	f.Add(encodeRecord(b, recordBytes(b)), true)
	f.Fuzz(func(t *testing.T, record []byte, mend bool) {
		if mend {
			record = mendRecord(record)
		}
		s := &Store{origins: []tickets.Origin{{Host: "b", Epoch: 2}}, ends: []uint64{7}, meta: []byte("before")}
		if record[:min(1, len(record))] == nil || len(record) > 0 && record[0] == tagOrigin {
			s.origins, s.ends = nil, nil // the first record of a directory
		}
		origins, ends := len(s.origins), slices.Clone(s.ends)
		if err := s.replay(1, slices.Clone(record)); err != nil {
			wantError(t, err, ErrDamaged)
			if len(s.origins) != origins || !slices.Equal(s.ends, ends) || string(s.meta) != "before" || len(s.pending.records) > 0 {
				t.Fatalf("%v, and something is left of it: %v %v %q", err, s.origins, s.ends, s.meta)
			}
			return
		}
		if len(s.origins) != len(s.ends) || len(s.pending.blocks) > len(s.ends) {
			t.Fatalf("%d origins, %d ends, blocks of %d", len(s.origins), len(s.ends), len(s.pending.blocks))
		}
		for i, end := range s.ends {
			next := uint64(1)
			if i < len(ends) {
				next = ends[i] + 1
			}
			if next > end {
				continue
			}
			page, _ := s.pendingFrom(nil, tickets.OriginIndex(i), next, end, len(record)+1)
			for _, b := range page {
				if b.First != next {
					t.Fatalf("origin %d: ticket %d is followed by %d", i, next-1, b.First)
				}
				next = b.Last + 1
			}
			if next != end+1 {
				t.Fatalf("origin %d ends at %d, blocks at %d", i, end, next-1)
			}
		}
		wantReencoded(t, record)
	})
}

// wantReencoded asserts that the entries of a record make it up.
func wantReencoded(t *testing.T, record []byte) {
	t.Helper()
	var again []byte
	tags := map[byte]bool{}
	err := entries(record, func(tag byte, key, value []byte) error {
		again = append(appendEntry(again, tag, key, len(value)), value...)
		tags[tag] = true
		return nil
	})
	delete(tags, tagBlock)
	delete(tags, tagOrigin)
	delete(tags, tagMeta)
	if err != nil || len(tags) > 0 || len(again) > len(record) {
		t.Fatalf("%x becomes %x, with %v, %v", record, again, tags, err)
	}
	var second []byte
	_ = entries(again, func(tag byte, key, value []byte) error {
		second = append(appendEntry(second, tag, key, len(value)), value...)
		return nil
	})
	if !reflect.DeepEqual(again, second) {
		t.Fatalf("%x becomes %x", again, second)
	}
}

// mendRecord makes the checksums of a record's entries right.
func mendRecord(record []byte) (mended []byte) {
	_ = entries(record, func(tag byte, key, value []byte) error {
		if len(value) >= sumBytes {
			value = seal(slices.Clone(value[:len(value)-sumBytes]), 0, tag, key)
		}
		mended = append(appendEntry(mended, tag, key, len(value)), value...)
		return nil
	})
	return mended
}
