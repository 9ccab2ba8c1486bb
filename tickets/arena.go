package tickets

import (
	"encoding/binary"
	"errors"
	"unsafe"
)

const (
	arenaChunkBits = 18
	arenaChunk     = 1 << arenaChunkBits
)

var errArenaFull = errors.New("the names together exceed 4 GiB")

// arena holds names back to back in chunks that are never changed once
// written. So strings that point into it stay valid for ever, even past the
// arena's own life.
type arena struct {
	chunks [][]byte
	live   int // bytes of names in use
	dead   int // bytes of names released
}

// add copies name and returns where it is.
func (a *arena) add(name string) (uint32, error) {
	need := len(name) + 2
	if n := len(a.chunks); n == 0 || len(a.chunks[n-1])+need > arenaChunk {
		if n == 1<<(32-arenaChunkBits) {
			return 0, errArenaFull
		}
		a.chunks = append(a.chunks, make([]byte, 0, arenaChunk))
	}
	n := len(a.chunks) - 1
	at := uint32(n)<<arenaChunkBits | uint32(len(a.chunks[n]))
	a.chunks[n] = append(binary.AppendUvarint(a.chunks[n], uint64(len(name))), name...)
	a.live += len(name)
	return at, nil
}

// get returns the name at a place that add returned, without copying it.
func (a *arena) get(at uint32) string {
	b := a.chunks[at>>arenaChunkBits][at&(arenaChunk-1):]
	size, skip := int(b[0]), 1
	if size >= 0x80 {
		size, skip = size&0x7f|int(b[1])<<7, 2
	}
	return unsafe.String(&b[skip], size)
}

// release counts a name as dead.
func (a *arena) release(at uint32) {
	n := len(a.get(at))
	a.live, a.dead = a.live-n, a.dead+n
}

// wasteful tells whether copying the live names elsewhere is worth it.
func (a *arena) wasteful() bool { return a.dead > a.live+4*arenaChunk }
