package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"bluerings/internal/scopedlog"
	"bluerings/internal/settings"
)

func newServe(c *console) *cobra.Command {
	s := newServeSettings()
	var configFile string
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a node",
		Long: `Run a node until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reads tokens and
certificates again. The addresses that were bound are printed, one a line; the log goes to stderr.

A setting is taken from its flag, else from the environment (--max-body is BLUERINGS_MAX_BODY),
else from the file of --config (max_body = "1MiB"), else it has its default. With --topology, the
node's entry there gives the defaults of http and pub.`,
		Example: `  bluerings serve
  bluerings serve --topology topologies/star-5.toml --host a --data ./a
  bluerings serve --config /etc/bluerings.toml --print-config`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if configFile == "" {
				configFile = c.lookup(envPrefix + "CONFIG")
			}
			problems := s.resolve(settings.Sources{Flags: cmd.Flags(), Env: c.env, File: configFile})
			if len(problems) > 0 {
				return problems
			}
			if printConfig {
				return s.set.Print(c.out)
			}
			return serve(cmd.Context(), c, s)
		},
	}
	cmd.Flags().StringVar(&configFile, "config", "", "TOML file of settings; a key is a flag with _ for -")
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print the effective settings and where they come from, and exit")
	s.set.Flags(cmd.Flags())
	return cmd
}

// errForced ends the program without waiting for anything.
var errForced = errors.New("stopped by a second signal before everything was closed")

// serve runs a node until it fails, ctx ends or a signal comes.
func serve(ctx context.Context, c *console, s *serveSettings) error {
	d := &daemon{console: c, settings: s, log: newLogger(c.stderr, c.lookup("NO_COLOR") != "", s)}
	for _, p := range s.set.Unknown(c.env, "config", "url", "token", "ca", "cert", "key") {
		d.log.Warn("setting_unknown", "source", p.Source, "remedy", p.Remedy)
	}
	if s.insecure {
		d.log.Warn("insecure", "http", s.http, "pub", s.pub)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGHUP)
	defer signal.Stop(signals)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- d.run(ctx) }()
	for stopping := false; ; {
		select {
		case err := <-done:
			return err
		case sig := <-signals:
			switch {
			case sig == syscall.SIGHUP:
				d.reload()
			case stopping:
				return errForced
			default:
				d.log.Info("stopping", "signal", sig.String())
				stopping = true
				stop()
			}
		}
	}
}

// newLogger is the log of a daemon on w.
func newLogger(w io.Writer, plain bool, s *serveSettings) *slog.Logger {
	return slog.New(scopedlog.New(logHandler(w, plain, s.logFormat, s.logLevels.Least()), s.logLevels))
}

// oneLine is an error on one line, whatever it has in it.
func oneLine(err error) error {
	text := flatten(err.Error())
	if text == err.Error() {
		return err
	}
	return fmt.Errorf("%s", text)
}
