package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

const (
	// fillAppend is how full pages are left where keys only grow: it halves
	// the file beside bbolt's one half.
	fillAppend = 0.95
	// keepValues bounds the buffer kept between commits, in bytes.
	keepValues = 4 << 20
	// MaxBlockTickets bounds the numbers that one block covers. The caller
	// splits; 1024 is a good size.
	MaxBlockTickets = tickets.MaxRunTickets
	// MaxBlockBytes bounds the run and the links of one block together.
	MaxBlockBytes = tickets.MaxRunBytes + 10*tickets.MaxRunTickets
)

// readEnds finds the last block of each origin.
func readEnds(blocks *bbolt.Bucket, origins int) ([]uint64, error) {
	ends := make([]uint64, origins)
	c := blocks.Cursor()
	if k, _ := c.Last(); k != nil && (len(k) != 12 || int(binary.BigEndian.Uint32(k)) >= origins) {
		return nil, damaged("%s: blocks of origin %x, of which nothing is known", ledgerName, k)
	}
	for i := range ends {
		k, v := seekBack(c, tickets.OriginIndex(i), ^uint64(0))
		if k == nil || int(binary.BigEndian.Uint32(k)) != i {
			continue
		}
		b, err := decodeBlock(k, v)
		if err != nil {
			return nil, err
		}
		ends[i] = b.Last
	}
	return ends, nil
}

// seekBack finds the last block that starts at or before seq, of any origin up
// to origin.
func seekBack(c *bbolt.Cursor, origin tickets.OriginIndex, seq uint64) (k, v []byte) {
	target := blockKey(origin, seq)
	switch k, v = c.Seek(target[:]); {
	case k == nil:
		return c.Last()
	case bytes.Equal(k, target[:]):
		return k, v
	default:
		return c.Prev()
	}
}

// Commit makes a batch durable, all or nothing: it is on disk when nil is
// returned. ErrNoSpace leaves everything as it was and the same may be tried
// again; so does an error about a batch that breaks its own rules. After
// ErrUncertain (was it applied?), ErrDamaged and ErrClosed every further
// Commit gives that error: answer "unknown", stop, and exit.
//
// The batch may be reused afterwards.
func (s *Store) Commit(b *replica.Batch) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	if s.closing {
		return ErrClosed
	}
	if err := s.ledger.refusal(); err != nil {
		return err
	}
	origins, ends, err := s.plan(b)
	if err != nil {
		return err
	}
	if len(b.Origins) == 0 && len(b.Blocks) == 0 && len(b.Rewrite) == 0 && b.Meta == nil {
		return nil
	}
	if err := s.write(b); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origins, s.ends = origins, ends
	if b.Meta != nil {
		s.meta = slices.Clone(b.Meta)
	}
	return nil
}

// write takes a batch to the journal or to the ledger.
func (s *Store) write(b *replica.Batch) error {
	if size := recordBytes(b); len(b.Rewrite) == 0 && size <= directBytes && s.journaling() {
		return s.commitToJournal(b, size)
	}
	return s.commitToLedger(b)
}

func (s *Store) commitToLedger(b *replica.Batch) error {
	size := 0
	for _, list := range [][]replica.Block{b.Blocks, b.Rewrite} {
		for i := range list {
			size += blockBytes(&list[i])
		}
	}
	if cap(s.values) < size || cap(s.values) > keepValues {
		s.values = make([]byte, 0, size)
	}
	return s.flush(b)
}

// plan checks a batch against what is stored and tells what will be.
func (s *Store) plan(b *replica.Batch) (origins []tickets.Origin, ends []uint64, err error) {
	s.mu.RLock()
	origins, ends = s.origins, slices.Clone(s.ends)
	s.mu.RUnlock()
	if len(b.Origins) > 0 {
		origins = slices.Clone(origins)
	}
	for _, o := range b.Origins {
		if int(o.Index) != len(origins) || o.Index >= tickets.MaxOrigins {
			return nil, nil, fmt.Errorf("batch %d: origin %v has index %d, the next is %d of at most %d", b.Number, o.Origin, o.Index, len(origins), tickets.MaxOrigins)
		}
		origins, ends = append(origins, o.Origin), append(ends, 0)
	}
	for i := range b.Blocks {
		k := &b.Blocks[i]
		if err := checkBlock(k, len(origins)); err != nil {
			return nil, nil, fmt.Errorf("batch %d: %w", b.Number, err)
		}
		if k.First != ends[k.Origin]+1 {
			return nil, nil, fmt.Errorf("batch %d: block %d/%d to %d does not follow %d", b.Number, k.Origin, k.First, k.Last, ends[k.Origin])
		}
		ends[k.Origin] = k.Last
	}
	for i := range b.Rewrite {
		if err := checkBlock(&b.Rewrite[i], len(origins)); err != nil {
			return nil, nil, fmt.Errorf("batch %d: rewrite: %w", b.Number, err)
		}
	}
	return origins, ends, nil
}

func checkBlock(b *replica.Block, origins int) error {
	switch {
	case int(b.Origin) >= origins:
		return fmt.Errorf("block %d/%d: origin is not known", b.Origin, b.First)
	case b.First == 0 || b.Last < b.First || b.Last-b.First >= MaxBlockTickets:
		return fmt.Errorf("block %d/%d to %d: it takes 1 to %d tickets", b.Origin, b.First, b.Last, MaxBlockTickets)
	case len(b.Run)+len(b.Links) > MaxBlockBytes:
		return fmt.Errorf("block %d/%d to %d: %d bytes, the limit is %d", b.Origin, b.First, b.Last, len(b.Run)+len(b.Links), MaxBlockBytes)
	}
	return nil
}

func (s *Store) apply(tx *bbolt.Tx, b *replica.Batch) error {
	meta, origins, blocks := tx.Bucket(bucketMeta), tx.Bucket(bucketOrigins), tx.Bucket(bucketBlocks)
	for _, o := range b.Origins {
		key := binary.BigEndian.AppendUint32(nil, uint32(o.Index))
		if err := origins.Put(key, appendOrigin(nil, key, o.Origin)); err != nil {
			return err
		}
	}
	blocks.FillPercent = fillAppend
	buf := s.values[:0]
	put := func(block *replica.Block) error {
		key := blockKey(block.Origin, block.First)
		from := len(buf)
		buf = appendBlock(buf, key[:], block)
		return blocks.Put(key[:], buf[from:len(buf):len(buf)])
	}
	for i := range b.Rewrite {
		r := &b.Rewrite[i]
		key := blockKey(r.Origin, r.First)
		v := blocks.Get(key[:])
		if v == nil {
			return fmt.Errorf("batch %d: there is no block %d/%d to rewrite", b.Number, r.Origin, r.First)
		}
		old, err := decodeBlock(key[:], v)
		if err != nil {
			return err
		}
		if old.Last != r.Last {
			return fmt.Errorf("batch %d: block %d/%d ends at %d, not %d", b.Number, r.Origin, r.First, old.Last, r.Last)
		}
		if err := put(r); err != nil {
			return err
		}
	}
	for i := range b.Blocks {
		if err := put(&b.Blocks[i]); err != nil {
			return err
		}
	}
	if b.Meta == nil {
		return nil
	}
	return meta.Put(keyNode, seal(slices.Clone(b.Meta), 0, tagMeta, keyNode))
}

const (
	firstPage = 32 << 10 // bytes read in the first transaction of a long read,
	lastPage  = 1 << 20  // doubling up to that many
)

// Blocks passes the blocks that overlap from..to of one log, in order; the
// first and the last may reach beyond. It reads them in short transactions, so
// that visit may take its time and may call the store. A block's bytes are
// valid during visit only. It ends early when visit says that it wants no
// more, or with its error. ErrDamaged when a block is bad or missing.
func (s *Store) Blocks(origin tickets.OriginIndex, from, to uint64, visit func(b replica.Block) (more bool, err error)) error {
	s.mu.RLock()
	end := uint64(0)
	if int(origin) < len(s.ends) {
		end = s.ends[origin]
	}
	s.mu.RUnlock()
	to = min(to, end)
	var page []replica.Block
	var buf []byte
	for next, room := max(from, 1), firstPage; next <= to; room = min(2*room, lastPage) {
		var limit uint64
		if page, limit = s.pendingFrom(page[:0], origin, next, to, room); len(page) == 0 {
			err := s.ledger.view(func(tx *bbolt.Tx) (err error) {
				page, buf, err = readBlocks(tx.Bucket(bucketBlocks).Cursor(), page, buf[:0], origin, next, limit, room)
				return err
			})
			if err != nil {
				return s.ledgerError(err)
			}
		}
		for _, b := range page {
			if more, err := visit(b); err != nil || !more {
				return err
			}
		}
		next = page[len(page)-1].Last + 1
	}
	return nil
}

// readBlocks copies blocks from next on, at least one, until they fill room
// bytes or to is reached.
func readBlocks(c *bbolt.Cursor, page []replica.Block, buf []byte, origin tickets.OriginIndex, next, to uint64, room int) ([]replica.Block, []byte, error) {
	k, v := seekBack(c, origin, next)
	for {
		if k == nil || len(k) != 12 || binary.BigEndian.Uint32(k) != uint32(origin) {
			return page, buf, damaged("%s: block %d/%d is missing", ledgerName, origin, next)
		}
		from := len(buf)
		buf = append(buf, v...)
		b, err := decodeBlock(k, buf[from:])
		if err != nil {
			return page, buf, err
		}
		if b.First > next || b.Last < next || len(page) > 0 && b.First != next {
			return page, buf, damaged("%s: block %d/%d is missing", ledgerName, origin, next)
		}
		page = append(page, b)
		if b.Last >= to || len(buf) >= room {
			return page, buf, nil
		}
		next = b.Last + 1
		k, v = c.Next()
	}
}

// BlockOf is a copy of the block that holds a ticket; false when the log does
// not reach that far.
func (s *Store) BlockOf(origin tickets.OriginIndex, seq uint64) (b replica.Block, found bool, err error) {
	err = s.Blocks(origin, seq, seq, func(at replica.Block) (bool, error) {
		b, found = at, true
		return false, nil
	})
	return b, found, err
}

// ledgerError ends all writing when what was read is damaged.
func (s *Store) ledgerError(err error) error {
	if isDamage(err) {
		s.ledger.refuse(err)
		s.log.Error("ledger_damaged", "error", err)
	}
	return err
}
