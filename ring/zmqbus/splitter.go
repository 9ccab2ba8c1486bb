package zmqbus

import "encoding/binary"

// splitter finds the messages in the byte stream the library writes, which
// comes as a greeting, a READY command and then frames, each header and each
// body in a Write of its own. Greeting and commands are swallowed: the guard
// has done the handshake itself.
type splitter struct {
	sizeOnly bool // the messages' bytes are not wanted

	greeted int // bytes of the greeting seen
	hdr     [longHeader]byte
	have    int  // bytes of hdr seen
	left    int  // bytes of the body still to come
	body    bool // within a body

	small []byte // the message so far, as on the wire
	big   []byte // its last body, by reference, when large
	size  int    // of the whole message on the wire
}

// write consumes p and calls emit at the end of each message.
func (s *splitter) write(p []byte, emit func(s *splitter)) {
	for len(p) > 0 {
		switch {
		case s.greeted < greetingBytes:
			n := min(greetingBytes-s.greeted, len(p))
			s.greeted += n
			p = p[n:]
		case !s.body:
			p = s.header(p)
		default:
			p = s.bodyPart(p)
		}
		if s.body && s.left == 0 {
			s.endFrame(emit)
		}
	}
}

func (s *splitter) flags() byte { return s.hdr[0] }

func (s *splitter) header(p []byte) []byte {
	if s.have == 0 {
		s.hdr[0] = p[0]
	}
	want := shortHeader
	if s.flags()&flagLong != 0 {
		want = longHeader
	}
	n := copy(s.hdr[s.have:want], p)
	if s.have += n; s.have < want {
		return p[n:]
	}
	s.left, s.have, s.body = int(s.hdr[1]), 0, true
	if want == longHeader {
		s.left = int(binary.BigEndian.Uint64(s.hdr[1:]))
	}
	s.size += want + s.left
	if !s.sizeOnly {
		s.small = append(s.small, s.hdr[:want]...)
	}
	return p[n:]
}

func (s *splitter) bodyPart(p []byte) []byte {
	n := min(s.left, len(p))
	switch {
	case s.sizeOnly:
	case n == s.left && n >= bigBody && s.flags()&(flagMore|flagCommand) == 0:
		// Only whole if no earlier part of this body went to small; a
		// partial write before would have, and order is kept either way.
		s.big = p[:n]
	default:
		s.small = append(s.small, p[:n]...)
	}
	s.left -= n
	return p[n:]
}

func (s *splitter) endFrame(emit func(s *splitter)) {
	s.body = false
	if s.flags()&flagMore != 0 {
		return
	}
	if s.flags()&flagCommand == 0 {
		emit(s)
	}
	s.small, s.big, s.size = s.small[:0], nil, 0
	if cap(s.small) > 4*chunkBytes {
		s.small = nil
	}
}
