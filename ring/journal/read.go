package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Contents is what Read found.
type Contents struct {
	// Records are those after the number asked for, in order.
	Records [][]byte
	// Torn says that of one more record only a part is there: a power cut ended
	// its write, and nobody was told that it is durable. If that is not so,
	// and a disk put sectors back to what they held before, it was.
	Torn bool
	// Bad says what was damaged, where Read was to pass over that.
	Bad error
}

// maxFile bounds what Read takes into memory. A file exceeds FileBytes by less
// than one record and one step of growth.
const maxFile = FileBytes + 2*MaxRecord + 2*maxGrow

// Read reads what follows record number after. It changes nothing. That a
// file is missing, and that records are missing of which later ones are
// there, is ErrDamaged. With salvage, damage ends the records instead.
func Read(dir string, after uint64, salvage bool) (c Contents, err error) {
	var r reader
	for _, name := range Names() {
		if err := r.load(filepath.Join(dir, name)); err != nil && !salvage {
			return c, err
		} else if err != nil {
			r.note(err)
		}
	}
	for n := after + 1; ; n++ {
		record, whole, begun := r.record(n)
		if !whole {
			c.Torn = begun
			break
		}
		c.Records = append(c.Records, record)
	}
	if last := after + uint64(len(c.Records)); r.latest > last+1 {
		r.note(fmt.Errorf("%w: record %d cannot be read, but there is a record %d", ErrDamaged, last+1, r.latest))
	}
	if salvage {
		c.Bad = r.bad
		return c, nil
	}
	return c, r.bad
}

// reader has the sectors of both files, by record.
type reader struct {
	firsts map[uint64][]byte // from the first sector of a record to the end of its file
	parts  map[uint64]bool   // records of which any sector is there
	latest uint64
	bad    error
}

func (r *reader) note(err error) {
	if r.bad == nil {
		r.bad = err
	}
}

func (r *reader) load(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing", ErrDamaged, path)
	} else if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("%w: read %s: %w", ErrDamaged, path, err)
	}
	if len(b) > maxFile {
		return fmt.Errorf("%w: %s is too long", ErrDamaged, path)
	}
	if r.firsts == nil {
		r.firsts, r.parts = make(map[uint64][]byte), make(map[uint64]bool)
	}
	return r.scan(filepath.Base(path), b)
}

// scan looks at every sector and clears those that are bad. A file that ends
// within one was cut.
func (r *reader) scan(name string, b []byte) (err error) {
	if len(b) == 0 || len(b)%sectorBytes != 0 {
		err = fmt.Errorf("%w: %s has a length of %d bytes", ErrDamaged, name, len(b))
	}
	for at := 0; at+sectorBytes <= len(b); at += sectorBytes {
		sector := b[at : at+sectorBytes]
		if [sectorBytes]byte(sector) == [sectorBytes]byte{} {
			continue
		}
		if binary.BigEndian.Uint32(sector) != sum(uint64(at/sectorBytes), sector) || sector[18] != version {
			if err == nil {
				err = fmt.Errorf("%w: the checksum of the %d bytes at %d of %s is wrong", ErrDamaged, sectorBytes, at, name)
			}
			clear(sector)
			continue
		}
		number := binary.BigEndian.Uint64(sector[4:])
		r.parts[number] = true
		r.latest = max(r.latest, number)
		if binary.BigEndian.Uint16(sector[16:]) == 0 {
			r.firsts[number] = b[at:]
		}
	}
	return err
}

// record puts one together. begun tells that a part of it is there.
func (r *reader) record(number uint64) (record []byte, whole, begun bool) {
	b, ok := r.firsts[number]
	if !ok {
		return nil, false, r.parts[number]
	}
	length := binary.BigEndian.Uint32(b[12:])
	if length == 0 || length > MaxRecord {
		return nil, false, true
	}
	record = make([]byte, 0, length)
	for i := 0; uint32(len(record)) < length; i++ {
		if len(b) < sectorBytes || binary.BigEndian.Uint64(b[4:]) != number ||
			binary.BigEndian.Uint32(b[12:]) != length || int(binary.BigEndian.Uint16(b[16:])) != i {
			return nil, false, true
		}
		n := min(dataBytes, int(length)-len(record))
		record = append(record, b[headBytes:headBytes+n]...)
		b = b[sectorBytes:]
	}
	return record, true, true
}
