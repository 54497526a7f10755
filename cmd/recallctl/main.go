// Command recallctl is the administrator's hand on the hold store. It works straight on Redis, also while the daemon
// is down.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "unknown"

// Exit codes of the contract.
const (
	exitNothing = 1
	exitTooLate = 2
	exitUsage   = 64
	exitStore   = 69
	exitConfig  = 78
)

// exit is an error with its exit code; words go to standard error.
type exit struct {
	code  int
	words string
}

func (e *exit) Error() string { return e.words }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &ctl{stdin: stdin, stdout: stdout, stderr: stderr}
	defer c.close()
	root := c.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil || ctx.Err() != nil {
		return 0
	}
	fmt.Fprintln(stderr, "recallctl:", err)
	var e *exit
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, holdstore.ErrUnavailable), errors.Is(err, holdstore.ErrNotDurable):
		return exitStore
	}
	return exitUsage
}

// ctl is one invocation.
type ctl struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	file     string
	json     bool
	yes, all bool
	dryRun   bool
	states   []string
	query    holdstore.Query
	since    time.Duration
	store    *holdstore.Store
	reason   string
	extendBy time.Duration
}

func (c *ctl) close() {
	if c.store != nil {
		c.store.Close()
	}
}

// open reads the config and makes the store's client.
func (c *ctl) open(*cobra.Command, []string) error {
	conf, err := config.Load(c.file)
	if err != nil {
		return &exit{exitConfig, err.Error()}
	}
	if c.store, err = wiring.Store(conf); err != nil {
		return &exit{exitConfig, err.Error()}
	}
	return nil
}

// act says who does it, for the timeline and the audit trail.
func (c *ctl) act() holdstore.Act {
	a := holdstore.Act{By: fmt.Sprintf("uid %d", os.Getuid()), Reason: c.reason}
	if u, err := user.Current(); err == nil {
		a.By = fmt.Sprintf("%s (uid %s)", u.Username, u.Uid)
	}
	if real := os.Getenv("SUDO_USER"); real != "" {
		a.By += " for " + real
	}
	a.From, _ = os.Hostname()
	return a
}
