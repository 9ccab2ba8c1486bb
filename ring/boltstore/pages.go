package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// What follows reads bbolt's file format with plain reads: no memory map that
// may fault, no trust in what it finds, no recursion that a damaged page could
// make endless. It is the gate that every file passes before bbolt, which
// trusts its pages, may open it.
//
// A page starts with: id, 8 bytes; flags, 2; count, 2; overflow (how many
// pages more belong to it), 4. Its integers are of the machine's byte order.
const (
	pageHeader  = 16
	pageElement = 16 // leaf and branch alike
	flagBranch  = 0x01
	flagLeaf    = 0x02
	flagMeta    = 0x04
	flagFree    = 0x10
	leafBucket  = 0x01

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	metaBytes   = 64
	noFreelist  = ^uint64(0)

	minPage    = 1 << 10
	maxPage    = 1 << 24
	maxDepth   = 32
	maxRunPage = 1 << 31 // bytes of one page with its overflow
)

var native = binary.NativeEndian

// metaPage is one of the two that name the state of the file, the one with the
// higher txid counting.
type metaPage struct {
	valid          bool
	pageSize       uint32
	root, freelist uint64
	pages          uint64 // high-water mark: no page is numbered that or more
	txid           uint64
}

func parseMeta(page []byte) (m metaPage) {
	b := page[pageHeader:]
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaBytes-8])
	m = metaPage{
		pageSize: native.Uint32(b[8:]), root: native.Uint64(b[16:]), freelist: native.Uint64(b[32:]),
		pages: native.Uint64(b[40:]), txid: native.Uint64(b[48:]),
	}
	m.valid = native.Uint32(b) == boltMagic && native.Uint32(b[4:]) == boltVersion &&
		native.Uint64(b[56:]) == sum.Sum64() &&
		m.pageSize >= minPage && m.pageSize <= maxPage && m.pageSize&(m.pageSize-1) == 0
	return m
}

// readMetas reads both meta pages. Without the first, the second is looked for
// at every page size. The error is that of reading; whether they are valid is
// told in them.
func readMetas(f io.ReaderAt) (metas [2]metaPage, pageSize int64, err error) {
	var buf [pageHeader + metaBytes]byte
	read := func(at int64) (metaPage, error) {
		n, err := f.ReadAt(buf[:], at)
		if n < len(buf) {
			if err == nil || errors.Is(err, io.EOF) {
				return metaPage{}, nil
			}
			return metaPage{}, err
		}
		return parseMeta(buf[:]), nil
	}
	if metas[0], err = read(0); err != nil {
		return metas, 0, err
	}
	if metas[0].valid {
		metas[1], err = read(int64(metas[0].pageSize))
		return metas, int64(metas[0].pageSize), err
	}
	for size := int64(minPage); size <= maxPage; size *= 2 {
		if metas[1], err = read(size); err != nil || metas[1].valid && int64(metas[1].pageSize) == size {
			return metas, size, err
		}
	}
	metas[1] = metaPage{}
	return metas, 0, nil
}

// pageFile is a bbolt file being looked at. All its errors but those of the
// disk are ErrDamaged.
type pageFile struct {
	name     string
	f        *os.File
	meta     metaPage // the newer
	pageSize int64
	rewound  bool // one meta page is bad, and meta may be the one before the last
	used     []uint64
	levels   [maxDepth][]byte // a page for each depth of the tree being walked
}

// inspect reads the meta pages and compares them with the length of the file.
// It costs a few microseconds.
func inspect(f *os.File, name string) (*pageFile, error) {
	metas, pageSize, err := readMetas(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	p := &pageFile{name: name, f: f, pageSize: pageSize, rewound: !metas[0].valid || !metas[1].valid}
	switch {
	case info.Size() == 0:
		return nil, damaged("%s is empty", name)
	case metas[0].valid && (!metas[1].valid || metas[0].txid > metas[1].txid):
		p.meta = metas[0]
	case metas[1].valid:
		p.meta = metas[1]
	default:
		return nil, damaged("%s: neither of its two head pages is whole", name)
	}
	for _, m := range metas {
		if !m.valid {
			continue
		}
		if need := m.pages * uint64(pageSize); m.pages > 1<<40 || uint64(info.Size()) < need {
			return nil, damaged("%s was cut off: it has %d bytes of %d", name, info.Size(), need)
		}
		if int64(m.pageSize) != pageSize || m.root < 2 || m.root >= m.pages ||
			(m.freelist < 2 || m.freelist >= m.pages) && m.freelist != noFreelist {
			return nil, damaged("%s: a head page names pages that are not there", name)
		}
	}
	return p, nil
}

func (p *pageFile) bad(page uint64, format string, args ...any) error {
	return damaged("%s, page %d: %s", p.name, page, fmt.Sprintf(format, args...))
}

// take marks pages as in use; each may be so once.
func (p *pageFile) take(from, n uint64) error {
	for id := from; id < from+n; id++ {
		if p.used[id/64]&(1<<(id%64)) != 0 {
			return p.bad(id, "it is used twice")
		}
		p.used[id/64] |= 1 << (id % 64)
	}
	return nil
}

// read reads a page with its overflow into *buf and marks it as in use.
func (p *pageFile) read(id uint64, buf *[]byte) ([]byte, error) {
	if id < 2 || id >= p.meta.pages {
		return nil, p.bad(id, "there is no such page")
	}
	size := p.pageSize
	for {
		if int64(cap(*buf)) < size {
			*buf = make([]byte, size)
		}
		page := (*buf)[:size]
		if _, err := p.f.ReadAt(page, int64(id)*p.pageSize); err != nil {
			if errors.Is(err, io.EOF) {
				return nil, p.bad(id, "the file ends within it")
			}
			return nil, fmt.Errorf("read %s: %w", p.name, err)
		}
		overflow := uint64(native.Uint32(page[12:]))
		whole := int64(overflow+1) * p.pageSize
		switch {
		case native.Uint64(page) != id:
			return nil, p.bad(id, "it says it is page %d", native.Uint64(page))
		case overflow >= p.meta.pages-id || whole > maxRunPage:
			return nil, p.bad(id, "it says that %d pages more belong to it", overflow)
		case whole == size:
			return page, p.take(id, overflow+1)
		case size > p.pageSize:
			return nil, p.bad(id, "it changed while it was read")
		}
		size = whole
	}
}

// cell is one record of a leaf page.
type cell struct {
	bucket     bool
	key, value []byte
}

// bbolt puts what belongs to the elements of a page behind the last of them, without a gap, in
// their order, into a page that was clear. So a page whose count is less than it was is noticed:
// what follows the elements that it still has is not the first one's.

// leafCell takes record i out of a leaf page, where it must stand at from.
func (p *pageFile) leafCell(id uint64, page []byte, i int, from uint64) (c cell, err error) {
	at := pageHeader + i*pageElement
	e := page[at:]
	flags, pos, ksize, vsize := native.Uint32(e), uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
	if flags > leafBucket || ksize == 0 || uint64(at)+pos != from || from+ksize+vsize > uint64(len(page)) {
		return c, p.bad(id, "record %d does not fit", i)
	}
	return cell{flags == leafBucket, page[from : from+ksize], page[from+ksize : from+ksize+vsize]}, nil
}

// leaf passes the records of a leaf page, which may stand within a record of
// another one, in the order of their keys, from low on and below high.
func (p *pageFile) leaf(id uint64, page, low, high []byte, visit func(cell) error) error {
	count := int(native.Uint16(page[10:]))
	if native.Uint16(page[8:]) != flagLeaf || len(page) < pageHeader+count*pageElement {
		return p.bad(id, "it is not the leaf page it should be")
	}
	if rest := page[pageHeader:]; count == 0 && len(bytes.TrimLeft(rest, "\x00")) > 0 {
		return p.bad(id, "it has no records, but is not empty")
	}
	var last []byte
	from := uint64(pageHeader + count*pageElement)
	for i := range count {
		c, err := p.leafCell(id, page, i, from)
		if err != nil {
			return err
		}
		from += uint64(len(c.key) + len(c.value))
		if i > 0 && bytes.Compare(last, c.key) >= 0 || bytes.Compare(c.key, low) < 0 || high != nil && bytes.Compare(c.key, high) >= 0 {
			return p.bad(id, "record %d is out of order", i)
		}
		last = c.key
		if err := visit(c); err != nil {
			return err
		}
	}
	return nil
}

// tree passes all records below a page in the order of their keys.
func (p *pageFile) tree(id uint64, depth int, low, high []byte, visit func(cell) error) error {
	if depth == maxDepth {
		return p.bad(id, "it lies %d levels deep", depth)
	}
	page, err := p.read(id, &p.levels[depth])
	if err != nil {
		return err
	}
	count := int(native.Uint16(page[10:]))
	if native.Uint16(page[8:]) != flagBranch {
		return p.leaf(id, page, low, high, visit)
	}
	if count == 0 || len(page) < pageHeader+count*pageElement {
		return p.bad(id, "it is not the branch page it should be")
	}
	entry := func(i int) (key []byte, child uint64, err error) {
		at := pageHeader + i*pageElement
		from, size := uint64(at)+uint64(native.Uint32(page[at:])), uint64(native.Uint32(page[at+4:]))
		if size == 0 || from < uint64(pageHeader+count*pageElement) || from+size > uint64(len(page)) {
			return nil, 0, p.bad(id, "entry %d does not fit", i)
		}
		return page[from : from+size], native.Uint64(page[at+8:]), nil
	}
	for i := range count {
		key, child, err := entry(i)
		if err != nil {
			return err
		}
		end := high
		if i+1 < count {
			if end, _, err = entry(i + 1); err != nil {
				return err
			}
		}
		if bytes.Compare(key, low) < 0 || end != nil && bytes.Compare(key, end) >= 0 {
			return p.bad(id, "entry %d is out of order", i)
		}
		if err := p.tree(child, depth+1, key, end, visit); err != nil {
			return err
		}
	}
	return nil
}
