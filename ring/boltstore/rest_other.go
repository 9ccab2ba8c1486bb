//go:build !linux

package boltstore

// Rest says that little will be read for a while.
func (s *Store) Rest() {}
