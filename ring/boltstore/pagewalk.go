package boltstore

import "slices"

// bucketVisit says what is done with the records of a bucket. Bytes are valid
// during the call only.
type bucketVisit struct {
	name   []byte
	record func(key, value []byte) error
}

// bucketRoot is where the records of a bucket are: on a page, or, while they
// are few, within its own record.
type bucketRoot struct {
	page   uint64
	inline []byte
}

// walk passes every record of every bucket, and sees to it that each page of
// the file is used once: by a tree, or by the list of free pages. The file
// must hold these buckets and no others; they are visited in this order.
func (p *pageFile) walk(buckets []bucketVisit) error {
	p.used = make([]uint64, p.meta.pages/64+1)
	p.used[0] = 3 // the meta pages
	roots := make(map[string]bucketRoot)
	err := p.tree(p.meta.root, 0, nil, nil, func(c cell) error {
		if !c.bucket || len(c.value) < 16 {
			return p.bad(p.meta.root, "%.20q is not a bucket", c.key)
		}
		roots[string(c.key)] = bucketRoot{native.Uint64(c.value), slices.Clone(c.value[16:])}
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range buckets {
		root, there := roots[string(b.name)]
		if !there {
			return damaged("%s: its bucket %q is missing", p.name, b.name)
		}
		if err := p.bucket(b, root); err != nil {
			return err
		}
	}
	if len(roots) != len(buckets) {
		return damaged("%s: it has %d buckets, not %d", p.name, len(roots), len(buckets))
	}
	return p.free()
}

func (p *pageFile) bucket(b bucketVisit, root bucketRoot) error {
	visit := func(c cell) error {
		if c.bucket {
			return damaged("%s: an unknown bucket %.20q in bucket %q", p.name, c.key, b.name)
		}
		return b.record(c.key, c.value)
	}
	switch {
	case root.page != 0:
		return p.tree(root.page, 0, nil, nil, visit)
	case len(root.inline) < pageHeader:
		return damaged("%s: its bucket %q is cut off", p.name, b.name)
	}
	return p.leaf(p.meta.root, root.inline, nil, nil, visit)
}

// free reads the list of free pages and sees to it that together with those in
// use it makes up the file.
func (p *pageFile) free() error {
	if p.meta.freelist == noFreelist {
		return damaged("%s: its list of free pages is missing", p.name)
	}
	page, err := p.read(p.meta.freelist, &p.levels[0])
	if err != nil {
		return err
	}
	list, count := page[pageHeader:], uint64(native.Uint16(page[10:]))
	if count == 0xFFFF {
		count, list = native.Uint64(list), list[8:]
	}
	if native.Uint16(page[8:]) != flagFree || count > uint64(len(list)/8) {
		return p.bad(p.meta.freelist, "it is not the list of free pages it should be")
	}
	for i := range count {
		id := native.Uint64(list[8*i:])
		if id < 2 || id >= p.meta.pages {
			return p.bad(p.meta.freelist, "it calls page %d free, which is not there", id)
		}
		if err := p.take(id, 1); err != nil {
			return err
		}
	}
	for id := uint64(0); id < p.meta.pages; id++ {
		if p.used[id/64]&(1<<(id%64)) == 0 {
			return p.bad(id, "it is neither in use nor free")
		}
	}
	return nil
}
