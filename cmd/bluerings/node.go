package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bluerings/httpapi"
	"bluerings/ring"
	"bluerings/ring/boltstore"
	"bluerings/ring/zmqbus"
)

// openNode is a running node with its HTTP interface.
type openNode struct {
	node *ring.Node
	api  *httpapi.API
}

// openNodeAt opens what the settings say.
func openNodeAt(ctx context.Context, s *serveSettings, log *slog.Logger, registry *prometheus.Registry) (*openNode, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("this program's own file: %w", err)
	}
	clock, err := wallClock()
	if err != nil {
		return nil, err
	}
	conf := ring.Config{
		Topology: s.topology, Host: s.host, Data: s.data, Bind: s.pub,
		Durability: s.durability, MaxClockSkew: s.maxClockSkew, ExpiryGrace: s.expiryGrace, AcceptRewind: s.acceptRewind,
		CheckCommand: []string{program, checkFilesCommand, "--", s.data}, Logger: log, Registerer: registry,
		Wall: clock, Rested: giveBack,
	}
	if s.ringTLS != (tlsFiles{}) {
		conf.TLS = &zmqbus.TLSFiles{Cert: s.ringTLS.cert, Key: s.ringTLS.key, CA: s.ringTLS.ca}
	}
	node, err := ring.Open(ctx, conf)
	if err != nil {
		return nil, err
	}
	o := &openNode{node: node}
	o.api, err = httpapi.New(node, httpapi.Config{
		Tokens: s.tokenFile, TrustClientCert: s.https.ca != "",
		Graph: func(format string) ([]byte, error) {
			return s.topology.GraphWith(format, liveState(s.topology, node.Status(), node.Links()))
		},
		Topology: func() any { return describe(s.topology, s.host) },
		Log:      log.With("scope", "http"), Registerer: registry, Gatherer: registry, Version: programVersion(),
		Limits: httpapi.Limits{Body: int(s.maxBody), Batch: int(s.maxBatch), Wait: s.maxWait, StallTime: s.answerTimeout},
	})
	if err != nil {
		return nil, errors.Join(err, node.Close(ctx))
	}
	return o, nil
}

// giveBack returns free memory to the system, which the runtime by itself
// keeps in case it is needed again: about as much as is in use. It collects
// twice, as what lies in a sync.Pool (the pages that bbolt has written) is
// let go of by the second collection after it was put there.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}

func (o *openNode) handler() http.Handler { return o.api }
func (o *openNode) pubAddrs() []string    { return o.node.PubAddrs() }
func (o *openNode) fatal() <-chan error   { return o.node.Fatal() }

// unready makes readiness false, so that nobody sends new requests here.
func (o *openNode) unready() { o.node.Drain() }

func (o *openNode) close(ctx context.Context) error { return o.node.Close(ctx) }

// reload reads tokens and the certificates of links again.
func (o *openNode) reload() error { return errors.Join(o.api.Reload(), o.node.Reload()) }

// checkTokenFile refuses a token file that the node would refuse.
func checkTokenFile(path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := httpapi.ParseTokens(file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// newTokenLine makes a token and the line of a token file for it.
func newTokenLine(name, scopes string, life time.Duration) (token, line string, err error) {
	token = "br_" + rand.Text()
	hash := httpapi.HashToken(token)
	line = cmp.Or(name, "token-"+hash[:8]) + " " + scopes + " " + hash
	if life > 0 {
		line += " " + time.Now().Add(life).UTC().Format(time.RFC3339)
	}
	parsed, err := httpapi.ParseTokens([]byte(line))
	if err == nil && len(parsed) != 1 {
		err = fmt.Errorf("a name cannot begin with #")
	}
	return token, line, err
}

// checkFiles checks a data directory; the code is for the parent process.
func checkFiles(dir string, stdout, stderr io.Writer) int {
	return boltstore.RunCheck(dir, stdout, stderr)
}

func restoreFiles(from io.Reader, dir string) error { return boltstore.Restore(from, dir) }

func verifyFiles(ctx context.Context, dir string, w io.Writer) (differences int, err error) {
	return ring.Verify(ctx, dir, w)
}
