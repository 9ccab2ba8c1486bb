package httpapi

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what New needs to know. The zero Config serves everything to
// everybody within the default limits, and keeps no log.
type Config struct {
	// Tokens is the file of access tokens, see ParseTokens for its form.
	// Empty: whoever reaches the address may do everything, unless
	// TrustClientCert is set.
	Tokens string
	// TrustClientCert gives every scope to a client whose certificate the TLS
	// layer has verified, and refuses those that show neither a certificate
	// nor a token.
	TrustClientCert bool

	// Graph draws the topology as svg, dot or mermaid; Topology is its JSON.
	Graph    func(format string) ([]byte, error)
	Topology func() any

	Log        *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: the metrics of HTTP are not registered
	Gatherer   prometheus.Gatherer   // what /metrics shows; nil: Registerer where it is one
	Version    string                // of the program, for the documents

	Limits Limits
}

// Limits bound what one request may ask for. A field of zero or less means
// its default.
type Limits struct {
	Body      int           // bytes of a request body; 1 MiB
	Batch     int           // bytes of the body of a batch; 8 MiB
	Bodies    int           // bytes of all bodies above 64 KiB that are in memory at a time; 256 MiB
	Lines     int           // changes in a batch; 10,000
	URL       int           // bytes of path and query; 20 KiB
	Wait      time.Duration // longest wait of a request; 60 s
	Waits     int           // requests waiting at the same time; 1024
	List      int           // names in one answer; 1000
	Ledger    int           // tickets in one answer that is not streamed; 10,000
	StallTime time.Duration // longest stop of a streamed answer's reader; 30 s
}

const (
	defaultListLimit    = 100
	defaultReplicasWait = 5 * time.Second
)

func (l Limits) effective() Limits {
	orInt := func(v *int, fallback int) {
		if *v <= 0 {
			*v = fallback
		}
	}
	orTime := func(v *time.Duration, fallback time.Duration) {
		if *v <= 0 {
			*v = fallback
		}
	}
	orInt(&l.Body, 1<<20)
	orInt(&l.Batch, 8<<20)
	orInt(&l.Bodies, 256<<20)
	l.Bodies = max(l.Bodies, 4*l.Batch, 4*l.Body)
	orInt(&l.Lines, 10_000)
	orInt(&l.URL, 20<<10)
	orInt(&l.Waits, 1024)
	orInt(&l.List, 1000)
	orInt(&l.Ledger, 10_000)
	orTime(&l.Wait, time.Minute)
	orTime(&l.StallTime, 30*time.Second)
	return l
}
