package scopedlog

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
)

func TestLevelsOfScopes(t *testing.T) {
	levels, err := ParseLevels("warn, ring=debug,http=error")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	beneath := slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: levels.Least(),
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key != slog.MessageKey {
				return slog.Attr{}
			}
			return a
		},
	})
	log := slog.New(New(beneath, levels))
	log.Info("a")
	log.Warn("b")
	log.With(Key, "ring").Debug("c")
	log.With(Key, "ring", "x", 1).WithGroup("g").With(Key, "http").Debug("d")
	log.With(Key, "http").Warn("e")
	log.With(Key, "http").Error("f")
	log.With(Key, "other").Info("g")
	log.Debug("h", Key, "ring")
	log.Warn("i", Key, "http")
	log.WithGroup("g").Debug("j", Key, "ring")
	if got, want := out.String(), "msg=b\nmsg=c\nmsg=d\nmsg=f\nmsg=h\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if log.With(Key, "http").Enabled(context.Background(), slog.LevelWarn) {
		t.Error("a scope's lower level is enabled")
	}
}

func TestMistakesInLevels(t *testing.T) {
	for _, text := range []string{"", "loud", "info,debug", "=info", "ring=", "info,ring"} {
		if levels, err := ParseLevels(text); err == nil {
			t.Errorf("%q is %+v", text, levels)
		}
	}
}
