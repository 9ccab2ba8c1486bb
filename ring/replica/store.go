package replica

import (
	"bluerings/hlc"
	"bluerings/tickets"
)

// Block is a stretch of one log as it is kept on disk: the encoded run, which
// is also what is sent to peers, and beside it what only this node needs.
type Block struct {
	Origin      tickets.OriginIndex
	First, Last uint64
	Run         []byte // tickets.Encoder.AppendRun
	// Links has one varint per ticket in Run: how far back in the same log
	// the ticket before of the same name is, 0 where there is none.
	Links []byte
}

// NewOrigin gives an origin its local index. Indices are dense from 0.
type NewOrigin struct {
	Index  tickets.OriginIndex
	Origin tickets.Origin
}

// Batch is what one commit makes durable, all or nothing.
type Batch struct {
	Number  uint64
	Origins []NewOrigin
	Blocks  []Block // rising and gapless within each origin
	Meta    []byte  // replaces the node's meta record unless nil
	Rewrite []Block // replace blocks of the same Origin, First and Last, after expired tickets were dropped

	own []*tickets.Run // of the first Blocks, not encoded yet
	enc *ownEncoder
}

// Claim says which ticket a client id belongs to.
type Claim struct {
	Hash [16]byte // tickets.ClaimHash of name and id
	Ref  tickets.Ref
}

// Mark is a resting point in the chain of one name's tickets in one log: the
// sum of the chain through ticket Seq, minted at At.
type Mark struct {
	Slot   uint32
	Origin tickets.OriginIndex
	At     hlc.Timestamp
	Seq    uint64
	Sum    []byte // value.Number.AppendBinary
}

// Row is the folded state of one name in its canonical encoding; nil Data
// deletes it.
type Row struct {
	Slot uint32
	Data []byte
}

// Checkpoint brings the index, which is derived from the log and can be made
// anew from it, up to Covers.
type Checkpoint struct {
	Covers []uint64 // per origin index: log prefix the index then reflects
	Rows   []Row
	Claims []Claim
	Drop   [][16]byte // claims of collected tickets
	Marks  []Mark
}
