package zmqbus

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"slices"
)

// ZMTP 3 framing: one byte of flags, the size in one byte or, with flagLong,
// in eight, then the body. See https://rfc.zeromq.org/spec/37/.
const (
	flagMore    byte = 1 << 0
	flagLong    byte = 1 << 1
	flagCommand byte = 1 << 2

	shortHeader = 2
	longHeader  = 9
)

// growStep is how much is allocated ahead of the bytes that have arrived.
const growStep = 32 << 10

// header is a frame's header. size is what the peer claims, not yet believed.
type header struct {
	flags byte
	size  uint64
}

func (h header) more() bool    { return h.flags&flagMore != 0 }
func (h header) command() bool { return h.flags&flagCommand != 0 }

// readHeader reads and checks a frame header. It allocates nothing.
func readHeader(r *bufio.Reader) (header, error) {
	b, err := r.Peek(shortHeader)
	if err != nil {
		return header{}, err
	}
	h := header{flags: b[0], size: uint64(b[1])}
	if h.flags&^(flagMore|flagLong|flagCommand) != 0 {
		return header{}, faultf(reasonFlags, "frame flags %#02x have reserved bits", h.flags)
	}
	if h.command() && h.more() {
		return header{}, faultf(reasonFlags, "frame flags %#02x: a command cannot have more frames", h.flags)
	}
	n := shortHeader
	if h.flags&flagLong != 0 {
		n = longHeader
		if b, err = r.Peek(n); err != nil {
			return header{}, err
		}
		h.size = binary.BigEndian.Uint64(b[1:])
	}
	_, err = r.Discard(n)
	return h, err
}

// appendHeader appends the header of a frame of size bytes.
func appendHeader(dst []byte, flags byte, size int) []byte {
	if size <= 255 {
		return append(dst, flags, byte(size))
	}
	dst = append(dst, flags|flagLong)
	return binary.BigEndian.AppendUint64(dst, uint64(size))
}

// headerBytes is the length of that header.
func headerBytes(size int) int {
	if size <= 255 {
		return shortHeader
	}
	return longHeader
}

// appendBody reads size bytes, already checked against a limit, to the end
// of dst. Memory grows with the bytes that arrive: at most twice their
// number, plus growStep, is ever allocated.
func appendBody(dst []byte, r *bufio.Reader, size int) ([]byte, error) {
	for size > 0 {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, min(size, max(growStep, len(dst))))
		}
		room := dst[len(dst):min(cap(dst), len(dst)+size)]
		n, err := r.Read(room)
		dst = dst[:len(dst)+n]
		size -= n
		if err != nil && size > 0 {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return dst, err
		}
	}
	return dst, nil
}

// parseCommand splits the body of a command frame.
func parseCommand(body []byte) (name string, rest []byte, err error) {
	if len(body) == 0 || int(body[0]) == 0 || int(body[0]) > len(body)-1 {
		return "", nil, faultf(reasonCommand, "command of %d bytes has no name", len(body))
	}
	n := 1 + int(body[0])
	return string(body[1:n]), body[n:], nil
}

// appendCommand appends a whole command frame.
func appendCommand(dst []byte, name string, body []byte) []byte {
	dst = appendHeader(dst, flagCommand, 1+len(name)+len(body))
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	return append(dst, body...)
}

// pongTo builds the answer to a PING whose body is given: PONG with the same
// context.
func pongTo(ping []byte) ([]byte, error) {
	if len(ping) < 2 || len(ping) > pingBytes {
		return nil, faultf(reasonCommand, "PING of %d bytes, want 2 to %d", len(ping), pingBytes)
	}
	return appendCommand(nil, "PONG", ping[2:]), nil
}

// act says what a peer's frame asks for.
type act byte

const (
	actNothing act = iota // a PONG: nothing
	actCancel
	actSubscribe
	actPing
	actMessage
)

// readRequest reads one frame a subscriber sent: a subscription or its
// cancellation, as a message (ZMTP 3.0) or a command (3.1), or a PING or
// PONG. It returns what it asks for and its argument, the topic or the
// PING's body, which is valid until the next call with the same buf.
func readRequest(r *bufio.Reader, buf []byte, lim *Limits) (act, []byte, []byte, error) {
	h, err := readHeader(r)
	if err != nil {
		return 0, nil, buf, err
	}
	limit := 1 + lim.TopicBytes
	if h.command() {
		limit = commandBytes + max(lim.TopicBytes, pingBytes)
	}
	switch {
	case h.size > uint64(limit):
		return 0, nil, buf, faultf(reasonLength, "subscriber sent a frame of %d bytes, limit %d", h.size, limit)
	case h.more():
		return 0, nil, buf, faultf(reasonFrames, "subscriber sent a message of several frames")
	}
	if buf, err = appendBody(buf[:0], r, int(h.size)); err != nil {
		return 0, nil, buf, err
	}
	if !h.command() {
		if len(buf) == 0 || buf[0] > 1 {
			return 0, nil, buf, faultf(reasonNotTopic, "subscriber sent a message that is no subscription")
		}
		return actCancel + act(buf[0]), buf[1:], buf, nil
	}
	name, rest, err := parseCommand(buf)
	if err != nil {
		return 0, nil, buf, err
	}
	what, err := requestOf(name, rest, lim)
	return what, rest, buf, err
}

func requestOf(name string, rest []byte, lim *Limits) (act, error) {
	switch name {
	case "SUBSCRIBE", "CANCEL":
		if len(rest) > lim.TopicBytes {
			return 0, faultf(reasonLength, "topic of %d bytes, limit %d", len(rest), lim.TopicBytes)
		}
		if name == "CANCEL" {
			return actCancel, nil
		}
		return actSubscribe, nil
	default:
		return heartbeatOf(name, rest)
	}
}

// heartbeatOf accepts the commands either side may send at any time.
func heartbeatOf(name string, rest []byte) (act, error) {
	switch name {
	case "PING":
		if len(rest) < 2 || len(rest) > pingBytes {
			return 0, faultf(reasonCommand, "PING of %d bytes, want 2 to %d", len(rest), pingBytes)
		}
		return actPing, nil
	case "PONG":
		if len(rest) > pingBytes-2 {
			return 0, faultf(reasonCommand, "PONG of %d bytes, limit %d", len(rest), pingBytes-2)
		}
		return actNothing, nil
	case "ERROR":
		return 0, faultf(reasonCommand, "the peer reports an error: %q", bytes.TrimSpace(rest))
	default:
		return 0, faultf(reasonCommand, "unexpected command %q", name)
	}
}

// readPublished reads one whole message, or one command, an upstream sent. A
// message is a topic and a payload; it is returned as it stood on the wire,
// ready for the library; a PING's body likewise as argument. Both are valid
// until the next call with the same buf.
func readPublished(r *bufio.Reader, buf []byte, lim *Limits) (act, []byte, []byte, error) {
	h, err := readHeader(r)
	if err != nil {
		return 0, nil, buf, err
	}
	if h.command() {
		return readHeartbeat(r, h, buf)
	}
	switch {
	case h.size == 0:
		return 0, nil, buf, faultf(reasonFrames, "message with an empty topic")
	case h.size > uint64(lim.TopicBytes):
		return 0, nil, buf, faultf(reasonLength, "topic of %d bytes, limit %d", h.size, lim.TopicBytes)
	case !h.more():
		return 0, nil, buf, faultf(reasonFrames, "message without a payload frame")
	}
	buf = appendHeader(buf[:0], flagMore, int(h.size))
	if buf, err = appendBody(buf, r, int(h.size)); err != nil {
		return 0, nil, buf, err
	}
	if h, err = readHeader(r); err != nil {
		return 0, nil, buf, err
	}
	switch {
	case h.command():
		return 0, nil, buf, faultf(reasonCommand, "command inside a message")
	case h.more():
		return 0, nil, buf, faultf(reasonFrames, "message of more than two frames")
	case h.size > uint64(lim.FrameBytes):
		return 0, nil, buf, faultf(reasonLength, "payload of %d bytes, limit %d", h.size, lim.FrameBytes)
	}
	buf = appendHeader(buf, 0, int(h.size))
	buf, err = appendBody(buf, r, int(h.size))
	return actMessage, buf, buf, err
}

func readHeartbeat(r *bufio.Reader, h header, buf []byte) (act, []byte, []byte, error) {
	const limit = commandBytes + 256 // an ERROR carries a text of up to 255 bytes
	if h.size > limit {
		return 0, nil, buf, faultf(reasonLength, "command of %d bytes, limit %d", h.size, limit)
	}
	buf, err := appendBody(buf[:0], r, int(h.size))
	if err != nil {
		return 0, nil, buf, err
	}
	name, rest, err := parseCommand(buf)
	if err != nil {
		return 0, nil, buf, err
	}
	what, err := heartbeatOf(name, rest)
	return what, rest, buf, err
}
