package main

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
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
