package inplace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := Of(f)
	if err != nil {
		t.Fatal(err)
	}
	for size := range int64(8) {
		if err := file.Check(path, size); err != nil {
			t.Error(err)
		}
	}
	expect := func(words string) {
		t.Helper()
		if err := file.Check(path, 7); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want %q", err, words)
		}
	}
	if err := os.Truncate(path, 6); err != nil {
		t.Fatal(err)
	}
	expect("was cut to 6 bytes while in use, it had 7")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	expect("was moved away or removed")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("was replaced by another file")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Base(path), path); err != nil {
		t.Skip(err)
	}
	expect("cannot be found while in use")
}

// TestLooksAgree: the two ways to look say the same.
func TestLooksAgree(t *testing.T) {
	dir := t.TempDir()
	var files []File
	var paths []string
	for _, name := range []string{"a", "b"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Repeat(name, len(paths)+3)), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		file, err := Of(f)
		if err != nil {
			t.Fatal(err)
		}
		files, paths = append(files, file), append(paths, path)
	}
	for i, file := range files {
		for k, path := range append(paths, filepath.Join(dir, "none")) {
			same, length, err := file.look(path)
			same2, length2, err2 := file.lookAtAll(path)
			if same != same2 || length != length2 || os.IsNotExist(err) != os.IsNotExist(err2) {
				t.Errorf("%d, %s: %v %d %v, and %v %d %v", i, path, same, length, err, same2, length2, err2)
			}
			if same != (i == k) {
				t.Errorf("%s is file %d: %v", path, i, same)
			}
		}
	}
}
