package ring

import (
	"os"
	"syscall"
)

// syncData is fdatasync where there is one.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
