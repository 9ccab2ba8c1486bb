package ring

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"bluerings/ring/boltstore"
	"bluerings/ring/zmqbus"
	"bluerings/topologies"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a node is told when it is opened.
type Config struct {
	Topology *topologies.Topology
	Host     string
	Data     string   // directory, made when missing
	Bind     []string // endpoints of the PUB socket; nil: none is opened

	Durability   Durability
	MaxClockSkew time.Duration // default 500 ms
	// ExpiryGrace is how long the tickets of an expired name are kept, at the
	// least. Default 1 h; negative: for ever.
	ExpiryGrace time.Duration
	// MaxWaiting bounds the updates that wait for the disk. Default 1,000,000.
	MaxWaiting int

	// AcceptRewind opens a ledger that may have lost its last commit; the node
	// then begins a new epoch. See boltstore.Options.
	AcceptRewind bool

	TLS          *zmqbus.TLSFiles
	CheckCommand []string // argv of a process that checks the files; see boltstore.Options
	Logger       *slog.Logger
	Registerer   prometheus.Registerer
	// Rested is called when the node has nothing more to do after much work:
	// the moment to give memory back. Where nil, nobody is told.
	Rested func()
	// Wall is the wall clock, time.Now where nil.
	Wall func() time.Time

	// stepItems is how many rows or ids, about, are written to a new index in
	// one transaction.
	stepItems int
	// look is how often the node considers to write the index; 0: the constant
	// checkpointLook.
	look  time.Duration
	trial *boltstore.Trial
}

// Durability says when an update is acknowledged.
type Durability struct {
	// Interval 0: after fsync. Else: at once, with an fsync at least so often;
	// a crash loses what was acknowledged since the last.
	Interval time.Duration
	none     bool
}

// noneInterval is how often durability "none" writes to disk all the same.
const noneInterval = time.Second

// ParseDurability reads "always", "interval=100ms" or "none".
func ParseDurability(s string) (Durability, error) {
	switch {
	case s == "" || s == "always":
		return Durability{}, nil
	case s == "none":
		return Durability{Interval: noneInterval, none: true}, nil
	case strings.HasPrefix(s, "interval="):
		d, err := time.ParseDuration(s[len("interval="):])
		if err != nil || d < time.Millisecond || d > time.Minute {
			return Durability{}, fmt.Errorf("durability %q: the interval must be a duration from 1ms to 1m, such as interval=100ms", s)
		}
		return Durability{Interval: d}, nil
	}
	return Durability{}, fmt.Errorf("durability %q: it is always, interval=DURATION or none", s)
}

// String is the form that ParseDurability reads.
func (d Durability) String() string {
	switch {
	case d.none:
		return "none"
	case d.Interval > 0:
		return "interval=" + d.Interval.String()
	default:
		return "always"
	}
}

func (c *Config) setDefaults() {
	if c.MaxClockSkew == 0 {
		c.MaxClockSkew = 500 * time.Millisecond
	}
	if c.ExpiryGrace == 0 {
		c.ExpiryGrace = time.Hour
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = 1_000_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.stepItems == 0 {
		c.stepItems = stepItems
	}
	if c.look == 0 {
		c.look = checkpointLook
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
}
