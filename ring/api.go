package ring

import (
	"errors"
	"time"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/value"
)

// Command is one change asked of this node: what a ticket will say, before it
// has an origin, a number and a timestamp.
type Command = replica.Command

// Outcome is what became of a command.
type Outcome struct {
	Err      error          // nil: Ticket is durable, in the sense of the node's durability
	Ticket   tickets.Ticket // the ticket minted, or the original one where Replayed
	Replayed bool           // the id was known and said the same
	Created  bool           // the name was not known before
	Reading  Reading        // the name after the change
}

// The errors of commands and reads. Limits and syntax are checked by
// Node.Check and give other errors.
var (
	ErrUnknown       = errors.New("this name is not known")                     // no expire given, and never set up or expired
	ErrIDReused      = errors.New("this id was used for another change")        // same id, other content
	ErrNotCoherent   = errors.New("the ring is not coherent")                   // and the command or read demanded it
	ErrReadOnly      = errors.New("this node takes no updates of its own")      // router or receiver
	ErrFull          = errors.New("no room on disk")                            // nothing was applied; try again later
	ErrUncertain     = errors.New("the outcome is unknown: retry with the id")  // the disk failed during the commit; the node stops
	ErrValueTooLarge = errors.New("the value would exceed the limit of digits") // tickets.MaxValueDigits
	ErrExpired       = errors.New("values as of that time have been collected") // as-of reads into a past life of the name
	ErrExpireInPast  = errors.New("expire is not in the future")
	ErrNotFinal      = errors.New("the value is not final yet")
	ErrBusy          = errors.New("too many updates are waiting") // bounded queue full
	ErrCatchingUp    = errors.New("the node is still fetching what others have")
	ErrClosed        = errors.New("the node is shutting down") // or its disk failed; nothing was attempted
)

// Reading is what a name stands for, at the moment of reading.
type Reading struct {
	Key    tickets.Key
	Value  value.Number  // counters
	Text   string        // texts
	Size   int           // sets: elements present
	Expire hlc.Timestamp // hlc.Never for never
}

// LedgerEntry is one ticket in a name's ledger.
type LedgerEntry struct {
	Ticket     tickets.Ticket
	Superseded bool // another ticket with the same id counts instead
	Conflict   bool // … and says something else
}

// Status is the ring as this node sees it.
type Status struct {
	Host            string
	Ring            string
	Kind            value.Kind
	Durability      string
	Coherent        bool
	Since           hlc.Timestamp // when Coherent last changed
	Reasons         []Reason      // why not coherent; sorted
	FinalThrough    hlc.Timestamp // no ticket at or before it is unknown to anybody; 0 none yet
	CompleteThrough hlc.Timestamp // this node alone holds everything through it
	BlockedBy       []string      // hosts that final_through waits for; empty while it moves
	Members         []Member      // sorted by host, this node included
	Vector          tickets.Vector
}

// Reason names what stands in the way of coherence, and at whom.
type Reason struct {
	Code   string // not_heard, does_not_hear_all, topology_differs, value_kind_differs, duplicate_host, clock_skew, behind, not_reported
	Host   string
	Detail string
}

// Member is one host of the topology.
type Member struct {
	Host      string
	Role      string
	Epoch     uint64        // 0: never heard of
	Connected bool          // heard within peer_timeout, directly or through others
	Heard     time.Duration // age of the last evidence, -1 never
	HearsAll  bool
	Behind    uint64        // tickets that this node lacks of what the member has
	Lag       time.Duration // since it was heard of the first of them
	Lacks     uint64        // tickets that the member lacks of what this node has, as far as known
	Offset    time.Duration // its clock minus ours, as last seen on a direct link
	Complete  hlc.Timestamp
	Closed    hlc.Timestamp
}

// LinkState is one directed link of the topology.
type LinkState struct {
	From, To string // To subscribes to From
	State    string // up, down, unknown (a link between two others)
}

// Statistics counts since the start of the process.
type Statistics struct {
	Recv, RecvTickets, Sent, SentTickets                uint64 // messages and tickets over links
	Stored, Duplicates, Superseded, Conflicts, Replayed uint64
	Counters, Texts, Sets                               int    // names alive
	Tickets                                             uint64 // in the ledger
	Commits                                             uint64
	QueueDepth                                          int
	DiskBytes                                           int64
}
