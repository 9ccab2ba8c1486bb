package httpapi

import (
	"fmt"
	"strconv"

	"bluerings/hlc"
	"bluerings/ring"
)

// Problem is an error as the client sees it: an RFC 9457 problem. Its type
// points into the reference at /docs.
type Problem struct {
	Code   Code
	Detail string // for people, about this very request; may be empty
	Field  string // of the body, or the parameter, that is at fault

	Reasons   []ring.Reason // why the ring is not coherent
	BlockedBy []string      // hosts that finality waits for
	Allow     string        // methods that the path does take

	cause error // for the log only
}

// problem makes a Problem with a formatted detail.
func problem(code Code, format string, args ...any) *Problem {
	detail := format
	if len(args) > 0 {
		detail = fmt.Sprintf(format, args...)
	}
	return &Problem{Code: code, Detail: detail}
}

// in names the field or parameter at fault.
func (p *Problem) in(field string) *Problem {
	p.Field = field
	return p
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return string(p.Code) + ": " + p.Code.title()
	}
	return string(p.Code) + ": " + p.Detail
}

func (p *Problem) Unwrap() error { return p.cause }

// appendMembers appends the members of the problem's JSON object without its
// braces. Lines of batches and whole answers share them.
func (p *Problem) appendMembers(dst []byte) []byte {
	dst = append(dst, `"status":`...)
	dst = strconv.AppendInt(dst, int64(p.Code.status()), 10)
	dst = append(dst, `,"code":"`...)
	dst = append(dst, p.Code...)
	dst = append(dst, `","type":"/docs#problem-`...)
	dst = append(dst, p.Code...)
	dst = append(dst, `","title":`...)
	dst = appendString(dst, p.Code.title())
	if p.Detail != "" {
		dst = append(dst, `,"detail":`...)
		dst = appendString(dst, p.Detail)
	}
	if p.Field != "" {
		dst = append(dst, `,"field":`...)
		dst = appendString(dst, p.Field)
	}
	if p.Reasons != nil {
		dst = append(dst, `,"reasons":`...)
		dst = appendReasons(dst, p.Reasons)
	}
	if p.BlockedBy != nil {
		dst = append(dst, `,"blocked_by":`...)
		dst = appendStrings(dst, p.BlockedBy)
	}
	return dst
}

func appendReasons(dst []byte, reasons []ring.Reason) []byte {
	dst = append(dst, '[')
	for i, r := range reasons {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"code":`...)
		dst = appendString(dst, r.Code)
		dst = append(dst, `,"host":`...)
		dst = appendString(dst, r.Host)
		dst = append(dst, `,"detail":`...)
		dst = append(appendString(dst, r.Detail), '}')
	}
	return append(dst, ']')
}

// notCoherent is the problem with the reasons of the moment.
func (a *API) notCoherent() *Problem {
	p := problem(NotCoherent, "")
	p.Reasons = a.node.Status().Reasons
	if p.Reasons == nil {
		p.Reasons = []ring.Reason{}
	}
	return p
}

// notFinal is the problem that says what finality waits for.
func (a *API) notFinal(at hlc.Timestamp) *Problem {
	status := a.node.Status()
	p := problem(NotFinal, "asked for %s, final through %s", at, timeText(status.FinalThrough))
	p.BlockedBy = status.BlockedBy
	if p.BlockedBy == nil {
		p.BlockedBy = []string{}
	}
	return p
}

func timeText(t hlc.Timestamp) string {
	if t == 0 {
		return "none yet"
	}
	return t.String()
}
