package boltstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bluerings/ring/journal"
	"bluerings/value"
)

const (
	ledgerName = "ledger.db"
	indexName  = "index.db"
	labelName  = "bluerings.json"
	newSuffix  = ".new"
	product    = "bluerings"
	// maxLabelBytes bounds bluerings.json.
	maxLabelBytes = 16 << 10
)

// label is bluerings.json: it says that the directory was initialised, so that
// a ledger missing from it is an error and not a new start, and for whom. It
// is written by the program only; a checksum over its other fields tells.
type label struct {
	Product  string `json:"product"`
	Format   int    `json:"format"`
	Host     string `json:"host"`
	Ring     string `json:"ring"`
	Value    string `json:"value"`              // integer, decimal or rational
	Store    string `json:"store"`              // random, of the ledger that was created with it
	Created  string `json:"created"`            // RFC 3339, UTC
	Restored bool   `json:"restored,omitempty"` // the ledger may be behind what peers have seen of it
	Journal  bool   `json:"journal,omitempty"`  // commits may be in the journal alone
	Checksum string `json:"checksum"`           // CRC-32C in hexadecimal
}

func newLabel(o *Options, store string) label {
	return label{
		Product: product, Format: FormatVersion, Host: o.Host, Ring: o.Ring, Value: o.Kind.String(),
		Store: store, Created: time.Now().UTC().Format(time.RFC3339),
	}
}

func (l label) sum() string {
	l.Checksum = ""
	b, _ := json.Marshal(l)
	return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli))
}

// encode sets the checksum.
func (l label) encode() []byte {
	l.Checksum = l.sum()
	b, _ := json.MarshalIndent(l, "", "  ")
	return append(b, '\n')
}

// decodeLabel is strict; name is for messages. Errors are ErrNewer, ErrForeign
// and ErrDamaged.
func decodeLabel(name string, b []byte) (l label, err error) {
	var loose struct {
		Product *string `json:"product"`
		Format  int     `json:"format"`
	}
	if err := json.Unmarshal(b, &loose); err != nil {
		return l, damaged("%s: %v", name, err)
	}
	if loose.Product == nil || *loose.Product != product {
		return l, foreign("%s is not of this program", name)
	}
	if loose.Format > FormatVersion {
		return l, fmt.Errorf("%w: %s is of format %d, this program reads up to %d", ErrNewer, name, loose.Format, FormatVersion)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, damaged("%s: %v", name, err)
	}
	if l.Checksum != l.sum() {
		return l, damaged("%s: its checksum is wrong", name)
	}
	if _, err := value.ParseKind(l.Value); err != nil || l.Format != FormatVersion {
		return l, damaged("%s: format %d, value %q", name, l.Format, l.Value)
	}
	return l, nil
}

// check compares with what is asked for; what is left empty in o matches all.
func (l label) check(name string, o *Options) error {
	switch {
	case o.Ring != "" && l.Ring != o.Ring:
		return foreign("%s is of ring %q, not %q", name, l.Ring, o.Ring)
	case o.Host != "" && l.Host != o.Host:
		return foreign("%s is of host %q, not %q", name, l.Host, o.Host)
	case o.Kind != 0 && l.Value != o.Kind.String():
		return foreign("%s counts in values of kind %s, not %s", name, l.Value, o.Kind)
	}
	return nil
}

func readLabel(dir string) (label, error) {
	path := filepath.Join(dir, labelName)
	f, err := os.Open(path)
	if err != nil {
		return label{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLabelBytes))
	if err != nil {
		return label{}, fmt.Errorf("read %s: %w", path, err)
	}
	return decodeLabel(path, b)
}

// contents is what a directory was found to be.
type contents struct {
	label    *label // nil: never initialised
	ledger   bool
	index    bool
	leftover []string // paths of *.new
}

// survey looks at a directory without changing it. A missing one has no
// contents. Files that are not ours are passed over where ours are, and
// ErrForeign where not.
func survey(dir string) (c contents, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	} else if err != nil {
		return c, fmt.Errorf("read data directory: %w", err)
	}
	others := ""
	for _, e := range entries {
		switch name := e.Name(); name {
		case labelName:
			l, err := readLabel(dir)
			if err != nil {
				return c, err
			}
			c.label = &l
		case ledgerName:
			c.ledger = true
		case indexName:
			c.index = true
		case ledgerName + newSuffix, indexName + newSuffix, labelName + newSuffix:
			c.leftover = append(c.leftover, filepath.Join(dir, name))
		case "lost+found", journal.Names()[0], journal.Names()[1]:
		default:
			if !strings.HasPrefix(name, ".") {
				others = name
			}
		}
	}
	switch {
	case c.label != nil && !c.ledger:
		return c, damaged("%s is missing, although %s says that the directory was initialised: restore a backup, or empty the directory to start anew", filepath.Join(dir, ledgerName), labelName)
	case c.label == nil && !c.ledger && others != "":
		return c, foreign("%s holds other files (%s) and was never initialised", dir, others)
	}
	return c, nil
}

// install makes a file durable under its name at once or not at all: make
// fills a file of a temporary name in the same directory, which is then synced
// and renamed.
func install(path string, fill func(temporary string) error) error {
	temporary := path + newSuffix
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove an unfinished file: %w", err)
	}
	err := fill(temporary)
	if err == nil {
		err = syncPath(temporary)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err == nil {
		err = syncPath(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(temporary)
		return noSpaceOr(fmt.Errorf("create %s: %w", path, err))
	}
	return nil
}

// syncPath makes a file or a directory durable.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}

func writeLabel(dir string, l label) error {
	return install(filepath.Join(dir, labelName), func(temporary string) error {
		return os.WriteFile(temporary, l.encode(), 0o600)
	})
}

// makeDir makes a directory with those above it, durably.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return noSpaceOr(fmt.Errorf("create data directory: %w", err))
	}
	return syncPath(filepath.Dir(dir))
}
