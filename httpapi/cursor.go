package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"strings"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
)

// Cursors are opaque to clients: base64url of a letter for what is listed,
// and the place after which to go on. For names and elements that is the name
// itself; for ledgers timestamp and epoch, eight bytes each, and the host.
const (
	nameCursor   = 'n'
	ledgerCursor = 'l'
)

func encodeName(after string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{nameCursor}, after...))
}

func encodePosition(p ring.Position) string {
	b := binary.BigEndian.AppendUint64([]byte{ledgerCursor}, uint64(p.At))
	b = binary.BigEndian.AppendUint64(b, p.Epoch)
	return base64.RawURLEncoding.EncodeToString(append(b, p.Host...))
}

// cursor decodes the parameter cursor; nil where it is not given.
func (x *exchange) cursor(kind byte) ([]byte, error) {
	if !x.query.Has("cursor") {
		return nil, nil
	}
	text := x.query.Get("cursor")
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// Line ends are skipped by the decoder.
	if err != nil || strings.ContainsAny(text, "\r\n") || len(b) < 2 || b[0] != kind {
		return nil, badCursor()
	}
	return b[1:], nil
}

func badCursor() *Problem {
	return problem(BadCursor, "cursor has to be a next_cursor of the same list").in("cursor")
}

func (x *exchange) afterName() (string, error) {
	b, err := x.cursor(nameCursor)
	if err != nil || b == nil {
		return "", err
	}
	if checkElement(string(b)) != nil {
		return "", badCursor()
	}
	return string(b), nil
}

func (x *exchange) afterPosition() (*ring.Position, error) {
	b, err := x.cursor(ledgerCursor)
	if err != nil || b == nil {
		return nil, err
	}
	if len(b) < 17 || tickets.CheckHost(string(b[16:])) != nil {
		return nil, badCursor()
	}
	p := &ring.Position{
		At:    hlc.Timestamp(binary.BigEndian.Uint64(b)),
		Host:  string(b[16:]),
		Epoch: binary.BigEndian.Uint64(b[8:]),
	}
	if p.At < 1 {
		return nil, badCursor()
	}
	return p, nil
}
