package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// The delays between attempts.
const (
	firstDelay = 50 * time.Millisecond
	maxDelay   = 2 * time.Second
)

// Retry calls until the node answers, the context ends, or the patience is over: again after
// errors of the connection and after 503, for in both cases another attempt may do better. A
// request to change something must carry an id, or it may count twice. The error is that of the
// last attempt.
//
// A node that refuses because the ring is not coherent has answered: the caller asked for that.
func (c *Client) Retry(ctx context.Context, r Request, patience time.Duration) (Answer, error) {
	until := time.Now().Add(patience)
	for delay := firstDelay; ; delay = min(2*delay, maxDelay) {
		a, err := c.Do(ctx, r)
		if err == nil || !passing(err) {
			return a, err
		}
		pause := delay/2 + rand.N(delay/2) // apart from others who failed in the same moment
		var p *Problem
		if errors.As(err, &p) {
			pause = max(pause, p.RetryAfter)
		}
		if time.Now().Add(pause).After(until) {
			return a, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return a, err
		case <-timer.C:
		}
	}
}

// passing reports whether an error may pass by itself.
func passing(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var p *Problem
	if errors.As(err, &p) {
		return p.Status == http.StatusServiceUnavailable && p.Code != "not_coherent"
	}
	return true
}
