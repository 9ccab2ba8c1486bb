package devring

import (
	"os/exec"
	"syscall"
)

// tie makes a child die with this process, even if that is killed, and keeps the terminal's Ctrl-C
// from it: the supervisor decides when it stops.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
