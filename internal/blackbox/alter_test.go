package blackbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"bluerings/tickets"
	"bluerings/value"
)

// errFound ends a walk.
var errFound = errors.New("found")

// alterations changes one thing at a time in copies of a data directory, as a
// bad disk does, and as somebody does who knows the format and makes the
// checksums right. Verify must notice every one.
func alterations(t *testing.T, data string) {
	for _, alter := range []struct {
		what, file, bucket string
		tag                byte // 0: the checksum stays wrong
		change             func(key, value []byte) (newKey, newValue []byte)
	}{
		{"a bit of a total", "index.db", "rows", 0, flipBit},
		{"a bit of a ticket", "ledger.db", "blocks", 0, flipBit},
		{"a bit of an id", "index.db", "claims", 0, flipBit},
		{"a total", "index.db", "rows", 'r', otherTotal},
		{"a ticket's amount", "ledger.db", "blocks", 'b', otherTicket(otherAmount)},
		{"a ticket's id", "ledger.db", "blocks", 'b', otherTicket(otherID)},
		{"a ticket's text", "ledger.db", "blocks", 'b', otherTicket(otherText)},
		{"an id in the index", "index.db", "claims", 'c', otherHash},
	} {
		t.Run(alter.what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(dir, os.DirFS(data)); err != nil {
				t.Fatal(err)
			}
			rewrite(t, filepath.Join(dir, alter.file), alter.bucket, alter.tag, alter.change)
			code, out := run(t, "verify", dir)
			if code != 1 {
				t.Errorf("verify did not notice: exit %d\n%s", code, out)
			}
			t.Logf("%.200s", out)
		})
	}
}

// rewrite changes the first record of a bucket that change wants to change. A
// tag other than 0 seals the new one with its checksum.
func rewrite(t *testing.T, file, bucket string, tag byte, change func(k, v []byte) ([]byte, []byte)) {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		var key, newKey, newValue []byte
		err := b.ForEach(func(k, v []byte) error {
			newKey, newValue = change(slices.Clone(k), slices.Clone(v))
			if newKey == nil {
				return nil
			}
			key = slices.Clone(k)
			return errFound
		})
		if !errors.Is(err, errFound) {
			return err
		}
		found = true
		if tag != 0 {
			newValue = seal(tag, newKey, newValue)
		}
		return errors.Join(b.Delete(key), b.Put(newKey, newValue))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Fatalf("nothing to change in %s of %s", bucket, file)
	}
}

// seal replaces the checksum at the end of a record by the right one.
func seal(tag byte, key, v []byte) []byte {
	v = v[:len(v)-4]
	sum := crc32.Checksum(slices.Concat([]byte{tag}, key, v), crc32.MakeTable(crc32.Castagnoli))
	return binary.BigEndian.AppendUint32(v, sum)
}

func flipBit(k, v []byte) (newKey, newValue []byte) {
	v[len(v)/2] ^= 4
	return k, v
}

func otherHash(k, v []byte) (newKey, newValue []byte) {
	k[3] ^= 1
	return k, v
}

// otherTotal adds one to the total of a counter in a record of rows.
func otherTotal(k, v []byte) (newKey, newValue []byte) {
	for at := 0; at < len(v)-4; {
		length, n := binary.Uvarint(v[at+1:])
		from := at + 1 + n
		to := from + int(length)
		if row := v[from:to]; bytes.HasPrefix(row, []byte{1, byte(tickets.Counters)}) {
			row = oneMore(row)
			altered := binary.AppendUvarint(slices.Clone(v[:at+1]), uint64(len(row)))
			return k, slices.Concat(altered, row, v[to:])
		}
		at = to
	}
	return nil, nil
}

// oneMore is the row of a counter with one more in total.
func oneMore(row []byte) []byte {
	at := 2
	length, n := binary.Uvarint(row[at:])
	at += n + int(length)
	for range 5 { // born, expire, first origin, first and last orphan
		_, n := binary.Uvarint(row[at:])
		at += n
	}
	limits := value.Limits{Digits: value.MaxDigits, Exponent: value.MaxExponent}
	total, rest, err := value.DecodeBinary(value.Decimal, row[at:], limits)
	if err != nil {
		panic(err)
	}
	return append(total.Add(value.Decimal, value.FromInt64(1)).AppendBinary(slices.Clone(row[:at]), value.Decimal), rest...)
}

// otherTicket changes one ticket of a block, so that all else stays readable.
func otherTicket(change func(*tickets.Ticket) bool) func(k, v []byte) ([]byte, []byte) {
	return func(k, v []byte) (newKey, newValue []byte) {
		_, n := binary.Uvarint(v[1:])
		head := 1 + n
		length, n := binary.Uvarint(v[head:])
		encoded := v[head+n : head+n+int(length)]
		run, err := tickets.DecodeRun(value.Decimal, encoded)
		if err != nil {
			panic(err)
		}
		for i := range run.Tickets {
			if change(&run.Tickets[i]) {
				encoded = tickets.NewEncoder(value.Decimal).AppendRun(nil, run)
				altered := binary.AppendUvarint(slices.Clone(v[:head]), uint64(len(encoded)))
				return k, slices.Concat(altered, encoded, v[head+n+int(length):])
			}
		}
		return nil, nil
	}
}

func otherAmount(t *tickets.Ticket) bool {
	t.Amount = t.Amount.Add(value.Decimal, value.FromInt64(1))
	return t.Op == tickets.CounterAdd
}

func otherID(t *tickets.Ticket) bool {
	t.ID += "x"
	return t.ID != "x"
}

func otherText(t *tickets.Ticket) bool {
	t.Text += "x"
	return t.Op == tickets.SetAdd
}
