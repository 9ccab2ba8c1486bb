package boltstore

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"bluerings/ring/replica"
	"bluerings/tickets"
)

// mendLabel makes the checksum of a label right, if it is one.
func mendLabel(text []byte) []byte {
	var l label
	if json.Unmarshal(text, &l) != nil {
		return text
	}
	return l.encode()
}

// smallLedger makes a ledger of small pages that has all kinds of page: branches, leaves, one
// with overflow, free ones, and a bucket within another's page.
func smallLedger(tb testing.TB, path string) []byte {
	tb.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: minPage, NoSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	l := label{Product: product, Format: FormatVersion, Host: "a", Ring: "test", Value: "decimal", Store: "0011", Created: "2026-01-02T03:04:05Z"}
	err = db.Update(func(tx *bbolt.Tx) error {
		meta, _ := tx.CreateBucket(bucketMeta)
		origins, _ := tx.CreateBucket(bucketOrigins)
		blocks, _ := tx.CreateBucket(bucketBlocks)
		put := func(key, value []byte) error { return meta.Put(key, seal(value, 0, tagMeta, key)) }
		err := errors.Join(put(keyFormat, binary.BigEndian.AppendUint32(nil, FormatVersion)), put(keyIdentity, l.encode()), put(keyNode, []byte("node")))
		key := []byte{0, 0, 0, 0}
		err = errors.Join(err, origins.Put(key, appendOrigin(nil, key, tickets.Origin{Host: "a", Epoch: 1})))
		for i := range 24 {
			b := replica.Block{First: uint64(10*i + 1), Last: uint64(10*i + 10), Run: make([]byte, 120)}
			if i == 5 {
				b.Run = make([]byte, 2*minPage)
			}
			at := blockKey(0, b.First)
			err = errors.Join(err, blocks.Put(at[:], appendBlock(nil, at[:], &b)))
		}
		return err
	})
	if err == nil { // and what frees pages
		err = db.Update(func(tx *bbolt.Tx) error {
			at := blockKey(0, 231)
			return tx.Bucket(bucketBlocks).Delete(at[:])
		})
	}
	if err = errors.Join(err, db.Close()); err != nil {
		tb.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return trimLedger(tb, path, file)
}

// trimLedger cuts off what no page uses.
func trimLedger(tb testing.TB, path string, file []byte) []byte {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	p, err := inspect(f, path)
	if err != nil {
		tb.Fatal(err)
	}
	return file[:int64(p.meta.pages)*p.pageSize]
}

// patched is a file with some bytes replaced, two at a place: place, 2 bytes, and what is there,
// 2 bytes. The checksums of its head pages are right.
func patched(file, patches []byte) []byte {
	file = slices.Clone(file)
	for ; len(patches) >= 4; patches = patches[4:] {
		at := int(binary.BigEndian.Uint16(patches)) % (len(file) - 1)
		copy(file[at:at+2], patches[2:4])
	}
	for page := range 2 {
		head := file[page*minPage+pageHeader:][:metaBytes]
		sum := fnv.New64a()
		_, _ = sum.Write(head[:metaBytes-8])
		native.PutUint64(head[metaBytes-8:], sum.Sum64())
	}
	return file
}

// FuzzPages damages a ledger so that all its checksums are right: what the walk over its pages
// lets pass, bbolt reads, and finds the same in it.
func FuzzPages(f *testing.F) {
	path := filepath.Join(f.TempDir(), "ledger.db")
	base := smallLedger(f, path)
	f.Add([]byte{})
	f.Add([]byte{0, 16 + 16, 4, 0}) // the root is elsewhere
	for page := 2; page < len(base)/minPage; page++ {
		patch := binary.BigEndian.AppendUint16(nil, uint16(page*minPage+8)) // what kind of page
		f.Add(append(patch, byte(page), 0))
		patch = binary.BigEndian.AppendUint16(nil, uint16(page*minPage+pageHeader+4)) // where its first record is
		f.Add(append(patch, 64, 1))
	}
	f.Fuzz(func(t *testing.T, patches []byte) {
		if err := os.WriteFile(path, patched(base, patches), 0o600); err != nil {
			t.Fatal(err)
		}
		found, bytesFound := sha256.New(), 0
		var p *pageFile
		_, err := checkFile(path, func(opened *pageFile) error {
			p = opened
			var visits []bucketVisit
			for _, name := range [][]byte{bucketBlocks, bucketMeta, bucketOrigins} {
				visits = append(visits, bucketVisit{name, func(k, v []byte) error {
					bytesFound += len(k) + len(v)
					_, err := fmt.Fprintf(found, "%s %x %x\n", name, k, v)
					return err
				}})
			}
			return opened.walk(visits)
		})
		if p != nil {
			buffers := 8 * len(p.used)
			for _, level := range p.levels {
				buffers += len(level)
			}
			if buffers > maxDepth*len(base) || bytesFound > maxDepth*len(base) {
				t.Fatalf("a file of %d bytes took %d bytes of memory, and %d were found in it", len(base), buffers, bytesFound)
			}
		}
		if err != nil {
			wantKnown(t, err)
			return
		}
		if p.rewound {
			return // nobody opens it without being told to
		}
		if got := hexSum(found); got != readByBolt(t, path) {
			t.Fatal("bbolt reads other records than were checked")
		}
	})
}

// readByBolt is the checksum of all records of a ledger.
func readByBolt(t *testing.T, path string) string {
	t.Helper()
	d, err := openDatabase(path, true, false)
	if err != nil {
		t.Fatalf("what was checked cannot be opened: %v", err)
	}
	defer d.close()
	sum := sha256.New()
	err = d.view(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketBlocks, bucketMeta, bucketOrigins} {
			err := tx.Bucket(name).ForEach(func(k, v []byte) error {
				_, err := fmt.Fprintf(sum, "%s %x %x\n", name, k, v)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("what was checked cannot be read: %v", err)
	}
	return hexSum(sum)
}

// FuzzMetaRecords reads the numbers that ledger and index keep about themselves.
func FuzzMetaRecords(f *testing.F) {
	db, err := bbolt.Open(filepath.Join(f.TempDir(), "index.db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 9}, binary.BigEndian.AppendUint32(nil, FormatVersion), []byte(`{"host":"a"}`))
	f.Add([]byte{}, []byte{0, 0, 0, 9}, []byte("{"))
	f.Add(make([]byte, 24), []byte{1}, []byte("null"))
	f.Fuzz(func(t *testing.T, numbers, format, identity []byte) {
		applied, err := readApplied(seal(slices.Clone(numbers), 0, tagMeta, keyApplied))
		if err != nil {
			wantError(t, err, ErrDamaged)
		} else if !bytes.Equal(binary.BigEndian.AppendUint64(nil, applied), numbers) {
			t.Fatalf("%x is read as %d", numbers, applied)
		}
		records := map[string][]byte{
			string(keyFormat):   seal(slices.Clone(format), 0, tagMeta, keyFormat),
			string(keyIdentity): seal(slices.Clone(identity), 0, tagMeta, keyIdentity),
		}
		if _, err := readIdentity(func(key []byte) []byte { return records[string(key)] }); err != nil {
			wantKnown(t, err)
		}
		tx, err := db.Begin(true)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		meta, err := tx.CreateBucket(bucketMeta)
		if err == nil {
			err = putIndexMeta(meta, keyCovers, slices.Clone(numbers))
		}
		if err != nil {
			t.Fatal(err)
		}
		covers, err := readCovers(meta)
		if err != nil {
			wantError(t, err, ErrDamaged)
			return
		}
		var again []byte
		for _, seq := range covers {
			again = binary.BigEndian.AppendUint64(again, seq)
		}
		if !bytes.Equal(again, numbers) {
			t.Fatalf("%x is read as %d", numbers, covers)
		}
	})
}

// FuzzUnpack restores streams that are not to be trusted, as they are and with a manifest that is
// right for what is in them. None fills the disk with more than it has, and what passes can be read.
func FuzzUnpack(f *testing.F) {
	dir := f.TempDir()
	base := smallLedger(f, filepath.Join(dir, "base.db"))
	l := label{Product: product, Format: FormatVersion, Host: "a", Ring: "test", Value: "decimal", Store: "0011", Created: "2026-01-02T03:04:05Z"}
	good := stream(map[string][]byte{labelName: l.encode(), ledgerName: base})
	f.Add(good, false)
	f.Add(good[:len(good)/2], false)
	f.Add(patchStream(good, 700), true)
	f.Add(sparseStream(l), false)
	f.Add([]byte("not a backup"), false)
	path := filepath.Join(dir, "ledger.db")
	f.Fuzz(func(t *testing.T, in []byte, mend bool) {
		if mend {
			in = stream(filesOf(in))
		}
		_ = os.Remove(path)
		_, err := unpack(bytes.NewReader(in), path)
		if info, statErr := os.Stat(path); statErr == nil && info.Size() > int64(len(in)) {
			t.Fatalf("a stream of %d bytes became a file of %d", len(in), info.Size())
		}
		if err != nil {
			wantKnown(t, err)
			return
		}
		readByBolt(t, path)
	})
}

// filesOf takes the first files of a stream, as far as it can be read.
func filesOf(in []byte) map[string][]byte {
	files := make(map[string][]byte)
	for r := tar.NewReader(bytes.NewReader(in)); len(files) < 3; {
		head, err := r.Next()
		if err != nil {
			break
		}
		content, _ := io.ReadAll(io.LimitReader(r, int64(len(in))))
		files[head.Name] = content
	}
	return files
}

// stream packs a label and a ledger with the manifest that is right for them.
func stream(files map[string][]byte) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	m := manifest{Product: product, Format: FormatVersion}
	add := func(name string, content []byte) {
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600})
		_, _ = w.Write(content)
		sum := sha256.New()
		_, _ = sum.Write(content)
		m.Files = append(m.Files, manifestFile{name, int64(len(content)), hexSum(sum)})
	}
	add(labelName, files[labelName])
	add(ledgerName, files[ledgerName])
	text, _ := json.Marshal(m)
	add(manifestName, text)
	_ = w.Close()
	return out.Bytes()
}

func patchStream(in []byte, at int) []byte {
	in = slices.Clone(in)
	in[at] ^= 1
	return in
}

// sparseStream says of its ledger that it is a file of holes, 256 MiB of them.
func sparseStream(l label) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	text := l.encode()
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: labelName, Size: int64(len(text)), Mode: 0o600})
	_, _ = w.Write(text)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: ledgerName, Mode: 0o600, Format: tar.FormatPAX, PAXRecords: map[string]string{
		"ABC.sparse.major": "0", "ABC.sparse.minor": "1", "ABC.sparse.numblocks": "1",
		"ABC.sparse.map": "0,0", "ABC.sparse.realsize": "268435456",
	}})
	_ = w.Close()
	return bytes.ReplaceAll(out.Bytes(), []byte("ABC.sparse"), []byte("GNU.sparse"))
}

// TestHiddenRecordsAreNoticed: a page that says it has fewer records than it was written with,
// which no checksum covers, is damaged. So is one of a bucket that would be empty then.
func TestHiddenRecordsAreNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	base := smallLedger(t, path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	whole, err := inspect(f, path)
	if err != nil {
		t.Fatal(err)
	}
	list := base[whole.meta.freelist*minPage:]
	free := list[pageHeader:][:8*native.Uint16(list[10:])]
	leaves := 0
	for page := 2; page < len(base)/minPage; page++ {
		head := base[page*minPage:]
		count := native.Uint16(head[10:])
		isFree := slices.ContainsFunc(slices.Collect(slices.Chunk(free, 8)), func(id []byte) bool { return native.Uint64(id) == uint64(page) })
		if isFree || native.Uint64(head) != uint64(page) || native.Uint16(head[8:]) != flagLeaf {
			continue
		}
		leaves++
		for less := range count {
			file := slices.Clone(base)
			native.PutUint16(file[page*minPage+10:], less)
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := checkFile(path, func(p *pageFile) error {
				nothing := func(_, _ []byte) error { return nil }
				return p.walk([]bucketVisit{{bucketBlocks, nothing}, {bucketMeta, nothing}, {bucketOrigins, nothing}})
			})
			if !isDamage(err) {
				t.Errorf("page %d with %d of %d records: %v", page, less, count, err)
			}
		}
	}
	if leaves < 5 {
		t.Fatalf("only %d leaves", leaves)
	}
}
