package httpapi

import (
	"bytes"
	"slices"
	"strconv"
	"sync"

	"bluerings/ring"
	"bluerings/tickets"
)

// batch is a request with many changes. Lines that cannot be understood have a
// problem in place of a command.
type batch struct {
	commands []ring.Command
	problems []*Problem // one for each line, nil where it is a command
	replicas []int      // one for each command, -1 where it was not asked
}

// batches are kept for their room: the largest take 1.5 MB.
var batches = sync.Pool{New: func() any { return new(batch) }}

func (b *batch) release() {
	clear(b.commands)
	clear(b.problems)
	*b = batch{commands: b.commands[:0], problems: b.problems[:0]}
	batches.Put(b)
}

// ops are the operations of lines, and the fields that say what they change.
var ops = map[string]struct {
	op      tickets.Op
	content field // fieldEnd: none
}{
	"counter.setup":  {tickets.CounterSetup, fieldEnd},
	"counter.update": {tickets.CounterAdd, fAmount},
	"text.setup":     {tickets.TextSetup, fieldEnd},
	"text.set":       {tickets.TextSet, fText},
	"set.setup":      {tickets.SetSetup, fieldEnd},
	"set.add":        {tickets.SetAdd, fElement},
	"set.remove":     {tickets.SetRemove, fElement},
}

// line reads one change of a batch.
func (a *API) line(c *ring.Command, line []byte) *Problem {
	var f fields
	if p := f.parse(line, lineFields); p != nil {
		return p
	}
	what, known := ops[string(f.tokens[fOp].bytes)]
	if !known || f.tokens[fOp].kind != text {
		return fOp.problem("%s is none of counter.setup, counter.update, text.setup, text.set, set.setup, set.add, set.remove",
			brief(string(f.tokens[fOp].bytes)))
	}
	c.Op = what.op
	var err *Problem
	if c.Name, err = f.string(fName, checkName); err != nil {
		return err
	}
	for _, content := range [...]field{fAmount, fText, fElement} {
		if content != what.content && f.has(content) {
			return problem(UnknownField, "%s has no field %s", c.Op, fieldNames[content].name).in(fieldNames[content].name)
		}
	}
	switch what.content {
	case fAmount:
		err = a.amount(c, &f)
	case fText:
		c.Text, err = f.string(fText, tickets.CheckText)
	case fElement:
		c.Text, err = f.string(fElement, checkElement)
	}
	if err != nil {
		return err
	}
	if err := a.change(c, &f); err != nil {
		return err
	}
	if what.content == fieldEnd && c.Expire == 0 {
		return fExpire.problem("it is missing; never is an answer")
	}
	return nil
}

func (a *API) postBatch(x *exchange) error {
	media := negotiate(x.r.Header["Accept"], mediaNDJSON, mediaJSON)
	if media == "" {
		return problem(NotAcceptable, "the outcomes are %s or %s", mediaNDJSON, mediaJSON)
	}
	d, err := x.demands()
	if err != nil {
		return err
	}
	if len(x.r.Header["Idempotency-Key"]) > 0 {
		return fID.problem("a batch takes an id for each line, and no header Idempotency-Key")
	}
	if v := a.verdict(); d.coherent && !v.Coherent {
		return ring.ErrNotCoherent
	}
	body, err := x.body(a.limits.Batch, mediaNDJSON, mediaJSON, "application/ndjson", "application/jsonl")
	if err != nil {
		return err
	}
	array := isArray(body)
	if accept := x.r.Header["Accept"]; array && negotiate(accept, mediaJSON, mediaNDJSON) == mediaJSON {
		media = mediaJSON
	}
	b := batches.Get().(*batch)
	defer b.release()
	if array {
		err = b.readArray(a, body)
	} else {
		err = b.readLines(a, body)
	}
	if err != nil {
		return err
	}
	for i := range b.commands {
		b.commands[i].RequireCoherence = d.coherent
	}
	outcomes, err := x.applyBatch(b, d)
	if err != nil {
		return err
	}
	return x.answerBatch(b, outcomes, d, media)
}

func isArray(body []byte) bool {
	s := scanner{in: body}
	return s.take('[')
}

// add reads one line; the problem is only about there being too many.
func (b *batch) add(a *API, line []byte) *Problem {
	if len(b.problems) == a.limits.Lines {
		return problem(TooLarge, "a batch may have %d lines", a.limits.Lines)
	}
	b.commands = append(b.commands, ring.Command{})
	p := a.line(&b.commands[len(b.commands)-1], line)
	if p != nil {
		b.commands = b.commands[:len(b.commands)-1]
	}
	b.problems = append(b.problems, p)
	return nil
}

// readLines reads a JSON object a line. Empty lines do not count.
func (b *batch) readLines(a *API, body []byte) error {
	lines := min(bytes.Count(body, newline)+1, a.limits.Lines)
	b.commands, b.problems = slices.Grow(b.commands, lines), slices.Grow(b.problems, lines)
	for line := range bytes.SplitSeq(body, newline) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if p := b.add(a, line); p != nil {
			return p
		}
	}
	return nil
}

var newline = []byte{'\n'}

// readArray reads a JSON array of objects. Where an element ends has to be
// clear; what is wrong inside it is the element's own problem.
func (b *batch) readArray(a *API, body []byte) error {
	s := scanner{in: body}
	s.take('[')
	for more := !s.take(']'); more; {
		s.space()
		start := s.at
		if p := s.skip(); p != nil {
			return p
		}
		if p := b.add(a, body[start:s.at]); p != nil {
			return p
		}
		if more = s.take(','); !more && !s.take(']') {
			return s.fail("a comma or the end of the array has to follow")
		}
	}
	if !s.end() {
		return s.fail("something follows the array")
	}
	return nil
}

// applyBatch makes the changes durable and waits for the replicas asked for.
func (x *exchange) applyBatch(b *batch, d demands) ([]ring.Outcome, error) {
	if d.replicas == 0 || len(b.commands) == 0 {
		return x.api.node.Apply(x.r.Context(), b.commands)
	}
	ctx, done, err := x.wait(d.wait)
	if err != nil {
		return nil, err
	}
	defer done()
	outcomes, err := x.api.node.Apply(x.r.Context(), b.commands)
	if err != nil {
		return nil, err
	}
	// Who holds a ticket holds all before it in its log: the last of each
	// origin is enough to wait for.
	last := make(map[tickets.Origin]uint64)
	for i := range outcomes {
		if t := &outcomes[i].Ticket; outcomes[i].Err == nil {
			last[t.Origin] = max(last[t.Origin], t.Seq)
		}
	}
	b.replicas = make([]int, len(outcomes))
	for origin, seq := range last {
		if seq == 0 {
			continue
		}
		// Whatever ends the wait, n is how many hold the ticket.
		n, _ := x.api.node.WaitReplicas(ctx, origin, seq, d.replicas)
		for i := range outcomes {
			if outcomes[i].Ticket.Origin == origin {
				b.replicas[i] = n
			}
		}
	}
	return outcomes, nil
}

func (x *exchange) answerBatch(b *batch, outcomes []ring.Outcome, d demands, media string) error {
	v := x.judged()
	x.Header().Set("Vary", "Accept")
	separator, mediaType := byte('\n'), ndjsonType
	x.out = x.out[:0]
	if media == mediaJSON {
		separator, mediaType = ',', jsonType
		x.out = append(x.out, '[')
	}
	var reasons *Problem
	next := 0
	for i, p := range b.problems {
		if i > 0 {
			x.out = append(x.out, separator)
		}
		if p != nil {
			x.out = append(p.appendMembers(append(x.out, '{')), '}')
			continue
		}
		c, o, replicated := &b.commands[next], &outcomes[next], -1
		if b.replicas != nil && o.Ticket.Seq > 0 {
			replicated = b.replicas[next]
		}
		next++
		named(o, c)
		if o.Err == nil {
			x.appendDone(o, v, d.replicas, replicated)
			continue
		}
		p = problemOf(o.Err, o.Reading.Key.Family)
		if p.Code == NotCoherent {
			if reasons == nil {
				reasons = x.api.notCoherent()
			}
			p = reasons
		}
		x.appendFailed(o, p)
	}
	if media == mediaJSON {
		x.out = append(x.out, ']')
	} else if len(x.out) == 0 {
		x.Header()["Content-Type"] = mediaType
		x.WriteHeader(200)
		return nil
	}
	return x.send(200, mediaType)
}

// appendFailed appends a line that the node refused.
func (x *exchange) appendFailed(o *ring.Outcome, p *Problem) {
	if p.cause != nil {
		x.api.log.Error("batch_line_failed", "request_id", x.id, "err", p.cause)
	}
	x.out = p.appendMembers(append(x.out, '{'))
	x.out = append(x.out, `,"name":`...)
	x.out = append(appendString(x.out, o.Reading.Key.Name), '}')
}

// appendDone appends a line that was applied.
func (x *exchange) appendDone(o *ring.Outcome, v *verdict, wanted, replicated int) {
	isNew := o.Created || o.Ticket.Op == tickets.CounterAdd
	x.out = append(x.out, `{"status":`...)
	x.out = strconv.AppendInt(x.out, int64(outcomeStatus(o, isNew, wanted, replicated)), 10)
	x.out = append(x.out, `,"name":`...)
	x.out = appendString(x.out, o.Reading.Key.Name)
	x.out = x.api.appendState(x.out, &o.Reading, v)
	x.out = append(appendOutcome(x.out, o, x.api.kind, replicated), '}')
}
