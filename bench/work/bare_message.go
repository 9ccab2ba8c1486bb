package work

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/go-zeromq/zmq4"

	"bluerings/bench/machine"
	"bluerings/bench/rival"
)

// bareMessage sends a message from one bare socket to another in this process, over loopback, and then
// writes to a file, with a sync.
type bareMessage struct {
	pub, sub zmq4.Socket
	file     *rival.SyncedFile
}

// newBareMessage connects the sockets; it returns when a message has come through.
func newBareMessage(s *stage) (*bareMessage, error) {
	ports, err := machine.Ports(1)
	if err != nil {
		return nil, err
	}
	b := &bareMessage{pub: zmq4.NewPub(context.Background()), sub: zmq4.NewSub(context.Background())}
	s.defers(func() { _, _ = b.pub.Close(), b.sub.Close() })
	endpoint := fmt.Sprintf("tcp://127.0.0.1:%d", ports[0])
	if err := errors.Join(b.pub.Listen(endpoint), b.sub.Dial(endpoint), b.sub.SetOption(zmq4.OptionSubscribe, "")); err != nil {
		return nil, err
	}
	if b.file, err = rival.NewSyncedFile(filepath.Join(s.dir, "bare")); err != nil {
		return nil, err
	}
	s.defers(func() { _ = b.file.Close() })
	return b, b.subscribed()
}

// subscribed sends until the subscription is in force.
func (b *bareMessage) subscribed() error {
	came := make(chan error, 1)
	go func() {
		_, err := b.sub.Recv()
		came <- err
	}()
	for range 1000 {
		if err := b.pub.Send(zmq4.NewMsg(make([]byte, 1))); err != nil {
			return err
		}
		select {
		case err := <-came:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("no message came through the bare sockets")
}

func (b *bareMessage) once(context.Context) (time.Duration, error) {
	began := time.Now()
	if err := b.pub.Send(zmq4.NewMsg(make([]byte, 100))); err != nil {
		return 0, err
	}
	for {
		m, err := b.sub.Recv()
		if err != nil {
			return 0, err
		}
		if len(m.Bytes()) > 1 { // not one of those that waited for the subscription
			break
		}
	}
	err := b.file.Write()
	return time.Since(began), err
}
