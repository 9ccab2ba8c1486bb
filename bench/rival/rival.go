// Package rival runs the programs that Blue Rings is compared with: on loopback, with data of their own,
// set up to do what the work asks for as well as they can.
package rival

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// program is a rival, or a tool, that is installed rather than linked.
type program struct{ name, pkg string }

var programs = []program{{"redis-server", "redis-server"}, {"redis-benchmark", "redis-tools"}, {"wrk", "wrk"}}

// Install installs what is missing, where there is an apt-get to use and this runs as root. What
// is still missing then is told by Missing.
func Install(ctx context.Context, log func(format string, args ...any)) {
	var want []string
	for _, p := range programs {
		if _, err := exec.LookPath(p.name); err != nil {
			want = append(want, p.pkg)
		}
	}
	if postgresBin() == "" {
		want = append(want, "postgresql")
	}
	if len(want) == 0 {
		return
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		log("not installed: %s", strings.Join(want, ", "))
		return
	}
	log("installing %s", strings.Join(want, ", "))
	for _, args := range [][]string{{"update"}, append([]string{"install", "-y", "--no-install-recommends"}, want...)} {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-qq"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			log("apt-get %s: %v\n%s", args[0], err, out)
			return
		}
	}
}

// Missing says that a program is not there, or is empty.
func Missing(name string) string {
	if name == "postgres" {
		if postgresBin() == "" {
			return "PostgreSQL is not installed"
		}
		return ""
	}
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Sprintf("%s is not installed", name)
	}
	return ""
}
