package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
)

// A Redis that is away is to be started, and one that hangs to be started again.
func TestWhatToDoAboutRedisIsSaid(t *testing.T) {
	c := &ctl{file: "c.toml", config: &config.Config{}}
	for why, want := range map[error]string{
		syscall.ECONNREFUSED:   "no Redis listens at redis.addresses of c.toml: start it",
		os.ErrDeadlineExceeded: "does not answer: restart it if it hangs",
	} {
		if got := c.fix(fmt.Errorf("%w: %w", holdstore.ErrUnavailable, why)); !strings.Contains(got, want) {
			t.Errorf("%v: %q", why, got)
		}
	}
}
