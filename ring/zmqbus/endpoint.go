package zmqbus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// endpoint is a parsed tcp://host:port or ipc://path.
type endpoint struct {
	network string // "tcp" or "unix"
	addr    string // for net.Listen and net.Dial
	host    string // of tcp, without brackets; "" for ipc
}

// parseEndpoint reads tcp://host:port and ipc://path. To bind, the host may
// be * or empty, for all interfaces, and the port * or 0, for a free one.
func parseEndpoint(text string, bind bool) (endpoint, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case !ok:
		return endpoint{}, fmt.Errorf("endpoint %q: want tcp://host:port or ipc://path", text)
	case scheme == "ipc" && rest != "" && rest != "*":
		return endpoint{network: "unix", addr: rest}, nil
	case scheme == "ipc":
		return endpoint{}, fmt.Errorf("endpoint %q: want ipc://path", text)
	case scheme != "tcp":
		return endpoint{}, fmt.Errorf("endpoint %q: unknown transport %q, want tcp or ipc", text, scheme)
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return endpoint{}, fmt.Errorf("endpoint %q: want tcp://host:port (IPv6 as tcp://[::1]:port): %w", text, err)
	}
	if bind {
		if host == "*" {
			host = ""
		}
		if port == "*" {
			port = "0"
		}
	} else if host == "" || host == "*" || port == "" || port == "0" || port == "*" {
		return endpoint{}, fmt.Errorf("endpoint %q: want a host and a port to connect to", text)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return endpoint{}, fmt.Errorf("endpoint %q: bad port: %w", text, err)
	}
	return endpoint{network: "tcp", addr: net.JoinHostPort(host, port), host: host}, nil
}

// keepAlive finds a host that vanished without a word within half a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// listen binds the endpoint. A port or path in use is one clear error that
// wraps syscall.EADDRINUSE. A socket file nobody listens on is replaced.
func (e endpoint) listen() (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	l, err := lc.Listen(context.Background(), e.network, e.addr)
	if e.network == "unix" && errors.Is(err, syscall.EADDRINUSE) && e.abandoned() {
		if os.Remove(e.addr) == nil {
			l, err = lc.Listen(context.Background(), e.network, e.addr)
		}
	}
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot bind %s: already in use by another process: %w", e, syscall.EADDRINUSE)
	default:
		return nil, fmt.Errorf("cannot bind %s: %w", e, err)
	}
}

// abandoned reports whether the path is a socket nobody listens on.
func (e endpoint) abandoned() bool {
	st, err := os.Lstat(e.addr)
	if err != nil || st.Mode()&os.ModeSocket == 0 {
		return false
	}
	c, err := net.DialTimeout("unix", e.addr, time.Second)
	if err == nil {
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func (e endpoint) String() string {
	if e.network == "unix" {
		return "ipc://" + e.addr
	}
	return "tcp://" + e.addr
}

// bound is the endpoint a listener really got.
func (e endpoint) bound(l net.Listener) string {
	if e.network == "unix" {
		return e.String()
	}
	return "tcp://" + l.Addr().String()
}
