// Package inplace tells whether a name still leads to the file that was opened
// under it, with all its bytes: what is written to a file that was moved away,
// replaced or cut off would be lost.
package inplace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File is one that was opened.
type File struct{ info os.FileInfo }

// Of tells which file f is.
func Of(f *os.File) (File, error) {
	info, err := f.Stat()
	return File{info}, err
}

// Check returns what happened to the file that was opened as path, nil if it
// is there and has at least size bytes. It costs a microsecond or two, and does
// not ask for the file's times: on Linux whoever does makes the next write
// change them to the nanosecond, rather than with the tick of some milliseconds,
// and on some filesystems every sync then writes the inode as well.
func (f File) Check(path string, size int64) error {
	same, length, err := f.look(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s was moved away or removed while in use; put it back and start again", path)
	case err != nil:
		return fmt.Errorf("%s cannot be found while in use: %w", path, err)
	case !same:
		return fmt.Errorf("%s was replaced by another file while in use", path)
	case length < size:
		return fmt.Errorf("%s was cut to %d bytes while in use, it had %d", path, length, size)
	}
	return nil
}

func (f File) lookAtAll(path string) (same bool, length int64, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, 0, err
	}
	return os.SameFile(info, f.info), info.Size(), nil
}
