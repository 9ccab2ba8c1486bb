package ring

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sectorBytes = 512

// content is what a name of a directory stands for.
type content struct {
	info  os.FileInfo // which file it is
	size  int64
	bytes []byte // without the unused end of a database
}

// power is the power of one life of a directory. It knows what of every file
// is durable, and takes the power away at the end of some sync: what it leaves
// is a copy of the directory in which every sector written since the file's
// last sync is old or new.
//
// bbolt writes pages, syncs, writes one meta page and syncs again; only the end
// of the second can be seen from here. As it never writes to a page in use,
// both halves can be made of the file before and after: any of the new sectors
// under the old meta page, or all of them and either meta page.
type power struct {
	t       testing.TB
	rnd     *rand.Rand
	dir     string
	durable map[string]content // by the last sync of the file
	names   map[string]content // by the last sync of the directory
	syncs   int                // that the power lasts for
	off     func()             // called before the image is made
	image   string             // directory that was left
	tracef  func(format string, args ...any)
}

// newPower is for a directory all of which is durable.
func newPower(t testing.TB, rnd *rand.Rand, dir string, syncs int, off func()) *power {
	p := &power{t: t, rnd: rnd, dir: dir, syncs: syncs, off: off}
	p.durable, p.names = p.look(), p.look()
	return p
}

// synced is boltstore.Trial.Synced.
func (p *power) synced(path string) {
	if p.image != "" {
		return // nobody sees what it does without power
	}
	if p.syncs--; p.syncs <= 0 {
		p.cut(filepath.Base(path))
		return
	}
	if name := filepath.Base(path); path != p.dir {
		p.tracef("sync of %s", name)
		p.durable[name] = p.read(name)
	}
	if path == p.dir || strings.HasSuffix(path, ".json") {
		p.names = p.look()
	}
}

// cut takes the power away before or after the end of the sync of a file, ""
// for when there is none under way.
func (p *power) cut(name string) {
	p.off()
	p.image = p.dir + "'"
	if err := os.Mkdir(p.image, 0o700); err != nil {
		p.t.Fatal(err)
	}
	now := p.look()
	after := p.rnd.IntN(4) == 0
	taste := []float64{0, 1, p.rnd.Float64()}[p.rnd.IntN(3)] // all lost, all kept, torn
	p.tracef("the power goes at the sync of %q, which has ended: %v; kept is %.2f", name, after, taste)
	keep := func() bool { return p.rnd.Float64() < taste }
	for _, file := range []string{"bluerings.json", "index.db", "journal.0", "journal.1", "ledger.db"} {
		if after && file == name {
			p.write(file, now[file], now[file].bytes)
			continue
		}
		p.leave(file, file == name, now, keep)
	}
}

// leave writes what is left of a file: it may be missing, or another that had
// its name before, if the directory was not synced since.
func (p *power) leave(file string, syncing bool, now map[string]content, keep func() bool) {
	was, is := p.names[file], now[file]
	if is.info == nil || was.info == nil || !os.SameFile(is.info, was.info) {
		if is.info == nil && !keep() || is.info != nil && keep() {
			was = is
		}
	} else {
		was = is
	}
	if was.info == nil {
		return
	}
	synced := p.durable[file]
	switch {
	case !os.SameFile(was.info, synced.info) && !os.SameFile(was.info, is.info):
		p.write(file, was, was.bytes) // replaced, and back
	case strings.HasSuffix(file, ".json"):
		p.write(file, was, was.bytes)
	case !os.SameFile(was.info, is.info):
		p.write(file, synced, synced.bytes)
	case file == "index.db" && !os.SameFile(synced.info, is.info):
		p.write(file, is, is.bytes) // it gets its name when it is durable
	case synced.info == nil || !os.SameFile(synced.info, is.info):
		p.write(file, is, mix(nil, is.bytes, keep))
	case syncing && strings.HasSuffix(file, ".db"):
		p.write(file, is, p.halfCommitted(synced.bytes, is.bytes, keep))
	default:
		if strings.HasPrefix(file, "journal") && p.rnd.IntN(4) == 0 { // that it grew may be lost as well
			is.size, is.bytes = synced.size, is.bytes[:synced.size]
		}
		p.write(file, is, mix(synced.bytes, is.bytes, keep))
	}
}

// halfCommitted is a database in the middle of a commit.
func (p *power) halfCommitted(was, is []byte, keep func() bool) []byte {
	meta := metaPage(is)
	if p.rnd.IntN(2) == 0 { // before its first sync
		left := mix(was, is, keep)
		copy(left[meta:meta+sectorBytes], was[meta:])
		return left
	}
	left := bytes.Clone(is)
	if p.rnd.IntN(2) == 0 {
		copy(left[meta:meta+sectorBytes], was[meta:])
	}
	return left
}

// mix has of every sector the old bytes or the new. What is beyond the end of
// the old may be zeros.
func mix(was, is []byte, keep func() bool) []byte {
	left := make([]byte, len(is))
	copy(left, was)
	for at := 0; at < len(is); at += sectorBytes {
		if end := min(at+sectorBytes, len(is)); !bytes.Equal(left[at:end], is[at:end]) && keep() {
			copy(left[at:end], is[at:end])
		}
	}
	return left
}

// Offsets in a meta page of bbolt.
const (
	boltPage    = 4096
	metaPages   = 56 // how many pages are in use
	metaTxid    = 64
	metaMinimum = 2 * boltPage
)

// metaPage is where the meta page of the last commit begins.
func metaPage(b []byte) int {
	if binary.LittleEndian.Uint64(b[metaTxid:]) > binary.LittleEndian.Uint64(b[boltPage+metaTxid:]) {
		return 0
	}
	return boltPage
}

func (p *power) look() map[string]content {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	all := make(map[string]content)
	for _, e := range entries {
		all[e.Name()] = p.read(e.Name())
	}
	return all
}

func (p *power) read(name string) content {
	f, err := os.Open(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	var c content
	if c.info, err = f.Stat(); err != nil {
		p.t.Fatal(err)
	}
	c.size = c.info.Size()
	used := c.size
	if head := make([]byte, metaMinimum); strings.HasSuffix(name, ".db") {
		if _, err := f.ReadAt(head, 0); err != nil {
			p.t.Fatal(err)
		}
		pages := max(binary.LittleEndian.Uint64(head[metaPages:]), binary.LittleEndian.Uint64(head[boltPage+metaPages:]))
		used = min(used, int64(pages)*boltPage)
	}
	c.bytes = make([]byte, used)
	if _, err := io.ReadFull(f, c.bytes); err != nil {
		p.t.Fatal(fmt.Errorf("%s: %w", name, err))
	}
	return c
}

// write makes a file of the image, as long as c.
func (p *power) write(name string, c content, b []byte) {
	if c.info == nil {
		return
	}
	path := filepath.Join(p.image, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Truncate(path, c.size); err != nil {
		p.t.Fatal(err)
	}
}
