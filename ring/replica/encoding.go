package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"bluerings/tickets"
)

// ErrMessage is wrapped by every error of decoding a message.
var ErrMessage = errors.New("bad message")

// reader takes an encoding apart; after a mistake it yields zeros.
type reader struct {
	src []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrMessage, what)
	}
	r.src = nil
}

func (r *reader) uvarint(what string) uint64 {
	v, n := binary.Uvarint(r.src)
	if n <= 0 {
		r.fail(what)
		return 0
	}
	r.src = r.src[n:]
	return v
}

func (r *reader) count(what string, limit int) int {
	n := r.uvarint(what)
	if n > uint64(limit) || n > uint64(len(r.src)) {
		r.fail(what + " is out of range")
		return 0
	}
	return int(n)
}

func (r *reader) str(what string, limit int) string {
	n := r.count(what, limit)
	if r.err != nil {
		return ""
	}
	s := string(r.src[:n])
	r.src = r.src[n:]
	return s
}

func (r *reader) host(what string) string {
	host := r.str(what, tickets.MaxHostBytes)
	if r.err == nil && tickets.CheckHost(host) != nil {
		r.fail(what)
	}
	return host
}

func (r *reader) fixed64(what string) uint64 {
	if len(r.src) < 8 {
		r.fail(what)
		return 0
	}
	v := binary.BigEndian.Uint64(r.src)
	r.src = r.src[8:]
	return v
}

func (r *reader) byte(what string) byte {
	if len(r.src) == 0 {
		r.fail(what)
		return 0
	}
	b := r.src[0]
	r.src = r.src[1:]
	return b
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The frame around every message: 'B' 'R', the protocol version, the type,
// four bytes that tell one ring from another, the body, and the CRC-32C of
// all that, big endian.
const (
	protocolVersion = 1
	headerBytes     = 8
	trailerBytes    = 4
)

// The types of messages.
const (
	typePing    = 1
	typeTickets = 2 // body: an encoded run
	typeGiven   = 3 // body: an encoded run, asked for
)

// ringTag tells messages of one ring and value kind from those of others.
func (c *Config) ringTag() uint32 {
	return crc32.Checksum(append([]byte(c.Ring), 0, byte(c.Kind)), castagnoli)
}

func appendHeader(dst []byte, kind byte, tag uint32) []byte {
	dst = append(dst, 'B', 'R', protocolVersion, kind)
	return binary.BigEndian.AppendUint32(dst, tag)
}

func appendTrailer(dst []byte) []byte {
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

// Frame wraps an encoded run into a message: flooded, or given on request.
func (r *Replica) Frame(run []byte, given bool) []byte {
	kind := byte(typeTickets)
	if given {
		kind = typeGiven
	}
	dst := make([]byte, 0, headerBytes+len(run)+trailerBytes)
	return appendTrailer(append(appendHeader(dst, kind, r.tag), run...))
}

// unframe checks the frame and yields type, ring tag and body.
func unframe(payload []byte) (kind byte, tag uint32, body []byte, err error) {
	if len(payload) < headerBytes+trailerBytes || payload[0] != 'B' || payload[1] != 'R' {
		return 0, 0, nil, fmt.Errorf("%w: no header", ErrMessage)
	}
	if payload[2] != protocolVersion {
		return 0, 0, nil, fmt.Errorf("%w: protocol version %d, this program speaks %d", ErrMessage, payload[2], protocolVersion)
	}
	end := len(payload) - trailerBytes
	if binary.BigEndian.Uint32(payload[end:]) != crc32.Checksum(payload[:end], castagnoli) {
		return 0, 0, nil, fmt.Errorf("%w: checksum", ErrMessage)
	}
	return payload[3], binary.BigEndian.Uint32(payload[4:]), payload[headerBytes:end], nil
}
