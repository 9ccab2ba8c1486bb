package zmqbus

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mutate damages an honest session in a few random ways.
func mutate(rng *rand.Rand, s []byte) []byte {
	s = bytes.Clone(s)
	for range 1 + rng.IntN(4) {
		if len(s) == 0 {
			return s
		}
		i := rng.IntN(len(s))
		j := min(len(s), i+1+rng.IntN(16))
		switch rng.IntN(6) {
		case 0:
			s[i] ^= 1 << rng.IntN(8)
		case 1:
			s[i] = []byte{0, 1, 2, 4, 0x7f, 0x80, 0xff}[rng.IntN(7)]
		case 2:
			s = append(s[:i:i], s[j:]...)
		case 3:
			s = append(s[:j:j], s[i:]...)
		case 4:
			s = s[:i]
		case 5:
			junk := make([]byte, rng.IntN(12))
			for k := range junk {
				junk[k] = byte(rng.Uint32())
			}
			s = append(s[:i:i], append(junk, s[i:]...)...)
		}
	}
	return s
}

const mutants = 3000

func seedOf(t *testing.T) uint64 {
	seed := uint64(20240618)
	t.Logf("seed %d", seed)
	return seed
}

func TestMutatedSubscribers(t *testing.T) {
	session := []byte(hello + frame(0, "\x01tickets") + command("PING", "\x00\x10ctx") + command("SUBSCRIBE", "?a,1,1,9;") +
		frame(0, "\x00tickets") + command("CANCEL", "?a,1,1,9;") + command("PONG", "") + everyTop)
	a := pub(t, Limits{}, nil)
	served := honest(t, a)
	seed := seedOf(t)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(worker)))
			for range mutants / 4 {
				c, err := net.Dial("tcp", strings.TrimPrefix(a.Addrs()[0], "tcp://"))
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(patience))
				_, _ = c.Write(mutate(rng, session))
				_ = c.(*net.TCPConn).CloseWrite()
				if _, err := io.Copy(io.Discard, c); err != nil && err.(net.Error).Timeout() {
					t.Error("neither cut off nor ended")
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	served("mutants")
	eventually(t, "all of them gone", func() bool { return len(a.Stats().Subscribers) == 1 })
}

func TestMutatedUpstreams(t *testing.T) {
	session := []byte(greets + string(ready("PUB", "")) + frame(flagMore, "tickets") + frame(0, strings.Repeat("x", 300)) +
		command("PING", "\x00\x10ctx") + frame(flagMore, "ping") + frame(0, "") + command("PONG", ""))
	u := newUpstream(t, mutants)
	rng := rand.New(rand.NewPCG(seedOf(t), 0))
	var over atomic.Int64
	for range mutants / 2 {
		send := mutate(rng, session)
		u.scripts <- func(c net.Conn) {
			defer over.Add(1)
			_, _ = c.Write(send)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		}
	}
	u.scripts <- say(greets + string(ready("PUB", "")) + frame(flagMore, "t") + frame(0, "well"))
	r := &recorder{}
	b := open(t, Config{
		Host: "b", Topics: []string{"t"}, Upstreams: []Upstream{{"a", u.endpoint()}},
		Limits: Limits{BackoffMin: time.Microsecond, BackoffMax: time.Microsecond},
	}, r)
	eventually(t, "an honest session at last", func() bool { return r.has(message{"a", "t", "well"}) })
	t.Logf("%d sessions: failed %v, cut %v", over.Load(), b.Stats().Failed, b.Stats().Cut)
}

// FuzzRequests: any bytes end in an error or in requests within limits.
func FuzzRequests(f *testing.F) {
	for _, at := range attacks {
		if !at.early && len(at.send) < 1<<16 {
			f.Add([]byte(strings.TrimPrefix(at.send, hello)))
		}
	}
	f.Add([]byte(frame(0, "\x01t") + command("CANCEL", "t") + command("PING", "\x00\x00")))
	lim := Limits{TopicBytes: 20}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		var buf []byte
		for {
			what, arg, b, err := readRequest(r, buf, &lim)
			buf = b
			if cap(buf) > 2*growStep {
				t.Fatalf("%d bytes allocated for %d", cap(buf), len(data))
			}
			if err != nil {
				return
			}
			switch what {
			case actSubscribe, actCancel:
				if len(arg) > lim.TopicBytes {
					t.Fatalf("topic of %d bytes", len(arg))
				}
			case actPing:
				if _, err := pongTo(arg); err != nil {
					t.Fatal(err)
				}
			case actNothing:
			default:
				t.Fatalf("act %d", what)
			}
		}
	})
}

// FuzzPublished: what the library gets of any bytes is whole messages of two
// frames within limits.
func FuzzPublished(f *testing.F) {
	f.Add([]byte(frame(flagMore, "t") + frame(0, "p") + command("PING", "\x00\x00")))
	f.Add([]byte(frame(flagMore, "t") + frame(flagMore, "p")))
	f.Add([]byte(frame(flagMore, "t") + claim(0, 1<<63-1)))
	f.Add([]byte(claim(flagMore, 1) + "t" + claim(0, 3) + "abc"))
	lim := Limits{TopicBytes: 20, FrameBytes: 500}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		var buf []byte
		for {
			what, msg, b, err := readPublished(r, buf, &lim)
			buf = b
			if cap(buf) > 2*growStep {
				t.Fatalf("%d bytes allocated for %d", cap(buf), len(data))
			}
			if err != nil {
				return
			}
			if what != actMessage {
				continue
			}
			messages := 0
			s := splitter{greeted: greetingBytes}
			s.write(msg, func(s *splitter) {
				messages++
				if s.size != len(msg) || !bytes.Equal(append(s.small, s.big...), msg) {
					t.Fatalf("message %q split as %q %q", msg, s.small, s.big)
				}
			})
			if messages != 1 || len(msg) > lim.TopicBytes+lim.FrameBytes+2*longHeader {
				t.Fatalf("%d messages in %q", messages, msg)
			}
		}
	})
}

// FuzzHandshake: any bytes are refused or name a counterpart.
func FuzzHandshake(f *testing.F) {
	for _, at := range attacks {
		if at.early {
			f.Add([]byte(at.send))
		}
	}
	f.Add([]byte(hello))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		if _, err := shakeHands(discarding{}, r, typePub, "host"); err == nil && !bytes.Contains(data, []byte("SUB")) {
			t.Fatalf("accepted %q", data)
		}
	})
}

type discarding struct{ net.Conn }

func (discarding) Write(p []byte) (int, error) { return len(p), nil }

// TestSplitterTakesAnyPieces: messages come out whole however the stream is cut.
func TestSplitterTakesAnyPieces(t *testing.T) {
	stream := string(greeting(0)) + string(ready("PUB", "x"))
	var want []string
	for _, n := range []int{0, 1, 255, 256, bigBody, 3 * bigBody} {
		m := frame(flagMore, "topic") + frame(0, strings.Repeat("p", n))
		want = append(want, m)
		stream += m
	}
	rng := rand.New(rand.NewPCG(seedOf(t), 0))
	for range 200 {
		var s splitter
		var got []string
		for rest := []byte(stream); len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(1<<rng.IntN(16)))
			s.write(rest[:n], func(s *splitter) { got = append(got, string(s.small)+string(s.big)) })
			rest = rest[n:]
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Fatal("messages differ")
		}
	}
}
