//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"unsafe"
)

const (
	diskBytes       = 1 << 30    // sparse: what is not written takes no room
	shutdownRequest = 0x8004587d // FS_IOC_SHUTDOWN
	shutdownFlush   = 1          // the journal still reaches the disk
	shutdownNoFlush = 2          // nothing does that is not there
)

// disk is where a node keeps its data: a file system of its own, or a plain
// directory.
type disk struct {
	dir   string
	image string // empty without a file system of its own
}

// newDisk makes disk i below base; why says why it is only a directory.
func newDisk(base string, i int) (d *disk, why error) {
	d = &disk{dir: filepath.Join(base, fmt.Sprintf("bc%x-disk-%d", os.Getpid(), i))}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return d, errors.New("it takes root")
	}
	image := d.dir + ".ext4"
	err := os.WriteFile(image, nil, 0o600)
	if err == nil {
		err = os.Truncate(image, diskBytes)
	}
	if err == nil {
		err = run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1", image)
	}
	if err == nil {
		err = run("mount", "-o", "loop", image, d.dir)
	}
	if err == nil {
		d.image = image
	}
	return d, err
}

func (d *disk) data() string    { return filepath.Join(d.dir, "data") }
func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// shutdown loses at once what was written and not synced, and fails everything
// from then on, until remount.
func (d *disk) shutdown(flags uint32) error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdownRequest, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return fmt.Errorf("shut %s down: %w", d.dir, errno)
	}
	return nil
}

func (d *disk) remount() error {
	return errors.Join(run("umount", d.dir), run("mount", "-o", "loop", d.image, d.dir))
}

// fill leaves no room; it takes none on the machine's own disk.
func (d *disk) fill() error {
	f, err := os.Create(d.ballast())
	if err != nil {
		return err
	}
	defer f.Close()
	size := int64(0)
	for step := int64(diskBytes / 4); step >= 1024; {
		if err := syscall.Fallocate(int(f.Fd()), 0, size, step); err == nil {
			size += step
		} else if errors.Is(err, syscall.ENOSPC) {
			step /= 2
		} else {
			return fmt.Errorf("fill %s: %w", d.dir, err)
		}
	}
	return nil
}

func (d *disk) free() error { return os.Remove(d.ballast()) }

// sweepDisks unmounts what processes left behind that were killed.
func sweepDisks() {
	mounts, _ := os.ReadFile("/proc/mounts") // without it there is nothing to do
	for _, m := range regexp.MustCompile(` (/\S*/bc([0-9a-f]+)-disk-\d+) `).FindAllStringSubmatch(string(mounts), -1) {
		if pid, err := strconv.ParseInt(m[2], 16, 32); err == nil && syscall.Kill(int(pid), 0) != nil {
			_ = syscall.Unmount(m[1], 0) // as far as it goes
		}
	}
}

// close gives back what newDisk took; the base directory is the caller's.
func (d *disk) close() error {
	if d.image == "" {
		return nil
	}
	err := run("umount", d.dir)
	if err != nil {
		err = errors.Join(err, syscall.Unmount(d.dir, syscall.MNT_DETACH))
	}
	return errors.Join(err, os.Remove(d.image))
}
