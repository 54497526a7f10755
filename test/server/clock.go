package server

import (
	_ "embed"
	"os"
	"path/filepath"
	"strconv"
)

//go:embed clock.c.txt
var clockC string

// OwnClock gives the server, from its next start on, a clock that SetClock sets.
func (r *Redis) OwnClock() {
	r.t.Helper()
	r.SetClock(0)
	r.environ = append(os.Environ(), "LD_PRELOAD="+library(r.t, r.Dir, "clock", clockC), "CLOCK="+r.clock())
}

// SetClock sets the clock of the server some seconds ahead of the machine's, or behind it.
func (r *Redis) SetClock(seconds int) {
	r.t.Helper()
	next := r.clock() + ".next"
	err := os.WriteFile(next, []byte(strconv.Itoa(seconds)), 0o600)
	if err == nil {
		err = os.Rename(next, r.clock())
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *Redis) clock() string { return filepath.Join(r.Dir, "clock") }
