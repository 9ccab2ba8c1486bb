package work

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/go-zeromq/zmq4"

	"bluerings/bench/machine"
	"bluerings/internal/load"
)

// bareMessages sends messages from one bare socket to another in this process, over loopback.
type bareMessages struct{ dir string }

// measure adds, quantile by quantile, the time of one message and that of one synced append.
func (b *bareMessages) measure(ctx context.Context, d time.Duration) (figures, error) {
	ports, err := machine.Ports(1)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	endpoint := fmt.Sprintf("tcp://127.0.0.1:%d", ports[0])
	pub, sub := zmq4.NewPub(ctx), zmq4.NewSub(ctx)
	defer pub.Close()
	defer sub.Close()
	if err := errors.Join(pub.Listen(endpoint), sub.Dial(endpoint), sub.SetOption(zmq4.OptionSubscribe, "")); err != nil {
		return nil, err
	}
	messages, err := oneWay(ctx, pub, sub, d)
	if err != nil {
		return nil, err
	}
	syncs, err := fdatasyncTimes(b.dir, d/4)
	if err != nil {
		return nil, err
	}
	f := quantiles(messages)
	for name, x := range quantiles(syncs) {
		f[name] += x
	}
	return f, nil
}

// oneWay sends stamped messages, spaced like updates, and times how long each is under way. The
// first ones wait for the subscription and are not counted.
func oneWay(ctx context.Context, pub, sub zmq4.Socket, d time.Duration) (*load.Histogram, error) {
	const warmUp = 500 * time.Millisecond
	began := time.Now()
	sent := make(chan error, 1)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for sending.Err() == nil {
			message := make([]byte, 100)
			binary.BigEndian.PutUint64(message, uint64(time.Since(began)))
			if err := pub.Send(zmq4.NewMsg(message)); err != nil {
				sent <- err
				return
			}
			_ = pause(sending, propagationInterval) // its end is seen by the loop
		}
		sent <- nil
	}()
	h := &load.Histogram{}
	for time.Since(began) < warmUp+d {
		m, err := sub.Recv()
		if err != nil {
			return nil, err
		}
		at := time.Since(began)
		if at > warmUp {
			h.Add(at - time.Duration(binary.BigEndian.Uint64(m.Bytes())))
		}
	}
	stop()
	return h, <-sent
}
