//go:build linux

package chaos

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Soak watches what the processes of a ring use.
type Soak struct {
	CSV   io.Writer     // a line for each sample
	Every time.Duration // between samples
	Kept  time.Duration // how long tickets of expiring names are kept at most

	ring    *Ring
	begun   time.Time
	samples []usage
}

// usage is what one process used at one time.
type usage struct {
	at       time.Duration
	host     string
	run      int64 // of the process
	measured [measures]float64
}

// What is measured. Heap is what was alive after the last collection, by the
// goal that Go set itself for the next; anon is resident memory that is not the
// map of a file.
const (
	rss = iota
	anon
	heap
	fds
	goroutines
	fileSize
	stored
	perTicket
	cpu
	living
	measures
)

var measureNames = [measures]string{
	"rss_bytes", "anon_bytes", "heap_live_bytes", "fds", "goroutines", "disk_bytes", "tickets", "disk_bytes_per_ticket", "cpu_seconds", "living_updates",
}

// Watch samples until ctx ends.
func (s *Soak) Watch(ctx context.Context, r *Ring) {
	s.ring, s.begun = r, time.Now()
	w := csv.NewWriter(s.CSV)
	s.write(w, append([]string{"seconds", "host", "run"}, measureNames[:]...))
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, n := range r.nodes {
			u, err := n.usage(ctx)
			if err != nil {
				continue // it is down, or stopped
			}
			u.at = time.Since(s.begun)
			s.samples = append(s.samples, u)
			line := []string{fmt.Sprintf("%.0f", u.at.Seconds()), u.host, fmt.Sprint(u.run)}
			for _, m := range u.measured {
				line = append(line, strconv.FormatFloat(m, 'f', -1, 64))
			}
			s.write(w, line)
		}
	}
}

func (s *Soak) write(w *csv.Writer, line []string) {
	err := w.Write(line)
	w.Flush()
	if err = cmp.Or(err, w.Error()); err != nil {
		s.ring.violate("soak: %v", err)
	}
}

// usage asks a process and the kernel.
func (n *node) usage(ctx context.Context) (u usage, err error) {
	u.host, u.run = n.host, n.run.Load()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	a, err := n.call(ctx, "GET", "/metrics", nil, "")
	if err != nil {
		return u, err
	}
	of := map[string]int{
		"process_resident_memory_bytes": rss, "process_open_fds": fds, "go_goroutines": goroutines,
		"bluerings_disk_bytes": fileSize, "process_cpu_seconds_total": cpu, "go_memstats_next_gc_bytes": heap,
	}
	for lines := bufio.NewScanner(bytes.NewReader(a.body)); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if m, ok := of[name]; ok {
			if u.measured[m], err = strconv.ParseFloat(text, 64); err != nil {
				return u, err
			}
		}
	}
	u.measured[heap] /= 2 // GOGC is 100
	var s struct{ Tickets float64 }
	if err := n.get(ctx, "/v1/statistics", &s); err != nil {
		return u, err
	}
	u.measured[stored] = s.Tickets
	u.measured[living] = float64(n.ring.history.size())
	u.measured[perTicket] = u.measured[fileSize] / max(1, s.Tickets)
	u.measured[anon], err = residentAnon(n.pid())
	return u, err
}

func residentAnon(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, found := strings.Cut(string(text), "RssAnon:")
	kib, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	if !found {
		return 0, fmt.Errorf("no RssAnon for process %d", pid)
	}
	n, err := strconv.ParseFloat(kib, 64)
	return n * 1024, err
}

// line is a straight line through samples of one process.
type line struct {
	samples     int
	perHour     float64
	first, last float64 // of the line
}

// fit is the least squares line through what one process used in the second
// half of the time; samples is 0 if it did not run all that time.
func (s *Soak) fit(host string, m int) (l line) {
	if len(s.samples) == 0 {
		return l
	}
	end := s.samples[len(s.samples)-1].at
	var xs, ys []float64
	run := int64(-1)
	for _, u := range s.samples {
		if u.host != host || u.at < end/2 {
			continue
		}
		if run >= 0 && u.run != run {
			return line{}
		}
		run = u.run
		xs, ys = append(xs, u.at.Hours()), append(ys, u.measured[m])
	}
	return leastSquares(xs, ys)
}

func leastSquares(xs, ys []float64) line {
	n := float64(len(xs))
	var sx, sy, sxx, sxy float64
	for i, x := range xs {
		sx, sy, sxx, sxy = sx+x, sy+ys[i], sxx+x*x, sxy+x*ys[i]
	}
	slope := (n*sxy - sx*sy) / (n*sxx - sx*sx)
	if len(xs) < 3 || n*sxx == sx*sx {
		return line{}
	}
	at := func(x float64) float64 { return (sy-slope*sx)/n + slope*x }
	return line{samples: len(xs), perHour: slope, first: at(xs[0]), last: at(xs[len(xs)-1])}
}

// The bounds of growth per hour in a process, over the second half. An update
// of a name that lives is remembered as long as the name, by its id: it may take
// idBytes of the heap, and twice that of memory, as Go collects.
const (
	idBytes        = 128
	mostHeap       = 8 << 20
	mostAnon       = 32 << 20
	mostFDs        = 8
	mostGoroutines = 16
	mostFile       = 128 << 20 // they grow by 16 MiB at a time, and their room is used again
)

// The pages in use at the end: a ticket that is kept, with its id, and some
// room besides.
const (
	keptBytes  = 400
	spareBytes = 8 << 20
)

// Verdict fits lines and says what grew too much, and what was measured.
func (s *Soak) Verdict() (broken []string, report string) {
	var b strings.Builder
	judged := 0
	for _, n := range s.ring.nodes {
		ids := s.fit(n.host, living).perHour * idBytes
		bounds := map[int]float64{anon: mostAnon + 2*ids, heap: mostHeap + ids, fds: mostFDs, goroutines: mostGoroutines, fileSize: mostFile}
		for m := range measures {
			l := s.fit(n.host, m)
			if l.samples == 0 {
				continue
			}
			judged++
			fmt.Fprintf(&b, "%s %-22s %14.1f to %14.1f, %+14.1f per hour (%d samples)\n", n.host, measureNames[m], l.first, l.last, l.perHour, l.samples)
			if bound, bounded := bounds[m]; bounded && l.perHour > bound {
				broken = append(broken, fmt.Sprintf("%s: %s grows by %.1f an hour, more than %.0f", n.host, measureNames[m], l.perHour, bound))
			}
		}
	}
	if judged == 0 {
		broken = append(broken, "no process ran through the second half")
	}
	for _, n := range s.ring.nodes {
		used, err := n.disk.inUse()
		kept := s.kept()
		fmt.Fprintf(&b, "%s %d bytes of its files in use at the end, %d tickets kept\n", n.host, used, kept)
		if err != nil || used > keptBytes*kept+spareBytes {
			broken = append(broken, fmt.Sprintf("%s: %d bytes of its files are in use for %d tickets (%v)", n.host, used, kept, err))
		}
	}
	return broken, b.String()
}

// kept is how many tickets are to be kept at the end, at most: of names that
// live, and those of the last few minutes.
func (s *Soak) kept() int64 {
	last, then := usage{}, usage{}
	if len(s.samples) > 0 {
		last, then = s.samples[len(s.samples)-1], s.samples[0]
	}
	for _, u := range s.samples {
		if u.at < last.at-s.Kept {
			then = u
		}
	}
	return int64(last.measured[living]) + int64(last.measured[stored]-then.measured[stored])
}

// inUse is how many bytes of the data files of a node that does not run hold
// something.
func (d *disk) inUse() (used int64, err error) {
	for _, name := range []string{"ledger.db", "index.db"} {
		db, err := bbolt.Open(filepath.Join(d.data(), name), 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true, Timeout: time.Second})
		if err != nil {
			return 0, err
		}
		err = db.View(func(tx *bbolt.Tx) error {
			used += tx.Size() - int64(db.Stats().FreePageN+db.Stats().PendingPageN)*int64(db.Info().PageSize)
			return nil
		})
		if err = errors.Join(err, db.Close()); err != nil {
			return 0, err
		}
	}
	return used, nil
}
