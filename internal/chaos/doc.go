// Package chaos runs a ring of real processes, lets clients and a nemesis loose
// on it, records what everybody was told, and judges the record by the promises
// of docs/GUARANTEES.md.
//
// A Ring owns the processes, their disks and the Network between them. Where
// it may, every process has a network namespace of its own on a bridge, and
// its data on an ext4 file system of its own on a loop device; where it may
// not, links run through TCP proxies, data lies in plain directories, and the
// faults that need more say why they are left out. Everything is drawn from one
// seed; but as the processes and the machine are real, a seed is a mix of
// faults and not a history.
package chaos
