package zmqbus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSFiles names PEM files for mutual TLS 1.3: our certificate chain and key,
// and the authorities peers' certificates must come from. When set, every
// endpoint, ipc included, speaks TLS only.
type TLSFiles struct {
	Cert, Key, CA string
}

// fileCheck is how often, at most, the files are looked at for changes.
const fileCheck = time.Second

// credentials holds what was last read from the files. They are looked at
// before each handshake; connections that stand are left alone.
type credentials struct {
	files TLSFiles
	log   *slog.Logger

	mu      sync.Mutex
	cert    *tls.Certificate
	pool    *x509.CertPool
	stamps  [3]stamp
	checked time.Time
}

type stamp struct {
	mod  time.Time
	size int64
}

func loadCredentials(files TLSFiles, log *slog.Logger) (*credentials, error) {
	c := &credentials{files: files, log: log}
	return c, c.reload()
}

// stat tells the files' versions apart; files that cannot be read count as
// unchanged zero stamps and fail in load.
func (c *credentials) stat() (s [3]stamp) {
	for i, name := range []string{c.files.Cert, c.files.Key, c.files.CA} {
		if st, err := os.Stat(name); err == nil {
			s[i] = stamp{st.ModTime(), st.Size()}
		}
	}
	return s
}

// reload reads the files now. On an error the former contents stay in use.
func (c *credentials) reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.load(c.stat())
}

func (c *credentials) load(now [3]stamp) error {
	cert, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return fmt.Errorf("tls certificate %s with key %s: %w", c.files.Cert, c.files.Key, err)
	}
	pem, err := os.ReadFile(c.files.CA)
	if err != nil {
		return fmt.Errorf("tls authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("tls authorities %s: no certificate in it", c.files.CA)
	}
	c.cert, c.pool, c.stamps = &cert, pool, now
	return nil
}

// current returns the certificate and authorities to use, read anew if the
// files changed. A change that cannot be read, such as a certificate whose
// key is still to follow, is logged and tried again.
func (c *credentials) current() (tls.Certificate, *x509.CertPool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= fileCheck {
		c.checked = now
		if s := c.stat(); s != c.stamps {
			if err := c.load(s); err != nil {
				c.log.Warn("tls_reload_failed", "err", err)
			} else {
				c.log.Info("tls_reloaded", "cert", c.files.Cert)
			}
		}
	}
	return *c.cert, c.pool
}

func (c *credentials) server() *tls.Config {
	cert, pool := c.current()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		SessionTicketsDisabled: true, // each connection shows its certificate anew
	}
}

// client accepts a server whose certificate comes from our authorities and
// is made out to one of names.
func (c *credentials) client(names ...string) *tls.Config {
	cert, pool := c.current()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		ServerName:         names[0],
		InsecureSkipVerify: true, // verified below, against several names
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyServer(cs.PeerCertificates, pool, names)
		},
	}
}

func verifyServer(chain []*x509.Certificate, pool *x509.CertPool, names []string) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: between}); err != nil {
		return err
	}
	for _, name := range names {
		if name != "" && chain[0].VerifyHostname(name) == nil {
			return nil
		}
	}
	return fmt.Errorf("certificate is for %q, none of %q", append(chain[0].DNSNames, ipTexts(chain[0])...), names)
}

func ipTexts(c *x509.Certificate) (s []string) {
	for _, ip := range c.IPAddresses {
		s = append(s, ip.String())
	}
	return s
}

// certificateName is how a peer with certificate c that claims to be
// identity is called: by the claim if the certificate bears it out.
func certificateName(c *x509.Certificate, identity string) string {
	switch {
	case identity != "" && c.VerifyHostname(identity) == nil:
		return identity
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	default:
		return c.Subject.CommonName
	}
}
