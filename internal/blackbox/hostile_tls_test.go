package blackbox

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// authority issues certificates into a directory of its own.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	ca   string // PEM file
}

// identity is a certificate with its key.
type identity struct{ cert, key string }

func (i identity) pair(t *testing.T) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(i.cert, i.key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key = newKey(t)
	a.cert = blank("authority", time.Hour)
	a.cert.IsCA, a.cert.BasicConstraintsValid, a.cert.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.ca = a.file("ca.pem", "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func blank(name string, left time.Duration) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(left),
	}
}

func (a *authority) file(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue makes a certificate for hosts, names or addresses, that is good for so long from now.
func (a *authority) issue(file string, left time.Duration, hosts ...string) identity {
	a.t.Helper()
	key, leaf := newKey(a.t), blank(file, left)
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return identity{a.file(file+".pem", "CERTIFICATE", der), a.file(file+"-key.pem", "PRIVATE KEY", keyDER)}
}

// pool is what trusts the authority and nobody else.
func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	text, err := os.ReadFile(a.ca)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		a.t.Fatal(err)
	}
	return pool
}

// ask makes one request over a connection of its own.
func ask(url string, conf *tls.Config) (int, error) {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	a, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, a.Body)
	return a.StatusCode, errors.Join(err, a.Body.Close())
}

// serveTLS runs a node alone with a certificate, and waits until it is alive.
func serveTLS(t *testing.T, i identity, args ...string) (p *process, addr string) {
	t.Helper()
	addr = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	p = serve(t, addr, append([]string{
		"--pub", fmt.Sprintf("tcp://127.0.0.1:%d", freePort(t)), "--data", t.TempDir() + "/data", "--tls-cert", i.cert, "--tls-key", i.key,
	}, args...)...)
	eventually(t, addr+" is alive", func() error {
		status, err := ask("https://"+addr+"/readyz", &tls.Config{InsecureSkipVerify: true})
		if err == nil && status != 200 {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
	return p, addr
}

// TestHTTPSRefusesStrangers: a client believes no server but the right one, and the server no
// client certificate but one of its authority that is still good.
func TestHTTPSRefusesStrangers(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	_, addr := serveTLS(t, ours.issue("server", time.Hour, "127.0.0.1"), "--tls-client-ca", ours.ca, "--header-timeout", "1s")
	read := "https://" + addr + "/v1/statistics"
	trusting := func(i *identity) *tls.Config {
		conf := &tls.Config{RootCAs: ours.pool()}
		if i != nil {
			pair := i.pair(t)
			// Whatever authorities the server names: a stranger shows what it has.
			conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		return conf
	}
	good, foreign := ours.issue("client", time.Hour), others.issue("client", time.Hour)
	expired := ours.issue("expired-client", -time.Hour)
	if status, err := ask(read, trusting(&good)); status != 200 {
		t.Errorf("the right certificate: %d, %v", status, err)
	}
	if status, err := ask(read, trusting(nil)); status != 401 {
		t.Errorf("no certificate: %d, %v", status, err)
	}
	for what, i := range map[string]identity{"another authority's": foreign, "an expired": expired} {
		if status, err := ask(read, trusting(&i)); err == nil || !strings.Contains(err.Error(), "remote error: tls") {
			t.Errorf("%s client certificate: %d, %v", what, status, err)
		}
	}
	if _, err := ask(read, &tls.Config{RootCAs: others.pool()}); !isUnknownAuthority(err) {
		t.Errorf("a server of another authority: %v", err)
	}
	if _, err := ask(read, &tls.Config{RootCAs: ours.pool(), MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if status, _ := ask("http://"+addr+"/livez", nil); status != 400 {
		t.Errorf("HTTP in clear: %d", status)
	}
	begun := time.Now()
	for range 50 { // handshakes that do not begin, and some that do not go on
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte("\x16\x03\x01\x02\x00\x01"))
		defer func() {
			_ = c.SetReadDeadline(begun.Add(20 * time.Second))
			if _, err := bufio.NewReader(c).ReadByte(); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a handshake that stopped is waited for")
			}
		}()
	}
	if status, err := ask(read, trusting(&good)); status != 200 {
		t.Errorf("beside silent handshakes: %d, %v", status, err)
	}
}

// TestClientAuthorityIsChanged: what docs/OPERATING.md says of revoking client certificates. From the
// signal on those of the former authority are refused, also to whoever resumes a session.
func TestClientAuthorityIsChanged(t *testing.T) {
	former, next := newAuthority(t), newAuthority(t)
	authorities := filepath.Join(t.TempDir(), "clients.pem")
	trust := func(all ...*authority) {
		var text []byte
		for _, a := range all {
			pem, err := os.ReadFile(a.ca)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, pem...)
		}
		if err := os.WriteFile(authorities, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust(former)
	p, addr := serveTLS(t, former.issue("server", time.Hour, "127.0.0.1"), "--tls-client-ca", authorities)
	revoked, good := former.issue("client", time.Hour), next.issue("client", time.Hour)
	sessions := tls.NewLRUClientSessionCache(4)
	try := func(i identity, sessions tls.ClientSessionCache) error {
		pair := i.pair(t)
		status, err := ask("https://"+addr+"/v1/statistics", &tls.Config{
			RootCAs: former.pool(), ClientSessionCache: sessions,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
		})
		if err == nil && status != 200 {
			err = fmt.Errorf("status %d", status)
		}
		return err
	}
	for range 2 { // the second resumes the session of the first
		if err := try(revoked, sessions); err != nil {
			t.Fatal(err)
		}
	}
	trust(former, next) // while both are in use
	p.signal(syscall.SIGHUP)
	eventually(t, "the next authority counts", func() error { return try(good, nil) })
	if err := try(revoked, nil); err != nil {
		t.Errorf("the former authority beside it: %v", err)
	}
	trust(next)
	p.signal(syscall.SIGHUP)
	eventually(t, "the former authority counts no more", func() error {
		if try(revoked, nil) == nil {
			return errors.New("it does")
		}
		return nil
	})
	if try(revoked, sessions) == nil {
		t.Error("a session that began before is resumed")
	}
	if err := try(good, nil); err != nil {
		t.Error(err)
	}
}

func isUnknownAuthority(err error) bool {
	var unknown x509.UnknownAuthorityError
	return errors.As(err, &unknown)
}

// TestHTTPSClientsRefuse: the command line does not talk to a server whose certificate has expired
// or is another host's, and says why in one line.
func TestHTTPSClientsRefuse(t *testing.T) {
	ours := newAuthority(t)
	for what, c := range map[string]struct {
		server identity
		want   string
	}{
		"expired":      {ours.issue("expired", -time.Minute, "127.0.0.1"), "expired"},
		"another host": {ours.issue("elsewhere", time.Hour, "elsewhere.example"), "127.0.0.1"},
	} {
		p, addr := serveTLS(t, c.server)
		if warned := strings.Contains(p.log.String(), "certificate_expired"); warned != (what == "expired") {
			t.Errorf("%s: the node warns of its own certificate: %t", what, warned)
		}
		code, output := run(t, "counter", "get", "calls", "--url", "https://"+addr, "--ca", ours.ca, "--retry", "0s")
		if code != 1 || !strings.Contains(output, c.want) || strings.Count(strings.TrimSpace(output), "\n") > 0 {
			t.Errorf("%s: exit %d: %s", what, code, output)
		}
	}
}

// TestRingRefusesStrangers: a node whose certificate is of another authority, has expired or is made
// out to another host is not heard in the ring; with the right one it is, and nothing is lost.
func TestRingRefusesStrangers(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	c := newCluster(t, exampleFile(t, "pair"))
	hosts := c.topo.Members()
	start := func(host string, i identity, ca string) *process {
		node, _ := c.topo.Node(host)
		return serve(t, node.HTTP, "--topology", filepath.Join(c.dir, "topology.toml"), "--host", host, "--data", c.data(host),
			"--ring-tls-cert", i.cert, "--ring-tls-key", i.key, "--ring-tls-ca", ca, "--log-format", "json").ready()
	}
	a := start(hosts[0], ours.issue("a", time.Hour, hosts[0]), ours.ca)
	for i, bad := range []struct {
		what string
		is   identity
		ca   string
		// It may not even listen: a stranger to us. Another host of our authority may.
		subscribes bool
	}{
		{"another authority's", others.issue("b", time.Hour, hosts[1]), ours.ca, false},
		{"of a ring of its own", others.issue("b2", time.Hour, hosts[1]), others.ca, false},
		{"expired", ours.issue("b-expired", -time.Minute, hosts[1]), ours.ca, false},
		{"another host's", ours.issue("b-elsewhere", time.Hour, "elsewhere"), ours.ca, true},
	} {
		b := start(hosts[1], bad.is, bad.ca)
		failed, refused := tlsFailures(t, a)
		name := fmt.Sprintf("/v1/counters/bad-%d", i)
		b.must("PUT", name, `{"expire":"never"}`)
		b.must("POST", name, `{"amount":"1"}`)
		eventually(t, "the certificate is refused: "+bad.what, func() error {
			f, r := tlsFailures(t, a)
			if f <= failed || r <= refused && !bad.subscribes && bad.ca == ours.ca {
				return fmt.Errorf("%v connections of ours failed, before %v; %v of theirs, before %v", f, failed, r, refused)
			}
			return nil
		})
		if err := a.names(hosts[1]); err != nil {
			t.Errorf("%s: %v", bad.what, err)
		}
		if got, err := a.call("GET", name, ""); err != nil || got.status != 404 {
			t.Errorf("%s: what the stranger says is heard: %v %+v", bad.what, err, got)
		}
		b.stop()
	}
	strangersAtThePort(t, c, hosts[0])
	b := start(hosts[1], ours.issue("b-good", time.Hour, hosts[1]), ours.ca)
	for i := range 4 {
		eventually(t, "what was counted apart is known", func() error {
			var got changed
			if err := a.get(fmt.Sprintf("/v1/counters/bad-%d", i), &got); err != nil || got.Value != "1" {
				return fmt.Errorf("%v, %+v", err, got)
			}
			return nil
		})
	}
	c.nodes[hosts[0]], c.nodes[hosts[1]] = a, b
	c.coherent()
}

// tlsFailures counts the handshakes of links that TLS ended: those that the node began, and those
// that others began with it.
func tlsFailures(t *testing.T, p *process) (failed, refused float64) {
	t.Helper()
	a, err := p.call("GET", "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(a.body)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		var v float64
		_, _ = fmt.Sscan(text, &v)
		switch {
		case !strings.Contains(name, `reason="tls"`):
		case strings.Contains(name, "failed_handshakes_total"):
			failed += v
		case strings.Contains(name, "refused_handshakes_total"):
			refused += v
		}
	}
	return failed, refused
}

// strangersAtThePort come to a port of the ring in clear, and without a certificate.
func strangersAtThePort(t *testing.T, c *cluster, host string) {
	t.Helper()
	node, _ := c.topo.Node(host)
	addr := strings.TrimPrefix(node.Pub, "tcp://")
	for _, greeting := range []string{
		"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + strings.Repeat("\x00", 48), "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, greeting)
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		got, err := io.ReadAll(conn)
		if errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(got), "NULL") {
			t.Errorf("%.8q is answered with %q, %v", greeting, got, err)
		}
		conn.Close()
	}
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err == nil {
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
}
