package boltstore

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// A backup is a tar stream of three files in this order: bluerings.json,
// ledger.db, and manifest.json with the length and the SHA-256 of the two
// before it. As the manifest comes last, a stream that was cut has none.
const manifestName = "manifest.json"

type manifest struct {
	Product string         `json:"product"`
	Format  int            `json:"format"`
	Files   []manifestFile `json:"files"`
}

type manifestFile struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// maxManifestBytes bounds the manifest that Restore reads.
const maxManifestBytes = 64 << 10

// Backup writes a consistent copy of what is durable at its start, while the
// store is in use. The index is left out, since it is derived. It is one long
// read: until it ends the ledger grows instead of using freed room again, so
// w should be bounded in time. Errors are those of w and of reading.
func (s *Store) Backup(w io.Writer) error {
	if err := s.flush(nil); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	s.mu.RLock()
	l := s.label
	s.mu.RUnlock()
	l.Journal = false
	var tx *bbolt.Tx
	err := s.ledger.guard(func() (err error) {
		tx, err = s.ledger.db.Begin(false)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = s.ledger.guard(tx.Rollback) }()
	out := tar.NewWriter(w)
	m := manifest{Product: product, Format: FormatVersion}
	add := func(name string, size int64, write func(w io.Writer) error) error {
		head := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: time.Now().Truncate(time.Second)}
		if err := out.WriteHeader(head); err != nil {
			return err
		}
		sum := sha256.New()
		if err := write(io.MultiWriter(out, sum)); err != nil {
			return err
		}
		m.Files = append(m.Files, manifestFile{name, size, hexSum(sum)})
		return nil
	}
	text := l.encode()
	err = add(labelName, int64(len(text)), func(w io.Writer) error { _, err := w.Write(text); return err })
	if err == nil { // WriteTo reads the file, not the memory map: it needs no guard
		err = add(ledgerName, tx.Size(), func(w io.Writer) error { _, err := tx.WriteTo(w); return err })
	}
	if err == nil {
		text, _ = json.MarshalIndent(m, "", "  ")
		err = add(manifestName, int64(len(text)), func(w io.Writer) error { _, err := w.Write(text); return err })
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// Restore makes a data directory of a backup, in a missing or empty directory,
// at once or not at all, after checking all of it. The node that opens it is
// told by Restored to mint a new epoch. Errors are ErrDamaged for a stream
// that was cut or changed, ErrForeign for one that is no backup or a directory
// that is not empty, ErrNewer, ErrNoSpace, or those of r and the system.
func Restore(r io.Reader, dir string) error {
	found, unlock, err := claimDir(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if found.label != nil || found.ledger {
		return foreign("%s is not empty", dir)
	}
	var l label
	ledgerPath := filepath.Join(dir, ledgerName)
	err = install(ledgerPath, func(temporary string) error {
		l, err = unpack(r, temporary)
		return err
	})
	if err != nil {
		return err
	}
	l.Restored = true
	return writeLabel(dir, l)
}

// unpack writes the ledger of a backup to path and checks everything.
func unpack(r io.Reader, path string) (l label, err error) {
	in := tar.NewReader(r)
	var files []manifestFile
	next := func(name string, limit int64, w io.Writer) error {
		head, err := in.Next()
		if err != nil {
			return backupError(err, len(files))
		}
		// A file of holes is as long as it says, and takes no bytes of the stream.
		if head.Name != name || head.Typeflag != tar.TypeReg || head.Size > limit || isSparse(head) {
			return foreign("this is not a backup: %.40q stands where %s should", head.Name, name)
		}
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, sum), in)
		if err != nil {
			return backupError(err, 1)
		}
		files = append(files, manifestFile{name, n, hexSum(sum)})
		return nil
	}
	var text, list bytes.Buffer
	if err := next(labelName, maxLabelBytes, &text); err != nil {
		return l, err
	}
	if l, err = decodeLabel(labelName, text.Bytes()); err != nil {
		return l, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return l, err
	}
	out := bufio.NewWriterSize(f, 1<<20)
	err = next(ledgerName, 1<<62, out)
	if err = errors.Join(err, out.Flush(), f.Close()); err != nil {
		return l, err
	}
	if err := next(manifestName, maxManifestBytes, &list); err != nil {
		return l, err
	}
	var m manifest
	if err := json.Unmarshal(list.Bytes(), &m); err != nil {
		return l, damaged("the backup's manifest: %v", err)
	}
	if m.Product != product || !slices.Equal(m.Files, files[:2]) {
		return l, damaged("the backup does not match its manifest")
	}
	return l, checkRestored(path, l)
}

func isSparse(head *tar.Header) bool {
	for key := range head.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// backupError: before the first file, the stream is something else.
func backupError(err error, files int) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return damaged("the backup ends early")
	case errors.Is(err, tar.ErrHeader) && files == 0:
		return foreign("this is not a backup")
	case errors.Is(err, tar.ErrHeader):
		return damaged("the backup: %v", err)
	}
	return fmt.Errorf("read or write while restoring: %w", err)
}

// checkRestored does the full check on the ledger and compares it with the
// label.
func checkRestored(path string, l label) error {
	_, err := checkFile(path, func(p *pageFile) error { _, _, err := checkLedger(p); return err })
	if err != nil {
		return err
	}
	d, err := openDatabase(path, true, false)
	if err != nil {
		return err
	}
	err = d.view(func(tx *bbolt.Tx) error {
		identity, err := readIdentity(tx.Bucket(bucketMeta).Get)
		if err == nil && (identity.Host != l.Host || identity.Ring != l.Ring || identity.Value != l.Value) {
			err = damaged("the backup's parts are of different nodes")
		}
		return err
	})
	return errors.Join(err, d.close())
}
