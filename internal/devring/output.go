package devring

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// maxLine is where longer lines are broken.
const maxLine = 64 << 10

// lineWriter passes on complete lines. It is used by one goroutine at a time.
type lineWriter struct {
	line func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 {
			break
		}
		w.line(string(bytes.TrimSuffix(w.rest[:i], []byte("\r"))))
		w.rest = w.rest[i+1:]
	}
	if len(w.rest) > maxLine {
		w.flush()
	}
	return len(p), nil
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.line(string(w.rest))
		w.rest = nil
	}
}

// colours tell hosts apart: codes of terminals that read well on dark and light ground.
var colours = []int{36, 33, 35, 32, 34, 31, 96, 93, 95, 92, 94, 91}

// prefixer writes lines with the host they are from. It is safe for concurrent use.
type prefixer struct {
	mu       sync.Mutex
	w        io.Writer
	prefixes map[string]string
}

func newPrefixer(c Config) *prefixer {
	p := &prefixer{w: c.Log, prefixes: map[string]string{}}
	width := 0
	for _, host := range c.Hosts {
		width = max(width, len(host))
	}
	for i, host := range c.Hosts {
		prefix := fmt.Sprintf("%-*s | ", width, host)
		if c.Colour {
			prefix = fmt.Sprintf("\x1b[%dm%s\x1b[0m", colours[i%len(colours)], prefix)
		}
		p.prefixes[host] = prefix
	}
	return p
}

func (p *prefixer) print(host, line string) {
	prefix, ok := p.prefixes[host]
	if !ok {
		prefix = host + " | "
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%s%s\n", prefix, line)
}
