package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// The bounds of a shutdown.
const (
	drainTime = 10 * time.Second // for requests that are being answered
	closeTime = 10 * time.Second // for commits and links after that
)

// daemon runs a node and its HTTP interface.
type daemon struct {
	console  *console
	settings *serveSettings
	log      *slog.Logger

	mu    sync.Mutex
	certs *certificates // nil without HTTPS
	node  *openNode     // nil until it is open
}

// run opens everything, serves until ctx ends or the node fails, and closes everything.
func (d *daemon) run(ctx context.Context) error {
	s := d.settings
	listener, connections, scheme, err := d.listen()
	if err != nil {
		return err
	}
	warnOfEnds(d.log, time.Now(), s.https.cert, s.ringTLS.cert)
	waiting := &gate{}
	requests := &boundedRequests{next: waiting, most: connections.most}
	server := &http.Server{
		Handler:           requests,
		HTTP2:             http2Limits(s.answerTimeout),
		ReadHeaderTimeout: s.openTimeout, ReadTimeout: s.readTimeout, IdleTimeout: s.idleTimeout,
		// Body, wait and answer. Streamed answers extend it with every part that is taken.
		WriteTimeout:   s.readTimeout + s.maxWait + s.answerTimeout,
		MaxHeaderBytes: int(min(s.maxHeader, 1<<30)),
		ErrorLog:       slog.NewLogLogger(d.log.With("scope", "http").Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	registry := prometheus.NewRegistry()
	registry.MustRegister(append(connections.collectors(), requests.collectors()...)...)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	node, err := openNodeAt(ctx, s, d.log, registry)
	if err != nil {
		server.Close() //nolint:errcheck // the reason to stop is err
		if ctx.Err() != nil {
			return nil // told to stop before it was open
		}
		return oneLine(err)
	}
	d.mu.Lock()
	d.node = node
	d.mu.Unlock()
	waiting.let(node.handler())
	fmt.Fprintf(d.console.out, "http %s://%s\n", scheme, listener.Addr())
	for _, address := range node.pubAddrs() {
		fmt.Fprintf(d.console.out, "pub %s\n", address)
	}
	var failure error
	select {
	case <-ctx.Done():
	case err := <-served:
		failure = fmt.Errorf("http: %w", err)
	case err := <-node.fatal():
		failure = fmt.Errorf("the node had to stop: %w", err)
	}
	return errors.Join(failure, d.shutdown(server, node))
}

// listen binds the address of the HTTP interface.
func (d *daemon) listen() (net.Listener, *boundedListener, string, error) {
	s := d.settings
	certs, err := newCertificates(s.https)
	if err != nil {
		return nil, nil, "", err
	}
	d.mu.Lock()
	d.certs = certs
	d.mu.Unlock()
	listener, err := net.Listen("tcp", s.http)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, nil, "", fmt.Errorf("http %s: the address is in use: another program listens there; choose another with --http", s.http)
	case err != nil:
		return nil, nil, "", fmt.Errorf("http %s: %w", s.http, err)
	}
	bounded := newBoundedListener(listener, s.maxConnections)
	if certs == nil {
		return bounded, bounded, "http", nil
	}
	return tls.NewListener(bounded, certs.config()), bounded, "https", nil
}

// shutdown stops taking requests, lets those under way end, and then closes the node, so that
// every update that was answered is committed.
func (d *daemon) shutdown(server *http.Server, node *openNode) error {
	node.unready()
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		d.log.Warn("requests_cut_off", "after", drainTime, "err", err)
		server.Close() //nolint:errcheck // nothing is left to do about it
	}
	ctx, cancel = context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := node.close(ctx); err != nil {
		return oneLine(fmt.Errorf("closing the node: %w", err))
	}
	d.log.Info("stopped")
	return nil
}

// reload reads tokens and certificates again. What cannot be read leaves the former in use.
func (d *daemon) reload() {
	d.mu.Lock()
	certs, node := d.certs, d.node
	d.mu.Unlock()
	var errs []error
	if certs != nil {
		errs = append(errs, certs.reload())
	}
	if node != nil {
		errs = append(errs, node.reload())
	}
	if err := errors.Join(errs...); err != nil {
		d.log.Error("reload_failed", "err", flatten(err.Error()))
		return
	}
	warnOfEnds(d.log, time.Now(), d.settings.https.cert, d.settings.ringTLS.cert)
	d.log.Info("reloaded")
}
