package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// certificates serve HTTPS from files that can be read again while connections stand.
type certificates struct {
	files   tlsFiles
	current atomic.Pointer[tls.Config]
}

// newCertificates reads the files. It returns nil where there are none.
func newCertificates(files tlsFiles) (*certificates, error) {
	if files.cert == "" {
		return nil, nil
	}
	c := &certificates{files: files}
	return c, c.reload()
}

// reload reads the files for handshakes from now on. On an error the former contents stay in use.
func (c *certificates) reload() error {
	pair, err := tls.LoadX509KeyPair(c.files.cert, c.files.key)
	if err != nil {
		return fmt.Errorf("https certificate: %w", err)
	}
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
		NextProtos: []string{"h2", "http/1.1"},
	}
	if c.files.ca != "" {
		if conf.ClientCAs, err = readAuthorities(c.files.ca); err != nil {
			return fmt.Errorf("authorities of https clients: %w", err)
		}
		// Probes come without a certificate; the HTTP interface refuses them everything else.
		conf.ClientAuth = tls.VerifyClientCertIfGiven
	}
	c.current.Store(conf)
	return nil
}

// config is what a listener takes.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil },
	}
}

// streamsPerConnection bounds the requests that one HTTP/2 connection has under way. What comes
// beyond is refused; what was reset counts until its handler has ended, and four times as many
// may wait for that before the connection is closed.
const streamsPerConnection = 100

// http2Limits bound what one HTTP/2 connection may take. Deadlines of requests reset streams, which
// takes a connection that can be written to: one that takes nothing for so long is closed.
func http2Limits(stalled time.Duration) *http.HTTP2Config {
	return &http.HTTP2Config{MaxConcurrentStreams: streamsPerConnection, WriteByteTimeout: stalled}
}

// soon is how long before the end of a certificate the log begins to warn of it.
const soon = 7 * 24 * time.Hour

// warnOfEnds logs which of our own certificates are good no more, or not for long.
func warnOfEnds(log *slog.Logger, now time.Time, files ...string) {
	for _, file := range files {
		if file == "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue // whoever needs the file says so
		}
		block, _ := pem.Decode(text)
		if block == nil {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
		case now.After(cert.NotAfter):
			log.Warn("certificate_expired", "file", file, "not_after", cert.NotAfter)
		case now.Add(soon).After(cert.NotAfter):
			log.Warn("certificate_expires_soon", "file", file, "not_after", cert.NotAfter)
		}
	}
}
