package server

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// A server whose file may not grow gets an error from the kernel then, as on a full disk, and not a signal: those that
// are started by the tests inherit that the signal is ignored.
func init() { signal.Ignore(syscall.SIGXFSZ) }

// FillDisk leaves room for so many bytes more in the server's AOF, until FreeDisk or its end.
func (r *Redis) FillDisk(room int64) {
	r.t.Helper()
	largest := int64(0)
	files, _ := filepath.Glob(filepath.Join(r.Dir, "appendonlydir", "*"))
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			largest = max(largest, info.Size())
		}
	}
	limitFiles(r.t, r.cmd.Process.Pid, fmt.Sprint(largest+room))
}

// FreeDisk ends what FillDisk has begun.
func (r *Redis) FreeDisk() {
	r.t.Helper()
	limitFiles(r.t, r.cmd.Process.Pid, "unlimited")
}

func limitFiles(t testing.TB, pid int, size string) {
	t.Helper()
	if out, err := exec.Command(Program(t, "prlimit"), "--pid", fmt.Sprint(pid),
		"--fsize="+size+":unlimited").CombinedOutput(); err != nil {
		t.Fatalf("prlimit: %v\n%s", err, out)
	}
}
