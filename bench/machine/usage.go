package machine

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksASecond is the unit of CPU times in /proc on all Linux that Go runs on.
const ticksASecond = 100

// Usage is what a process has used.
type Usage struct {
	CPU      time.Duration // since its start, all threads
	Resident int64         // bytes in memory
}

// Usage reads what the process (not its group) has used.
func (p *Process) Usage() (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return Usage{}, err
	}
	// The name in parentheses may hold anything; the fields after it do not.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return Usage{}, fmt.Errorf("/proc/%d/stat has %d fields", p.PID(), len(fields))
	}
	var n [3]int64
	for i, at := range []int{11, 12, 21} { // utime, stime, rss, counted after the name
		if n[i], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return Usage{}, err
		}
	}
	return Usage{
		CPU:      time.Duration(n[0]+n[1]) * time.Second / ticksASecond,
		Resident: n[2] * int64(os.Getpagesize()),
	}, nil
}

// DiskBytes is how much a directory takes on disk: blocks, not lengths, as files may have holes.
func DiskBytes(dir string) (int64, error) {
	var total int64
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			total += blocks(info)
		}
		return err
	})
	return total, err
}

// Ports returns n different ports of 127.0.0.1 that were free a moment ago.
func Ports(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
