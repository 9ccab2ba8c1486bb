// Package journal keeps numbered records on disk until they are of no more
// use. To append a record takes one write and one sync, and never touches a
// byte that an earlier one needs.
//
// A journal is two files that take turns: while what is in one finds its way
// to where it belongs, records go to the other. Neither is ever truncated. A
// file whose records are of no more use is written over from its start, so a
// sync need not tell the filesystem of a new length, which would double its
// time.
//
// A record is cut into sectors of 512 bytes, the unit that disks write wholly
// or not at all, and every sector carries a checksum. So a write that a power
// cut ended halfway leaves sectors of this record beside older ones, all of
// them good; and a sector whose checksum is wrong was damaged later. Read tells
// the two apart: what was cut short was never acknowledged, unless a sector
// was put back to what it held before.
package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"bluerings/internal/inplace"
)

const (
	// MaxRecord bounds a record, in bytes.
	MaxRecord = 1 << 20
	// FileBytes is about how long each of the two files becomes.
	FileBytes = 8 << 20

	sectorBytes = 512
	headBytes   = 20
	dataBytes   = sectorBytes - headBytes
	// A record begins where a page of the filesystem does, so that the pages of
	// those before it are not written again.
	pageBytes = 4096
	minGrow   = 64 << 10
	maxGrow   = 1 << 20
	version   = 1
)

// A sector, integers big endian:
//
//	0   CRC-32C over the sector's place in its file, counted in sectors, as 8
//	    bytes, and over what follows
//	4   number of the record, 8 bytes
//	12  length of the record, 4 bytes
//	16  which of the record's sectors this is, from 0, 2 bytes
//	18  1, the version; 0
//	20  492 bytes of the record, zeros after its end
//
// A sector of zeros was never written.

// ErrDamaged: a record that was durable cannot be read any more.
var ErrDamaged = errors.New("the journal is damaged")

// Names are those of the two files.
func Names() []string { return []string{"journal.0", "journal.1"} }

// device is what a file does for the journal. Tests lose its writes.
type device interface {
	io.WriterAt
	sync() error
	io.Closer
}

type file struct {
	device
	end  int64        // where the next record goes
	size atomic.Int64 // bytes there are
	last uint64       // number of the last record in it
}

// Journal is one that is written, by one goroutine at a time.
type Journal struct {
	dir    string
	files  [2]file
	opened [2]inplace.File
	turn   int
	next   uint64 // number of the next record
	failed error
	buf    []byte
	long   int64 // when a file is full, in bytes

	applied atomic.Uint64
}

// Options are for tests; a node has none.
type Options struct {
	// FileBytes is when a file is full; 0: the constant of that name.
	FileBytes int64
	// Synced is told the path of a file, or of the directory, whenever what was
	// written there has become durable, before anything else happens.
	Synced func(path string)
}

// Create makes the two files in a directory, durably. Its first record will be
// number next, which is at least 1. Files that are there already are an error.
func Create(dir string, next uint64, o Options) (*Journal, error) {
	j := &Journal{dir: dir, next: next, long: cmp.Or(o.FileBytes, FileBytes)}
	j.applied.Store(next - 1)
	for i, name := range Names() {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			j.files[i].device = &osFile{f, o.Synced}
			j.opened[i], err = inplace.Of(f)
		}
		if err == nil {
			err = j.files[i].grow()
		}
		if err == nil {
			err = j.files[i].sync()
		}
		if err != nil {
			j.abandon()
			return nil, fmt.Errorf("create a journal: %w", err)
		}
	}
	if err := syncDir(dir); err != nil {
		j.abandon()
		return nil, fmt.Errorf("create a journal: %w", err)
	}
	if o.Synced != nil {
		o.Synced(dir)
	}
	return j, nil
}

// abandon removes what Create made, but no file that was there before.
func (j *Journal) abandon() {
	for i, name := range Names() {
		if j.files[i].device != nil {
			_ = os.Remove(filepath.Join(j.dir, name))
		}
	}
	_ = j.Close()
}

// Append makes a record of up to MaxRecord bytes durable, and tells its number.
// After an error that is not of a full disk it is not known whether the record
// is there, and every further Append gives that error.
func (j *Journal) Append(record []byte) (number uint64, err error) {
	if j.failed != nil {
		return 0, j.failed
	}
	if len(record) == 0 || len(record) > MaxRecord {
		return 0, fmt.Errorf("a record of %d bytes, of 1 to %d", len(record), MaxRecord)
	}
	f := j.place()
	j.seal(record, f.end)
	for f.end+int64(len(j.buf)) > f.size.Load() {
		// Room is taken before it is needed: nothing of the record is there
		// when the disk is full.
		if err := f.grow(); err != nil {
			return 0, fmt.Errorf("lengthen the journal: %w", err)
		}
	}
	if _, err = f.WriteAt(j.buf, f.end); err == nil {
		err = f.sync()
	}
	if err != nil {
		j.failed = fmt.Errorf("write to the journal: %w", err)
		return 0, j.failed
	}
	f.end += (int64(len(j.buf)) + pageBytes - 1) / pageBytes * pageBytes
	f.last = j.next
	j.next++
	return f.last, nil
}

// Applied tells that records through number are of no more use: they are
// durable where they belong. It may be called from any goroutine.
func (j *Journal) Applied(number uint64) { j.applied.Store(number) }

// Full tells that it is time to apply what is in the file being written.
func (j *Journal) Full() bool { return j.files[j.turn].end >= j.long }

// Overdue tells that both files are full: no more should be appended before
// something is applied.
func (j *Journal) Overdue() bool {
	return j.Full() && j.files[1-j.turn].last > j.applied.Load()
}

// place chooses where the next record goes.
func (j *Journal) place() *file {
	applied := j.applied.Load()
	if f := &j.files[j.turn]; f.last <= applied {
		f.end = 0
	} else if j.Full() && j.files[1-j.turn].last <= applied {
		j.turn = 1 - j.turn
		j.files[j.turn].end = 0
	}
	return &j.files[j.turn]
}

// Size is the length of the two files in bytes. It may be called from any
// goroutine.
func (j *Journal) Size() int64 { return j.files[0].size.Load() + j.files[1].size.Load() }

// Failed tells that a record may or may not be there, so that none can follow.
func (j *Journal) Failed() bool { return j.failed != nil }

// InPlace tells what happened to a file if it was moved away, replaced or cut
// off: what is written to it then would be lost. The next record may go to
// either.
func (j *Journal) InPlace() error {
	for i, name := range Names() {
		if err := j.opened[i].Check(filepath.Join(j.dir, name), j.files[i].size.Load()); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return nil
}

// Close leaves the files as they are.
func (j *Journal) Close() error {
	if j.failed == nil {
		j.failed = os.ErrClosed
	}
	var errs []error
	for i := range j.files {
		if j.files[i].device != nil {
			errs = append(errs, j.files[i].Close())
			j.files[i].device = nil
		}
	}
	return errors.Join(errs...)
}

// Remove closes the journal and removes its files: its records must be of no
// more use.
func (j *Journal) Remove() error { return errors.Join(j.Close(), Remove(j.dir)) }

// Remove removes the files of a journal, if there are any.
func Remove(dir string) error {
	for _, name := range Names() {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// seal cuts a record into the sectors that stand at a place, in j.buf.
func (j *Journal) seal(record []byte, at int64) {
	j.buf = j.buf[:0]
	place := uint64(at / sectorBytes)
	length := uint32(len(record))
	for i := 0; len(record) > 0; i++ {
		from := len(j.buf)
		j.buf = append(j.buf, 0, 0, 0, 0)
		j.buf = binary.BigEndian.AppendUint64(j.buf, j.next)
		j.buf = binary.BigEndian.AppendUint32(j.buf, length)
		j.buf = binary.BigEndian.AppendUint16(j.buf, uint16(i))
		j.buf = append(j.buf, version, 0)
		n := min(dataBytes, len(record))
		j.buf = append(j.buf, record[:n]...)
		j.buf = append(j.buf, zeros[:dataBytes-n]...)
		binary.BigEndian.PutUint32(j.buf[from:], sum(place+uint64(i), j.buf[from:]))
		record = record[n:]
	}
}

var (
	zeros      [maxGrow]byte
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func sum(place uint64, sector []byte) uint32 {
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], place)
	return crc32.Update(crc32.Checksum(at[:], castagnoli), castagnoli, sector[4:sectorBytes])
}

func (f *file) grow() error {
	size := f.size.Load()
	more := min(max(size, minGrow), maxGrow)
	if _, err := f.WriteAt(zeros[:more], size); err != nil {
		return err
	}
	f.size.Add(more)
	return nil
}

type osFile struct {
	*os.File
	synced func(path string) // or nil
}

func (f *osFile) sync() error {
	err := datasync(f.File)
	for errors.Is(err, syscall.EINTR) {
		err = datasync(f.File)
	}
	if err == nil && f.synced != nil {
		f.synced(f.Name())
	}
	return err
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
