// Package ring is a node of a ring: the replica with a disk under it and a bus
// beside it. One lock owns the replica; whoever holds it mints, merges or
// reads. A committer makes what has accumulated durable in one transaction,
// and only what came back from the disk is acknowledged and sent.
package ring

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"bluerings/hlc"
	"bluerings/ring/boltstore"
	"bluerings/ring/replica"
	"bluerings/ring/zmqbus"
	"bluerings/tickets"
	"bluerings/value"
)

// Node is one member of a ring. Its methods may be called concurrently.
type Node struct {
	cfg   Config
	kind  value.Kind
	log   *slog.Logger
	store *boltstore.Store
	bus   *zmqbus.Bus // nil where nobody is to be heard
	start time.Time

	flushing sync.Mutex // held by the checkpoint that runs, before mu: the table knows only one
	indexed  uint64     // tickets that the index covers, under flushing

	mu       sync.RWMutex
	replica  *replica.Replica
	table    *tickets.Table
	claims   claimFilter
	shelf    shelf
	gone     uncollected        // only the collector's
	waiters  map[uint64]*waiter // by number of the batch
	waiting  int                // own tickets acknowledged and not durable
	orphans  []replica.Claim    // of collected tickets, for the next checkpoint to take out of the index
	full     bool               // the last commit found no room
	taken    []*call            // of takeIn
	places   []tickets.Place    // of findAll
	answered []*call            // to be woken once the lock is free
	company  company
	changed  chan struct{} // closed and replaced when what waits may look again
	looking  atomic.Int32  // how many wait on changed

	intake    intake
	kick      chan struct{}        // something to commit
	wake      chan struct{}        // the next tick may be due earlier
	hurry     chan struct{}        // commit without waiting for the interval
	forwards  chan replica.Stretch // flooded on
	gifts     chan replica.Stretch // given on request
	fatal     chan error           // for who runs the node
	failed    chan struct{}        // closed once nothing can be stored any more, for the node itself
	failure   error                // why; read it after failed
	draining  chan struct{}        // closed by Drain
	stop      chan struct{}
	done      sync.WaitGroup
	closing   atomic.Bool
	gathering atomic.Bool  // a kick is on its way
	called    atomic.Int64 // when updates were last asked for here, on the monotonic clock
	commits   atomic.Uint64
	sent      atomic.Uint64
	sentTix   atomic.Uint64
	meters    *meters
}

// Open opens or makes the data directory and starts the node.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	n, err := assemble(cfg)
	if err != nil {
		return nil, err
	}
	if err := n.openBus(); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	n.run(n.mintLoop, n.commitLoop, n.tickLoop, n.forwardLoop, n.giveLoop, n.checkpointLoop, n.collectLoop, n.fillClaims)
	return n, nil
}

// assemble makes a node of what is stored, in which nothing happens yet.
func assemble(cfg Config) (*Node, error) {
	cfg.setDefaults()
	kind, err := value.ParseKind(cfg.Topology.Value)
	if err != nil {
		return nil, err
	}
	self, ok := cfg.Topology.Node(cfg.Host)
	if !ok {
		return nil, fmt.Errorf("host %q is not in the topology: it has %v", cfg.Host, cfg.Topology.Members())
	}
	store, err := boltstore.Open(cfg.Data, boltstore.Options{
		Host: cfg.Host, Ring: cfg.Topology.Ring, Kind: kind, CheckCommand: cfg.CheckCommand, AcceptRewind: cfg.AcceptRewind, Logger: cfg.Logger, Trial: cfg.trial,
	})
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, kind: kind, log: cfg.Logger.With("scope", "ring"), store: store, start: time.Now(),
		waiters: make(map[uint64]*waiter), changed: make(chan struct{}), intake: intake{ready: make(chan struct{}, 1)},
		kick: make(chan struct{}, 1), hurry: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		forwards: make(chan replica.Stretch, 1024), gifts: make(chan replica.Stretch, 1024), fatal: make(chan error, 1), failed: make(chan struct{}), stop: make(chan struct{}), draining: make(chan struct{}),
	}
	if err := n.load(self.Updates(), self.Forwards()); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	n.meters = newMeters(n)
	return n, nil
}

func (n *Node) run(loops ...func()) {
	for _, loop := range loops {
		n.done.Go(loop)
	}
}

// load folds what is stored: the index as far as it goes, then the log.
func (n *Node) load(updates, forwards bool) error {
	past := &past{store: n.store, kind: n.kind, claims: &n.claims, shelf: &n.shelf}
	n.table = tickets.NewTable(n.kind, past)
	origins := n.store.Origins()
	for i, o := range origins {
		n.table.AddOrigin(tickets.OriginIndex(i), o)
	}
	covers, err := n.store.LoadIndex(func(row replica.Row) error { return n.table.Restore(row.Slot, row.Data) })
	if err != nil {
		return err
	}
	n.indexed = total(covers)
	for i, end := range n.store.Ends() {
		from := uint64(0)
		if i < len(covers) {
			from = covers[i]
		}
		if from > end {
			return fmt.Errorf("%w: the index knows of more tickets than the ledger", boltstore.ErrDamaged)
		}
		if err := n.refold(tickets.OriginIndex(i), from, end); err != nil {
			return err
		}
	}
	t := n.cfg.Topology
	timers := t.TimersFor(n.cfg.Host)
	cfg := replica.Config{
		Host: n.cfg.Host, Ring: t.Ring, Kind: n.kind, Digest: t.Digest(), Members: t.Members(),
		Downstreams: t.Downstreams(n.cfg.Host), Updates: updates, Forwards: forwards,
		Async:        n.cfg.Durability.Interval > 0,
		PingInterval: timers.PingInterval, PeerTimeout: timers.PeerTimeout, ForwardDelay: timers.ForwardDelay,
		ConnectDelay: timers.ConnectDelay, FloodDelay: timers.FloodDelay, MaxSkew: n.cfg.MaxClockSkew,
		Boot: uint64(n.cfg.Wall().UnixNano()), NewEpoch: func() uint64 { return newEpoch(n.cfg.Wall()) },
	}
	for _, link := range t.Upstreams(n.cfg.Host) {
		cfg.Upstreams = append(cfg.Upstreams, link.From)
	}
	stored := replica.Stored{
		Origins: origins, Ends: n.store.Ends(), Meta: n.store.Meta(),
		NewLife: n.store.Fresh() || n.store.Restored(),
	}
	n.replica, err = replica.New(cfg, stored, n.table, past, n.now())
	past.replica = n.replica
	return err
}

// refold applies the tickets of one log after number from.
func (n *Node) refold(i tickets.OriginIndex, from, end uint64) error {
	if from == end {
		return nil
	}
	var d tickets.Decoder
	var list []tickets.Ticket
	var places []tickets.Place
	return n.store.Blocks(i, from+1, end, func(b replica.Block) (bool, error) {
		if err := d.Open(n.kind, b.Run); err != nil {
			return false, fmt.Errorf("%w: %w", boltstore.ErrDamaged, err)
		}
		list, places = list[:0], places[:0]
		for t := (tickets.Ticket{}); d.Next(&t); {
			if t.Seq > from {
				list, places = append(list, t), append(places, n.table.Aim(t.Key()))
			}
		}
		if d.Err() != nil {
			return false, fmt.Errorf("%w: %w", boltstore.ErrDamaged, d.Err())
		}
		n.table.FindAll(places)
		for k := range list {
			if _, err := n.table.ApplyAt(&places[k], i, &list[k]); err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// newEpoch is the time in milliseconds, which sorts the lives of a directory,
// and 20 random bits for those begun at once.
func newEpoch(wall time.Time) uint64 {
	var b [8]byte
	rand.Read(b[:])
	return uint64(wall.UnixMilli())<<20 | binary.BigEndian.Uint64(b[:])>>44
}

func (n *Node) now() replica.Now {
	return replica.Now{Wall: hlc.FromTime(n.cfg.Wall()), Mono: time.Since(n.start) + 1}
}

// Now is the wall clock, or the clock of the node's tickets where that is ahead.
func (n *Node) Now() hlc.Timestamp {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.time()
}

// time is Now for who holds the lock.
func (n *Node) time() hlc.Timestamp { return n.replica.Time(n.now()) }

// Kind is the kind of value that the ring counts in.
func (n *Node) Kind() value.Kind { return n.kind }

// Host is the node's name.
func (n *Node) Host() string { return n.cfg.Host }

// Fatal yields the error after which the node must be stopped: the disk failed
// in a way that leaves the outcome of a commit open.
func (n *Node) Fatal() <-chan error { return n.fatal }

// Ready is nil while the node should be sent requests: it has what those of
// its neighbours had when it started that can be reached, there is room on its
// disk, and it is not shutting down.
func (n *Node) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closing.Load():
		return ErrClosed
	case n.full:
		return ErrFull
	case !n.replica.CaughtUp(n.now()):
		return ErrCatchingUp
	}
	return nil
}

// Drain makes Ready fail, ahead of Close.
// Whoever waits for coherence, finality or replicas is told to go.
func (n *Node) Drain() {
	if !n.closing.Swap(true) {
		n.intake.close()
		close(n.draining)
	}
}

// Close makes durable what was accepted, closes the links and the store.
func (n *Node) Close(ctx context.Context) error {
	n.Drain()
	var errs []error
	if n.bus != nil {
		errs = append(errs, n.bus.Close(ctx))
	}
	n.mu.Lock()
	n.replica.Leave()
	n.mu.Unlock()
	errs = append(errs, n.settle(ctx))
	close(n.stop)
	n.done.Wait()
	n.abandon()
	if len(errs) == 0 || errors.Join(errs...) == nil {
		errs = append(errs, n.lastCheckpoint(ctx))
	}
	n.meters.unregister()
	return errors.Join(append(errs, n.store.Close())...)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
