package replica

import (
	"encoding/binary"
	"fmt"

	"bluerings/hlc"
	"bluerings/tickets"
)

// The meta record: a version byte, 1; the greatest promise that may have been
// given, a varint; the latest expiry collected, a varint;
// one more than the index of the log that this directory mints in, 0 for none,
// a varint; then for each log with a kept promise its index, head and
// closed timestamp, as varints, behind their count.
const metaVersion = 1

func (r *Replica) encodeMeta(promise hlc.Timestamp) []byte {
	dst := binary.AppendUvarint([]byte{metaVersion}, uint64(promise))
	dst = binary.AppendUvarint(dst, uint64(r.collected))
	dst = binary.AppendUvarint(dst, uint64(r.minted+1))
	n := 0
	var body []byte
	for i := range r.logs {
		k := r.logs[i].kept
		if r.logs[i].sealing {
			k = Promise{hlc.Never, r.logs[i].held}
		}
		if k.Closed > 0 {
			n++
			body = binary.AppendUvarint(body, uint64(i))
			body = binary.AppendUvarint(body, k.Head)
			body = binary.AppendUvarint(body, uint64(k.Closed))
		}
	}
	return append(binary.AppendUvarint(dst, uint64(n)), body...)
}

func (r *Replica) restoreMeta(meta []byte) error {
	if meta == nil {
		return nil
	}
	d := &reader{src: meta}
	if v := d.byte("version"); v != metaVersion {
		return fmt.Errorf("the meta record has version %d, this program reads %d", v, metaVersion)
	}
	r.promised = d.timestamp("promise")
	r.collected = d.timestamp("collected")
	if r.minted = int(d.uvarint("own log")) - 1; r.minted >= len(r.logs) {
		return fmt.Errorf("the meta record says that log %d is our own, which is not stored", r.minted)
	}
	for range d.count("promises", tickets.MaxOrigins) {
		i, head, closed := d.uvarint("index"), d.seq("head"), d.timestamp("closed")
		if i >= uint64(len(r.logs)) || head > r.logs[i].held {
			return fmt.Errorf("the meta record speaks of ticket %d of log %d, which is not stored", head, i)
		}
		r.logs[i].kept = Promise{closed, head}
	}
	return d.err
}
