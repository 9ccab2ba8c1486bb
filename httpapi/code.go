package httpapi

import (
	"context"
	"errors"
	"os"

	"bluerings/ring"
	"bluerings/tickets"
)

// Code names a problem for programs. Codes are stable.
type Code string

// The codes of problems; codes tells their status and what they mean.
const (
	BadRequest       Code = "bad_request"
	BadJSON          Code = "bad_json"
	UnknownField     Code = "unknown_field"
	DuplicateField   Code = "duplicate_field"
	BadParameter     Code = "bad_parameter"
	BadOp            Code = "bad_op"
	BadName          Code = "bad_name"
	BadAmount        Code = "bad_amount"
	BadText          Code = "bad_text"
	BadElement       Code = "bad_element"
	BadID            Code = "bad_id"
	BadRef           Code = "bad_ref"
	BadExpire        Code = "bad_expire"
	BadTime          Code = "bad_time"
	BadWait          Code = "bad_wait"
	BadLimit         Code = "bad_limit"
	BadCursor        Code = "bad_cursor"
	BadReplicas      Code = "bad_replicas"
	Unauthorized     Code = "unauthorized"
	Forbidden        Code = "forbidden"
	CrossOrigin      Code = "cross_origin"
	NotFound         Code = "not_found"
	UnknownCounter   Code = "unknown_counter"
	UnknownText      Code = "unknown_text"
	UnknownSet       Code = "unknown_set"
	UnknownElement   Code = "unknown_element"
	MethodNotAllowed Code = "method_not_allowed"
	NotAcceptable    Code = "not_acceptable"
	RequestTimeout   Code = "request_timeout"
	ReadOnly         Code = "read_only"
	NotFinal         Code = "not_final"
	Expired          Code = "expired"
	TooLarge         Code = "too_large"
	URITooLong       Code = "uri_too_long"
	UnsupportedMedia Code = "unsupported_media_type"
	IDReused         Code = "id_reused"
	ValueTooLarge    Code = "value_too_large"
	Internal         Code = "internal"
	Busy             Code = "busy"
	NotCoherent      Code = "not_coherent"
	NotReady         Code = "not_ready"
	Uncertain        Code = "uncertain"
	Unavailable      Code = "unavailable"
	DiskFull         Code = "disk_full"
)

// codes is every problem that a request can meet, in the order of the
// reference. Those of which a retry is worth while say after how many seconds.
var codes = []struct {
	code   Code
	status int
	retry  int
	title  string
}{
	{BadRequest, 400, 0, "the request is not understood"},
	{BadJSON, 400, 0, "the body is not the JSON that belongs here"},
	{UnknownField, 400, 0, "the body has a field that is not known here"},
	{DuplicateField, 400, 0, "the body says a field twice"},
	{BadParameter, 400, 0, "a query parameter is unknown, malformed or given twice"},
	{BadOp, 400, 0, "not an operation of batches"},
	{BadName, 400, 0, "not a name: 1 to 512 bytes of UTF-8 without control characters"},
	{BadAmount, 400, 0, "not an amount of the ring's kind, or beyond its limits"},
	{BadText, 400, 0, "not a text: up to 64 KiB of UTF-8"},
	{BadElement, 400, 0, "not an element: 1 to 4096 bytes of UTF-8 without control characters"},
	{BadID, 400, 0, "not an id: 1 to 255 bytes of UTF-8 without control characters"},
	{BadRef, 400, 0, "not a reference: up to 1024 bytes of UTF-8"},
	{BadExpire, 400, 0, "expire is malformed or not in the future"},
	{BadTime, 400, 0, "not a time: RFC 3339 or milliseconds since 1970"},
	{BadWait, 400, 0, "not a duration to wait, or longer than allowed"},
	{BadLimit, 400, 0, "limit is out of range"},
	{BadCursor, 400, 0, "not a cursor that came from here"},
	{BadReplicas, 400, 0, "replicas is not a number of members"},
	{Unauthorized, 401, 0, "a valid token is needed"},
	{Forbidden, 403, 0, "the token lacks the scope"},
	{CrossOrigin, 403, 0, "a page of another origin may not write"},
	{NotFound, 404, 0, "there is nothing at this path"},
	{UnknownCounter, 404, 0, "this counter is not known; an expire sets it up"},
	{UnknownText, 404, 0, "this text is not known; an expire sets it up"},
	{UnknownSet, 404, 0, "this set is not known; an expire sets it up"},
	{UnknownElement, 404, 0, "the set does not have this element"},
	{MethodNotAllowed, 405, 0, "this path does not take the method"},
	{NotAcceptable, 406, 0, "none of the accepted media types can be given"},
	{RequestTimeout, 408, 0, "the body did not arrive in time"},
	{ReadOnly, 409, 0, "this node takes no updates of its own"},
	{NotFinal, 409, 1, "the value is not final yet"},
	{Expired, 410, 0, "values as of that time have been collected"},
	{TooLarge, 413, 0, "the body is too large"},
	{URITooLong, 414, 0, "the address is too long"},
	{UnsupportedMedia, 415, 0, "the body has a media type that is not taken here"},
	{IDReused, 422, 0, "this id was used for another change"},
	{ValueTooLarge, 422, 0, "the value would have too many digits"},
	{Internal, 500, 0, "a mistake of the server"},
	{Busy, 503, 1, "too much is waiting; nothing was done"},
	{NotCoherent, 503, 1, "the ring is not coherent; nothing was done"},
	{NotReady, 503, 1, "the node is not ready"},
	{Uncertain, 503, 1, "the outcome is unknown: retry with the same id"},
	{Unavailable, 503, 1, "the node is shutting down; nothing was done"},
	{DiskFull, 507, 10, "no room on disk; nothing was done"},
}

// statuses finds a code's line in codes.
var statuses = func() map[Code]int {
	lines := make(map[Code]int, len(codes))
	for i := range codes {
		lines[codes[i].code] = i
	}
	return lines
}()

// causes is the one table from errors to codes. ring.ErrUnknown is not in it:
// its code depends on the family of the name.
var causes = []struct {
	err  error
	code Code
}{
	{ring.ErrIDReused, IDReused},
	{ring.ErrNotCoherent, NotCoherent},
	{ring.ErrReadOnly, ReadOnly},
	{ring.ErrFull, DiskFull},
	{ring.ErrUncertain, Uncertain},
	{ring.ErrValueTooLarge, ValueTooLarge},
	{ring.ErrExpired, Expired},
	{ring.ErrExpireInPast, BadExpire},
	{ring.ErrNotFinal, NotFinal},
	{ring.ErrBusy, Busy},
	{ring.ErrClosed, Unavailable},
	{context.Canceled, Unavailable},
	{context.DeadlineExceeded, Unavailable},
	{os.ErrDeadlineExceeded, RequestTimeout},
}

// unknown is the code for a name that is not known.
func unknown(family tickets.Family) Code {
	switch family {
	case tickets.Counters:
		return UnknownCounter
	case tickets.Texts:
		return UnknownText
	default:
		return UnknownSet
	}
}

// problemOf makes of any error the problem that the client is told. What is
// in no table is a mistake of ours: the client learns no more than that.
func problemOf(err error, family tickets.Family) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	if errors.Is(err, ring.ErrUnknown) {
		return problem(unknown(family), "")
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return problem(c.code, "")
		}
	}
	var limit *tickets.LimitError
	if errors.As(err, &limit) {
		return problem(BadRequest, "%s", limit.Error())
	}
	return &Problem{Code: Internal, cause: err}
}

func (c Code) status() int { return codes[statuses[c]].status }

func (c Code) title() string { return codes[statuses[c]].title }

// retry is after how many seconds to try again, 0 for never.
func (c Code) retry() int { return codes[statuses[c]].retry }
