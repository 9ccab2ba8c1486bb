package httpapi

import (
	"strconv"
	"time"

	"bluerings/ring"
	"bluerings/tickets"
)

// demands is what a request asks for besides the change itself.
type demands struct {
	coherent bool
	replicas int
	wait     time.Duration
}

// demands reads what the query and the headers say.
func (x *exchange) demands() (d demands, err error) {
	if d.coherent, err = x.coherence(); err != nil {
		return d, err
	}
	if x.query.Has("replicas") {
		var p *Problem
		if d.replicas, p = parseReplicas(x.query.Get("replicas")); p != nil {
			return d, p
		}
	}
	d.wait, err = x.duration(defaultReplicasWait)
	return d, err
}

// override takes in what the body says: it may not contradict the query.
func (d *demands) override(x *exchange, f *fields) *Problem {
	if f.has(fReplicas) {
		k, err := f.replicas()
		if err != nil {
			return err
		}
		if x.query.Has("replicas") && k != d.replicas {
			return fReplicas.problem("the body says %d, the query %d", k, d.replicas)
		}
		d.replicas = k
	}
	if f.has(fWait) {
		wait, err := parseWait(string(f.tokens[fWait].bytes), x.api.limits.Wait)
		if err != nil {
			return err
		}
		if x.query.Has("wait") && wait != d.wait {
			return fWait.problem("the body says %s, the query %s", wait, d.wait)
		}
		d.wait = wait
	}
	return nil
}

// readChange reads name and body of a request that changes one name.
func (x *exchange) readChange(c *ring.Command, f *fields, allowed fieldSet) (d demands, err error) {
	if c.Name, err = x.name(); err != nil {
		return d, err
	}
	if d, err = x.demands(); err != nil {
		return d, err
	}
	body, err := x.body(x.api.limits.Body, mediaJSON)
	if err != nil {
		return d, err
	}
	if p := f.parse(body, allowed); p != nil {
		return d, p
	}
	if p := d.override(x, f); p != nil {
		return d, p
	}
	if p := x.api.change(c, f); p != nil {
		return d, p
	}
	c.RequireCoherence = d.coherent
	if p := x.idempotencyKey(c); p != nil {
		return d, p
	}
	return d, nil
}

// idempotencyKey takes the id from the header, if it is there.
func (x *exchange) idempotencyKey(c *ring.Command) *Problem {
	values := x.r.Header["Idempotency-Key"]
	if len(values) == 0 {
		return nil
	}
	key := values[0]
	for _, other := range values[1:] {
		if other != key {
			return fID.problem("the header Idempotency-Key is there twice")
		}
	}
	if err := checkID(key); err != nil {
		return fID.problem("in the header Idempotency-Key: %s", err)
	}
	if c.ID != "" && c.ID != key {
		return fID.problem("the body and the header Idempotency-Key differ")
	}
	c.ID = key
	return nil
}

// apply makes one change durable. Where replicas are asked for it waits for
// them; replicated is then how many hold the ticket, otherwise -1.
func (x *exchange) apply(c *ring.Command, d demands) (o ring.Outcome, replicated int, err error) {
	if d.replicas > 0 {
		ctx, done, err := x.wait(d.wait)
		if err != nil {
			return o, -1, err
		}
		defer done()
		if o, err = x.applyOne(c); err != nil || o.Ticket.Seq == 0 {
			return o, -1, err
		}
		// Whatever ends the wait, n is how many hold it, and the ticket is stored.
		n, _ := x.api.node.WaitReplicas(ctx, o.Ticket.Origin, o.Ticket.Seq, d.replicas)
		return o, n, nil
	}
	o, err = x.applyOne(c)
	return o, -1, err
}

func (x *exchange) applyOne(c *ring.Command) (ring.Outcome, error) {
	commands := [1]ring.Command{*c}
	outcomes, err := x.api.node.Apply(x.r.Context(), commands[:])
	if err != nil {
		return ring.Outcome{}, err
	}
	o := outcomes[0]
	named(&o, c)
	return o, o.Err
}

// named makes sure that the reading says what it is of, even where the name
// has expired since.
func named(o *ring.Outcome, c *ring.Command) {
	o.Reading.Key = tickets.Key{Family: c.Op.Family(), Name: c.Name}
}

// answer sends the outcome of a change. The status is made where the change
// made something new.
func (x *exchange) answer(o *ring.Outcome, isNew bool, d demands, replicated int) error {
	a := x.api
	v := x.judged()
	x.out = a.appendReading(x.out[:0], &o.Reading, v)
	return x.close(o, isNew, d, replicated)
}

// close appends to an open object in x.out what every change answers, and
// sends it.
func (x *exchange) close(o *ring.Outcome, isNew bool, d demands, replicated int) error {
	x.out = appendOutcome(x.out, o, x.api.kind, replicated)
	x.out = append(x.out, '}')
	status := outcomeStatus(o, isNew, d.replicas, replicated)
	if o.Replayed {
		x.Header()["Idempotency-Replayed"] = trueValue
	}
	return x.reply(status)
}

func outcomeStatus(o *ring.Outcome, isNew bool, wanted, replicated int) int {
	switch {
	case replicated >= 0 && replicated < wanted:
		return 202
	case o.Replayed || !isNew:
		return 200
	}
	return 201
}

func (a *API) postCounter(x *exchange) error {
	c := ring.Command{Op: tickets.CounterAdd}
	var f fields
	d, err := x.readChange(&c, &f, counterFields)
	if err != nil {
		return err
	}
	if p := a.amount(&c, &f); p != nil {
		return p
	}
	o, replicated, err := x.apply(&c, d)
	if err != nil {
		return err
	}
	return x.answer(&o, true, d, replicated)
}

func (a *API) putCounter(x *exchange) error { return x.setup(tickets.CounterSetup) }

func (a *API) putSet(x *exchange) error { return x.setup(tickets.SetSetup) }

func (x *exchange) setup(op tickets.Op) error {
	c := ring.Command{Op: op}
	var f fields
	d, err := x.readChange(&c, &f, setupFields)
	if err != nil {
		return err
	}
	if c.Expire == 0 {
		return fExpire.problem("it is missing; never is an answer")
	}
	o, replicated, err := x.apply(&c, d)
	if err != nil {
		return err
	}
	return x.answer(&o, o.Created, d, replicated)
}

func (a *API) putText(x *exchange) error {
	c := ring.Command{Op: tickets.TextSet}
	var f fields
	d, err := x.readChange(&c, &f, textFields)
	if err != nil {
		return err
	}
	if c.Text, err = textOf(&c, &f); err != nil {
		return err
	}
	o, replicated, err := x.apply(&c, d)
	if err != nil {
		return err
	}
	return x.answer(&o, o.Created, d, replicated)
}

// textOf is the text to set; without one, only the expiry is extended.
func textOf(c *ring.Command, f *fields) (string, error) {
	if !f.has(fText) {
		if c.Expire == 0 {
			return "", fText.problem("it is missing")
		}
		c.Op = tickets.TextSetup
		return "", nil
	}
	s, p := f.string(fText, tickets.CheckText)
	if p != nil {
		return "", p
	}
	return s, nil
}

func (a *API) putElement(x *exchange) error { return x.element(tickets.SetAdd) }

func (a *API) deleteElement(x *exchange) error { return x.element(tickets.SetRemove) }

func (x *exchange) element(op tickets.Op) error {
	c := ring.Command{Op: op}
	var err error
	if c.Text, err = x.segment(fElement, checkElement); err != nil {
		return err
	}
	var f fields
	d, err := x.readChange(&c, &f, setupFields)
	if err != nil {
		return err
	}
	before, _ := x.api.node.Element(c.Name, c.Text)
	o, replicated, err := x.apply(&c, d)
	if err != nil {
		return err
	}
	present, _ := x.api.node.Element(c.Name, c.Text)
	x.out = x.api.appendReading(x.out[:0], &o.Reading, x.judged())
	x.out = append(x.out, `,"element":`...)
	x.out = appendString(x.out, c.Text)
	x.out = append(x.out, `,"present":`...)
	x.out = strconv.AppendBool(x.out, present)
	return x.close(&o, present && !before, d, replicated)
}
