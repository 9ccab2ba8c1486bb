package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"bluerings/internal/client"
)

func newVerify(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Recount every total in a data directory from its tickets",
		Long: `Check the files of a data directory and recount every total from the tickets. The node must not
run. Each difference is printed; exit 1 if there is any.`,
		Example: `  bluerings verify ./bluerings-data`,
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			differences, err := verifyFiles(ctx, args[0], c.out)
			switch {
			case err != nil:
				return oneLine(err)
			case differences > 0:
				return fmt.Errorf("%s: %d differences", args[0], differences)
			default:
				return nil
			}
		},
	}
}

func newBackup(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE|-",
		Short: "Copy a running node's data into a file, or to standard output",
		Example: `  bluerings backup counters.backup
  bluerings backup - | gzip > counters.backup.gz`,
		Args: takes(1),
	}
	r := newRemote(c, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		node, err := r.connect(0)
		if err != nil {
			return err
		}
		resp, err := node.Open(ctx, client.Request{Method: http.MethodGet, Path: "/v1/backup"})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body := &counted{r: resp.Body}
		if args[0] == "-" {
			_, err = io.Copy(c.out, body)
		} else {
			err = writeWhole(args[0], body)
		}
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		fmt.Fprintf(c.stderr, "%d bytes\n", body.n)
		return nil
	}
	return cmd
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// writeWhole writes a file that is on disk as a whole when it appears under its name, readable by
// its owner alone.
func writeWhole(path string, from io.Reader) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = io.Copy(f, from)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func newRestore(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE|- DIR",
		Short: "Make a data directory from a backup",
		Long: `Make a data directory from a backup. The directory must not exist yet, or be empty. A node started
on it takes from its peers what happened since the backup.`,
		Example: `  bluerings restore counters.backup ./bluerings-data`,
		Args:    takes(2),
		RunE: func(_ *cobra.Command, args []string) error {
			from := c.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				from = f
			}
			if err := restoreFiles(from, args[1]); err != nil {
				return oneLine(fmt.Errorf("restore: %w", err))
			}
			return nil
		},
	}
}

// checkFilesCommand is how `serve` calls the command below.
const checkFilesCommand = "check-files"

// newCheckFiles is run by `serve` in a process of its own, which a damaged file may crash.
func newCheckFiles(c *console) *cobra.Command {
	return &cobra.Command{
		Use:    checkFilesCommand + " DIR",
		Short:  "Check the files of a data directory",
		Hidden: true,
		Args:   takes(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if code := checkFiles(args[0], c.out, c.stderr); code != exitOK {
				return exitStatus(code)
			}
			return nil
		},
	}
}
