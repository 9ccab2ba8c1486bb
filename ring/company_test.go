package ring

import (
	"context"
	"sync"
	"testing"
	"time"
)

const commit = 400 * time.Microsecond

func TestCompany(t *testing.T) {
	var c company
	for _, x := range []struct {
		answered, pending int
		expect            bool
	}{
		{1, 0, false}, {1, leastCompany - 2, false}, // few callers: nobody waits
		{leastCompany, 0, true}, {40, 2, true}, {60, 4, true},
		{32, 32, true}, {2, 60, false}, // nearly all are there
		{190, enoughCompany, false}, {190, enoughCompany - 1, true}, // a large commit waits for no more
		{mostCompany, 0, true}, {mostCompany, 1, false}, // nor does a crowd
	} {
		if got := c.expect(commit, x.answered, x.pending); got > 0 != x.expect {
			t.Errorf("%d were answered, %d wait: %s", x.answered, x.pending, got)
		}
		c = company{}
	}
	if c.expect(commit, 40, 2) == 0 || !c.waitsWith(38) || c.waitsWith(39) || c.waitsWith(0) {
		t.Error("it waits for nearly all, once")
	}
	for took, want := range map[time.Duration]time.Duration{
		quickCommit - 1: 0, quickCommit: 4 * quickCommit, 300 * time.Microsecond: 1200 * time.Microsecond, time.Second: companyPatience,
	} {
		if got := c.expect(took, 40, 2); got != want {
			t.Errorf("after a commit of %s it waits for %s, want %s", took, got, want)
		}
	}
}

// TestCompanyInVain: where those who were answered do not come back, waits
// become rare, and one that is not in vain makes them frequent again.
func TestCompanyInVain(t *testing.T) {
	var c company
	waits := func(commits int) (n int) {
		for range commits {
			if c.expect(commit, 40, 2) > 0 {
				n++
				c.giveUp(c.round)
			}
		}
		return n
	}
	if n := waits(20); n > 5 {
		t.Errorf("%d waits of 20 commits", n)
	}
	if n := waits(100 * longestRest); n > 110 || n < 90 {
		t.Errorf("%d waits of %d commits", n, 100*longestRest)
	}
	for c.expect(commit, 40, 2) == 0 {
	}
	if c.giveUp(c.round-1) || !c.waitsWith(38) || c.waitsWith(39) {
		t.Error("the wait was ended by the end of another")
	}
	if n := waits(20); n < 3 {
		t.Errorf("%d waits of 20 commits", n)
	}
}

// TestWhoStaysIsAnswered: however many callers leave, those who wait for the
// disk do not wait for them.
func TestWhoStaysIsAnswered(t *testing.T) {
	n := open(t, Config{Data: t.TempDir()})
	defer closeNode(t, n)
	add(t, n, "c", "1", "")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 5 {
		var callers sync.WaitGroup
		for i := range 64 {
			updates := 20
			if i < 4 {
				updates = 60
			}
			callers.Go(func() {
				for range updates {
					if _, err := n.Apply(ctx, plusOne("")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { callers.Wait(); close(done) }()
		select {
		case <-done:
		case <-ctx.Done():
			t.Fatal("somebody waits for ever")
		}
	}
}
