package boltstore

import (
	"encoding/hex"
	"reflect"
	"testing"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

// TestGolden freezes the bytes of every record: a change of them needs a new
// FormatVersion and an upgrade.
func TestGolden(t *testing.T) {
	block := replica.Block{Origin: 1, First: 300, Last: 500, Run: []byte("run"), Links: []byte("links")}
	blockAt := blockKey(block.Origin, block.First)
	origin := tickets.Origin{Host: "paris", Epoch: 0x0102030405060708}
	originAt := []byte{0, 0, 0, 2}
	mark := replica.Mark{Slot: 7, Origin: 1, At: 1e18, Seq: 42, Sum: []byte{5}}
	markAt := markKey(mark.Slot, mark.Origin, mark.At)
	claim := replica.Claim{Hash: [16]byte{1, 2, 3}, Ref: tickets.Ref{Origin: 1, Seq: 42}}
	rowAt, rows := []byte{0, 0, 0, 9}, []replica.Row{{Slot: 9*16 + 2, Data: []byte("row")}, {Slot: 9*16 + 15, Data: []byte{}}}
	for name, c := range map[string]struct {
		key, value []byte
		want       string
	}{
		"block":  {blockAt[:], appendBlock(nil, blockAt[:], &block), "00000001000000000000012c 01c8010372756e6c696e6b73b2c082d4"},
		"origin": {originAt, appendOrigin(nil, originAt, origin), "00000002 01010203040506070870617269732aa03fa1"},
		"mark":   {markAt[:], appendMark(nil, markAt[:], &mark), "00000007000000010de0b6b3a7640000 000000000000002a0505f749d2"},
		"claim":  {claim.Hash[:], appendClaim(nil, &claim), "01020300000000000000000000000000 00000001000000000000002a3fb543be"},
		"rows":   {rowAt, seal(merge(nil, group{}, rows), 0, tagRow, rowAt), "00000009 0203726f770f006cd76712"},
	} {
		if got := hex.EncodeToString(c.key) + " " + hex.EncodeToString(c.value); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got, err := decodeBlock(blockAt[:], appendBlock(nil, blockAt[:], &block)); err != nil || !reflect.DeepEqual(got, block) {
		t.Errorf("block %+v, %v", got, err)
	}
	if _, got, err := decodeOrigin(originAt, appendOrigin(nil, originAt, origin)); err != nil || got != origin {
		t.Errorf("origin %+v, %v", got, err)
	}
	if got, err := decodeMark(markAt[:], appendMark(nil, markAt[:], &mark)); err != nil || !reflect.DeepEqual(got, mark) {
		t.Errorf("mark %+v, %v", got, err)
	}
	if got, err := decodeClaim(claim.Hash[:], appendClaim(nil, &claim)); err != nil || got != claim {
		t.Errorf("claim %+v, %v", got, err)
	}
	moved := blockKey(block.Origin, block.First+1)
	_, err := decodeBlock(moved[:], appendBlock(nil, blockAt[:], &block))
	wantError(t, err, ErrDamaged)
}
