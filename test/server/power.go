package server

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

//go:embed synced.c.txt
var syncedC string

// WatchSyncs makes the server note, from its next start on, how much of its AOF is on the disk. PowerLoss needs it.
func (r *Redis) WatchSyncs() {
	r.t.Helper()
	r.environ = append(os.Environ(), "LD_PRELOAD="+library(r.t, r.Dir, "synced", syncedC))
}

// diskless is the environ of servers that are not there for their disk: one that waits for a disk which is busy with
// other work would be replaced, or take no mail for a while.
func diskless(t testing.TB) []string {
	t.Helper()
	return append(os.Environ(), "LD_PRELOAD="+library(t, t.TempDir(), "diskless",
		"int fdatasync(int fd) { return 0; }\nint fsync(int fd) { return 0; }\n"))
}

// library compiles what is to be preloaded into a server.
func library(t testing.TB, dir, name, text string) string {
	t.Helper()
	lib, source := filepath.Join(dir, name+".so"), filepath.Join(dir, name+".c")
	write(t, source, text)
	if out, err := exec.Command(Program(t, "cc"), "-shared", "-fPIC", "-O1", "-o", lib, source,
		"-ldl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return lib
}

// PowerLoss kills the server and takes from its AOF whatever was not yet on the disk, and says how many bytes that
// were. The kernel of this machine lives on, and would have written them.
func (r *Redis) PowerLoss() (cut int64) {
	r.t.Helper()
	r.Kill()
	files, _ := filepath.Glob(filepath.Join(r.Dir, "appendonlydir", "*.incr.aof"))
	if len(files) == 0 {
		r.t.Fatal("there is no AOF to cut")
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			r.t.Fatal(err)
		}
		text, _ := os.ReadFile(file + ".synced") // none: nothing of it is
		size, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if cut += info.Size() - size; info.Size() > size {
			if err := os.Truncate(file, size); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	return cut
}
