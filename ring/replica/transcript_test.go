package replica

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts anew")

// TestTranscripts runs testdata/*.txt. A line that begins with "> " is a
// command, the lines after it are what it printed, the rest is comment.
//
//	members a b           the ring
//	node a from=b         starts a; it subscribes to b; forward=1ms, boot=N, skew=D, updates=no
//	submit a x 5 [id]     mints; the batch waits
//	store a, persisted a, refused a
//	deliver a->b [n]      messages in the pipe, all unless n
//	drop a->b             loses them
//	cut a->b, heal a->b   the link; healed, it is a new connection
//	tick 150ms            time passes; nobody's messages are delivered
//	run 2s                time passes; messages and commits take 1 ms; only tickets and requests are printed
//	stop b, cont b        the process stands still
//	crash a, wipe a, save a, rewind a
//	ready a               whether it has what its upstreams had
//	state [a ...]
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &stage{t: t, nodes: make(map[string]*actor), pipes: make(map[string]*pipe)}
			got := s.play(string(src))
			if *rewrite {
				err = os.WriteFile(file, []byte(got), 0o644)
			} else if got != string(src) {
				t.Errorf("the transcript differs (-rewrite after a look at it):\n%s", firstDifference(string(src), got))
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// stage is a ring in virtual time.
type stage struct {
	t       testing.TB
	now     time.Duration
	members []string
	nodes   map[string]*actor
	pipes   map[string]*pipe // by "from->to"
	out     strings.Builder
	auto    bool // deliver and persist by itself
	epochs  uint64
}

// actor is one host.
type actor struct {
	*Replica
	cfg      Config
	disk     *disk
	saved    *disk
	skew     time.Duration
	started  time.Duration
	stopped  bool
	writing  *Batch
	restarts uint64
}

// pipe is the link on which to hears from.
type pipe struct {
	from, to string
	up       bool
	topics   []string
	queue    [][]byte
}

const origin = hlc.Timestamp(1_800_000_000 * 1e9)

func (s *stage) clock(a *actor) Now {
	return Now{Wall: origin.Add(s.now + a.skew), Mono: s.now - a.started + 1}
}

func (s *stage) printf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *stage) play(script string) string {
	var result strings.Builder
	printed := false
	for line := range strings.SplitAfterSeq(script, "\n") {
		command, is := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "> ")
		switch {
		case is:
			result.WriteString(line)
			s.out.Reset()
			s.command(strings.Fields(command))
			result.WriteString(s.out.String())
			printed = true
		case strings.HasPrefix(line, "  ") && printed: // what was printed before
		default:
			result.WriteString(line)
		}
	}
	return result.String()
}

func (s *stage) command(f []string) {
	verb, args := f[0], f[1:]
	switch verb {
	case "members":
		s.members = args
		return
	case "node":
		s.node(args)
		return
	case "tick", "run":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.pass(d, verb == "run")
		return
	case "state":
		s.state(args)
		return
	case "deliver", "drop", "cut", "heal":
		s.onPipe(verb, args)
		return
	}
	a := s.nodes[args[0]]
	if a == nil {
		s.t.Fatalf("no node in %q", strings.Join(f, " "))
	}
	s.onNode(verb, a, args[1:])
}

func (s *stage) node(args []string) {
	a := &actor{disk: &disk{t: s.t}}
	a.cfg = Config{
		Host: args[0], Ring: "test", Kind: value.Integer, Members: s.members, Updates: true, Forwards: true,
		PingInterval: 150 * time.Millisecond, PeerTimeout: time.Second,
		ForwardDelay: time.Second, ConnectDelay: 1500 * time.Millisecond, FloodDelay: 1200 * time.Millisecond,
		MaxSkew: 500 * time.Millisecond,
		NewEpoch: func() uint64 {
			s.epochs++
			return s.epochs
		},
	}
	for _, arg := range args[1:] {
		key, v, _ := strings.Cut(arg, "=")
		d, _ := time.ParseDuration(v)
		switch key {
		case "from":
			a.cfg.Upstreams = strings.Split(v, ",")
		case "to":
			a.cfg.Downstreams = strings.Split(v, ",")
		case "forward":
			a.cfg.ForwardDelay = d
		case "skew":
			a.skew = d
		default:
			s.t.Fatalf("what is %s?", key)
		}
	}
	if a.cfg.Downstreams == nil {
		a.cfg.Downstreams = a.cfg.Upstreams
	}
	s.nodes[args[0]] = a
	for _, up := range a.cfg.Upstreams {
		s.pipes[up+"->"+args[0]] = &pipe{from: up, to: args[0]}
	}
	s.start(a)
}

func (s *stage) start(a *actor) {
	a.restarts++
	a.cfg.Boot = uint64(origin) + uint64(s.now+a.skew)
	a.started, a.writing = s.now, nil
	a.Replica = a.disk.replica(a.cfg, s.clock(a))
	s.connect()
}

// connect brings up the links whose ends are both there.
func (s *stage) connect() {
	for _, name := range sortedKeys(s.pipes) {
		p := s.pipes[name]
		from, to := s.nodes[p.from], s.nodes[p.to]
		if !p.up && from != nil && to != nil && from.Replica != nil && to.Replica != nil {
			p.up, p.queue, p.topics = true, nil, nil
			to.LinkChanged(s.clock(to), p.from, true)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (s *stage) submit(a *actor, args []string) {
	amount, err := value.Parse(value.Integer, args[1], tickets.NumberLimits)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &Command{Op: tickets.CounterAdd, Name: args[0], Amount: amount, Expire: hlc.Never}
	if len(args) > 2 {
		c.ID = args[2]
	}
	r := a.Submit(s.clock(a), c)
	switch {
	case r.Err != nil:
		s.printf("  %s refuses: %v", a.cfg.Host, r.Err)
	case r.Replayed:
		s.printf("  %s replays ticket %d", a.cfg.Host, r.Ticket.Seq)
	default:
		s.printf("  %s mints ticket %d of %s", a.cfg.Host, r.Ticket.Seq, r.Ticket.Origin)
	}
}
