package ring

import "time"

// company lets a commit wait for more callers, in the way of the group commit
// of databases: those who were just answered come back soon, and a commit that
// all of them share costs each little. Without it a few early ones get a commit
// of their own, for which everybody else then waits.
type company struct {
	want  int // calls that the next commit waits for; 0: it does not wait
	round uint64
	vain  int // waits in a row that did not bring as many
	rest  int // commits that would wait, and shall not
}

const (
	leastCompany    = 12                     // callers at once, with fewer no commit waits
	mostCompany     = 256                    // with more, commits are large without a wait
	enoughCompany   = 64                     // calls in a commit: with more, the sync is a small part of what each costs
	quickCommit     = 100 * time.Microsecond // what takes less is not worth a wait
	companyPatience = 2 * time.Millisecond   // longest wait; nor longer than four commits take
	longestRest     = 64
)

// expect is called when a commit is done: how long it took, how many calls it
// answered, and how many are there for the next. It tells for how long the next
// may wait for more, 0 if it shall not.
func (c *company) expect(took time.Duration, answered, pending int) time.Duration {
	all := answered + pending
	want := min(all*15/16, enoughCompany) // one in sixteen may be late
	switch {
	case all < leastCompany || all > mostCompany || pending >= want || took < quickCommit:
		return 0
	case c.rest > 0:
		c.rest--
		return 0
	}
	c.want = want
	c.round++
	return min(4*took, companyPatience)
}

// waitsWith ends the wait once enough calls are there for the next commit, and
// tells whether it goes on.
func (c *company) waitsWith(pending int) bool {
	if c.want > 0 && pending >= c.want {
		c.want, c.vain = 0, 0
	}
	return c.want > 0
}

// giveUp ends the wait of a round, if that is still on.
func (c *company) giveUp(round uint64) bool {
	if c.want == 0 || c.round != round {
		return false
	}
	c.want = 0
	c.rest = min(1<<min(c.vain, 16), longestRest)
	c.vain++
	return true
}
