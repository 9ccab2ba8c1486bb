// Package scopedlog is an slog handler with a level for each part of a program.
//
// A logger's part is its attribute "scope", outside any group: log.With("scope", "ring").
package scopedlog

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// Key is the attribute that names the part of the program a record comes from.
const Key = "scope"

// Levels are the least levels that are logged. They are not changed once made.
type Levels struct {
	Default slog.Level
	Scopes  map[string]slog.Level
}

// ParseLevels reads a list such as "info,ring=debug": a level for everything and others for
// scopes. What is left out is info.
func ParseLevels(text string) (Levels, error) {
	levels := Levels{Default: slog.LevelInfo, Scopes: map[string]slog.Level{}}
	defaults := 0
	for part := range strings.SplitSeq(text, ",") {
		scope, name, scoped := strings.Cut(strings.TrimSpace(part), "=")
		if !scoped {
			name = scope
			defaults++
		}
		level, err := parseLevel(name)
		switch {
		case err != nil:
			return Levels{}, err
		case defaults > 1:
			return Levels{}, fmt.Errorf("two levels for everything in %q", text)
		case !scoped:
			levels.Default = level
		case scope == "":
			return Levels{}, fmt.Errorf("a level without its scope in %q", text)
		default:
			levels.Scopes[scope] = level
		}
	}
	return levels, nil
}

func parseLevel(name string) (slog.Level, error) {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is none of debug, info, warn, error", name)
}

// Least is the lowest level that any scope logs: the level for the handler beneath.
func (l Levels) Least() slog.Level {
	least := l.Default
	for _, level := range l.Scopes {
		least = min(least, level)
	}
	return least
}

func (l Levels) of(scope string) slog.Level {
	if level, ok := l.Scopes[scope]; ok {
		return level
	}
	return l.Default
}

// New returns a handler that passes on to next what is at or above the level of its scope.
func New(next slog.Handler, levels Levels) slog.Handler {
	return &handler{next: next, levels: levels, least: levels.Least()}
}

type handler struct {
	next    slog.Handler
	levels  Levels
	least   slog.Level
	scope   string // "" until With states it
	grouped bool   // attributes added now are inside a group
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	least := h.least // a record may still state its scope
	if h.scope != "" {
		least = h.levels.of(h.scope)
	}
	return level >= least && h.next.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	scope := h.scope
	if scope == "" && !h.grouped {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == Key {
				scope = a.Value.String()
			}
			return true
		})
	}
	if r.Level < h.levels.of(scope) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.next = h.next.WithAttrs(attrs)
	for _, a := range attrs {
		if a.Key == Key && !h.grouped {
			with.scope = a.Value.String()
		}
	}
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.next = h.next.WithGroup(name)
	with.grouped = true
	return &with
}
