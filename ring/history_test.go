package ring

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"bluerings/ring/boltstore"
	"bluerings/ring/replica"
	"bluerings/tickets"
	"bluerings/topologies"
	"bluerings/value"
)

// history is what one directory goes through, as a seed says: lives of a node
// over the real store, each of which ends when the power goes, or well. One
// goroutine plays it; what waits for a commit does so in another, one at a
// time, and only one of the two runs.
type history struct {
	t     *testing.T
	seed  uint64
	rnd   *rand.Rand
	dir   string
	topo  *topologies.Topology
	peers []*peer

	n     *Node
	power *power
	task  chan error // of what waits for a commit, nil if nothing does
	calls []*call    // not answered yet

	submitted map[place]string // every ticket that was minted or sent, in canonical form
	acked     []acknowledged
	held      state  // what the last commit left
	flying    *state // what the commit under way will leave
	wasMarked bool   // the directory said already that it may be behind
	backup    *backup
	stats     *tally
	lasting   bool // the power goes when the test says so
}

// place is that of a ticket.
type place struct {
	origin tickets.Origin
	seq    uint64
}

// state is what commits leave in a ledger.
type state struct {
	ends map[tickets.Origin]uint64
	meta []byte
}

type acknowledged struct {
	place
	cmd Command
}

type backup struct {
	bytes.Buffer
	state
}

// tally is what histories came to, so that a test can tell that they are not empty.
type tally struct {
	lives, cuts, cutsAtStart, torn, marked, stops, restores, tickets, acked, checkpoints, collected int
}

func newHistory(t *testing.T, root string, seed uint64, stats *tally) *history {
	h := &history{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)), stats: stats,
		dir: filepath.Join(root, fmt.Sprint("seed", seed)), submitted: make(map[place]string),
		held: state{ends: make(map[tickets.Origin]uint64)}}
	h.topo = topologies.Alone("test", "decimal", "a")
	if h.rnd.IntN(2) == 0 {
		var err error
		if h.topo, err = topologies.Generate(topologies.FullMesh, 3); err != nil {
			t.Fatal(err)
		}
		h.topo.Ring, h.topo.Value = "test", "decimal"
		for i, host := range h.topo.Members()[1:] {
			h.peers = append(h.peers, &peer{origin: tickets.Origin{Host: host, Epoch: uint64(i + 1)}})
		}
	}
	return h
}

func (h *history) fail(format string, args ...any) {
	h.t.Helper()
	if h.n != nil && !h.n.closing.Load() { // whoever waits goes
		h.n.Drain()
		close(h.n.stop)
		h.n.abandon()
	}
	h.t.Fatalf("seed %d: life %d: "+format, append([]any{h.seed, h.stats.lives}, args...)...)
}

func (h *history) tracef(format string, args ...any) {
	if *traced {
		h.t.Logf("%s: %s", time.Now().Format("05.000"), fmt.Sprintf(format, args...))
	}
}

// play plays a few lives.
func (h *history) play() {
	for life := range 2 + h.rnd.IntN(5) {
		if life > 0 && len(h.peers) > 0 && h.rnd.IntN(3) == 0 { // the others are gone: only alone anything becomes final
			h.topo, h.peers = topologies.Alone("test", "decimal", h.topo.Members()[0]), nil
		}
		if h.open(); h.n == nil {
			continue // the power went while it started
		}
		h.judge()
		for range h.rnd.IntN(120) {
			if h.power.image != "" {
				break
			}
			h.step()
			h.settle()
		}
		h.end()
	}
	h.open()
	if h.n != nil {
		h.judge()
		h.abandon()
	}
	_ = os.RemoveAll(h.dir)
}

// open starts a life with what the one before left. Until it has started there
// is no node.
func (h *history) open() {
	h.stats.lives++
	time.Sleep(time.Duration(1+h.rnd.IntN(2000)) * time.Millisecond)
	trial := &boltstore.Trial{JournalBytes: 4096 << h.rnd.IntN(8)}
	cfg := Config{Topology: h.topo, Host: h.topo.Members()[0], Data: h.dir, ExpiryGrace: -1, trial: trial, stepItems: 1 + h.rnd.IntN(30)}
	if h.rnd.IntN(4) == 0 {
		cfg.Durability.Interval = 10 * time.Millisecond
	}
	if _, err := os.Stat(h.dir); err != nil { // not a matter of power: it is all or nothing, see boltstore.Open
		n, err := assemble(cfg)
		if err != nil {
			h.fail("%v", err)
		}
		crash(h.t, n)
	} else {
		h.verify()
	}
	h.power = newPower(h.t, h.rnd, h.dir, h.rnd.IntN(60), h.note)
	if h.lasting {
		h.power.syncs = 1 << 30
	}
	h.power.tracef = h.tracef
	h.tracef("life %d of %s, durability %s, journal of %d, steps of %d, power for %d syncs", h.stats.lives, h.topo.Members(), cfg.Durability, trial.JournalBytes, cfg.stepItems, h.power.syncs)
	trial.Synced = h.power.synced
	n, err := assemble(cfg)
	if err != nil {
		h.fail("it does not start: %v", err)
	}
	if h.n = n; h.power.image != "" {
		h.stats.cutsAtStart++
		h.abandon()
	}
}

func (h *history) verify() {
	var found bytes.Buffer
	if n, err := Verify(h.t.Context(), h.dir, &found); err != nil || n != 0 {
		h.fail("verify: %d differences, %v\n%s", n, err, found.String())
	}
}

// settle lets everything run that can, and takes in what came of it.
func (h *history) settle() {
	synctest.Wait()
	h.note()
	select {
	case err := <-h.task:
		if err != nil && h.power.image == "" {
			h.fail("%v", err)
		}
		h.task = nil
	default:
	}
}

// note takes in what was minted and what was acknowledged, as of now, unless
// the power went before.
func (h *history) note() {
	if h.power.image != "" {
		return
	}
	waiting := h.calls[:0]
	for _, c := range h.calls {
		for i := range c.outcomes {
			if t := &c.outcomes[i].Ticket; t.Seq > 0 {
				h.submitted[place{t.Origin, t.Seq}] = canonical(t)
			}
		}
		select {
		case <-c.done:
			h.answer(c)
		default:
			waiting = append(waiting, c)
		}
	}
	h.calls = waiting
}

func (h *history) answer(c *call) {
	for i := range c.outcomes {
		if o := &c.outcomes[i]; o.Err == nil && o.Ticket.Seq > 0 && h.n.cfg.Durability.Interval == 0 {
			h.acked = append(h.acked, acknowledged{place{o.Ticket.Origin, o.Ticket.Seq}, c.cmds[i]})
			h.stats.acked++
		}
	}
}

func canonical(t *tickets.Ticket) string { return string(appendCanonical(nil, t, value.Decimal)) }

// commit makes durable what has accumulated.
func (h *history) commit() {
	for batch := h.n.nextBatch(); batch != nil; {
		h.note()
		next := h.after(batch)
		h.flying = &next
		h.tracef("batch %d: %v", batch.Number, next.ends)
		synctest.Wait() // who was told that the last one is done may sync as well
		batch = h.n.commit(batch)
		synctest.Wait()
		if h.power.image != "" {
			return // and then nothing more of this life counts
		}
		h.held, h.flying = next, nil
		h.settle()
		h.n.intake.wakeAnswered()
	}
}

// after is the state that a batch leads to.
func (h *history) after(b *replica.Batch) state {
	origins := h.n.store.Origins()
	for _, o := range b.Origins {
		origins = append(origins, o.Origin)
	}
	next := state{maps.Clone(h.held.ends), h.held.meta}
	for i := range b.Blocks {
		next.ends[origins[b.Blocks[i].Origin]] = b.Blocks[i].Last
	}
	if b.Meta != nil {
		next.meta = bytes.Clone(b.Meta)
	}
	return next
}

// start begins what waits for a commit, unless something does already.
func (h *history) start(do func() error) {
	if h.task == nil {
		done := make(chan error, 1)
		h.task = done
		go func() { done <- do() }()
	}
}

// end ends a life: by a power cut, now or at the next syncs, or well.
func (h *history) end() {
	if h.power.image == "" && h.rnd.IntN(3) == 0 {
		h.stop()
	}
	if h.power.image == "" && h.rnd.IntN(2) == 0 { // in the middle of what is under way
		h.power.syncs = 1
		h.commit()
	}
	if h.power.image == "" {
		h.power.cut("")
	}
	h.stats.cuts++
	h.abandon()
	if h.backup != nil && h.rnd.IntN(6) == 0 {
		h.restore()
	}
}

// stop ends a life with good manners, if the power lasts.
func (h *history) stop() {
	for h.task != nil && h.power.image == "" {
		h.commit()
		time.Sleep(time.Millisecond)
		h.settle()
	}
	if h.power.image != "" {
		return
	}
	h.start(func() error { return h.n.Close(context.Background()) })
	for h.settle(); h.task != nil && h.power.image == ""; h.settle() {
		h.commit()
	}
	h.stats.stops++
}

// abandon is the end of a process whose power went: what it does from now on is
// of no consequence. The image takes the place of its directory.
func (h *history) abandon() {
	if h.power.image == "" {
		h.power.cut("")
	}
	n := h.n
	n.Drain()
	select {
	case <-n.stop:
	default:
		close(n.stop)
		n.abandon()
	}
	time.Sleep(time.Second) // a checkpoint rests between its steps
	synctest.Wait()
	n.meters.unregister()
	if err := n.store.Close(); err != nil {
		h.fail("%v", err)
	}
	if err := os.RemoveAll(h.dir); err != nil {
		h.fail("%v", err)
	}
	if err := os.Rename(h.power.image, h.dir); err != nil {
		h.fail("%v", err)
	}
	h.n, h.task, h.calls = nil, nil, nil
}

// restore replaces the directory by what was backed up.
func (h *history) restore() {
	if err := os.RemoveAll(h.dir); err != nil {
		h.fail("%v", err)
	}
	if err := boltstore.Restore(bytes.NewReader(h.backup.Bytes()), h.dir); err != nil {
		h.fail("restore: %v", err)
	}
	h.stats.restores++
	h.tracef("restored")
	h.held, h.flying, h.wasMarked = h.backup.state, nil, true
	h.forget()
}

// forget drops from the model what is not in the ledger any more.
func (h *history) forget() {
	kept := h.acked[:0]
	for _, a := range h.acked {
		if a.seq <= h.held.ends[a.origin] {
			kept = append(kept, a)
		}
	}
	h.acked = kept
	for p := range h.submitted {
		if p.seq > h.held.ends[p.origin] && !h.ofPeer(p.origin) {
			delete(h.submitted, p)
		}
	}
	for _, p := range h.peers {
		p.sent = h.held.ends[p.origin]
	}
}

func (h *history) ofPeer(o tickets.Origin) bool {
	return o.Host != h.topo.Members()[0]
}

// step does one thing.
func (h *history) step() {
	switch p := h.rnd.IntN(100); {
	case p < 40:
		h.submit()
	case p < 55:
		h.receive()
	case p < 78:
		h.commit()
	case p < 82:
		if err := h.n.store.Flush(); err != nil {
			h.fail("%v", err)
		}
	case p < 87:
		h.tracef("checkpoint")
		h.start(func() error { return h.n.checkpoint(context.Background()) })
		h.stats.checkpoints++
	case p < 90:
		h.tracef("collect")
		h.start(func() error {
			_, err := h.n.collect(h.n.Now())
			return err
		})
	case p < 91:
		h.backUp()
	default:
		time.Sleep(time.Duration(h.rnd.IntN(400)) * time.Millisecond)
		h.n.tick()
	}
}

func (h *history) backUp() {
	if h.task != nil {
		return
	}
	h.commit() // so that it waits for nothing
	if h.power.image != "" || h.n.replica.Unstored() > 0 {
		return
	}
	b := &backup{state: h.held}
	if err := h.n.Backup(b); err != nil {
		h.fail("backup: %v", err)
	}
	if h.power.image == "" {
		h.backup = b
	}
}
