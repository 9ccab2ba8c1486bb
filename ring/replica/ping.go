package replica

import (
	"encoding/binary"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// Ping is what a node says of itself and of everybody it knows. Members and
// logs are sorted.
type Ping struct {
	Host   string
	Ring   string
	Kind   value.Kind
	Digest [8]byte // first bytes of the topology digest
	Wall   hlc.Timestamp
	Rows   []PingRow // the sender's own row is among them
	Logs   []PingLog
	// Reports answer a host that has to know how far others hold its logs.
	Reports []Report
}

// PingRow is the newest that the sender knows of one member.
type PingRow struct {
	Host   string
	Boot   uint64
	Number uint64 // of the member's ping that this stems from
	// Age is an upper bound on the time since that ping was made, Dwell a
	// lower bound on how much of it was spent waiting inside relays.
	Age, Dwell time.Duration
	Epoch      uint64 // it mints in, 0 while it has none
	Complete   hlc.Timestamp
	HearsAll   bool
}

// PingLog is one log: how far the sender holds it, and the best promise of its
// owner that the sender has heard.
type PingLog struct {
	Origin tickets.Origin
	Held   uint64
	Promise
}

// Promise says that a log has no ticket at or before Closed but those through
// number Head. Closed is hlc.Never for a log that is sealed.
type Promise struct {
	Closed hlc.Timestamp
	Head   uint64
}

// Report says how far Member held the log of Origin after it had heard that
// the owner started anew as Boot, and the latest promise it knew.
type Report struct {
	Origin tickets.Origin
	Boot   uint64
	Member string
	Held   uint64
	Closed hlc.Timestamp
}

const (
	maxMembers = 1000
	maxReports = 1 << 16
)

func (r *Replica) encodePing(p *Ping) []byte {
	dst := appendHeader(nil, typePing, r.tag)
	dst = appendString(dst, p.Host)
	dst = appendString(dst, p.Ring)
	dst = append(dst, byte(p.Kind))
	dst = append(dst, p.Digest[:]...)
	dst = binary.AppendUvarint(dst, uint64(p.Wall))
	dst = binary.AppendUvarint(dst, uint64(len(p.Rows)))
	for i := range p.Rows {
		row := &p.Rows[i]
		dst = appendString(dst, row.Host)
		dst = binary.BigEndian.AppendUint64(dst, row.Boot)
		dst = binary.BigEndian.AppendUint64(dst, row.Epoch)
		dst = binary.AppendUvarint(dst, row.Number)
		dst = binary.AppendUvarint(dst, uint64(row.Age/time.Microsecond)+1)
		dst = binary.AppendUvarint(dst, uint64(row.Dwell/time.Microsecond))
		dst = binary.AppendVarint(dst, int64(p.Wall-row.Complete))
		hears := byte(0)
		if row.HearsAll {
			hears = 1
		}
		dst = append(dst, hears)
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.Logs)))
	for i := range p.Logs {
		log := &p.Logs[i]
		dst = appendOrigin(dst, log.Origin)
		dst = binary.AppendUvarint(dst, log.Held)
		dst = binary.AppendUvarint(dst, log.Head)
		dst = binary.AppendVarint(dst, int64(p.Wall-log.Closed))
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.Reports)))
	for i := range p.Reports {
		rep := &p.Reports[i]
		dst = appendOrigin(dst, rep.Origin)
		dst = binary.BigEndian.AppendUint64(dst, rep.Boot)
		dst = appendString(dst, rep.Member)
		dst = binary.AppendUvarint(dst, rep.Held)
		dst = binary.AppendVarint(dst, int64(p.Wall-rep.Closed))
	}
	return appendTrailer(dst)
}

func appendOrigin(dst []byte, o tickets.Origin) []byte {
	return binary.BigEndian.AppendUint64(appendString(dst, o.Host), o.Epoch)
}

func decodePing(body []byte) (*Ping, error) {
	r := &reader{src: body}
	p := &Ping{Host: r.host("host"), Ring: r.str("ring", 1024), Kind: value.Kind(r.byte("kind"))}
	if len(r.src) < len(p.Digest) {
		r.fail("digest")
	} else {
		r.src = r.src[copy(p.Digest[:], r.src):]
	}
	if p.Wall = r.timestamp("wall"); p.Wall < 1 {
		r.fail("wall")
	}
	for range r.count("rows", maxMembers) {
		row := PingRow{Host: r.host("row host"), Boot: r.fixed64("boot"), Epoch: r.fixed64("epoch"), Number: r.uvarint("number")}
		row.Age, row.Dwell = r.duration("age"), r.duration("dwell")
		row.Complete = r.before(p.Wall, "complete")
		row.HearsAll = r.byte("hears all") == 1
		p.Rows = append(p.Rows, row)
		if r.err != nil {
			return nil, r.err
		}
	}
	for range r.count("logs", tickets.MaxOrigins) {
		log := PingLog{Origin: r.origin(), Held: r.seq("held")}
		log.Head = r.seq("head")
		log.Closed = r.before(p.Wall, "closed")
		p.Logs = append(p.Logs, log)
		if r.err != nil {
			return nil, r.err
		}
	}
	for range r.count("reports", maxReports) {
		rep := Report{Origin: r.origin(), Boot: r.fixed64("boot"), Member: r.host("member"), Held: r.seq("held")}
		rep.Closed = r.before(p.Wall, "closed")
		p.Reports = append(p.Reports, rep)
		if r.err != nil {
			return nil, r.err
		}
	}
	if r.err == nil && len(r.src) > 0 {
		r.fail("bytes follow the ping")
	}
	return p, r.err
}

func (r *reader) origin() tickets.Origin {
	return tickets.Origin{Host: r.host("origin host"), Epoch: r.fixed64("origin epoch")}
}

func (r *reader) seq(what string) uint64 {
	n := r.uvarint(what)
	if n > 1<<62 {
		r.fail(what)
		return 0
	}
	return n
}

func (r *reader) timestamp(what string) hlc.Timestamp {
	n := r.uvarint(what)
	if n > uint64(hlc.Never) {
		r.fail(what)
		return 0
	}
	return hlc.Timestamp(n)
}

func (r *reader) duration(what string) time.Duration {
	n := r.uvarint(what)
	if n > uint64(1000*time.Hour/time.Microsecond) {
		n = uint64(1000 * time.Hour / time.Microsecond)
	}
	return time.Duration(n) * time.Microsecond
}

// before reads a timestamp told as its distance before wall.
func (r *reader) before(wall hlc.Timestamp, what string) hlc.Timestamp {
	d, n := binary.Varint(r.src)
	if n <= 0 {
		r.fail(what)
		return 0
	}
	r.src = r.src[n:]
	at := int64(wall) - d
	if at < 0 || (d < 0 && at < int64(wall)) {
		r.fail(what)
		return 0
	}
	return hlc.Timestamp(at)
}
