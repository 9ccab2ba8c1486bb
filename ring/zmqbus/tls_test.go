package zmqbus

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority issues certificates for tests.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	ca := &authority{dir: t.TempDir()}
	var err error
	if ca.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	tmpl := template("authority")
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &ca.key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	ca.cert, _ = x509.ParseCertificate(der)
	ca.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return ca
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

// issue writes a certificate for names and addresses under file's name.
func (ca *authority) issue(t testing.TB, file string, names ...string) *TLSFiles {
	t.Helper()
	tmpl := template(file)
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, n)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := x509.MarshalECPrivateKey(key)
	f := &TLSFiles{Cert: filepath.Join(ca.dir, file+".crt"), Key: filepath.Join(ca.dir, file+".key"), CA: filepath.Join(ca.dir, "ca.crt")}
	for name, b := range map[string][]byte{
		f.Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		f.Key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}),
		f.CA:   ca.pem,
	} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func secure(t testing.TB, files *TLSFiles) *Bus {
	t.Helper()
	return open(t, Config{Host: "a", Bind: []string{"tcp://127.0.0.1:0"}, TLS: files, Limits: Limits{Handshake: 2 * time.Second}}, nil)
}

func secureSub(t testing.TB, a *Bus, files *TLSFiles, h Handler) *Bus {
	t.Helper()
	return open(t, Config{Host: "b", Topics: []string{"t"}, Upstreams: []Upstream{{"a", a.Addrs()[0]}}, TLS: files}, h)
}

func TestTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	mine := ca.issue(t, "b", "b")
	for _, tc := range []struct {
		name    string
		server  *TLSFiles
		client  *TLSFiles
		works   bool
		refused string // by the server; "" for nothing to count
	}{
		{"address in certificate", ca.issue(t, "a-ip", "127.0.0.1"), mine, true, ""},
		{"ring's host in certificate", ca.issue(t, "a-host", "a"), mine, true, ""},
		{"another host's certificate", ca.issue(t, "c", "c", "10.0.0.1"), mine, false, reasonTLS},
		{"server of another authority", stranger.issue(t, "a", "a"), mine, false, reasonTLS},
		{"client of another authority", ca.issue(t, "a", "a"), strangerTrusting(t, stranger, ca), false, reasonTLS},
		{"plain client", ca.issue(t, "a2", "a"), nil, false, reasonTLS},
		{"plain server", nil, mine, false, reasonGreeting},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, r := secure(t, tc.server), &recorder{}
			b := secureSub(t, a, tc.client, r)
			if tc.works {
				reaches(t, a, r, "t", "secret")
				reaches(t, a, r, "t", strings.Repeat("x", 500_000))
				if peer := a.Stats().Subscribers[0].Peer; peer != "b" {
					t.Errorf("peer %q", peer)
				}
				return
			}
			eventually(t, "refusal", func() bool { return a.Stats().Refused[tc.refused] > 0 })
			eventually(t, "failure", func() bool { return b.Stats().Upstreams[0].LastError != "" })
			if st := b.Stats().Upstreams[0]; st.Connects != 0 {
				t.Errorf("connected: %+v", st)
			}
		})
	}
}

// strangerTrusting is a certificate of one authority whose holder trusts another.
func strangerTrusting(t *testing.T, of, in *authority) *TLSFiles {
	f := of.issue(t, "b", "b")
	if err := os.WriteFile(f.CA, in.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestTLSNameIsTheCertificates: a peer is not called what it merely claims.
func TestTLSNameIsTheCertificates(t *testing.T) {
	ca := newAuthority(t)
	a, r := secure(t, ca.issue(t, "a", "a")), &recorder{}
	secureSub(t, a, ca.issue(t, "c", "c"), r)
	reaches(t, a, r, "t", "x")
	if peer := a.Stats().Subscribers[0].Peer; peer != "c" {
		t.Errorf("peer %q, want c", peer)
	}
}

// TestTLSReload moves both nodes to a new authority under way.
func TestTLSReload(t *testing.T) {
	old, next := newAuthority(t), newAuthority(t)
	fa, fb := old.issue(t, "a", "a"), old.issue(t, "b", "b")
	a, r := secure(t, fa), &recorder{}
	b := secureSub(t, a, fb, r)
	reaches(t, a, r, "t", "old")
	next.dir = old.dir
	next.issue(t, "a", "a")
	next.issue(t, "b", "b")
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	reaches(t, a, r, "t", "still") // the standing connection
	b.Drop("a")                    // b notices the change by itself
	eventually(t, "a second connection", func() bool { return b.Stats().Upstreams[0].Connects == 2 })
	reaches(t, a, r, "t", "new")

	if err := os.WriteFile(fa.Key, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(); err == nil || !strings.Contains(err.Error(), fa.Key) {
		t.Errorf("Reload of a damaged key: %v", err)
	}
	b.Drop("a")
	eventually(t, "a third connection", func() bool { return b.Stats().Upstreams[0].Connects == 3 })
	reaches(t, a, r, "t", "newer")
}

func TestTLSFilesMissing(t *testing.T) {
	if _, err := Open(Config{TLS: &TLSFiles{Cert: "none.crt", Key: "none.key", CA: "none.ca"}}, &recorder{}); err == nil || !strings.Contains(err.Error(), "none.crt") {
		t.Errorf("error %v", err)
	}
	if err := pub(t, Limits{}, nil).Reload(); err != nil {
		t.Errorf("Reload without TLS: %v", err)
	}
}

// TestTLSSilence: a peer that says nothing before or within TLS.
func TestTLSSilence(t *testing.T) {
	ca := newAuthority(t)
	a := open(t, Config{
		Host: "a", Bind: []string{"tcp://127.0.0.1:0"}, TLS: ca.issue(t, "a", "a"),
		Limits: Limits{Handshake: 100 * time.Millisecond},
	}, nil)
	c := dialRaw(t, a.Addrs()[0])
	_, _ = io.WriteString(c, "\x16\x03\x01\x02\x00")
	cutOff(t, c)
	eventually(t, "timeout counted", func() bool { return a.Stats().Refused[reasonTimeout] == 1 })
}
