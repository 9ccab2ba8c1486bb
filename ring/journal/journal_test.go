package journal

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

var (
	seeds = flag.Uint64("seeds", 150, "how many seeds the tests of faults draw from")
	first = flag.Uint64("first", 1, "the first seed")
)

// disk is a device whose writes are lost or cut unless they were synced.
type disk struct {
	durable []byte
	now     []byte
	full    bool
	broken  error
}

func (d *disk) WriteAt(b []byte, at int64) (int, error) {
	if end := int(at) + len(b); end > len(d.now) {
		if d.full {
			return 0, syscall.ENOSPC
		}
		d.now = append(d.now, make([]byte, end-len(d.now))...)
	}
	return copy(d.now[at:], b), nil
}

func (d *disk) sync() error {
	if d.broken == nil {
		d.durable = bytes.Clone(d.now)
	}
	return d.broken
}

func (d *disk) Close() error { return nil }

// crash is what a power cut leaves: of each sector the durable bytes or the new.
func (d *disk) crash(rnd *rand.Rand) []byte {
	left := bytes.Clone(d.durable)
	if len(d.now) > len(left) && rnd.IntN(2) == 0 {
		left = append(left, make([]byte, len(d.now)-len(left))...)
	}
	keep := rnd.Float64()
	for at := 0; at < len(left); at += sectorBytes {
		if rnd.Float64() < keep {
			copy(left[at:at+sectorBytes], d.now[at:])
		}
	}
	return left
}

// world is a journal on two disks, and what was appended to it.
type world struct {
	rnd     *rand.Rand
	j       *Journal
	disks   [2]*disk
	records [][]byte // by number, from 1
	applied uint64
}

func newWorld(t *testing.T, seed, next uint64) *world {
	t.Helper()
	w := &world{rnd: rand.New(rand.NewPCG(seed, 7)), j: &Journal{next: next, long: 1 << (12 + seed%8)}, applied: next - 1}
	w.j.applied.Store(next - 1)
	w.records = make([][]byte, next)
	for i := range w.disks {
		w.disks[i] = new(disk)
		w.j.files[i].device = w.disks[i]
		if err := errors.Join(w.j.files[i].grow(), w.disks[i].sync()); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) record() []byte {
	size := 1 + w.rnd.IntN(3000)
	switch w.rnd.IntN(12) {
	case 0:
		size = 1 + w.rnd.IntN(MaxRecord)
	case 1:
		size = dataBytes*(1+w.rnd.IntN(20)) + w.rnd.IntN(3) - 1
	case 2:
		return make([]byte, size) // zeros are a record too
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(w.rnd.Uint32())
	}
	return b
}

func (w *world) append(t *testing.T) {
	t.Helper()
	for w.j.Overdue() && w.rnd.IntN(3) > 0 { // it is a hint
		w.apply()
	}
	b := w.record()
	number, err := w.j.Append(b)
	if err != nil {
		t.Fatal(err)
	}
	if number != uint64(len(w.records)) {
		t.Fatalf("record %d has number %d", len(w.records), number)
	}
	w.records = append(w.records, b)
}

func (w *world) apply() {
	w.applied += w.rnd.Uint64N(uint64(len(w.records)) - w.applied)
	w.j.Applied(w.applied)
}

func (w *world) step(t *testing.T) {
	t.Helper()
	if w.rnd.IntN(4) == 0 {
		w.apply()
	}
	w.append(t)
}

// write makes files of what is on two disks, in a directory that the next call
// uses again.
func write(t *testing.T, images [2][]byte) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "..", "images")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for i, name := range Names() {
		if err := os.WriteFile(filepath.Join(dir, name), images[i], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// same tells whether these are the records after the applied ones.
func (w *world) same(got [][]byte) bool {
	want := w.records[w.applied+1:]
	if len(got) != len(want) {
		return false
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			return false
		}
	}
	return true
}

// TestPowerCut: what Append acknowledged is there after a power cut at any
// moment, and of the record that was being written all or nothing.
func TestPowerCut(t *testing.T) {
	torn, there := 0, 0
	for seed := *first; seed < *first+*seeds; seed++ {
		w := newWorld(t, seed, 1+seed%3)
		for range w.rnd.IntN(60) {
			w.step(t)
		}
		w.disks[0].broken, w.disks[1].broken = syscall.EIO, syscall.EIO // no further sync comes to its end
		b := w.record()
		if _, err := w.j.Append(b); err == nil || !w.j.Failed() {
			t.Fatalf("seed %d: a failed write is not told: %v", seed, err)
		}
		if _, err := w.j.Append(b); err == nil {
			t.Fatalf("seed %d: a record follows one that may be missing", seed)
		}
		c, err := Read(write(t, [2][]byte{w.disks[0].crash(w.rnd), w.disks[1].crash(w.rnd)}), w.applied, false)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if len(c.Records) == len(w.records)-int(w.applied) {
			w.records = append(w.records, b)
			there++
		}
		if c.Torn {
			torn++
		}
		if !w.same(c.Records) {
			t.Fatalf("seed %d: %d records, %d were acknowledged", seed, len(c.Records), len(w.records)-1-int(w.applied))
		}
	}
	if torn == 0 || there == 0 || torn+there == int(*seeds) {
		t.Fatalf("the unfinished record was torn %d times and whole %d times of %d", torn, there, *seeds)
	}
}

// TestDamage: whatever happens to one sector, no record is read that was not
// written, and one that was durable is missing without a word only if it is the
// last, and the sector was put back to what it held before.
func TestDamage(t *testing.T) {
	noticed := 0
	for seed := *first; seed < *first+*seeds; seed++ {
		w := newWorld(t, seed, 1)
		for range 1 + w.rnd.IntN(30) {
			w.step(t)
		}
		images := [2][]byte{bytes.Clone(w.disks[0].durable), bytes.Clone(w.disks[1].durable)}
		b := images[w.rnd.IntN(2)]
		at := w.rnd.IntN(len(b))
		if n := int(w.j.files[0].end); n > 0 && w.rnd.IntN(2) == 0 {
			b, at = images[0], w.rnd.IntN(n)
		}
		sector := at / sectorBytes * sectorBytes
		cleared := false
		switch w.rnd.IntN(3) {
		case 0:
			b[at] ^= 1 << w.rnd.IntN(8)
		case 1:
			clear(b[sector : sector+sectorBytes])
			cleared = true
		case 2:
			other := w.rnd.IntN(len(b)/sectorBytes) * sectorBytes
			copy(b[sector:sector+sectorBytes], b[other:])
			cleared = [sectorBytes]byte(b[sector:]) == [sectorBytes]byte{}
		}
		dir := write(t, images)
		c, err := Read(dir, w.applied, false)
		switch {
		case errors.Is(err, ErrDamaged):
			noticed++
			salvaged, err := Read(dir, w.applied, true)
			if err != nil || salvaged.Bad == nil {
				t.Fatalf("seed %d: salvaged: %v, %v", seed, salvaged.Bad, err)
			}
			if n := len(salvaged.Records); n > len(w.records)-1-int(w.applied) {
				t.Fatalf("seed %d: %d records salvaged", seed, n)
			}
			c = salvaged
			w.records = w.records[:int(w.applied)+1+len(c.Records)]
		case err != nil:
			t.Fatalf("seed %d: %v", seed, err)
		case cleared && len(c.Records) == len(w.records)-2-int(w.applied):
			w.records = w.records[:len(w.records)-1]
		}
		if !w.same(c.Records) {
			t.Fatalf("seed %d: %d records, %d were there", seed, len(c.Records), len(w.records)-1-int(w.applied))
		}
	}
	if noticed == 0 {
		t.Fatal("no damage was noticed")
	}
}

// TestFullDisk: a record for which there is no room leaves no trace, and the
// next goes where it would have gone.
func TestFullDisk(t *testing.T) {
	refused := 0
	for seed := uint64(1); seed <= 20; seed++ {
		w := newWorld(t, seed, 1)
		for range 40 {
			full := w.rnd.IntN(2) == 0
			w.disks[0].full, w.disks[1].full = full, full
			b := w.record()
			_, err := w.j.Append(b)
			switch {
			case err == nil:
				w.records = append(w.records, b)
			case !errors.Is(err, syscall.ENOSPC) || w.j.Failed():
				t.Fatalf("seed %d: %v", seed, err)
			default:
				refused++
			}
		}
		for _, d := range w.disks {
			_ = d.sync()
		}
		c, err := Read(write(t, [2][]byte{w.disks[0].durable, w.disks[1].durable}), w.applied, false)
		if err != nil || c.Torn || !w.same(c.Records) {
			t.Fatalf("seed %d: %d records of %d, torn %v, %v", seed, len(c.Records), len(w.records)-1-int(w.applied), c.Torn, err)
		}
	}
	if refused == 0 {
		t.Fatal("no record was refused")
	}
}

// TestFilesStayShort: however much is appended, the files have a bound as long
// as records are applied.
func TestFilesStayShort(t *testing.T) {
	dir := t.TempDir()
	j, err := Create(dir, 1, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{rnd: rand.New(rand.NewPCG(3, 3)), j: j, records: make([][]byte, 1)}
	for range 600 {
		if w.rnd.IntN(20) == 0 {
			w.apply()
		}
		w.append(t)
	}
	if err := j.InPlace(); err != nil {
		t.Fatal(err)
	}
	c, err := Read(dir, w.applied, false)
	if err != nil || c.Torn || !w.same(c.Records) {
		t.Fatalf("%d records of %d, torn %v, %v", len(c.Records), len(w.records)-1-int(w.applied), c.Torn, err)
	}
	if j.Size() > 2*(FileBytes+MaxRecord*2) {
		t.Fatalf("%d bytes", j.Size())
	}
	if _, err := Create(dir, 1, Options{}); err == nil {
		t.Fatal("a journal was made over another")
	}
	if err := j.InPlace(); err != nil {
		t.Fatalf("a journal was removed for another: %v", err)
	}
}

func TestAppendRefusesWhatCannotBeRead(t *testing.T) {
	w := newWorld(t, 1, 1)
	for _, n := range []int{0, MaxRecord + 1} {
		if _, err := w.j.Append(make([]byte, n)); err == nil || w.j.Failed() {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	w.append(t)
}

// TestFilesThatAreNotThere: one that is missing, cut or moved away is noticed.
func TestFilesThatAreNotThere(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"removed":  os.Remove,
		"moved":    func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, zeros[:], 0o600)) },
		"cut":      func(path string) error { return os.Truncate(path, 100) },
		"emptied":  func(path string) error { return os.Truncate(path, 0) },
	} {
		for i := range Names() {
			dir := t.TempDir()
			j, err := Create(dir, 1, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := j.Append([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := spoil(filepath.Join(dir, Names()[i])); err != nil {
				t.Fatal(err)
			}
			if err := j.InPlace(); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s in use: %v", name, err)
			}
			if _, err := Read(dir, 0, false); !errors.Is(err, ErrDamaged) && name != "replaced" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
