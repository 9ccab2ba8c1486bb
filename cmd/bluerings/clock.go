//go:build !chaos

package main

import "time"

// wallClock is the wall clock of a node: nil means that of the machine.
func wallClock() (func() time.Time, error) { return nil, nil }
