package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// endGroup ends all processes of a group at once, and waits until none has a port, a socket or a lock any more: what
// starts next would meet it.
func endGroup(t testing.TB, group int) {
	t.Helper()
	syscall.Kill(-group, syscall.SIGKILL)
	Eventually(t, fmt.Sprintf("the processes of group %d are dead", group), func() bool { return !lives(group) })
}

// lives says whether a group has a process that is more than the memory of one.
func lives(group int) bool {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range all {
		text, _ := os.ReadFile(file)
		_, rest, _ := strings.Cut(string(text), ") ") // of the program's name
		var state string
		var parent, its int
		if n, _ := fmt.Sscan(rest, &state, &parent, &its); n == 3 && its == group && state != "Z" && state != "X" {
			return true
		}
	}
	return false
}
