package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"bluerings/bench/measure"
)

// Stored is the file of results, from which tables and charts can be made again.
type Stored struct {
	Machine Machine          `json:"machine"`
	Results []measure.Result `json:"results"`
}

// Load reads a file of results; one that is not there is empty.
func Load(path string) (s Stored, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

// Save writes the file.
func (s *Stored) Save(path string) error {
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Replace puts new results in the place of those of the same works, and orders all by order.
func (s *Stored) Replace(fresh []measure.Result, order []string) {
	renewed := map[string]bool{}
	for i := range fresh {
		renewed[fresh[i].Work] = true
	}
	var all []measure.Result
	for _, work := range order {
		from := s.Results
		if renewed[work] {
			from = fresh
		}
		for i := range from {
			if from[i].Work == work {
				all = append(all, from[i])
			}
		}
	}
	s.Results = all
}

// ThisMachine describes the machine that this runs on.
func ThisMachine() Machine {
	return Machine{
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Kernel: kernel(), Go: runtime.Version(),
		MemoryGB: kilobytes(field("/proc/meminfo", "MemTotal")) >> 20,
	}
}

// field reads the first "key : value" of a file of /proc.
func field(path, key string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func kilobytes(text string) int {
	number, _, _ := strings.Cut(text, " ")
	n, _ := strconv.Atoi(number)
	return n
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	release, _, _ := strings.Cut(strings.TrimSpace(string(text)), "-")
	return release
}

// Revision is the commit of the tree at root, with a + where files differ from it.
func Revision(root string) string {
	out, err := exec.Command("git", "-C", root, "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	revision := strings.TrimSpace(string(out))
	if exec.Command("git", "-C", root, "diff", "--quiet", "HEAD").Run() != nil {
		revision += "+"
	}
	return revision
}
