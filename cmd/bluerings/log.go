package main

import (
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/lmittmann/tint"
)

// logHandler writes records for machines as JSON, for people at a terminal with colours, else as
// key=value.
func logHandler(w io.Writer, plain bool, format string, least slog.Level) slog.Handler {
	switch {
	case format == "json":
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least})
	case terminal(w) && !plain:
		return tint.NewTextHandler(w, &tint.Options{Level: least, TimeFormat: "15:04:05.000"})
	default:
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: least})
	}
}

// terminal reports whether a person sees what is written to w.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// flatten joins the lines of a text.
func flatten(text string) string {
	var parts []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, "; ")
}
