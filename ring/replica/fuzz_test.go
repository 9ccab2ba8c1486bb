package replica

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"bluerings/tickets"
	"bluerings/value"
)

func FuzzDecodePing(f *testing.F) {
	r := goldenReplica(f)
	whole := r.encodePing(goldenPing())
	body := whole[headerBytes : len(whole)-trailerBytes]
	f.Add(body)
	f.Add(body[:len(body)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decodePing(body)
		if err != nil {
			return
		}
		for i := range p.Rows {
			p.Rows[i].Age -= time.Microsecond // encoding rounds up
			if p.Rows[i].Age < 0 {
				return // nobody writes age 0
			}
		}
		first := r.encodePing(p)
		_, _, body, err = unframe(first)
		if err != nil {
			t.Fatal(err)
		}
		if p, err = decodePing(body); err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		for i := range p.Rows {
			p.Rows[i].Age -= time.Microsecond
		}
		if again := r.encodePing(p); !bytes.Equal(first, again) {
			t.Fatalf("two encodings of one ping:\n%x\n%x", first, again)
		}
	})
}

func FuzzParseTopic(f *testing.F) {
	f.Add("?a,1122334455667788,1,4096;")
	f.Add("?a.example-1_x,0,1,1;")
	f.Add("?a,1,2;")
	f.Add("tickets")
	f.Add("?a,ffffffffffffffff,4611686018427387903,4611686018427387903;")
	f.Fuzz(func(t *testing.T, topic string) {
		o, from, to, ok := parseTopic(topic)
		if !ok {
			return
		}
		if from < 1 || from > to || tickets.CheckHost(o.Host) != nil {
			t.Fatalf("%q was taken as %s %d..%d", topic, o, from, to)
		}
		o2, from2, to2, ok := parseTopic(requestTopic(o, from, to))
		if !ok || o2 != o || from2 != from || to2 != to {
			t.Fatalf("%q becomes %s %d..%d", topic, o2, from2, to2)
		}
	})
}

// FuzzReceive feeds a replica with messages whose frames are right and whose
// bodies are not to be trusted: length byte, type, body, and so on.
func FuzzReceive(f *testing.F) {
	r := goldenReplica(f)
	chunk := func(kind byte, body []byte) []byte {
		return append([]byte{byte(len(body) >> 8), byte(len(body)), kind}, body...)
	}
	ping := r.encodePing(goldenPing())
	ping = ping[headerBytes : len(ping)-trailerBytes]
	run := tickets.NewEncoder(value.Decimal).AppendRun(nil, goldenRun(f))
	f.Add(chunk(typePing, ping))
	f.Add(append(chunk(typeTickets, run), chunk(typePing, ping)...))
	f.Add(append(chunk(typePing, ping), chunk(typeGiven, run)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		d := &disk{t: t}
		r := d.replica(hostileConfig("b"), Now{Wall: origin, Mono: 1})
		r.LinkChanged(Now{Wall: origin, Mono: 1}, "a", true)
		for n := 1; len(in) > 3; n++ {
			size, kind := min(int(in[0])<<8|int(in[1]), len(in)-3), in[2]
			message := appendTrailer(append(appendHeader(nil, kind, r.tag), in[3:3+size]...))
			in = in[3+size:]
			now := Now{Wall: origin.Add(time.Duration(n) * time.Second), Mono: time.Duration(n) * time.Second}
			if r.Receive(now, "a", r.Parse(message)) != nil {
				continue
			}
			live(t, r, now)
		}
	})
}

func hostileConfig(host string) Config {
	epoch := uint64(0)
	return Config{
		Host: host, Ring: "prepaid", Kind: value.Decimal, Members: []string{"a", "b"},
		Upstreams: []string{"a"}, Downstreams: []string{"a"}, Updates: true, Forwards: true, Boot: 0x20,
		PingInterval: 150 * time.Millisecond, PeerTimeout: time.Second, ForwardDelay: time.Second,
		ConnectDelay: time.Second, FloodDelay: time.Second, MaxSkew: time.Second,
		NewEpoch: func() uint64 { epoch++; return epoch },
	}
}

// live lets a replica do all it does, and looks at what it holds.
func live(t *testing.T, r *Replica, now Now) {
	t.Helper()
	r.Tick(now)
	r.Submit(now, &Command{Op: tickets.CounterAdd, Name: "n", Amount: number(t, "1"), Expire: origin.Add(time.Hour)})
	r.State(now)
	if b := r.NextBatch(now); b != nil {
		if _, err := r.Persisted(now, b.Number); err != nil {
			t.Log(err) // the table refuses what does not fit the stub of a store
		}
	}
	e := r.Effects()
	for _, p := range e.Publish {
		if len(p.Payload) > 1<<20 {
			t.Fatalf("a message of %d bytes", len(p.Payload))
		}
	}
	if len(r.asks) > maxAsksPerLink || r.stashedBytes > maxStashedBytes || r.stashedBytes < 0 {
		t.Fatalf("%d requests, %d bytes kept aside", len(r.asks), r.stashedBytes)
	}
}

// A peer that names ever more logs fills neither memory nor the pings, and
// does not keep us from minting.
func TestFloodOfOrigins(t *testing.T) {
	r := (&disk{t: t}).replica(hostileConfig("b"), Now{Wall: origin, Mono: 1})
	r.LinkChanged(Now{Wall: origin, Mono: 1}, "a", true)
	for n := 1; n <= 20; n++ {
		p := goldenPing()
		for k := range 4000 {
			o := tickets.Origin{Host: []string{"a", "b", "c"}[n%3], Epoch: uint64(n)<<32 | uint64(k)}
			p.Logs = append(p.Logs, PingLog{Origin: o, Held: 1 << 40})
		}
		now := Now{Wall: origin.Add(time.Duration(n) * time.Second), Mono: time.Duration(n) * time.Second}
		if err := r.Receive(now, "a", r.Parse(r.encodePing(p))); err != nil {
			t.Fatal(err)
		}
		live(t, r, now)
	}
	if r.own < 0 || len(r.logs) > 2*maxLogBytes/32 {
		t.Fatalf("own log %d of %d", r.own, len(r.logs))
	}
	if r.counts.Dropped["too_many_origins"] == 0 {
		t.Fatal("nothing was refused")
	}
}

// What one ping claims wrongly is not chased once nobody claims it any more.
func TestPhantomsAreForgotten(t *testing.T) {
	r := (&disk{t: t}).replica(hostileConfig("b"), Now{Wall: origin, Mono: 1})
	at := func(n int) Now {
		return Now{Wall: origin.Add(time.Duration(n) * time.Second), Mono: time.Duration(n) * time.Second}
	}
	r.LinkChanged(at(0), "a", true)
	p := goldenPing()
	p.Logs = p.Logs[:1]
	o := p.Logs[0].Origin
	p.Logs[0].Held, p.Logs[0].Promise = 1<<60, Promise{p.Wall, 1 << 61}
	for n, want := range []uint64{1 << 61, 0} {
		if err := r.Receive(at(n+1), "a", r.Parse(r.encodePing(p))); err != nil {
			t.Fatal(err)
		}
		i := r.byName[o]
		if w := r.logs[i].want.target; w != want {
			t.Fatalf("ping %d: ticket %d of %s is wanted, want %d", n, w, o, want)
		}
		p.Wall, p.Rows[0].Number = p.Wall+1000, p.Rows[0].Number+1
		p.Logs[0].Held, p.Logs[0].Promise = 0, Promise{p.Wall, 0}
	}
	if k := r.logs[r.byName[o]].kept; k.Closed != p.Wall-1000 {
		t.Fatalf("the good promise does not count: %v", k)
	}
}

// A ring of many logs does not ask for more at once than an upstream takes.
func TestRequestsAreBounded(t *testing.T) {
	cfg := hostileConfig("b")
	cfg.Members = []string{"b"}
	for i := range 200 {
		cfg.Members = append(cfg.Members, fmt.Sprintf("m%03d", i))
	}
	cfg.Upstreams = []string{"m000"}
	r := (&disk{t: t}).replica(cfg, Now{Wall: origin, Mono: 1})
	r.LinkChanged(Now{Wall: origin, Mono: 1}, "m000", true)
	p := goldenPing()
	p.Host, p.Rows, p.Logs, p.Reports = "m000", nil, nil, nil
	for i := range 200 {
		p.Logs = append(p.Logs, PingLog{Origin: tickets.Origin{Host: cfg.Members[i+1], Epoch: 1}, Held: 1 << 20})
	}
	for n := 1; n < 10; n++ {
		now := Now{Wall: origin.Add(time.Duration(n) * time.Second), Mono: time.Duration(n) * time.Second}
		if err := r.Receive(now, "m000", r.Parse(r.encodePing(p))); err != nil {
			t.Fatal(err)
		}
		live(t, r, now)
	}
	if len(r.asks) != maxAsksPerLink {
		t.Fatalf("%d requests", len(r.asks))
	}
}
