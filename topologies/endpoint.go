package topologies

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The remedies for malformed addresses.
const (
	endpointRemedy = `write "tcp://host:port", such as "tcp://127.0.0.1:4001" or "tcp://[::1]:4001", or "ipc://path"`
	httpRemedy     = `write "host:port", such as "127.0.0.1:8081", or ":8081" for all addresses`
)

// endpoint is an address taken apart. An ipc endpoint has a path, the others host and port.
type endpoint struct {
	host string // without brackets; * or empty for all addresses
	port int    // 0 to 65535
	path string
}

// parseEndpoint takes apart what pub, bind and subscribe_to say. The error is the rest of a
// sentence that begins with the endpoint.
func parseEndpoint(s string) (endpoint, error) {
	switch {
	case len(s) > MaxEndpoint:
		return endpoint{}, fmt.Errorf("is longer than %d bytes", MaxEndpoint)
	case strings.HasPrefix(s, "tcp://"):
		e, err := parseAddress(s[len("tcp://"):])
		if err == nil && e.host == "" {
			err = fmt.Errorf("has no host")
		}
		return e, err
	case strings.HasPrefix(s, "ipc://"):
		path := s[len("ipc://"):]
		if path == "" {
			return endpoint{}, fmt.Errorf("has no path")
		}
		if !printable(path) {
			return endpoint{}, fmt.Errorf("has characters that cannot be printed")
		}
		return endpoint{path: path}, nil
	default:
		return endpoint{}, fmt.Errorf("is neither a tcp:// nor an ipc:// endpoint")
	}
}

// parseAddress takes apart host:port; the host may be empty.
func parseAddress(s string) (endpoint, error) {
	if len(s) > MaxEndpoint {
		return endpoint{}, fmt.Errorf("is longer than %d bytes", MaxEndpoint)
	}
	host, portText, err := net.SplitHostPort(s)
	if err != nil {
		return endpoint{}, fmt.Errorf("is not of the form host:port, with brackets round an IPv6 address")
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return endpoint{}, fmt.Errorf("has no port from 0 to 65535")
	}
	if host != "" && host != "*" && !hostLike(host) {
		return endpoint{}, fmt.Errorf("has no valid host")
	}
	return endpoint{host: strings.ToLower(host), port: int(port)}, nil
}

func hostLike(host string) bool {
	if strings.Contains(host, ":") {
		_, err := netip.ParseAddr(host)
		return err == nil && printable(host)
	}
	return validHost(host)
}

// everywhere reports whether the endpoint stands for all addresses of a machine.
func (e endpoint) everywhere() bool {
	if e.host == "*" || e.host == "" && e.path == "" {
		return true
	}
	ip, err := netip.ParseAddr(e.host)
	return err == nil && ip.IsUnspecified()
}

// ownMachine reports whether the address means something else on every machine.
func (e endpoint) ownMachine() bool {
	ip, err := netip.ParseAddr(e.host)
	return e.everywhere() || e.host == "localhost" || err == nil && ip.IsLoopback()
}

func (e endpoint) String() string {
	if e.path != "" {
		return "ipc://" + e.path
	}
	return net.JoinHostPort(e.host, strconv.Itoa(e.port))
}

// validHost reports whether a host name keeps the rules: 1 to MaxHostBytes of A-Z a-z 0-9 . _ -
func validHost(host string) bool {
	if len(host) < 1 || len(host) > MaxHostBytes {
		return false
	}
	for _, c := range []byte(host) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// validName reports whether the name of a ring or site keeps the rules: 1 to MaxNameBytes of
// printable UTF-8.
func validName(name string) bool {
	return len(name) >= 1 && len(name) <= MaxNameBytes && printable(name)
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
