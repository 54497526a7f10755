// Command recall-web serves the page where senders take their mail back, and the API. It works straight on the hold
// store, as recallctl does: it and the daemon can each end without the other.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/recall-milter/recall-milter/internal/config"
)

// version is set by the build.
var version = "unknown"

// Exit codes of sysexits.h that supervisors and scripts know.
const (
	exitUsage  = 64
	exitFailed = 70
	exitConfig = 78
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("recall-web", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("c", config.DefaultFile, "config `file`, that of the daemon")
	check := flags.Bool("t", false, "check the config and exit")
	showVersion := flags.Bool("V", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		help(flags, stdout)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "recall-web: %v: see recall-web -h\n", err)
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "recall-web: unexpected argument %q: only flags are taken, see -h\n", flags.Arg(0))
		return exitUsage
	case *showVersion:
		fmt.Fprintln(stdout, "recall-web", version)
		return 0
	}
	c, err := config.Load(*file)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitConfig
	}
	w, err := newSite(c, *file, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "recall-web:", err)
		return exitConfig
	}
	defer w.store.Close()
	if *check {
		fmt.Fprintf(stdout, "recall-web: %s is valid\n", *file)
		return 0
	}
	if err := w.serve(ctx); err != nil {
		w.log.Dies(err)
		return exitFailed
	}
	return 0
}

// help prints what -h asks for.
func help(flags *flag.FlagSet, to io.Writer) {
	fmt.Fprint(to, `Usage: recall-web [-c FILE] [-t | -V]

Serve the page where senders see their held mail and take it back, and the API. It reads the table [web] of the daemon's
config, runs in the foreground, and logs to standard error. SIGTERM ends it, SIGHUP makes it read its config again.

`)
	flags.SetOutput(to)
	flags.PrintDefaults()
	fmt.Fprintf(to, `
Examples:
  recall-web -t                          check the config
  recall-web -c /etc/recall-milter/recall-milter.toml

Exit: 0 ended by a signal, %d wrong arguments, %d a port can't be opened or what the log says, %d the config is wrong.
`, exitUsage, exitFailed, exitConfig)
}
