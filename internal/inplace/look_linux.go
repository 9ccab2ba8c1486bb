package inplace

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

func (f File) look(path string) (same bool, length int64, err error) {
	var now unix.Statx_t
	err = unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_SIZE, &now)
	for errors.Is(err, unix.EINTR) {
		err = unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_SIZE, &now)
	}
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // an old kernel, or a sandbox that does not know the call
		return f.lookAtAll(path)
	}
	opened, ok := f.info.Sys().(*syscall.Stat_t)
	if err != nil || !ok {
		return false, 0, err
	}
	//nolint:unconvert // the types differ between architectures
	same = now.Ino == uint64(opened.Ino) && unix.Mkdev(now.Dev_major, now.Dev_minor) == uint64(opened.Dev)
	return same, int64(now.Size), nil
}
