package zmqbus

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// Reasons are the closed set of labels under which refusals, cuts and drops
// are counted.
const (
	// Of a handshake refused.
	reasonGreeting    = "greeting"           // not ZMTP, or older than 3.0
	reasonMechanism   = "mechanism"          // not NULL
	reasonMetadata    = "metadata"           // READY cannot be read
	reasonSocketType  = "socket_type"        // missing, unknown or not the counterpart
	reasonTimeout     = "timeout"            // nothing in time
	reasonTLS         = "tls"                // no certificate, or one not trusted
	reasonPending     = "pending_handshakes" // evicted by newer ones
	reasonConnections = "connections"        // too many connected

	// Of a connection cut off.
	reasonFlags     = "flags"        // reserved or contradictory bits in a frame header
	reasonLength    = "length"       // a frame longer than its limit
	reasonFrames    = "frames"       // not the one or two frames a message has
	reasonCommand   = "command"      // unknown, malformed or out of place
	reasonNotTopic  = "subscription" // a subscriber sent something else
	reasonTopics    = "topics"       // too many subscriptions
	reasonStalled   = "stalled"      // took nothing for WriteTimeout
	reasonRequests  = "requests"     // requests to an upstream pile up
	reasonClosed    = "closed"       // the peer went away
	reasonShutdown  = "shutdown"     // we did
	reasonRequested = "requested"    // Drop

	// Of a message dropped.
	reasonQueue     = "queue"       // the subscriber's queue is full
	reasonTotal     = "total_queue" // all queues together are
	reasonPublisher = "publisher"   // the publisher outran the fan-out: dropped for all
	reasonOversize  = "oversize"    // topic or payload beyond its limit: dropped for all
)

// fault is why a connection was refused or cut off: a reason to count it
// under and an error to tell.
type fault struct {
	reason string
	err    error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func faultf(reason, format string, args ...any) error {
	return &fault{reason: reason, err: fmt.Errorf(format, args...)}
}

// reasonOf names the reason for err; anything that is not a fault found by
// the guard is the peer or the network gone, or late.
func reasonOf(err error) string {
	var f *fault
	switch {
	case errors.As(err, &f):
		return f.reason
	case errors.Is(err, os.ErrDeadlineExceeded):
		return reasonTimeout
	default:
		return reasonClosed
	}
}

// plain shortens the usual ends of a connection to a phrase.
func plain(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the peer closed the connection"
	case errors.Is(err, net.ErrClosed):
		return "the connection was closed"
	default:
		return err.Error()
	}
}

// errEnd is the only error the library gets to read. It is a net.Error that
// is no timeout, so that the library forgets the connection even when the
// end comes in the middle of a frame; a bare EOF would be turned into
// io.ErrUnexpectedEOF there, on which it keeps the connection for ever.
var errEnd net.Error = endError{}

type endError struct{}

func (endError) Error() string   { return "connection ended" }
func (endError) Timeout() bool   { return false }
func (endError) Temporary() bool { return false }
