package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"bluerings/internal/inplace"
)

// lockTimeout is how long opening waits for another process to let go.
const lockTimeout = time.Second

// database is one open bbolt file, with what bbolt itself lacks: a page that
// cannot be read, or that makes bbolt panic, becomes an error and never ends
// the process; and the outcome of a failed commit is told apart.
type database struct {
	path   string // for opening
	name   string // for messages
	db     *bbolt.DB
	file   *os.File // bbolt's own, to read the meta pages past the memory map
	opened inplace.File

	write   sync.Mutex // one writer at a time, and guards what follows
	refused error      // why there are no more writes
	dropped bool       // an index whose file was removed
	broken  atomic.Pointer[error]
	closed  atomic.Bool
	synced  func(path string)
}

// mapSizes are the bytes of address space tried for the memory map, largest
// first. Only address space is taken. A map that the file does not outgrow is
// never moved, so that readers never wait for a growing writer, nor it for
// them.
func mapSizes() []int {
	switch {
	case runtime.GOOS == "windows": // where the file grows to the size of its map
		return []int{0}
	case strconv.IntSize == 32:
		return []int{256 << 20, 0}
	default:
		gib := int64(1 << 30)
		return []int{int(64 * gib), int(8 * gib), int(gib), 0}
	}
}

// openDatabase opens a file that inspectFile has passed, or creates it when it
// is not there and create is set. After a panic in bbolt its lock is released
// here, but its memory map stays until the process exits.
func openDatabase(path string, readOnly, create bool) (*database, error) {
	d := &database{path: path, name: filepath.Base(path), synced: func(string) {}}
	flags := os.O_RDWR
	if readOnly {
		flags = os.O_RDONLY
	}
	if create {
		flags |= os.O_CREATE | os.O_EXCL
	}
	options := &bbolt.Options{
		Timeout: lockTimeout, ReadOnly: readOnly, FreelistType: bbolt.FreelistMapType, NoStatistics: true,
		OpenFile: func(path string, _ int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(path, flags, mode)
			d.file = f
			return f, err
		},
	}
	var err error
	for _, size := range mapSizes() {
		options.InitialMmapSize = size
		err = guard(d.name, func() (err error) {
			d.db, err = bbolt.Open(path, 0o600, options)
			return err
		})
		if !errors.Is(err, syscall.ENOMEM) {
			break
		}
		flags &^= os.O_EXCL
	}
	if err == nil {
		d.opened, err = inplace.Of(d.file)
	}
	if err != nil {
		if d.file != nil {
			_ = d.file.Close() // bbolt did unless it panicked
		}
		return nil, d.openError(err)
	}
	return d, nil
}

func (d *database) openError(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: another process has %s open", ErrBusy, d.path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return damaged("%s: %v", d.name, err)
	case isDamage(err):
		return err
	}
	return noSpaceOr(fmt.Errorf("open %s: %w", d.path, err))
}

// guard runs what reads the memory map. A fault in it (the file was cut off,
// the disk cannot read) and a panic of bbolt about what it read become
// ErrDamaged. Callbacks of users do not run under it, so that their panics
// stay theirs.
func guard(name string, do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged("%s cannot be read: %s", name, oneLine(fmt.Sprint(r)))
		}
	}()
	return do()
}

// guard runs do. After a panic locks of bbolt may still be held: no call
// reaches it again.
func (d *database) guard(do func() error) error {
	if d.closed.Load() {
		return ErrClosed
	}
	if err := d.broken.Load(); err != nil {
		return *err
	}
	panicked := true
	err := guard(d.name, func() error {
		err := do()
		panicked = false
		return err
	})
	if panicked {
		d.broken.CompareAndSwap(nil, &err)
	}
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// view runs do in a read transaction. It must be short, and nothing that it
// finds may be used after it unless copied.
func (d *database) view(do func(tx *bbolt.Tx) error) error {
	return d.guard(func() error { return d.db.View(do) })
}

// update runs do in a write transaction and commits it durably. An error of
// do leaves everything as it was. Else an error is ErrNoSpace, with everything
// as it was, or ErrUncertain; damage and ErrUncertain end all writing.
func (d *database) update(do func(tx *bbolt.Tx) error) error {
	d.write.Lock()
	defer d.write.Unlock()
	if d.refused != nil {
		return d.refused
	}
	if d.db.IsReadOnly() {
		return ErrReadOnly
	}
	var id uint64
	done := false
	err := d.guard(func() error {
		return d.db.Update(func(tx *bbolt.Tx) error {
			id = uint64(tx.ID())
			if err := d.inPlace(tx.Size()); err != nil {
				return err
			}
			if err := do(tx); err != nil {
				return err
			}
			done = true
			return nil
		})
	})
	switch {
	case err == nil:
		d.synced(d.path)
		return nil
	case !done:
		if isDamage(err) {
			d.refused = err
		}
		return err
	case isNoSpace(err) && d.uncommitted(id):
		return fmt.Errorf("%w: %s: %w", ErrNoSpace, d.name, err)
	}
	d.refused = fmt.Errorf("%w: %s: %w", ErrUncertain, d.name, err)
	return d.refused
}

// uncommitted tells whether neither meta page names the transaction, that is,
// whether nothing of it can be seen, now or after a restart.
func (d *database) uncommitted(id uint64) bool {
	metas, _, err := readMetas(d.file)
	return err == nil && metas[0].valid && metas[1].valid && metas[0].txid < id && metas[1].txid < id
}

// refusal tells why nothing can be written, if so.
func (d *database) refusal() error {
	d.write.Lock()
	defer d.write.Unlock()
	switch {
	case d.closed.Load():
		return ErrClosed
	case d.db.IsReadOnly():
		return ErrReadOnly
	}
	return d.refused
}

// refuse ends all writing; the first reason stays.
func (d *database) refuse(err error) {
	d.write.Lock()
	defer d.write.Unlock()
	if d.refused == nil {
		d.refused = err
	}
}

// inPlace tells whether the file is still the one under its name, and has all
// its bytes: bbolt would write on into a file that was renamed or removed. It
// costs about two microseconds.
func (d *database) inPlace(size int64) error {
	if err := d.opened.Check(d.path, size); err != nil {
		return damaged("%v", err)
	}
	return nil
}

// size is the length of the file in bytes.
func (d *database) size() int64 {
	info, err := d.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// close waits for transactions to end, except after a panic, which may have
// left one behind.
func (d *database) close() error {
	if d.closed.Swap(true) {
		return nil
	}
	if d.broken.Load() != nil {
		return d.file.Close()
	}
	return guard(d.name, d.db.Close)
}
