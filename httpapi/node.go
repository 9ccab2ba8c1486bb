package httpapi

import (
	"context"
	"io"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/value"
)

// Node is what the HTTP interface asks of the node behind it. All of it is
// called from many goroutines at once.
type Node interface {
	Writer
	Reader
	Browser
	Waiter
	Observer
	Operator
	Identity
}

// Writer takes changes. Outcomes come in the order of the commands; an error
// says that none was attempted. Apply does not keep the slice.
type Writer interface {
	Apply(ctx context.Context, commands []ring.Command) ([]ring.Outcome, error)
}

// Reader answers for one name. ReadAt gives ring.ErrUnknown and
// ring.ErrExpired; Ledger is ordered by timestamp, host and epoch.
type Reader interface {
	Read(key tickets.Key) (reading ring.Reading, known bool)
	ReadAt(ctx context.Context, key tickets.Key, at hlc.Timestamp) (ring.Reading, error)
	Ledger(ctx context.Context, key tickets.Key, q ring.LedgerQuery) ([]ring.LedgerEntry, error)
}

// Browser lists names and elements in byte order, those strictly after the
// given one, at most limit of them.
type Browser interface {
	List(family tickets.Family, prefix, after string, limit int) []ring.Reading
	Elements(set, prefix, after string, limit int) (elements []string, known bool)
	Element(set, element string) (present, known bool) // known: the set is
}

// Waiter blocks until something holds or the context ends. WaitReplicas tells
// also then how many other members hold the ticket.
type Waiter interface {
	WaitCoherent(ctx context.Context) error
	WaitFinal(ctx context.Context, at hlc.Timestamp) error
	WaitReplicas(ctx context.Context, origin tickets.Origin, seq uint64, k int) (n int, err error)
}

// Observer tells how the ring is. Verdict is asked with every answer and must
// be cheap.
type Observer interface {
	Verdict() ring.Verdict
	Status() ring.Status
	Statistics() ring.Statistics
}

// Operator is what else those who run the node ask for. The digest is the
// same on every node for times that are final.
type Operator interface {
	Ready() error
	Backup(w io.Writer) error
	Digest(ctx context.Context, at hlc.Timestamp) (hex string, err error)
}

// Identity is the node's place in the ring: its clock, links and kind.
type Identity interface {
	Now() hlc.Timestamp
	Links() []ring.LinkState
	Kind() value.Kind
}
