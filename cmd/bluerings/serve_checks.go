package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"bluerings/internal/settings"
)

// checkAddress refuses what cannot be listened on.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not of the form host:port", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port from 0 to 65535", address)
	}
	return nil
}

// checkEndpoint refuses what cannot be bound for subscribers.
func checkEndpoint(endpoint string) error {
	if path, ok := strings.CutPrefix(endpoint, "ipc://"); ok && path != "" {
		return nil
	}
	address, ok := strings.CutPrefix(endpoint, "tcp://")
	if !ok {
		return fmt.Errorf("%q is neither a tcp:// nor an ipc:// endpoint", endpoint)
	}
	return checkAddress(address)
}

func (c *serveSettings) checkPub(problems *settings.Problems) {
	const remedy = `write "tcp://host:port", such as "tcp://127.0.0.1:4000", with port 0 for a free one, or "ipc://path"`
	if len(c.pub) == 0 {
		problems.Add(c.set.Source("pub"), "pub: no endpoint is given", remedy)
	}
	for _, e := range c.pub {
		if err := checkEndpoint(e); err != nil {
			problems.Add(c.set.Source("pub"), "pub: "+err.Error(), remedy)
		}
	}
}

// local reports whether an address, or an endpoint, is only reached from this machine.
func local(address string) bool {
	if strings.HasPrefix(address, "ipc://") {
		return true
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(address, "tcp://"))
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// checkPair checks the files of one side of TLS, whose keys begin with prefix. In the ring the
// authorities belong to it; for HTTP they are optional.
func (c *serveSettings) checkPair(prefix string, files tlsFiles, problems *settings.Problems) {
	certKey, keyKey, caKey := prefix+"_cert", prefix+"_key", prefix+"_client_ca"
	inRing := prefix == "ring_tls"
	if inRing {
		caKey = prefix + "_ca"
	}
	stated := map[string]string{certKey: files.cert, keyKey: files.key}
	if inRing {
		stated[caKey] = files.ca
	}
	if files == (tlsFiles{}) {
		return
	}
	complete := true
	for _, key := range []string{certKey, keyKey, caKey} {
		if text, needed := stated[key]; needed && text == "" {
			problems.Add("", fmt.Sprintf("%s is missing beside the other %s settings", key, prefix), "state it, or none of them")
			complete = false
		}
	}
	if files.cert != "" && files.key != "" {
		if _, err := tls.LoadX509KeyPair(files.cert, files.key); err != nil {
			problems.Add(c.set.Source(certKey), fmt.Sprintf("%s: %v", certKey, err), "name PEM files of a certificate and the key to it")
		}
	}
	if files.ca != "" && complete {
		if _, err := readAuthorities(files.ca); err != nil {
			problems.Add(c.set.Source(caKey), fmt.Sprintf("%s: %v", caKey, err), "name a PEM file of certificates")
		}
	}
}

func readAuthorities(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", path)
	}
	return pool, nil
}

// checkExposure refuses to be open to anyone who can reach this machine.
func (c *serveSettings) checkExposure(problems *settings.Problems) {
	if c.insecure {
		return
	}
	if c.set.OK("http") && !local(c.http) && c.tokenFile == "" && c.https.ca == "" {
		problems.Add(c.set.Source("http"), fmt.Sprintf("http: anyone who reaches %s could read and write", c.http),
			"state token_file, or tls_client_ca with tls_cert and tls_key, or listen on 127.0.0.1, or say --insecure")
	}
	if c.ringTLS != (tlsFiles{}) {
		return
	}
	const remedy = "state ring_tls_cert, ring_tls_key and ring_tls_ca, or say --insecure"
	for _, e := range c.pub {
		if checkEndpoint(e) == nil && !local(e) {
			problems.Add(c.set.Source("pub"), fmt.Sprintf("pub: anyone who reaches %s could take part in the ring", e), remedy)
		}
	}
	if c.topology == nil {
		return
	}
	for _, l := range c.topology.Upstreams(c.host) {
		if !local(l.Endpoint) {
			problems.Add(c.set.Source("topology"), fmt.Sprintf("peer %s at %s would be believed without TLS", l.From, l.Endpoint), remedy)
		}
	}
}

func (c *serveSettings) checkTokens(problems *settings.Problems) {
	if c.tokenFile == "" {
		return
	}
	if err := checkTokenFile(c.tokenFile); err != nil {
		problems.Add(c.set.Source("token_file"), "token_file: "+flatten(err.Error()), "'bluerings token new' prints a line for it")
	}
}
