package zmqbus

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

// bareVariable makes the test binary a process with the library's bare PUB
// socket, for TestTheBareLibraryDies.
const bareVariable = "ZMQBUS_BARE"

func TestBareProcess(t *testing.T) {
	if os.Getenv(bareVariable) == "" {
		t.Skip("a part of TestTheBareLibraryDies")
	}
	s := zmq4.NewPub(context.Background())
	if err := s.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("bound tcp://%s\n", s.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// TestTheBareLibraryDies shows that the guard is needed: the very bytes it
// withstands in TestHostileSubscribersAreCutOff end a process without it.
// Should this fail with a newer library, the guard may have become smaller.
func TestTheBareLibraryDies(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, at := range attacks {
		if !at.kills {
			continue
		}
		t.Run(at.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestBareProcess$")
			cmd.Env = append(os.Environ(), bareVariable+"=1", "GOMEMLIMIT=1GiB")
			var complaints bytes.Buffer
			cmd.Stderr = &complaints
			stdin, _ := cmd.StdinPipe()
			out, _ := cmd.StdoutPipe()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			var endpoint string
			if _, err := fmt.Fscanf(out, "bound %s\n", &endpoint); err != nil {
				t.Fatal(err)
			}
			c := dialRaw(t, endpoint)
			_, _ = io.WriteString(c, at.send)
			died := make(chan error, 1)
			go func() { died <- cmd.Wait() }()
			select {
			case err := <-died:
				if err == nil || !strings.Contains(complaints.String(), "panic:") {
					t.Errorf("ended without a panic: %v\n%s", err, complaints.String())
				}
			case <-time.After(patience):
				_ = cmd.Process.Kill()
				t.Error("lives")
			}
		})
	}
}

// TestTheBareLibraryBlocks: one silent connection, and nobody is let in.
func TestTheBareLibraryBlocks(t *testing.T) {
	s := zmq4.NewPub(context.Background(), quiet()...)
	if err := s.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	silent := dialRaw(t, "tcp://"+s.Addr().String())
	b := open(t, Config{
		Topics: []string{"t"}, Upstreams: []Upstream{{"a", "tcp://" + s.Addr().String()}},
		Limits: Limits{Handshake: 50 * time.Millisecond},
	}, nil)
	eventually(t, "handshakes in vain", func() bool { return b.Stats().Failed[reasonTimeout] >= 3 })
	if b.Stats().Upstreams[0].Connects != 0 {
		t.Error("let in")
	}
	_ = silent.Close()
	eventually(t, "a connection once the silent one went", func() bool { return b.Stats().Upstreams[0].Connects > 0 })
}
