//go:build !linux

package devring

import "os/exec"

// tie does nothing: only Linux ends a child when its parent is killed.
func tie(*exec.Cmd) {}
