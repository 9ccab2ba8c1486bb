package boltstore

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// Rest says that little will be read for a while: the pages of the files that
// were read count as memory of this process no longer. They stay in the cache
// of the system, from where a later read has them again.
func (s *Store) Rest() {
	s.ledger.unmapPages()
	if index := s.indexFile(); index != nil {
		index.unmapPages()
	}
}

// unmapPages takes the pages out of the memory map, which stays: it is of a
// file and shared, so nothing is lost. The transaction keeps bbolt from moving
// the map meanwhile.
func (d *database) unmapPages() {
	_ = d.view(func(tx *bbolt.Tx) error {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, d.db.Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED)
		return nil
	})
}
