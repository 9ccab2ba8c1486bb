package boltstore

import (
	"maps"
	"slices"
)

// walk passes every record of every bucket, and sees to it that each page of
// the file is used once: by a tree, or by the list of free pages. The file
// must hold the named buckets and no others. Bytes are valid during visit
// only.
func (p *pageFile) walk(buckets map[string]func(key, value []byte) error) error {
	p.used = make([]uint64, p.meta.pages/64+1)
	p.used[0] = 3 // the meta pages
	type root struct {
		page   uint64
		inline []byte
	}
	roots := make(map[string]root)
	err := p.tree(p.meta.root, 0, nil, nil, func(c cell) error {
		if buckets[string(c.key)] == nil || !c.bucket || len(c.value) < 16 {
			return p.bad(p.meta.root, "an unknown bucket %.20q", c.key)
		}
		roots[string(c.key)] = root{native.Uint64(c.value), slices.Clone(c.value[16:])}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(buckets)) {
		r, there := roots[name]
		if !there {
			return damaged("%s: its bucket %q is missing", p.name, name)
		}
		visit := func(c cell) error {
			if c.bucket {
				return damaged("%s: an unknown bucket %.20q in bucket %q", p.name, c.key, name)
			}
			return buckets[name](c.key, c.value)
		}
		switch {
		case r.page != 0:
			err = p.tree(r.page, 0, nil, nil, visit)
		case len(r.inline) < pageHeader:
			err = damaged("%s: its bucket %q is cut off", p.name, name)
		default:
			err = p.leaf(p.meta.root, r.inline, nil, nil, visit)
		}
		if err != nil {
			return err
		}
	}
	return p.free()
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
