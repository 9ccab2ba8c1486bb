package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"bluerings/ring/journal"
	"bluerings/ring/replica"
	"bluerings/tickets"
)

// A commit is durable once it is in the journal, which takes one sync where
// bbolt takes two, and none of its pages. From there records move to the ledger
// in the background, many in one transaction, which also says up to which
// record it has them. Until then they are read from memory.
//
// What is large, or changes blocks that are there, goes to the ledger at once,
// together with everything that is on its way to it.
const (
	// directBytes is the size of a batch that does not take the way through the
	// journal: by then its own bytes cost more than bbolt's pages.
	directBytes = 256 << 10
	// flushInterval is how long records stay in the journal, at the most.
	flushInterval = time.Second
)

// pending is what is in the journal and not yet in the ledger.
type pending struct {
	records []pendingRecord
	blocks  [][]pendingBlock // by origin
}

type pendingRecord struct {
	number uint64
	bytes  []byte
}

type pendingBlock struct {
	number uint64 // of its record
	replica.Block
}

// An entry of a record is what one Put to the ledger takes: letter of the
// bucket, length of the key, key, varint length of the value, value.
func appendEntry(dst []byte, tag byte, key []byte, valueBytes int) []byte {
	dst = append(dst, tag, byte(len(key)))
	dst = append(dst, key...)
	return binary.AppendUvarint(dst, uint64(valueBytes))
}

// entries takes a record apart. Errors are those of visit and ErrDamaged.
func entries(record []byte, visit func(tag byte, key, value []byte) error) error {
	for len(record) > 0 {
		if len(record) < 2 || len(record)-2 < int(record[1]) {
			return damaged("a record of the journal ends early")
		}
		end := 2 + int(record[1])
		tag, key := record[0], record[2:end]
		record = record[end:]
		n, used := binary.Uvarint(record)
		if used <= 0 || n > uint64(len(record)-used) {
			return damaged("a record of the journal ends early")
		}
		record = record[used:]
		if err := visit(tag, key, record[:n:n]); err != nil {
			return err
		}
		record = record[n:]
	}
	return nil
}

// encodeRecord makes the record of a batch without rewritten blocks.
func encodeRecord(b *replica.Batch, size int) []byte {
	record := make([]byte, 0, size)
	for _, o := range b.Origins {
		key := binary.BigEndian.AppendUint32(nil, uint32(o.Index))
		value := appendOrigin(nil, key, o.Origin)
		record = append(appendEntry(record, tagOrigin, key, len(value)), value...)
	}
	for i := range b.Blocks {
		k := &b.Blocks[i]
		key := blockKey(k.Origin, k.First)
		record = appendEntry(record, tagBlock, key[:], blockLength(k))
		record = appendBlock(record, key[:], k)
	}
	if b.Meta != nil {
		value := seal(slices.Clone(b.Meta), 0, tagMeta, keyNode)
		record = append(appendEntry(record, tagMeta, keyNode, len(value)), value...)
	}
	return record
}

// recordBytes bounds the length of a batch's record.
func recordBytes(b *replica.Batch) int {
	n := len(b.Meta) + 32
	for i := range b.Origins {
		n += len(b.Origins[i].Origin.Host) + 32
	}
	for i := range b.Blocks {
		n += blockBytes(&b.Blocks[i]) + 24
	}
	return n
}

// putRecord puts a record into the ledger.
func putRecord(tx *bbolt.Tx, record []byte) error {
	meta, origins, blocks := tx.Bucket(bucketMeta), tx.Bucket(bucketOrigins), tx.Bucket(bucketBlocks)
	blocks.FillPercent = fillAppend
	return entries(record, func(tag byte, key, value []byte) error {
		switch tag {
		case tagBlock:
			return blocks.Put(key, value)
		case tagOrigin:
			return origins.Put(key, value)
		case tagMeta:
			return meta.Put(key, value)
		}
		return damaged("a record of the journal has an entry of an unknown kind %q", tag)
	})
}

// commitToJournal makes a batch durable that plan has passed.
func (s *Store) commitToJournal(b *replica.Batch, size int) error {
	if s.journal.Overdue() {
		return s.commitToLedger(b)
	}
	err := s.ledger.inPlace(s.ledgerBytes.Load())
	if err == nil {
		err = s.journal.InPlace()
	}
	if err != nil {
		return s.journalError(err)
	}
	record := encodeRecord(b, size)
	number, err := s.journal.Append(record)
	if err != nil && isNoSpace(err) && !s.journal.Failed() {
		// What the ledger takes over leaves room in the journal.
		return s.commitToLedger(b)
	}
	if err != nil {
		return s.journalError(err)
	}
	s.mu.Lock()
	err = s.pend(number, record)
	s.mu.Unlock()
	if err != nil {
		return s.journalError(err)
	}
	signal(s.begun)
	if s.journal.Full() {
		signal(s.full)
	}
	return nil
}

// journalError ends all writing, after what was acknowledged before and is only
// in the journal: that can be had from memory now.
func (s *Store) journalError(err error) error {
	switch {
	case errors.Is(err, journal.ErrDamaged):
		err = damaged("%v", err)
	case isDamage(err):
	default:
		err = fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	if err := s.flush(nil); err != nil {
		s.log.Warn("journal_not_applied", "error", err)
	}
	s.ledger.refuse(err)
	return err
}

// pend has a record's blocks found in memory. s.mu must be held.
func (s *Store) pend(number uint64, record []byte) error {
	s.pending.records = append(s.pending.records, pendingRecord{number, record})
	return entries(record, func(tag byte, key, value []byte) error {
		if tag != tagBlock {
			return nil
		}
		b, err := decodeBlock(key, value)
		if err != nil {
			return err
		}
		for int(b.Origin) >= len(s.pending.blocks) {
			s.pending.blocks = append(s.pending.blocks, nil)
		}
		list := &s.pending.blocks[b.Origin]
		*list = append(*list, pendingBlock{number, b})
		return nil
	})
}

// flush moves to the ledger what is on its way to it, together with a batch, if
// there is one. Errors are those of database.update.
func (s *Store) flush(b *replica.Batch) error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.mu.RLock()
	records := s.pending.records
	s.mu.RUnlock()
	if len(records) == 0 && b == nil {
		return nil
	}
	last := s.applied.Load()
	if len(records) > 0 {
		last = records[len(records)-1].number
	}
	err := s.ledger.update(func(tx *bbolt.Tx) error {
		for _, r := range records {
			if err := putRecord(tx, r.bytes); err != nil {
				return err
			}
		}
		s.ledgerBytes.Store(tx.Size())
		if b != nil {
			if err := s.apply(tx, b); err != nil {
				return err
			}
		}
		if last == s.applied.Load() {
			return nil
		}
		number := binary.BigEndian.AppendUint64(nil, last)
		return tx.Bucket(bucketMeta).Put(keyApplied, seal(number, 0, tagMeta, keyApplied))
	})
	if err != nil {
		return err
	}
	s.applied.Store(last)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending.records = slices.Delete(s.pending.records, 0, len(records))
	for i, list := range s.pending.blocks {
		moved := 0
		for moved < len(list) && list[moved].number <= last {
			moved++
		}
		s.pending.blocks[i] = slices.Delete(list, 0, moved)
	}
	if s.journal != nil {
		s.journal.Applied(last)
	}
	return nil
}

// flushLoop moves records to the ledger when the journal's file is full, and
// otherwise a while after the first came.
func (s *Store) flushLoop(stop <-chan struct{}) {
	defer s.flusher.Done()
	for {
		select {
		case <-stop:
			return
		case <-s.begun:
		}
		timer := time.NewTimer(flushInterval)
		select {
		case <-stop:
			timer.Stop()
			return
		case <-s.full:
			timer.Stop()
		case <-timer.C:
		}
		// Without room on the disk they stay where they are, and the next
		// commits will tell. After another error the ledger takes no more.
		if err := s.flush(nil); err != nil {
			s.log.Warn("journal_not_applied", "error", err)
		}
	}
}

// journaling tells whether commits go to the journal, and begins one with the
// first of them. What a crash left must be in the ledger before.
func (s *Store) journaling() bool {
	if s.journal != nil {
		return true
	}
	s.mu.RLock()
	left := len(s.pending.records)
	s.mu.RUnlock()
	if left > 0 {
		return false
	}
	if err := s.openJournal(); err != nil {
		s.log.Warn("journal_not_opened", "error", err)
		return false
	}
	return true
}

// openJournal begins one, which must not hold anything yet. Without room for it
// there is none, and commits go to the ledger.
func (s *Store) openJournal() error {
	if err := s.dropJournal(); err != nil {
		return err
	}
	j, err := journal.Create(s.dir, s.applied.Load()+1, s.o.Trial.journal())
	if err == nil {
		if err = s.setJournal(true); err != nil {
			_ = j.Remove()
		}
	}
	if err = noSpaceOr(err); err != nil {
		return err
	}
	s.mu.Lock()
	s.journal = j
	s.mu.Unlock()
	s.begun, s.full, s.stopFlusher = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	if s.o.Trial == nil {
		s.flusher.Add(1)
		go s.flushLoop(s.stopFlusher)
	}
	return nil
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// closeJournal moves everything to the ledger and removes the journal; if that
// cannot be, both stay as they are. So does a record of which it is not known
// whether it is there, and what is under our name but is another directory now.
func (s *Store) closeJournal() {
	if s.journal == nil {
		return
	}
	close(s.stopFlusher)
	s.flusher.Wait()
	err := s.flush(nil)
	if err == nil && s.journal.Failed() {
		err = ErrUncertain
	}
	if err == nil {
		err = s.ledger.inPlace(0)
	}
	if err == nil {
		err = s.setJournal(false)
	}
	if err == nil {
		err = s.journal.Remove()
	}
	if err != nil {
		s.log.Warn("journal_kept", "error", err)
		_ = s.journal.Close()
	}
	s.mu.Lock()
	s.journal = nil
	s.mu.Unlock()
}

// setJournal notes whether acknowledged commits may be in the journal alone.
func (s *Store) setJournal(used bool) error {
	return s.relabel(func(l *label) { l.Journal = used })
}

// pendingFrom copies blocks that are not in the ledger, from the one that holds
// next on, until they have room bytes or reach to. If the ledger has next,
// limit is where its part of the log ends.
func (s *Store) pendingFrom(page []replica.Block, origin tickets.OriginIndex, next, to uint64, room int) (_ []replica.Block, limit uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if int(origin) >= len(s.pending.blocks) || len(s.pending.blocks[origin]) == 0 {
		return page, to
	}
	list := s.pending.blocks[origin]
	if next < list[0].First {
		return page, min(to, list[0].First-1)
	}
	at, _ := slices.BinarySearchFunc(list, next, func(b pendingBlock, seq uint64) int {
		if b.Last < seq {
			return -1
		}
		return 1
	})
	for ; at < len(list) && list[at].First <= to && room > 0; at++ {
		page = append(page, list[at].Block)
		room -= len(list[at].Run) + len(list[at].Links)
	}
	return page, to
}
