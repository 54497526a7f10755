// Command recallctl is the administrator's hand on the hold store. It works straight on Redis, also while the daemon
// is down.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// version is set by the build.
var version = "unknown"

// Exit codes of the contract.
const (
	exitNothing    = 1
	exitTooLate    = 2
	exitUsage      = 64
	exitStore      = 69
	exitNotAllowed = 77
	exitConfig     = 78
)

// gcPercent makes less work of collecting garbage: what a command keeps is small next to what it reads of a million
// messages. With gcMemory (bytes) it is collected as ever.
const (
	gcPercent = 400
	gcMemory  = 256 << 20
)

// exit is an error with its exit code; words go to standard error.
type exit struct {
	code  int
	words string
}

func (e *exit) Error() string { return e.words }

func usage(format string, args ...any) error { return &exit{exitUsage, fmt.Sprintf(format, args...)} }

// isNot ends an error about the value of a flag: a flag that was left out has none to show.
func isNot(value, allowed string) string {
	if value == "" {
		return ""
	}
	return fmt.Sprintf("; %q is not %s", value, allowed)
}

func main() {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(gcMemory)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return (&ctl{stdin: stdin, screen: newScreen(stdout, stderr)}).run(ctx, args)
}

func (c *ctl) run(ctx context.Context, args []string) int {
	defer c.close()
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if e := (*exit)(nil); err != nil && !errors.As(err, &e) && (cmd == root || cmd.Name() == "help") {
		err = unknown(err)
	}
	if err != nil && err.Error() != "" {
		fmt.Fprintln(c.stderr, "recallctl:", sanitize.TerminalText(strings.ReplaceAll(err.Error()+c.fix(err), "\t", "  ")))
	}
	if ctx.Err() != nil {
		return 128 + 2 // ended by SIGINT
	}
	return code(err)
}

// code is the exit code of an error.
func code(err error) int {
	var e *exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, fs.ErrPermission), errors.Is(err, holdstore.ErrNotAllowed):
		return exitNotAllowed
	case errors.Is(err, holdstore.ErrUnavailable), errors.Is(err, holdstore.ErrNotDurable),
		errors.Is(err, holdstore.ErrFull):
		return exitStore
	}
	return exitUsage
}
