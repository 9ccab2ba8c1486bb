//go:build !nodewired

package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

type openNode struct{}

var errPending = errors.New("the node is not part of this build")

func openNodeAt(context.Context, *serveSettings, *slog.Logger, *prometheus.Registry) (*openNode, error) {
	return nil, errPending
}
func (*openNode) handler() http.Handler       { return nil }
func (*openNode) pubAddrs() []string          { return nil }
func (*openNode) fatal() <-chan error         { return nil }
func (*openNode) unready()                    {}
func (*openNode) reload() error               { return nil }
func (*openNode) close(context.Context) error { return nil }

func checkTokenFile(string) error                                     { return nil }
func newTokenLine(name, scope string) (token, line string, err error) { return "", "", errPending }

func checkFiles(string, io.Writer, io.Writer) int                 { return 1 }
func restoreFiles(io.Reader, string) error                        { return errPending }
func verifyFiles(context.Context, string, io.Writer) (int, error) { return 0, errPending }
