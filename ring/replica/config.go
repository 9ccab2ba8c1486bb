// Package replica is the protocol of a ring as a pure state machine: commands,
// messages and ticks go in, batches to persist and messages to publish come
// out. It reads no clock, opens no socket and no file, starts no goroutine,
// and two replicas that are told the same do the same, to the byte.
package replica

import (
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// Now is one reading of the two clocks of the machine.
type Now struct {
	Wall hlc.Timestamp // may jump
	Mono time.Duration // since some moment of this process; never goes back
}

// Config is what a replica is told once.
type Config struct {
	Host        string
	Ring        string
	Kind        value.Kind
	Digest      [32]byte // of the topology
	Members     []string // every host of the topology, sorted, this one included
	Upstreams   []string // hosts that this one subscribes to
	Downstreams []string // hosts that subscribe to this one
	Updates     bool     // takes updates of its own
	Forwards    bool     // forwards what others minted
	Async       bool     // tickets count as soon as they are minted, before they are durable

	PingInterval, PeerTimeout              time.Duration
	ForwardDelay, ConnectDelay, FloodDelay time.Duration
	MaxSkew                                time.Duration

	// Portion is how many tickets of others are applied at once, while callers
	// wait; 0: 256.
	Portion int

	// Boot identifies this run of the process; later runs have greater ones, by
	// 1<<16 at least, as the lower bits count how often the run asks for reports.
	Boot uint64
	// NewEpoch mints an epoch never used before on this host.
	NewEpoch func() uint64
}

// Stored is what the store held when it was opened.
type Stored struct {
	Origins []tickets.Origin // by index
	Ends    []uint64         // by index: length of the log
	Meta    []byte           // of the last batch that had one
	// NewLife is set where the directory was just created or restored from a
	// backup: no earlier epoch may be continued.
	NewLife bool
}

// The limits of what a replica holds on behalf of others.
const (
	maxBlockTickets   = 1024      // tickets a block of our own log
	maxSpareParts     = 128       // blocks of tickets kept for reuse
	maxStashedBytes   = 64 << 20  // of memory, in runs kept that arrived ahead of a gap
	maxUnstoredBytes  = 256 << 20 // of memory, in runs taken in and not yet durable
	maxAheadBytes     = 16 << 20  // of that; with more, nothing is asked for
	gatherBytes       = 2 << 20   // and with more, what was given waits for no more
	defaultPortion    = 256
	batchPortions     = 32        // of tickets of others, in one batch, but for a single run that has more
	askTickets        = 16384     // tickets asked for at once
	askBytes          = 512 << 10 // and about so much on the wire
	maxAsksPerOrigin  = 4         // requests under way for one log
	maxAsksPerLink    = 128       // requests under way to one upstream, which ignores too many
	maxLogBytes       = 256 << 10 // what the logs of members take in a ping, and as much those of others
	maxReportsPerPing = 4096      // more take turns
	maxForwardTickets = 16384     // a longer stretch is left for neighbours to pull
	promiseAhead      = time.Second
	recordEvery       = promiseAhead / 4 // at most, of the promises of others
	maxDelays         = 256              // of tickets on their way here, kept until somebody asks
	minPatience       = time.Second      // with an upstream that says nothing, after the start
	stuckAfter        = 10 * time.Second // without a new ticket nothing more is waited for after the start
)
