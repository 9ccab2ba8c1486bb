package settings

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

type sample struct {
	set  Set
	name string
	size int64
	wait time.Duration
	on   bool
	list []string
	mode string
}

func newSample() *sample {
	c := &sample{set: Set{Prefix: "T_"}}
	c.set.Text(&c.name, "name", "nobody", "a name")
	c.set.Size(&c.size, "max_size", "1KiB", "a size")
	c.set.Duration(&c.wait, "ring_wait", "3s", "a wait")
	c.set.Bool(&c.on, "on", "a switch")
	c.set.List(&c.list, "list", "x,y", "a list")
	c.set.Choice(&c.mode, "mode", "a choice", "slow", "fast")
	return c
}

func (c *sample) resolve(t *testing.T, file string, env []string, args ...string) Problems {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c.set.Flags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	from := Sources{Flags: flags, Env: env}
	if file != "" {
		from.File = filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(from.File, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c.set.Resolve(from)
}

func TestPrecedence(t *testing.T) {
	c := newSample()
	file := "name = 'file'\nmax_size = 2048\non = true\nlist = ['p', 'q']\n[ring]\nwait = '7s'\n"
	env := []string{"T_NAME=env", "T_MODE=fast", "T_LIST=", "OTHER=1"}
	if ps := c.resolve(t, file, env, "--name", "flag", "--list", "a", "--list", "b,c"); len(ps) > 0 {
		t.Fatal(ps)
	}
	if c.name != "flag" || c.size != 2048 || c.wait != 7*time.Second || !c.on || c.mode != "fast" ||
		!slices.Equal(c.list, []string{"a", "b", "c"}) {
		t.Errorf("got %+v", c)
	}
	for key, want := range map[string]string{"name": "flag --name", "mode": "environment T_MODE", "ring_wait": "c.toml:6:1"} {
		if got := c.set.Source(key); !strings.HasSuffix(got, want) {
			t.Errorf("%s came from %q, want %q", key, got, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	c := newSample()
	if ps := c.resolve(t, "", nil); len(ps) > 0 {
		t.Fatal(ps)
	}
	if c.name != "nobody" || c.size != 1024 || c.wait != 3*time.Second || c.on || c.mode != "slow" || len(c.list) != 2 {
		t.Errorf("got %+v", c)
	}
	var problems Problems
	c.set.Fallback("name", "entry", "elsewhere", &problems)
	c.set.Fallback("mode", "wild", "elsewhere", &problems)
	if c.name != "entry" || c.set.Source("name") != "elsewhere" || len(problems) != 1 || c.set.OK("mode") {
		t.Errorf("got %q, problems %v", c.name, problems)
	}
}

func TestPrintedConfigurationReadsBack(t *testing.T) {
	c := newSample()
	if ps := c.resolve(t, "", nil, "--name", "a \"b\" \\ \u2028\n#", "--max-size=9MiB", "--on", "--list", ""); len(ps) > 0 {
		t.Fatal(ps)
	}
	var printed bytes.Buffer
	if err := c.set.Print(&printed); err != nil {
		t.Fatal(err)
	}
	again := newSample()
	if ps := again.resolve(t, printed.String(), nil); len(ps) > 0 {
		t.Fatalf("%v in\n%s", ps, &printed)
	}
	if again.name != c.name || again.size != c.size || again.on != c.on || !slices.Equal(again.list, c.list) {
		t.Errorf("%+v reads back as %+v", c, again)
	}
}

func TestEveryMistakeIsListed(t *testing.T) {
	c := newSample()
	file := "nam = 1\nring_wait = 5\nname = 'x'\n[ring]\nlost = 1\n[[mode]]\n"
	ps := c.resolve(t, file, []string{"T_MODE=wild"}, "--max-size", "-1", "--on=perhaps")
	var got []string
	for _, p := range ps {
		_, text, _ := strings.Cut(p.String(), "c.toml")
		if text == "" {
			text = p.String()
		}
		got = append(got, text)
	}
	want := []string{
		`:1:1: "nam" is not a setting (did you mean name?)`,
		`:2:1: ring_wait: a duration is wanted here`,
		`:5:1: "ring_lost" is not a setting`,
		`:6:3: a list of tables, "mode", is not a setting`,
		`flag --max-size: max_size: "-1" is no size above 0`,
		`flag --on: on: "perhaps" is neither true nor false`,
		`environment T_MODE: mode: "wild" is not known (write one of slow, fast)`,
	}
	if len(got) != len(want) {
		t.Fatalf("got\n%s", strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

func TestUnknownVariables(t *testing.T) {
	c := newSample()
	ps := c.set.Unknown([]string{"T_NAMES=1", "T_NAME=1", "T_SERVICE_PORT_8080_TCP=1", "T_NODE=1", "NAMES=1"}, "node")
	if len(ps) != 1 || ps[0].Source != "environment T_NAMES" || ps[0].Remedy != "did you mean T_NAME?" {
		t.Errorf("got %v", ps)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "64KiB": 65536, "2 MiB": 2 << 20, "1GiB": 1 << 30, "5kB": 5000, "7B": 7} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "1.5MiB", "x", "9223372036854775807KiB", "KiB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("name = 'x'\n[ring]\nwait = \"1s\"\n")
	f.Add("list = ['a', 1]\n[[x]]\na.b.c = {d = 1}\n")
	f.Fuzz(func(t *testing.T, text string) {
		newSample().resolve(t, text, nil) // must not panic
	})
}
