// Package client talks to the HTTP interface of a node.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// MaxAnswerBytes bounds an answer that is read as a whole.
const MaxAnswerBytes = 64 << 20

// Options say which node to talk to and how.
type Options struct {
	URL           string // http://host:port or https://host:port
	Token         string // empty for none
	CA            string // PEM file of authorities; empty for those of the system
	Cert, Key     string // PEM files of a client certificate; both or neither
	UserAgent     string
	Connections   int           // kept open; 0 for a few
	HeaderTimeout time.Duration // longest wait for the head of an answer; 0 for ever
}

// Client talks to one node. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	http  *http.Client
	token string
	agent string
}

// New returns a client. It connects to nothing yet.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("url %q is not of the form http://host:port", o.URL)
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	conf, err := o.tls()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = conf
	transport.MaxIdleConnsPerHost = max(2, o.Connections)
	transport.MaxIdleConns = transport.MaxIdleConnsPerHost
	transport.ResponseHeaderTimeout = o.HeaderTimeout
	return &Client{base: base, http: &http.Client{Transport: transport}, token: o.Token, agent: o.UserAgent}, nil
}

func (o Options) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("authorities: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("authorities: no certificate in %s", o.CA)
		}
	}
	if (o.Cert == "") != (o.Key == "") {
		return nil, errors.New("a client certificate takes both --cert and --key")
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// URL is where the client talks to.
func (c *Client) URL() string { return c.base.String() }

// Segment is a name as one segment of a path.
func Segment(name string) string {
	if name == "." || name == ".." { // as they are they would walk up and down the path
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// Request is one call. Path is escaped already, see Segment.
type Request struct {
	Method, Path string
	Query        url.Values
	Header       http.Header
	Body         []byte
}

// Answer is an answer read as a whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON is the request with a body of JSON.
func (r Request) JSON(body any) Request {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("client: body %T: %v", body, err))
	}
	r.Body = text
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

// Do calls and reads the answer. An answer of 400 or above is an error of type *Problem.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	resp, err := c.Open(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswerBytes+1))
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", r.Method, c.base.Host, err)
	}
	if len(body) > MaxAnswerBytes {
		return Answer{}, fmt.Errorf("%s %s: the answer is larger than %d bytes", r.Method, c.base.Host, MaxAnswerBytes)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// Open calls and leaves the answer to be read; the caller closes its body. An answer of 400 or
// above is an error of type *Problem.
func (c *Client) Open(ctx context.Context, r Request) (*http.Response, error) {
	target := c.base.String() + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for key, values := range r.Header {
		req.Header[key] = values
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 {
		defer resp.Body.Close()
		return nil, readProblem(resp)
	}
	return resp, nil
}
