package boltstore

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"bluerings/hlc"
	"bluerings/ring/replica"
	"bluerings/tickets"
)

// FormatVersion is the version of everything in a data directory. A program
// reads this version and, once there are any, the ones before: those it brings
// up to date at Open, each in one transaction of ledger.db that ends with the
// new version number. It refuses later ones with ErrNewer. The index is never
// brought up to date: one of another version is made anew.
const FormatVersion = 1

// indexVersion is the version of index.db.
const indexVersion = 2

// A data directory:
//
//	bluerings.json  says that the directory was initialised, and for whom
//	ledger.db       bbolt; what must not be lost
//	index.db        bbolt; made from ledger.db whenever it is missing or bad
//	journal.0, .1   commits on their way to ledger.db, see package journal; only
//	                while a node runs, and after a crash
//	*.new           a file being made, to be renamed once it is durable;
//	                leftovers of a crash are removed by Open
//
// Integers are big endian in keys and fixed fields; varint is unsigned LEB128.
// Every value ends with a checksum of four bytes: CRC-32C over the letter of
// its bucket, the key and the value before it, so that a value is noticed
// that was changed, or that stands under another key or in another bucket.
//
// ledger.db:
//
//	bucket "blocks", letter b
//	    key    origin index, 4 bytes; number of the block's first ticket, 8 bytes
//	    value  1; varint last number minus first; varint length of run; run;
//	           links up to the checksum
//	bucket "origins", letter o
//	    key    origin index, 4 bytes, dense from 0
//	    value  1; epoch, 8 bytes; host
//	bucket "meta", letter m
//	    "format"    version, 4 bytes
//	    "identity"  JSON, see bluerings.json, with the store's random id
//	    "node"      the node's own record, opaque here; absent before its first
//	    "applied"   number of the journal's last record that is in the ledger,
//	                8 bytes; absent before the first
//
// The blocks of an origin follow each other without a gap from ticket 1 on.
//
// A record of the journal is one commit: a list of what it puts into ledger.db,
// each as the letter of the bucket; length of the key, 1 byte; key; varint length
// of the value; value.
//
// index.db:
//
//	bucket "rows", letter r
//	    key    slot / 16, 4 bytes
//	    value  the rows of these slots, rising: slot modulo 16, 1 byte; varint
//	           length of data; data, opaque here
//	bucket "claims", letter c
//	    key    hash, 16 bytes
//	    value  origin index, 4 bytes; number, 8 bytes
//	bucket "marks", letter k
//	    key    slot, 4 bytes; origin index, 4 bytes; timestamp, 8 bytes
//	    value  number, 8 bytes; sum
//	bucket "meta", letter i
//	    "format"  version, 4 bytes
//	    "store"   id of the ledger it was made from
//	    "covers"  8 bytes per origin index; absent while it is being made
const (
	tagBlock      = 'b'
	tagOrigin     = 'o'
	tagMeta       = 'm'
	tagRow        = 'r'
	tagClaim      = 'c'
	tagMark       = 'k'
	tagIndexMeta  = 'i'
	recordVersion = 1
	sumBytes      = 4
)

var (
	bucketBlocks  = []byte("blocks")
	bucketOrigins = []byte("origins")
	bucketMeta    = []byte("meta")
	bucketRows    = []byte("rows")
	bucketClaims  = []byte("claims")
	bucketMarks   = []byte("marks")
	keyFormat     = []byte("format")
	keyIdentity   = []byte("identity")
	keyNode       = []byte("node")
	keyApplied    = []byte("applied")
	keyStore      = []byte("store")
	keyCovers     = []byte("covers")
	castagnoli    = crc32.MakeTable(crc32.Castagnoli)
)

// tagSums holds the checksums of the letters.
var tagSums = func() (sums [256]uint32) {
	for tag := range sums {
		sums[tag] = crc32.Checksum([]byte{byte(tag)}, castagnoli)
	}
	return sums
}()

func checksum(tag byte, key, value []byte) uint32 {
	return crc32.Update(crc32.Update(tagSums[tag], castagnoli, key), castagnoli, value)
}

// seal appends the checksum of dst[from:] under key.
func seal(dst []byte, from int, tag byte, key []byte) []byte {
	return binary.BigEndian.AppendUint32(dst, checksum(tag, key, dst[from:]))
}

// unseal checks the checksum at the end of v and returns what is before it.
// Errors are ErrDamaged.
func unseal(tag byte, key, v []byte) ([]byte, error) {
	n := len(v) - sumBytes
	if n < 0 || checksum(tag, key, v[:n]) != binary.BigEndian.Uint32(v[n:]) {
		return nil, damaged("the checksum of the record under %c/%x is wrong", tag, key[:min(len(key), 16)])
	}
	return v[:n:n], nil
}

func blockKey(origin tickets.OriginIndex, first uint64) (key [12]byte) {
	binary.BigEndian.PutUint32(key[:], uint32(origin))
	binary.BigEndian.PutUint64(key[4:], first)
	return key
}

// appendBlock appends the value of a block.
func appendBlock(dst []byte, key []byte, b *replica.Block) []byte {
	from := len(dst)
	dst = append(dst, recordVersion)
	dst = binary.AppendUvarint(dst, b.Last-b.First)
	dst = binary.AppendUvarint(dst, uint64(len(b.Run)))
	dst = append(dst, b.Run...)
	dst = append(dst, b.Links...)
	return seal(dst, from, tagBlock, key)
}

// blockLength is the length of a block's value.
func blockLength(b *replica.Block) int {
	return 1 + uvarintBytes(b.Last-b.First) + uvarintBytes(uint64(len(b.Run))) + len(b.Run) + len(b.Links) + sumBytes
}

func uvarintBytes(v uint64) int { return max(1, (bits.Len64(v)+6)/7) }

// blockBytes bounds the length of a block's value.
func blockBytes(b *replica.Block) int { return len(b.Run) + len(b.Links) + 16 + sumBytes }

// decodeBlock checks and takes apart a block; it shares the bytes of value.
// Errors are ErrDamaged.
func decodeBlock(key, value []byte) (b replica.Block, err error) {
	if len(key) != 12 {
		return b, damaged("a block has a key of %d bytes", len(key))
	}
	v, err := unseal(tagBlock, key, value)
	if err != nil {
		return b, err
	}
	b.Origin = tickets.OriginIndex(binary.BigEndian.Uint32(key))
	b.First = binary.BigEndian.Uint64(key[4:])
	if len(v) == 0 || v[0] != recordVersion {
		return b, damaged("block %d/%d is of an unknown version", b.Origin, b.First)
	}
	v = v[1:]
	span, n := binary.Uvarint(v)
	if n <= 0 || b.First == 0 || b.First+span < b.First {
		return b, damaged("block %d/%d: its span is wrong", b.Origin, b.First)
	}
	v = v[n:]
	length, n := binary.Uvarint(v)
	if n <= 0 || length > uint64(len(v)-n) {
		return b, damaged("block %d/%d: its length is wrong", b.Origin, b.First)
	}
	v = v[n:]
	b.Last = b.First + span
	b.Run, b.Links = v[:length:length], v[length:]
	return b, nil
}

func appendOrigin(dst, key []byte, o tickets.Origin) []byte {
	from := len(dst)
	dst = append(dst, recordVersion)
	dst = binary.BigEndian.AppendUint64(dst, o.Epoch)
	dst = append(dst, o.Host...)
	return seal(dst, from, tagOrigin, key)
}

func decodeOrigin(key, value []byte) (index uint32, o tickets.Origin, err error) {
	v, err := unseal(tagOrigin, key, value)
	switch {
	case err != nil:
		return 0, o, err
	case len(key) != 4 || len(v) < 9 || v[0] != recordVersion:
		return 0, o, damaged("the origin under %x is of an unknown shape", key)
	}
	return binary.BigEndian.Uint32(key), tickets.Origin{Host: string(v[9:]), Epoch: binary.BigEndian.Uint64(v[1:])}, nil
}

func markKey(slot uint32, origin tickets.OriginIndex, at hlc.Timestamp) (key [16]byte) {
	binary.BigEndian.PutUint32(key[:], slot)
	binary.BigEndian.PutUint32(key[4:], uint32(origin))
	binary.BigEndian.PutUint64(key[8:], uint64(max(at, 0)))
	return key
}

func appendMark(dst, key []byte, m *replica.Mark) []byte {
	from := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, m.Seq)
	dst = append(dst, m.Sum...)
	return seal(dst, from, tagMark, key)
}

// decodeMark shares the bytes of value.
func decodeMark(key, value []byte) (m replica.Mark, err error) {
	v, err := unseal(tagMark, key, value)
	switch {
	case err != nil:
		return m, err
	case len(key) != 16 || len(v) < 8 || key[8] > 0x7f: // no time is negative
		return m, damaged("the mark under %x is of an unknown shape", key)
	}
	m.Slot = binary.BigEndian.Uint32(key)
	m.Origin = tickets.OriginIndex(binary.BigEndian.Uint32(key[4:]))
	m.At = hlc.Timestamp(binary.BigEndian.Uint64(key[8:]))
	m.Seq, m.Sum = binary.BigEndian.Uint64(v), v[8:]
	return m, nil
}

func appendClaim(dst []byte, c *replica.Claim) []byte {
	from := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Ref.Origin))
	dst = binary.BigEndian.AppendUint64(dst, c.Ref.Seq)
	return seal(dst, from, tagClaim, c.Hash[:])
}

func decodeClaim(key, value []byte) (c replica.Claim, err error) {
	v, err := unseal(tagClaim, key, value)
	switch {
	case err != nil:
		return c, err
	case len(key) != 16 || len(v) != 12:
		return c, damaged("the claim under %x is of an unknown shape", key)
	}
	c.Hash = [16]byte(key)
	c.Ref = tickets.Ref{Origin: tickets.OriginIndex(binary.BigEndian.Uint32(v)), Seq: binary.BigEndian.Uint64(v[4:])}
	return c, nil
}
