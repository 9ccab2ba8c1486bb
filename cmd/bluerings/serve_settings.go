package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"bluerings/internal/scopedlog"
	"bluerings/internal/settings"
	"bluerings/ring"
	"bluerings/tickets"
	"bluerings/topologies"
	"bluerings/value"
)

// The defaults that are not those of a single setting.
const (
	defaultHTTP = "127.0.0.1:8080"
	defaultPub  = "tcp://127.0.0.1:4000"
	aloneRing   = "alone" // the ring's name of a node without topology file
	envPrefix   = "BLUERINGS_"
)

// tlsFiles are the PEM files of one side of TLS.
type tlsFiles struct{ cert, key, ca string }

// serveSettings is what `serve` was told, checked.
type serveSettings struct {
	topologyFile string
	topology     *topologies.Topology // never nil once resolved without problems
	host         string
	data         string
	http         string
	pub          []string
	kind         value.Kind
	durability   ring.Durability
	tokenFile    string
	https        tlsFiles // ca: of client certificates
	ringTLS      tlsFiles
	insecure     bool
	acceptRewind bool

	logFormat string
	logLevels scopedlog.Levels

	maxBody, maxBatch, maxHeader          int64
	maxConnections                        int64
	maxWait                               time.Duration
	readTimeout, idleTimeout, openTimeout time.Duration
	answerTimeout                         time.Duration
	maxClockSkew, expiryGrace             time.Duration

	set settings.Set
}

func newServeSettings() *serveSettings {
	c := &serveSettings{set: settings.Set{Prefix: envPrefix}}
	s := &c.set
	s.Text(&c.topologyFile, "topology", "", "topology file of the ring; without one the node is alone")
	s.Parsed("host", shortHostname(), "name of this node in the topology",
		"write letters, digits, '.', '-' and '_'", func(text string) error { c.host = text; return tickets.CheckHost(text) })
	s.Text(&c.data, "data", "./bluerings-data", "data directory, made if missing")
	s.Parsed("http", defaultHTTP, "address of the HTTP interface, host:port",
		`write host:port, such as "127.0.0.1:8080", or port 0 for a free one`, func(text string) error { c.http = text; return checkAddress(text) })
	s.List(&c.pub, "pub", defaultPub, "endpoints that other nodes subscribe to")
	s.Parsed("value", topologies.Decimal, "kind of value of a node alone: integer, decimal or rational",
		"write integer, decimal or rational", func(text string) (err error) { c.kind, err = value.ParseKind(text); return err })
	s.Parsed("durability", "always", "when an update is on disk: always (before the answer), interval=100ms, or none",
		"write always, interval=DURATION or none", func(text string) (err error) { c.durability, err = ring.ParseDurability(text); return err })
	c.securitySettings()
	s.Choice(&c.logFormat, "log_format", "form of the log: text or json", "text", "json")
	s.Parsed("log_level", "info", "least level that is logged, and those of scopes: info,ring=debug",
		"write levels such as info,ring=debug,http=warn",
		func(text string) (err error) { c.logLevels, err = scopedlog.ParseLevels(text); return err })
	c.limitSettings()
	return c
}

func (c *serveSettings) securitySettings() {
	s := &c.set
	s.Text(&c.tokenFile, "token_file", "", "file of bearer tokens, see 'bluerings token new'; read again on SIGHUP")
	s.Text(&c.https.cert, "tls_cert", "", "PEM certificate chain of the HTTP interface; turns on HTTPS")
	s.Text(&c.https.key, "tls_key", "", "PEM key to it")
	s.Text(&c.https.ca, "tls_client_ca", "", "PEM authorities; an HTTP client needs a certificate of theirs, or a token")
	s.Text(&c.ringTLS.cert, "ring_tls_cert", "", "PEM certificate chain of this node for other nodes; turns on mutual TLS in the ring")
	s.Text(&c.ringTLS.key, "ring_tls_key", "", "PEM key to it")
	s.Text(&c.ringTLS.ca, "ring_tls_ca", "", "PEM authorities that other nodes' certificates come from")
	s.Bool(&c.insecure, "insecure", "listen beyond this machine without tokens and TLS")
	s.Bool(&c.acceptRewind, "accept_rewind", "open a ledger that may have lost its last commit; the node then begins a new epoch")
}

func (c *serveSettings) limitSettings() {
	s := &c.set
	s.Size(&c.maxBody, "max_body", "1MiB", "largest body of a request")
	s.Size(&c.maxBatch, "max_batch", "8MiB", "largest body of a batch")
	s.Size(&c.maxHeader, "max_header", "64KiB", "largest head of a request")
	s.Parsed("max_connections", "16384", "most HTTP connections open at once; fewer where the system permits fewer descriptors",
		"write a whole number from 16 to 1000000", func(text string) (err error) { c.maxConnections, err = connections(text); return err })
	s.Duration(&c.maxWait, "max_wait", "60s", "longest wait that a request may ask for")
	s.Duration(&c.openTimeout, "header_timeout", "10s", "longest time for the head of a request to arrive")
	s.Duration(&c.readTimeout, "read_timeout", "60s", "longest time for a request to arrive")
	s.Duration(&c.answerTimeout, "answer_timeout", "30s", "longest time a client may leave an answer, or a part of a long one, unread")
	s.Duration(&c.idleTimeout, "idle_timeout", "120s", "longest time a connection is kept without requests")
	s.Parsed("max_clock_skew", "500ms", "how far ahead of ours a remote clock may be that our timestamps follow",
		`write a duration above 0, such as "500ms"`, func(text string) (err error) { c.maxClockSkew, err = positive(text); return err })
	s.Parsed("expiry_grace", "1h", "how long after a name expired its tickets are kept, or never to keep them for ever",
		`write a duration above 0, such as "1h", or never`, func(text string) (err error) {
			if text == "never" {
				c.expiryGrace = -1
				return nil
			}
			c.expiryGrace, err = positive(text)
			return err
		})
}

func connections(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 16 || n > 1_000_000 {
		return 0, fmt.Errorf("%q is no number of connections", text)
	}
	return n, nil
}

func positive(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no duration above 0", text)
	}
	return d, nil
}

// shortHostname is the machine's name up to the first dot. Where there is none that a ring takes,
// it is "node".
func shortHostname() string {
	name, err := os.Hostname()
	name, _, _ = strings.Cut(name, ".")
	if err != nil || tickets.CheckHost(name) != nil {
		return "node"
	}
	return name
}

// resolve reads all sources and checks what they say together. It returns every mistake found.
func (c *serveSettings) resolve(from settings.Sources) settings.Problems {
	problems := c.set.Resolve(from)
	if c.set.OK("host") && c.set.OK("value") {
		c.loadTopology(&problems)
	}
	c.checkPub(&problems)
	c.checkPair("tls", c.https, &problems)
	c.checkPair("ring_tls", c.ringTLS, &problems)
	c.checkTokens(&problems)
	c.checkExposure(&problems)
	if c.data == "" {
		problems.Add(c.set.Source("data"), "data: no directory is named", "name one, such as ./bluerings-data")
	}
	return problems
}

// loadTopology reads the topology file, and takes defaults from this node's entry in it.
func (c *serveSettings) loadTopology(problems *settings.Problems) {
	if c.topologyFile == "" {
		c.topology = topologies.Alone(aloneRing, c.kind.String(), c.host)
		return
	}
	source := c.set.Source("topology")
	t, err := topologies.Load(c.topologyFile)
	var found topologies.Problems
	switch {
	case errors.As(err, &found):
		for _, p := range found {
			if p.Severity == topologies.SeverityError {
				problems.Add("", p.String(), "")
			}
		}
		return
	case err != nil:
		problems.Add(source, err.Error(), "name a topology file that can be read")
		return
	}
	c.topology = t
	if c.set.Stated("value") && c.kind.String() != t.Value {
		problems.Add(c.set.Source("value"), fmt.Sprintf("value: %s, but the topology file says %s", c.kind, t.Value),
			"leave it out: the topology file decides")
	}
	node, ok := t.Node(c.host)
	if !ok {
		problems.Add(c.set.Source("host"), fmt.Sprintf("host: %q is not in %s", c.host, c.topologyFile),
			"write one of "+strings.Join(t.Members(), ", "))
		return
	}
	origin := fmt.Sprintf("%s, node %s", c.topologyFile, c.host)
	c.set.Fallback("value", t.Value, origin, problems)
	c.set.Fallback("http", node.HTTP, origin, problems)
	c.set.Fallback("pub", node.BindEndpoint(), origin, problems)
}
