package replica

import (
	"bytes"
	"testing"
	"time"

	"bluerings/tickets"
	"bluerings/value"
)

// FuzzUnframe takes messages as they come: what has a right frame is that frame around its body,
// and a bit of it that is wrong is noticed. Whatever they are, the replica goes on.
func FuzzUnframe(f *testing.F) {
	r := goldenReplica(f)
	run := tickets.NewEncoder(value.Decimal).AppendRun(nil, goldenRun(f))
	f.Add(r.Frame(run, false), uint16(0))
	f.Add(r.Frame(run, true), uint16(70))
	f.Add(r.encodePing(goldenPing()), uint16(24))
	f.Add(r.Frame(nil, false), uint16(95))
	f.Add(appendTrailer([]byte{'B', 'R', 2, 1, 0, 0, 0, 0}), uint16(1))
	f.Add([]byte("BR"), uint16(1))
	f.Fuzz(func(t *testing.T, payload []byte, bit uint16) {
		kind, tag, body, err := unframe(payload)
		if err == nil {
			if again := appendTrailer(append(appendHeader(nil, kind, tag), body...)); !bytes.Equal(again, payload) {
				t.Fatalf("%x is the frame of %x", payload, again)
			}
			wrong, at := bytes.Clone(payload), int(bit)%(8*len(payload))
			wrong[at/8] ^= 1 << (at % 8)
			if _, _, _, err := unframe(wrong); err == nil {
				t.Fatalf("%x is taken for right", wrong)
			}
		}
		d := &disk{t: t}
		r := d.replica(hostileConfig("b"), Now{Wall: origin, Mono: 1})
		r.LinkChanged(Now{Wall: origin, Mono: 1}, "a", true)
		now := Now{Wall: origin.Add(time.Second), Mono: time.Second}
		if refused := r.Receive(now, "a", r.Parse(payload)); refused == nil && err != nil {
			t.Fatalf("%x is taken in, although %v", payload, err)
		}
		live(t, r, now)
	})
}

// FuzzMetaRecord gives a node that starts a record of its own that it may not have written. What
// is accepted is what the record says, in the bounds of what is stored, and is written again as
// something that means the same.
func FuzzMetaRecord(f *testing.F) {
	stored := func() *Replica {
		r := goldenReplica(f)
		r.logs = append(r.logs[:0], log{}, log{}, log{})
		for i := range r.logs {
			r.logs[i].held = uint64(10 * i)
		}
		return r
	}
	r := stored()
	r.minted = 1
	r.logs[1].kept, r.logs[2].kept = Promise{1e18, 10}, Promise{2e18, 7}
	whole := r.encodeMeta(3e18)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{metaVersion, 0, 0, 0, 0})
	f.Add([]byte{metaVersion + 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, meta []byte) {
		r := stored()
		err := r.restoreMeta(meta)
		if err != nil || meta == nil {
			return
		}
		if mark, err := Promisable(meta); err != nil || mark != r.promised || mark < 0 || r.collected < 0 {
			t.Fatalf("%x: promised %d or %d, collected %d, %v", meta, r.promised, mark, r.collected, err)
		}
		for i := range r.logs {
			if k := r.logs[i].kept; k.Head > r.logs[i].held || k.Closed < 0 {
				t.Fatalf("%x: log %d has %d tickets and promises %v", meta, i, r.logs[i].held, k)
			}
		}
		again, first := stored(), r.encodeMeta(r.promised)
		if err := again.restoreMeta(first); err != nil {
			t.Fatalf("%x cannot be read: %v", first, err)
		}
		if second := again.encodeMeta(again.promised); !bytes.Equal(first, second) {
			t.Fatalf("two encodings of one record:\n%x\n%x", first, second)
		}
	})
}
