package rival

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bluerings/bench/machine"
)

// NATS is a server with a JetStream stream of counters that syncs every message.
type NATS struct {
	*machine.Process
	url string
}

// serveNATS is the process.
func serveNATS(ctx context.Context, dir string, listening func(string)) error {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, SyncAlways: true,
		NoLog: true, NoSigs: true, JetStreamMaxMemory: 1 << 30, JetStreamMaxStore: 16 << 30,
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		return errors.New("nats: not ready")
	}
	listening(s.ClientURL())
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// The stream of counters: one subject each.
const (
	natsStream  = "COUNTERS"
	natsSubject = "counters."
	natsIncr    = "Nats-Incr"
)

// StartNATS starts the process and makes the stream.
func StartNATS(ctx context.Context, dir string) (*NATS, error) {
	p, url, err := startChild(ctx, "nats", dir)
	if err != nil {
		return nil, err
	}
	n := &NATS{Process: p, url: url}
	if err := n.makeStream(ctx); err != nil {
		p.Stop()
		return nil, err
	}
	return n, nil
}

func (n *NATS) makeStream(ctx context.Context) error {
	js, done, err := n.connect()
	if err != nil {
		return err
	}
	defer done()
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: natsStream, Subjects: []string{natsSubject + "*"}, Storage: jetstream.FileStorage, AllowMsgCounter: true, AllowDirect: true,
	})
	return err
}

func (n *NATS) connect() (jetstream.JetStream, func(), error) {
	c, err := nats.Connect(n.url)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(c)
	return js, c.Close, err
}

// natsConnections is how many connections the callers share.
const natsConnections = 4

// Increment adds to random counters from so many callers, each of which waits for the answer.
func (n *NATS) Increment(ctx context.Context, callers, counters int, d time.Duration) (Rate, error) {
	var connections [natsConnections]jetstream.JetStream
	for i := range connections {
		js, done, err := n.connect()
		if err != nil {
			return Rate{}, err
		}
		defer done()
		connections[i] = js
	}
	return drive(ctx, callers, d, func(ctx context.Context, caller int) error {
		_, err := connections[caller%natsConnections].PublishMsg(ctx, &nats.Msg{
			Subject: fmt.Sprintf("%stenant-%013d", natsSubject, rand.IntN(counters)), Header: nats.Header{natsIncr: {"7"}},
		})
		return err
	})
}
