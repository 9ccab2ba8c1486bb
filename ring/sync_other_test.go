//go:build !linux

package ring

import "os"

// syncData is fdatasync where there is one.
func syncData(f *os.File) error { return f.Sync() }
