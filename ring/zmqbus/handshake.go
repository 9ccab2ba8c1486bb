package zmqbus

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
)

// The greeting of ZMTP 3: a signature of ten bytes, the version, the
// mechanism in 20 bytes padded with zeros, as-server, 31 bytes of filler.
const (
	greetingBytes  = 64
	mechanismField = 12
	serverField    = 32

	typePub = "PUB"
	typeSub = "SUB"
)

// counterparts says which socket types may face ours.
var counterparts = map[string][]string{
	typePub: {"SUB", "XSUB"},
	typeSub: {"PUB", "XPUB"},
}

func greeting(minor byte) []byte {
	g := make([]byte, greetingBytes)
	g[0], g[9] = 0xff, 0x7f
	g[8] = 1 // as libzmq does: older peers take it for the length of an identity
	g[10], g[11] = 3, minor
	copy(g[mechanismField:], "NULL")
	return g
}

func checkGreeting(g []byte) error {
	switch {
	case g[0] != 0xff || g[9] != 0x7f:
		return faultf(reasonGreeting, "not a ZMTP greeting")
	case g[10] < 3:
		return faultf(reasonGreeting, "ZMTP version %d, want 3", g[10])
	case string(bytes.TrimRight(g[mechanismField:serverField], "\x00")) != "NULL":
		return faultf(reasonMechanism, "security mechanism is not NULL")
	case g[serverField] > 1:
		return faultf(reasonGreeting, "as-server is %d, want 0 or 1", g[serverField])
	}
	return nil
}

func ready(socketType, identity string) []byte {
	var body []byte
	for _, p := range [][2]string{{"Socket-Type", socketType}, {"Identity", identity}} {
		body = append(body, byte(len(p[0])))
		body = append(body, p[0]...)
		body = binary.BigEndian.AppendUint32(body, uint32(len(p[1])))
		body = append(body, p[1]...)
	}
	return appendCommand(nil, "READY", body)
}

// parseReady reads a READY command's metadata. Unknown properties are
// ignored, as the standard asks; malformed ones are not.
func parseReady(b []byte) (socketType, identity string, err error) {
	seen := make(map[string]bool)
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < 1+n+4 {
			return "", "", faultf(reasonMetadata, "READY: property name of %d bytes in the last %d", n, len(b))
		}
		name := strings.ToLower(string(b[1 : 1+n]))
		size := binary.BigEndian.Uint32(b[1+n:])
		b = b[1+n+4:]
		if uint64(size) > uint64(len(b)) {
			return "", "", faultf(reasonMetadata, "READY: property value of %d bytes in the last %d", size, len(b))
		}
		if seen[name] || len(seen) == readyProperties {
			return "", "", faultf(reasonMetadata, "READY: property %q twice, or more than %d", name, readyProperties)
		}
		seen[name] = true
		switch name {
		case "socket-type":
			socketType = string(b[:size])
		case "identity":
			identity = string(b[:size])
		}
		b = b[size:]
	}
	return socketType, identity, nil
}

// shakeHands performs the ZMTP 3 handshake with the NULL mechanism as a
// socket of type ours and returns the identity the peer claims. The caller
// has set a deadline on c; r reads from c.
func shakeHands(c net.Conn, r *bufio.Reader, ours, host string) (identity string, err error) {
	if _, err := c.Write(greeting(1)); err != nil {
		return "", err
	}
	var g [greetingBytes]byte
	if _, err := io.ReadFull(r, g[:]); err != nil {
		return "", err
	}
	if err := checkGreeting(g[:]); err != nil {
		return "", err
	}
	if _, err := c.Write(ready(ours, host)); err != nil {
		return "", err
	}
	h, err := readHeader(r)
	if err != nil {
		return "", err
	}
	if !h.command() || h.size > readyBytes {
		return "", faultf(reasonMetadata, "want a READY command of at most %d bytes, got flags %#02x, %d bytes", readyBytes, h.flags, h.size)
	}
	body, err := appendBody(nil, r, int(h.size))
	if err != nil {
		return "", err
	}
	return checkReady(body, ours)
}

func checkReady(body []byte, ours string) (identity string, err error) {
	name, rest, err := parseCommand(body)
	if err != nil || name != "READY" {
		return "", faultf(reasonMetadata, "want a READY command, got %q", name)
	}
	theirs, identity, err := parseReady(rest)
	if err != nil {
		return "", err
	}
	for _, t := range counterparts[ours] {
		if t == theirs {
			return identity, nil
		}
	}
	return "", faultf(reasonSocketType, "socket type %.32q cannot face %s", theirs, ours)
}
