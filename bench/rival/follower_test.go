package rival

import (
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-zeromq/zmq4"
)

// channelSocket is the little of a socket that the pair uses.
type channelSocket struct {
	zmq4.Socket
	messages chan zmq4.Msg
}

func (s channelSocket) Send(m zmq4.Msg) error { s.messages <- m; return nil }

func (s channelSocket) Recv() (zmq4.Msg, error) {
	m, ok := <-s.messages
	if !ok {
		return m, errors.New("closed")
	}
	return m, nil
}

func TestFollowerShowsWhatTheSourceTook(t *testing.T) {
	sock := channelSocket{messages: make(chan zmq4.Msg, 8)}
	ends := make([]*end, 2)
	for i := range ends {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, endpointFile), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if ends[i], err = openEnd(dir, func(string) (zmq4.Socket, error) { return sock, nil }); err != nil {
			t.Fatal(err)
		}
		defer ends[i].file.Close()
	}
	ask := func(e *end, method, body string) string {
		w := httptest.NewRecorder()
		e.handler().ServeHTTP(w, httptest.NewRequest(method, "/v1/counters/x", strings.NewReader(body)))
		return w.Body.String()
	}
	for _, want := range []string{`{"value":"1"}`, `{"value":"2"}`} {
		if got := ask(ends[0], "POST", `{"amount":"1"}`); got != want {
			t.Errorf("the source says %s, want %s", got, want)
		}
	}
	if got := ask(ends[0], "POST", `{`); got != "bad\n" {
		t.Errorf("what cannot be parsed: %s", got)
	}
	if got := ask(ends[1], "GET", ""); got != `{"value":"0"}` {
		t.Errorf("the follower says %s before anything came", got)
	}
	close(sock.messages)
	if ends[1].follow() == nil {
		t.Error("the end of the socket went unnoticed")
	}
	if got := ask(ends[1], "GET", ""); got != `{"value":"2"}` {
		t.Errorf("the follower says %s", got)
	}
	if info, err := os.Stat(ends[1].file.file.Name()); err != nil || info.Size() != syncedFileBytes || ends[1].file.next != 2*4096 {
		t.Errorf("the follower's file: %d bytes, %d of them written, %v", info.Size(), ends[1].file.next, err)
	}
}
