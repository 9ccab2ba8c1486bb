package simulator

import (
	"slices"
	"time"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
)

// operation is one update as a client sees it.
type operation struct {
	step   *Step
	ticket tickets.Ticket // the one it was told
	answer answer
}

type answer uint8

const (
	none answer = iota // the node died before it answered: the update counts or not
	acknowledged
	refusal
)

// update sends a client's update to a node.
func (s *Simulation) update(n *node, step *Step) {
	s.Result.Updates++
	op := &operation{step: step}
	if !n.up || n.closing || s.plan.Patient && !n.knows() {
		s.Result.Refused++
		return
	}
	n.do(n.life, func() {
		if !n.closing {
			n.submit(op)
		}
	})
}

// knows tells whether the node has what is left of its own promises on its disk.
// To wait for it to be coherent would be to wait for its clock to be right.
func (n *node) knows() bool {
	n.strange = n.strange && (n.paused || !n.replica.Informed())
	return !n.strange
}

func (n *node) submit(op *operation) {
	s, c := n.sim, &op.step.Change
	cmd := replica.Command{Op: c.Op, Name: c.Name, Amount: c.amount(), Text: c.Text, ID: c.ID, Ref: c.Ref, Expire: n.expiry(c.Life)}
	r := n.replica.Submit(n.now(), &cmd)
	if r.Err != nil {
		s.refused(n, op, r.Err)
		return
	}
	if r.Ticket != nil {
		op.ticket = *r.Ticket
		if !r.Replayed && op.ticket.At <= n.seen && n.replica.Counts().SkewRefused == 0 {
			s.fail("causal", "%s dates a ticket %s, and had stored one of another's dated %s", n.host, op.ticket.At, n.seen)
		}
	}
	if n.async() {
		if op.ticket.Seq > 0 && !s.isStored(op) {
			n.early = append(n.early, op)
		}
		s.acknowledged(n, op)
	} else if r.Batch == 0 {
		s.acknowledged(n, op)
	} else {
		s.Result.Uncertain++
		n.wait(r.Batch, func(stored bool) {
			s.Result.Uncertain--
			if stored {
				s.acknowledged(n, op)
			} else {
				s.refused(n, op, nil)
			}
		})
	}
	n.after()
}

func (n *node) expiry(life time.Duration) hlc.Timestamp {
	switch {
	case life == 0:
		return hlc.Never
	case life < 0:
		return 0
	}
	return n.wall().Add(life)
}

// refused checks that a node had a reason to refuse an update.
func (s *Simulation) refused(n *node, op *operation, why error) {
	s.Result.Refused++
	op.answer = refusal
	if why == nil {
		s.refusals[op.step.Ref] = true
		if _, ok := s.refs[op.step.Ref]; ok {
			s.fail("refused", "%s refuses %s for lack of room and has stored it", n.host, op.step.Ref)
		}
		return
	}
	ok := []error{replica.ErrIDReused}
	if op.step.Life != 0 {
		ok = append(ok, replica.ErrUnknown, replica.ErrExpireInPast)
	}
	if self, _ := s.plan.Topology.Node(n.host); !self.Updates() {
		ok = []error{replica.ErrReadOnly}
	}
	if !slices.Contains(ok, why) {
		s.fail("refused", "%s refuses %s: %v", n.host, s.plan.describe(op.step), why)
	}
}

// forgo writes off what was acknowledged ahead of the commit and died with the
// process: that is what weaker durability means.
func (s *Simulation) forgo(early []*operation) []*operation {
	for _, op := range early {
		if !s.isStored(op) {
			s.Result.Forgone++
			s.forgone[op.ticket.Ref] = true
		}
	}
	return nil
}
