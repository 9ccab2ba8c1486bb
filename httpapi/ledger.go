package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"bluerings/ring"
	"bluerings/tickets"
)

// ledgerPage is how many tickets of a streamed ledger are read at a time.
const ledgerPage = 1000

// getLedger answers with a counter's tickets: a page of them as JSON, or all
// that were asked for, streamed, as CSV or as a JSON object a line.
func (a *API) getLedger(x *exchange) error {
	media := negotiate(x.r.Header["Accept"], mediaJSON, mediaNDJSON, mediaCSV)
	if media == "" {
		return problem(NotAcceptable, "the ledger is %s, %s or %s", mediaJSON, mediaNDJSON, mediaCSV)
	}
	q, err := x.ledgerQuery()
	if err != nil {
		return err
	}
	x.Header().Set("Vary", "Accept")
	reading, v, err := x.read()
	if err != nil {
		return err
	}
	if media == mediaJSON {
		return x.ledgerJSON(&reading, v, q)
	}
	return x.ledgerStream(reading.Key, q, media)
}

func (x *exchange) ledgerQuery() (q ring.LedgerQuery, err error) {
	if q.From, err = x.time("from"); err != nil {
		return q, err
	}
	if q.To, err = x.time("to"); err != nil {
		return q, err
	}
	if q.To != 0 && q.To < q.From {
		return q, problem(BadTime, "to is before from").in("to")
	}
	if q.After, err = x.afterPosition(); err != nil {
		return q, err
	}
	if x.query.Has("limit") {
		q.Limit, err = x.limit(0, x.api.limits.Ledger)
	}
	return q, err
}

// page reads at most limit tickets, and where the next page goes on.
func (x *exchange) page(key tickets.Key, q ring.LedgerQuery, limit int) ([]ring.LedgerEntry, *ring.Position, error) {
	q.Limit = limit + 1
	entries, err := x.api.node.Ledger(x.r.Context(), key, q)
	if err != nil || len(entries) <= limit {
		return entries, nil, err
	}
	last := &entries[limit-1].Ticket
	return entries[:limit], &ring.Position{At: last.At, Host: last.Origin.Host, Epoch: last.Origin.Epoch}, nil
}

func (x *exchange) ledgerJSON(reading *ring.Reading, v *verdict, q ring.LedgerQuery) error {
	limit := q.Limit
	if limit == 0 {
		limit = min(defaultListLimit, x.api.limits.Ledger)
	}
	entries, next, err := x.page(reading.Key, q, limit)
	if err != nil {
		return err
	}
	x.out = x.api.appendReading(x.out[:0], reading, v)
	x.out = append(x.out, `,"tickets":[`...)
	for i := range entries {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.out = x.api.appendEntry(x.out, &entries[i])
	}
	x.out = append(x.out, ']')
	if next != nil {
		x.appendNext(encodePosition(*next))
	} else {
		x.appendNext("")
	}
	x.out = append(x.out, '}')
	return x.reply(200)
}

// ledgerStream writes pages until there are no more. With a limit there is one
// page, and the header Next-Cursor tells where to go on.
func (x *exchange) ledgerStream(key tickets.Key, q ring.LedgerQuery, media string) error {
	limited, size := q.Limit > 0, ledgerPage
	if limited {
		size = q.Limit
	}
	entries, next, err := x.page(key, q, size)
	if err != nil {
		return err
	}
	h := x.Header()
	if limited && next != nil {
		h.Set("Next-Cursor", encodePosition(*next))
	}
	appendLine := x.api.appendLine
	h["Content-Type"] = ndjsonType
	x.out = x.out[:0]
	if media == mediaCSV {
		appendLine = x.api.appendCSV
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		x.out = append(x.out, strings.Join(csvColumns, ",")...)
		x.out = append(x.out, "\r\n"...)
	}
	control := http.NewResponseController(x.ResponseWriter)
	for {
		for i := range entries {
			x.out = appendLine(x.out, &entries[i])
		}
		// A reader that stops for too long loses the connection. Servers
		// without deadlines refuse this, and need it not.
		_ = control.SetWriteDeadline(time.Now().Add(x.api.limits.StallTime))
		if _, err := x.Write(x.out); err != nil {
			return nil // the client is gone
		}
		x.out = x.out[:0]
		if limited || next == nil {
			return nil
		}
		q.After = next
		if entries, next, err = x.page(key, q, size); err != nil {
			return err // ends the connection: half a ledger must not look whole
		}
	}
}

func (a *API) appendEntry(dst []byte, e *ring.LedgerEntry) []byte {
	dst = appendTicket(dst, &e.Ticket, a.kind)
	dst = append(dst, `,"superseded":`...)
	dst = strconv.AppendBool(dst, e.Superseded)
	dst = append(dst, `,"conflict":`...)
	return append(strconv.AppendBool(dst, e.Conflict), '}')
}

func (a *API) appendLine(dst []byte, e *ring.LedgerEntry) []byte {
	return append(a.appendEntry(dst, e), '\n')
}

// csvColumns are the columns of a ledger in CSV. Cells are what was sent and
// are not altered: a program that takes a cell for a formula must be told not
// to.
var csvColumns = []string{
	"timestamp", "host", "amount", "amount_as_sent", "origin", "seq", "op", "id", "ref", "expire", "superseded", "conflict",
}

func (a *API) appendCSV(dst []byte, e *ring.LedgerEntry) []byte {
	t := &e.Ticket
	dst = append(append(dst, t.At.String()...), ',')
	dst = append(append(dst, t.Origin.Host...), ',')
	if t.Op == tickets.CounterAdd {
		dst = t.Amount.AppendText(dst, a.kind)
	}
	dst = append(appendCell(append(dst, ','), t.Text), ',')
	dst = append(append(dst, t.Origin.String()...), ',')
	dst = append(strconv.AppendUint(dst, t.Seq, 10), ',')
	dst = append(append(dst, t.Op.String()...), ',')
	dst = append(appendCell(dst, t.ID), ',')
	dst = append(appendCell(dst, t.Ref), ',')
	if t.Expire != 0 {
		dst = append(dst, t.Expire.String()...)
	}
	dst = append(strconv.AppendBool(append(dst, ','), e.Superseded), ',')
	return append(strconv.AppendBool(dst, e.Conflict), "\r\n"...)
}

// appendCell appends a field of CSV by RFC 4180.
func appendCell(dst []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}
