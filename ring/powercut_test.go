package ring

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"bluerings/tickets"
	"bluerings/topologies"
	"bluerings/value"
)

var (
	histories    = flag.Uint64("seeds", 60, "how many histories with power cuts are played")
	firstHistory = flag.Uint64("first", 1, "the seed of the first")
	traced       = flag.Bool("history", false, "tell what happens in them")
)

// memory is a directory where a sync costs nothing, if there is one.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "powercuts")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestPowerCuts plays seeded histories of a node over the store that ships and
// takes its power away at any sync of any of its files. What the next life finds
// is compared with all that was acknowledged, submitted and sent before.
func TestPowerCuts(t *testing.T) {
	count := *histories
	if testing.Short() {
		count = min(count, 15)
	}
	root := memory(t)
	var s tally
	for seed := *firstHistory; seed < *firstHistory+count && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) { newHistory(t, root, seed, &s).play() })
	}
	t.Logf("%+v", s)
	if count >= 60 && min(s.cutsAtStart, s.torn, s.marked, s.stops, s.restores, s.checkpoints, s.collected) == 0 {
		t.Error("something never happened")
	}
}

// script is a history of a lone node that a test plays by hand.
type script struct{ *history }

func play(t *testing.T, steps func(s script)) {
	t.Helper()
	root := memory(t)
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t, root, 1, new(tally))
		h.topo, h.peers = topologies.Alone("test", "decimal", "a"), nil
		h.begin()
		steps(script{h})
		h.crash()
		h.begin()
		h.judge()
		h.abandon()
	})
}

// begin opens the directory for a life whose power lasts.
func (h *history) begin() {
	h.lasting = true
	h.open()
	h.n.cfg.stepItems = 1
}

func (h *history) crash() {
	h.power.cut("")
	h.abandon()
}

// add counts under a name that lives for a second.
func (s script) add(name, id string) {
	s.ask([]Command{{Op: tickets.CounterAdd, Name: name, ID: id, Amount: value.FromInt64(7), Expire: s.n.Now().Add(time.Second)}})
	s.commit()
}

// run does what waits for commits.
func (s script) run(do func() error) {
	s.start(do)
	for s.settle(); s.task != nil; s.settle() {
		s.commit()
		time.Sleep(time.Millisecond)
	}
}

func (s script) checkpoint() { s.run(func() error { return s.n.checkpoint(context.Background()) }) }

// collect lets names expire, finally, and collects them.
func (s script) collect() {
	for range 5 {
		time.Sleep(time.Second)
		s.n.tick()
		s.commit()
	}
	s.run(func() error { _, err := s.n.collect(s.n.Now()); return err })
}

// TestCrashAfterACollection: a name that was collected and begun anew before the
// next checkpoint has a longer past in the index than in the ledger. That is no
// difference.
func TestCrashAfterACollection(t *testing.T) {
	play(t, func(s script) {
		s.add("short 1", "")
		s.checkpoint()
		s.collect()
		s.add("short 1", "")
	})
}

// TestIDsThatComeBackStayInTheIndex: a new life of a collected name may take an
// id again. An index that is made in steps is to have it afterwards.
func TestIDsThatComeBackStayInTheIndex(t *testing.T) {
	play(t, func(s script) {
		for life := range 2 {
			for i := range 6 {
				s.add(fmt.Sprint("short ", i), "once")
			}
			s.n.indexed = 0 // as where little of the log is in it
			if s.checkpoint(); life == 0 {
				s.collect()
			}
		}
		for i := range 6 {
			key := tickets.Key{Family: tickets.Counters, Name: fmt.Sprint("short ", i)}
			if _, found, err := s.n.store.Claim(tickets.ClaimHash(key, "once")); err != nil || !found {
				t.Errorf("the id of %q is not in the index: %v", key.Name, err)
			}
		}
	})
}
