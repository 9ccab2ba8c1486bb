package httpapi

import (
	"context"
	"errors"
	"strconv"

	"bluerings/hlc"
	"bluerings/ring"
	"bluerings/tickets"
)

// read finds the name of the path in the family of the route. The verdict is
// older than the reading, so what it calls final was final when it was read.
func (x *exchange) read() (ring.Reading, *verdict, error) {
	name, err := x.name()
	if err != nil {
		return ring.Reading{}, nil, err
	}
	v := x.judged()
	if _, err := x.demand(v); err != nil {
		return ring.Reading{}, nil, err
	}
	reading, known := x.api.node.Read(tickets.Key{Family: x.route.family, Name: name})
	if !known {
		return ring.Reading{}, nil, ring.ErrUnknown
	}
	return reading, v, nil
}

func (a *API) getCounter(x *exchange) error {
	if x.query != nil && (x.query.Has("at") || x.query.Has("final") || x.query.Has("wait")) {
		return x.counterAsOf()
	}
	return x.readOne()
}

func (a *API) getText(x *exchange) error { return x.readOne() }

func (x *exchange) readOne() error {
	reading, v, err := x.read()
	if err != nil {
		return err
	}
	x.out = append(x.api.appendReading(x.out[:0], &reading, v), '}')
	return x.reply(200)
}

// counterAsOf answers with the value as of a time, and whether it is final.
func (x *exchange) counterAsOf() error {
	a := x.api
	name, err := x.name()
	if err != nil {
		return err
	}
	at, err := x.time("at")
	if err != nil {
		return err
	}
	mustBeFinal, err := x.flag("final")
	if err != nil {
		return err
	}
	if at == 0 {
		at = a.node.Now()
	}
	key := tickets.Key{Family: tickets.Counters, Name: name}
	if _, known := a.node.Read(key); !known {
		return ring.ErrUnknown
	}
	if mustBeFinal {
		if err := x.awaitFinal(at); err != nil {
			return err
		}
	} else if x.query.Has("wait") {
		return problem(BadWait, "wait goes with final=true").in("wait")
	}
	v := x.judged()
	if _, err := x.demand(v); err != nil {
		return err
	}
	reading, err := a.node.ReadAt(x.r.Context(), key, at)
	if err != nil {
		return err
	}
	reading.Key = key
	x.out = a.appendReading(x.out[:0], &reading, v)
	x.out = append(x.out, `,"at":`...)
	x.out = appendTime(x.out, at)
	x.out = append(x.out, `,"final":`...)
	x.out = append(strconv.AppendBool(x.out, v.final(at)), '}')
	return x.reply(200)
}

// awaitFinal waits as long as the request permits until at is final.
func (x *exchange) awaitFinal(at hlc.Timestamp) error {
	patience, err := x.duration(0)
	if err != nil {
		return err
	}
	if at <= x.api.node.Verdict().FinalThrough {
		return nil
	}
	if patience == 0 {
		return x.api.notFinal(at)
	}
	ctx, done, err := x.wait(patience)
	if err != nil {
		return err
	}
	defer done()
	err = x.api.node.WaitFinal(ctx, at)
	if errors.Is(err, context.DeadlineExceeded) {
		return x.api.notFinal(at)
	}
	return err
}

func (a *API) getSet(x *exchange) error {
	limit, err := x.limit(defaultListLimit, a.limits.List)
	if err != nil {
		return err
	}
	after, err := x.afterName()
	if err != nil {
		return err
	}
	reading, v, err := x.read()
	if err != nil {
		return err
	}
	elements, known := a.node.Elements(reading.Key.Name, x.query.Get("prefix"), after, limit+1)
	if !known {
		return ring.ErrUnknown
	}
	more := len(elements) > limit
	elements = elements[:min(limit, len(elements))]
	x.out = a.appendReading(x.out[:0], &reading, v)
	x.out = append(x.out, `,"elements":`...)
	x.out = appendStrings(x.out, elements)
	if more {
		x.appendNext(encodeName(elements[limit-1]))
	} else {
		x.appendNext("")
	}
	x.out = append(x.out, '}')
	return x.reply(200)
}

// appendNext appends the cursor of the next page, null on the last.
func (x *exchange) appendNext(cursor string) {
	x.out = append(x.out, `,"next_cursor":`...)
	if cursor == "" {
		x.out = append(x.out, "null"...)
		return
	}
	x.out = appendString(x.out, cursor)
}

func (a *API) getElement(x *exchange) error {
	element, err := x.segment(fElement, checkElement)
	if err != nil {
		return err
	}
	reading, v, err := x.read()
	if err != nil {
		return err
	}
	present, known := a.node.Element(reading.Key.Name, element)
	switch {
	case !known:
		return ring.ErrUnknown
	case !present:
		return problem(UnknownElement, "")
	}
	x.out = a.appendReading(x.out[:0], &reading, v)
	x.out = append(x.out, `,"element":`...)
	x.out = appendString(x.out, element)
	x.out = append(x.out, `,"present":true}`...)
	return x.reply(200)
}

// getList lists the names of the route's family. The list is called as the
// family is: counters, texts, sets.
func (a *API) getList(x *exchange) error {
	limit, err := x.limit(defaultListLimit, a.limits.List)
	if err != nil {
		return err
	}
	after, err := x.afterName()
	if err != nil {
		return err
	}
	v := x.judged()
	if _, err := x.demand(v); err != nil {
		return err
	}
	readings := a.node.List(x.route.family, x.query.Get("prefix"), after, limit+1)
	next := ""
	if len(readings) > limit {
		readings = readings[:limit]
		next = encodeName(readings[limit-1].Key.Name)
	}
	x.out = append(x.out[:0], `{"`...)
	x.out = append(x.out, x.route.family.String()...)
	x.out = append(x.out, `":[`...)
	for i := range readings {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.out = append(x.out, `{"name":`...)
		x.out = appendString(x.out, readings[i].Key.Name)
		x.out = a.appendFold(x.out, &readings[i])
		x.out = append(x.out, `,"expire":`...)
		x.out = append(appendTime(x.out, readings[i].Expire), '}')
	}
	x.out = append(x.out, ']')
	x.appendNext(next)
	x.out = append(v.append(x.out), '}')
	return x.reply(200)
}
