package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

func FuzzRead(f *testing.F) {
	w := &Journal{next: 3}
	w.seal([]byte("a record"), 0)
	f.Add(w.buf, []byte{})
	w.next = 4
	w.seal(make([]byte, 2000), 0)
	f.Add(make([]byte, 512), w.buf)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		dir := write(t, [2][]byte{a, b})
		c, err := Read(dir, 2, false)
		s, salvageErr := Read(dir, 2, true)
		if salvageErr != nil || err == nil && (s.Bad != nil || len(s.Records) != len(c.Records)) || err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("%v, %v, %v", err, s.Bad, salvageErr)
		}
	})
}

// FuzzSectors reads files whose checksums are all right. No more comes out than is in them, and
// a record that comes out stands in the file from its first sector to its last.
func FuzzSectors(f *testing.F) {
	w := &Journal{next: 3}
	w.seal([]byte("a record"), 0)
	first := bytes.Clone(w.buf)
	w.next = 4
	w.seal(make([]byte, 1200), sectorBytes)
	f.Add(append(first, w.buf...), []byte{}, uint8(2))
	f.Add(w.buf[:2*sectorBytes], first, uint8(2))
	w.next = 5
	w.seal(make([]byte, dataBytes), 0)
	f.Add(first, bytes.Clone(w.buf), uint8(4))
	f.Fuzz(func(t *testing.T, a, b []byte, after uint8) {
		a, b = bytes.Clone(a), bytes.Clone(b)
		for _, file := range [][]byte{a, b} {
			for at := 0; at+sectorBytes <= len(file); at += sectorBytes {
				sector := file[at : at+sectorBytes]
				binary.BigEndian.PutUint32(sector, sum(uint64(at/sectorBytes), sector))
			}
		}
		dir := write(t, [2][]byte{a, b})
		c, err := Read(dir, uint64(after), false)
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		s, err := Read(dir, uint64(after), true)
		if err != nil || len(s.Records) < len(c.Records) {
			t.Fatalf("%d records, %d with salvage, %v", len(c.Records), len(s.Records), err)
		}
		total := 0
		for i, record := range s.Records {
			total += len(record)
			if len(record) == 0 || len(record) > MaxRecord || !bytes.Contains(slices.Concat(a, b), record[:min(len(record), dataBytes)]) {
				t.Fatalf("record %d has %d bytes", i, len(record))
			}
		}
		if total > len(a)+len(b) {
			t.Fatalf("%d bytes are read from files of %d and %d", total, len(a), len(b))
		}
	})
}
