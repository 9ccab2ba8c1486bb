package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxProblemBytes is how much of an error's body is read.
const maxProblemBytes = 64 << 10

// Problem is an error that a node answered, RFC 9457.
type Problem struct {
	Title   string   `json:"title"`
	Status  int      `json:"status"`
	Detail  string   `json:"detail"`
	Code    string   `json:"code"`
	Reasons []Reason `json:"reasons"`

	RetryAfter time.Duration `json:"-"` // 0: the node said nothing of it
	Body       []byte        `json:"-"` // as received
}

// Reason is what stands in the way of coherence, and at whom.
type Reason struct {
	Code   string `json:"code"`
	Host   string `json:"host"`
	Detail string `json:"detail"`
}

// String is the reason as a line of text.
func (r Reason) String() string {
	s := r.Code
	if r.Host != "" {
		s = r.Host + ": " + s
	}
	if r.Detail != "" {
		s += ": " + r.Detail
	}
	return s
}

// Error is "title: detail (code)" and, where there are any, the reasons.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Title)
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	if p.Code != "" {
		b.WriteString(" (" + p.Code + ")")
	}
	for _, r := range p.Reasons {
		b.WriteString("\n  " + r.String())
	}
	return b.String()
}

// readProblem makes an error of an answer, whatever its body is.
func readProblem(resp *http.Response) *Problem {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblemBytes)) // what was read is what there is to show
	p := &Problem{}
	if json.Unmarshal(body, p) != nil || p.Title == "" {
		p = &Problem{Title: http.StatusText(resp.StatusCode), Detail: firstLine(body), Code: strconv.Itoa(resp.StatusCode)}
		if p.Title == "" {
			p.Title = fmt.Sprintf("status %d", resp.StatusCode)
		}
	}
	p.Status, p.Body = resp.StatusCode, body
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s >= 0 {
		p.RetryAfter = time.Duration(min(s, 3600)) * time.Second
	}
	return p
}

// firstLine is the first line of a body that is no problem, without anything that could disturb a
// terminal.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	line = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, line)
	if len(line) > 200 {
		line = strings.ToValidUTF8(line[:200], "") + "…"
	}
	return line
}
