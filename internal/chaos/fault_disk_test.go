//go:build linux

package chaos

import (
	"maps"
	"strings"
	"testing"
)

// What strace -f -y -s 0 wrote of processes whose calls of fdatasync it failed.
func TestFailuresOfSyncsAreTold(t *testing.T) {
	for _, c := range []struct {
		what, log string
		want      map[string]int
	}{
		{"a commit to the journal", `
7 pwrite64(8</d/data/ledger.db>, ""..., 4096, 4096) = 4096
7 fdatasync(8</d/data/ledger.db>) = 0
9 pwrite64(12</d/data/journal.0>, ""..., 512, 0) = 512
9 fdatasync(12</d/data/journal.0>) = -1 EIO (Input/output error) (INJECTED)`, map[string]int{ofJournal: 1}},
		{"both halves of the ledger's commit", `
7 pwrite64(8</d/data/ledger.db>, ""..., 4096, 8192) = 4096
7 fdatasync(8</d/data/ledger.db>) = -1 EIO (Input/output error) (INJECTED)
7 pwrite64(8</d/data/ledger.db>, ""..., 4096, 4096) = 4096
7 pwrite64(12</d/data/journal.1>, ""..., 512, 8192) = 512
7 fdatasync(8</d/data/ledger.db>) = -1 EIO (Input/output error) (INJECTED)`, map[string]int{ofData: 1, ofHead: 1}},
		{"the index alone", `
7 pwrite64(9</d/data/index.db>, ""..., 4096, 0) = 4096
7 fdatasync(9</d/data/index.db>) = -1 EIO (Input/output error) (INJECTED)`, map[string]int{ofIndex: 1}},
		{"in two parts, across each other", `
7 fdatasync(12</d/data/journal.1> <unfinished ...>
9 fdatasync(9</d/data/index.db> <unfinished ...>
7 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)
9 <... fdatasync resumed>) = 0`, map[string]int{ofJournal: 1}},
		{"of a file that is none of these, after one that is", `
7 fdatasync(12</d/data/journal.1>) = 0
7 fdatasync(13</d/data/other> <unfinished ...>
7 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)`, nil},
		{"none", `
7 fdatasync(12</d/data/journal.1>) = 0
7 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=7, si_uid=0} ---`, nil},
	} {
		if got := syncFailures(strings.NewReader(c.log)); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}
