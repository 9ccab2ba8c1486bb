package ring

import "time"

// company lets a commit wait for more callers, in the way of the group commit
// of databases: those who were just answered come back soon, and if half of
// all callers share a commit, that half is on the disk while the other half is
// being answered and asks anew. Without it a few early ones get a commit of
// their own, for which everybody else then waits. Node.mu guards it.
type company struct {
	want  int // calls that the next commit waits for; 0: it does not wait
	round uint64
	vain  int // waits in a row that did not bring as many
	rest  int // commits before the next wait
}

const (
	leastCompany    = 12               // callers at once, with fewer no commit waits
	enoughCompany   = 32               // calls in a commit: with more, the sync is a small part of what each costs
	companyPatience = time.Millisecond // longest wait
	longestRest     = 64               // commits between waits that are in vain
)

// expect is called when a commit is done: so many calls were answered, and so
// many wait for the next. It tells whether the next shall wait for more.
func (c *company) expect(answered, pending int) bool {
	all := answered + pending
	want := min(all/2, enoughCompany)
	switch {
	case all < leastCompany || pending >= want:
		return false
	case c.rest > 0:
		c.rest--
		return false
	}
	c.want = want
	c.round++
	return true
}

// waits tells whether the next commit shall wait still, with so many calls
// that are for it.
func (c *company) waits(pending int) bool {
	if c.want > 0 && pending >= c.want {
		c.want, c.vain = 0, 0
	}
	return c.want > 0
}

// giveUp ends the wait of a round.
func (c *company) giveUp(round uint64) {
	if c.want > 0 && c.round == round {
		c.want = 0
		c.rest = min(1<<min(c.vain, 16), longestRest)
		c.vain++
	}
}
