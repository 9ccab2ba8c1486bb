package zmqbus

import (
	"errors"
	"fmt"
	"time"
)

// Limits bounds everything a peer can make the bus hold, wait for or do. A
// zero field takes its default; a negative one is an error of Open. What a
// limit drops or refuses is counted (Stats, metrics).
type Limits struct {
	// FrameBytes is the largest payload of a message, in bytes, sent or
	// received. Default 1 MiB, at most 1 GiB. All nodes of a ring should agree.
	FrameBytes int
	// TopicBytes is the longest topic, in bytes. Default 512, at most 64 KiB.
	TopicBytes int
	// Topics is how many subscriptions one connection may hold. Default 256.
	// Each costs a comparison per published message.
	Topics int

	// Handshake bounds dialling, TLS and ZMTP greeting together. Default 5 s.
	Handshake time.Duration
	// PendingHandshakes is how many accepted connections may be in their
	// handshake at once; one more evicts the oldest. Default 64.
	PendingHandshakes int
	// Connections is how many subscribers may be connected. Default 256.
	Connections int

	// QueueBytes bounds what waits for one subscriber. A message that does
	// not fit is dropped for that subscriber alone. Default 8 MiB; at least
	// one message of full size.
	QueueBytes int
	// TotalQueueBytes bounds what waits for all subscribers together, beyond
	// a small share each always has. Default 256 MiB.
	TotalQueueBytes int
	// WriteTimeout cuts off a peer that takes nothing for so long. Default 10 s.
	WriteTimeout time.Duration
	// Stall is the age of the oldest waiting byte from which Backlog leaves a
	// subscriber out, so that a slow one does not hold back all. Default 2 s.
	Stall time.Duration

	// BackoffMin and BackoffMax bound the pause between two attempts to
	// reach an upstream; the pause doubles from one to the other and each is
	// drawn from its upper half. Defaults 50 ms and 2 s.
	BackoffMin, BackoffMax time.Duration
	// Linger bounds how long Close waits for queues to empty. Default 1 s.
	Linger time.Duration
}

const (
	maxFrameBytes = 1 << 30
	maxTopicBytes = 64 << 10

	// readyBytes bounds a READY command, readyProperties what it may list.
	readyBytes      = 4 << 10
	readyProperties = 32
	// pingBytes bounds the body of PING and PONG: a time to live of two bytes
	// and a context that ZMTP 3.1 limits to 16.
	pingBytes = 18
	// commandBytes bounds any other command's name and its length byte.
	commandBytes = 16

	// peerNames is how many distinct peers metrics tell apart.
	peerNames = 128
	// queueShare is what one subscriber may queue whatever the total.
	queueShare = 256 << 10
	// requestBytes bounds what waits on its way to an upstream.
	requestBytes = 1 << 20
)

func (l Limits) withDefaults() Limits {
	number := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	duration := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	number(&l.FrameBytes, 1<<20)
	number(&l.TopicBytes, 512)
	number(&l.Topics, 256)
	duration(&l.Handshake, 5*time.Second)
	number(&l.PendingHandshakes, 64)
	number(&l.Connections, 256)
	number(&l.QueueBytes, max(8<<20, l.FrameBytes+l.TopicBytes+2*longHeader))
	number(&l.TotalQueueBytes, max(256<<20, l.QueueBytes))
	duration(&l.WriteTimeout, 10*time.Second)
	duration(&l.Stall, 2*time.Second)
	duration(&l.BackoffMin, 50*time.Millisecond)
	duration(&l.BackoffMax, max(2*time.Second, l.BackoffMin))
	duration(&l.Linger, time.Second)
	return l
}

// check reports every limit that makes no sense, after defaults.
func (l Limits) check() error {
	var errs []error
	bound := func(name string, v, low, high int) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("limit %s is %d, want %d to %d", name, v, low, high))
		}
	}
	const huge = 1 << 40
	bound("FrameBytes", l.FrameBytes, 1, maxFrameBytes)
	bound("TopicBytes", l.TopicBytes, 1, maxTopicBytes)
	bound("Topics", l.Topics, 1, 1<<20)
	bound("PendingHandshakes", l.PendingHandshakes, 1, 1<<20)
	bound("Connections", l.Connections, 1, 1<<20)
	bound("QueueBytes", l.QueueBytes, l.FrameBytes+l.TopicBytes+2*longHeader, huge)
	bound("TotalQueueBytes", l.TotalQueueBytes, 1, huge)
	for name, d := range map[string]time.Duration{
		"Handshake": l.Handshake, "WriteTimeout": l.WriteTimeout, "Stall": l.Stall,
		"BackoffMin": l.BackoffMin, "Linger": l.Linger,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("limit %s is %v, want a positive duration", name, d))
		}
	}
	if l.BackoffMax < l.BackoffMin {
		errs = append(errs, fmt.Errorf("limit BackoffMax is %v, want at least BackoffMin, %v", l.BackoffMax, l.BackoffMin))
	}
	return errors.Join(errs...)
}
