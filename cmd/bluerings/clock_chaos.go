//go:build chaos

package main

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	clockOffsetVariable = "BLUERINGS_CLOCK_OFFSET_FILE"
	clockOffsetPoll     = 20 * time.Millisecond
)

// wallClock is the machine's clock, set forward or back by the duration in the file that the
// environment names; the file may change at any time. Only builds with the tag chaos have it.
func wallClock() (func() time.Time, error) {
	path := os.Getenv(clockOffsetVariable)
	if path == "" {
		return nil, nil
	}
	var offset atomic.Int64
	read := func() error {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		d, err := time.ParseDuration(strings.TrimSpace(string(text)))
		if err == nil {
			offset.Store(int64(d))
		}
		return err
	}
	if err := read(); err != nil {
		return nil, fmt.Errorf("%s: %w", clockOffsetVariable, err)
	}
	go func() {
		for range time.Tick(clockOffsetPoll) {
			_ = read() // it may be half written; the next look is soon
		}
	}()
	return func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }, nil
}
