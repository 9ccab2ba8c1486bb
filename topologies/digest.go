package topologies

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
)

// Digest identifies what a topology means to the ring: its name, its kind of value, the members
// with their roles, and the links between them. Formatting, comments, the order of nodes that
// links do not depend on, timers and addresses leave it unchanged: two nodes may reach a third by
// different endpoints and still agree on who listens to whom.
//
// It is the SHA-256 of a sequence of strings, each preceded by its length as 8 bytes big-endian:
// "bluerings topology 1", ring, value, the number of members as one byte string of 8 bytes, then
// for each member in order host and role, then for each link in order From and To.
func (t *Topology) Digest() [32]byte {
	h := sha256.New()
	write := func(parts ...string) {
		for _, s := range parts {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
			h.Write([]byte(s))
		}
	}
	nodes := slices.SortedFunc(slices.Values(t.Nodes), func(a, b Node) int { return strings.Compare(a.Host, b.Host) })
	write("bluerings topology 1", t.Ring, t.Value)
	write(string(binary.BigEndian.AppendUint64(nil, uint64(len(nodes)))))
	for _, n := range nodes {
		role := n.Role
		if role == "" {
			role = Member
		}
		write(n.Host, role)
	}
	for _, l := range t.Links() {
		write(l.From, l.To)
	}
	return [32]byte(h.Sum(nil))
}
