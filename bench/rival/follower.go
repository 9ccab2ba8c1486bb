package rival

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/go-chi/chi/v5"
	"github.com/go-zeromq/zmq4"

	"bluerings/bench/machine"
)

// Pair is the least that can take an update over HTTP in one process and show it over HTTP in another, durable at
// both: chi, one write with one fdatasync, one bare zmq4 message, one write with one fdatasync, chi.
// It holds one number, finds nothing missing and fetches nothing again.
type Pair struct {
	Source, Follower *machine.Process
	From, To         string // where they listen for HTTP
}

// endpointFile is where both processes find the endpoint of the source's PUB socket.
const endpointFile = "endpoint"

// StartPair starts both.
func StartPair(ctx context.Context, dir string) (p *Pair, err error) {
	ports, err := machine.Ports(1)
	if err != nil {
		return nil, err
	}
	p = &Pair{}
	for _, side := range []struct {
		name    string
		process **machine.Process
		addr    *string
	}{{"bare-source", &p.Source, &p.From}, {"bare-follower", &p.Follower, &p.To}} {
		at := filepath.Join(dir, side.name)
		if err = os.MkdirAll(at, 0o755); err == nil {
			err = os.WriteFile(filepath.Join(at, endpointFile), fmt.Appendf(nil, "tcp://127.0.0.1:%d", ports[0]), 0o644)
		}
		if err == nil {
			*side.process, *side.addr, err = startChild(ctx, side.name, at)
		}
		if err != nil {
			p.Stop()
			return nil, err
		}
	}
	return p, nil
}

// Stop ends both.
func (p *Pair) Stop() {
	for _, side := range []*machine.Process{p.Follower, p.Source} {
		if side != nil {
			side.Stop()
		}
	}
}

// SyncedFile is written to, 4 KiB at a time, each made durable. The file has its length from the start and
// is written from its beginning again when the end is reached: so a sync has one block to write and nothing else.
type SyncedFile struct {
	file  *os.File
	block [4096]byte
	next  int64
}

// syncedFileBytes is the length.
const syncedFileBytes = 4 << 20

// NewSyncedFile makes the file.
func NewSyncedFile(path string) (*SyncedFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(make([]byte, syncedFileBytes)); err == nil {
		err = f.Sync()
	}
	return &SyncedFile{file: f}, err
}

// Write writes the next block and syncs.
func (s *SyncedFile) Write() error {
	if _, err := s.file.WriteAt(s.block[:], s.next); err != nil {
		return err
	}
	s.next = (s.next + int64(len(s.block))) % syncedFileBytes
	return syscall.Fdatasync(int(s.file.Fd()))
}

// Close closes the file.
func (s *SyncedFile) Close() error { return s.file.Close() }

// end is one of the two processes.
type end struct {
	file  *SyncedFile
	sock  zmq4.Socket
	mu    sync.Mutex // of the source's updates
	value atomic.Int64
}

// messageBytes is the size of a message, of which the first eight bytes are the value.
const messageBytes = 100

func openEnd(dir string, connect func(endpoint string) (zmq4.Socket, error)) (*end, error) {
	endpoint, err := os.ReadFile(filepath.Join(dir, endpointFile))
	if err != nil {
		return nil, err
	}
	e := &end{}
	if e.file, err = NewSyncedFile(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	e.sock, err = connect(string(endpoint))
	return e, err
}

func serveSource(ctx context.Context, dir string, listening func(string)) error {
	e, err := openEnd(dir, func(endpoint string) (zmq4.Socket, error) {
		pub := zmq4.NewPub(context.Background())
		return pub, pub.Listen(endpoint)
	})
	if err != nil {
		return err
	}
	return e.serve(ctx, listening)
}

func serveFollower(ctx context.Context, dir string, listening func(string)) error {
	e, err := openEnd(dir, func(endpoint string) (zmq4.Socket, error) {
		sub := zmq4.NewSub(context.Background())
		return sub, errors.Join(sub.Dial(endpoint), sub.SetOption(zmq4.OptionSubscribe, ""))
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { cancel(e.follow()) }()
	if err := e.serve(ctx, listening); err != nil {
		return err
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// follow takes in what the source publishes.
func (e *end) follow() error {
	for {
		m, err := e.sock.Recv()
		if err != nil {
			return err
		}
		if len(m.Bytes()) != messageBytes {
			return fmt.Errorf("a message of %d bytes", len(m.Bytes()))
		}
		if err := e.file.Write(); err != nil {
			return err
		}
		e.value.Store(int64(binary.BigEndian.Uint64(m.Bytes())))
	}
}

// add takes in an update and publishes it.
func (e *end) add() (int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.file.Write(); err != nil {
		return 0, err
	}
	message := make([]byte, messageBytes)
	value := e.value.Add(1)
	binary.BigEndian.PutUint64(message, uint64(value))
	return value, e.sock.Send(zmq4.NewMsg(message))
}

func (e *end) handler() http.Handler {
	mux := chi.NewRouter()
	mux.Get("/v1/counters/{name}", func(w http.ResponseWriter, _ *http.Request) { writeValue(w, e.value.Load()) })
	mux.Post("/v1/counters/{name}", func(w http.ResponseWriter, r *http.Request) {
		if !parsed(r.Body, "amount") {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		value, err := e.add()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeValue(w, value)
	})
	return mux
}

func writeValue(w http.ResponseWriter, value int64) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(strconv.AppendInt([]byte(`{"value":"`), value, 10), `"}`...)) // a client that has gone needs no answer
}

func (e *end) serve(ctx context.Context, listening func(string)) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return serveHTTP(ctx, l, e.handler(), listening)
}
