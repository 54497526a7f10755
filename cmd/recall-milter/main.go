// Command recall-milter is the daemon: it answers the MTA's milter sessions, and releases what is due.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
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
	flags := flag.NewFlagSet("recall-milter", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("c", config.DefaultFile, "config `file`")
	check := flags.Bool("t", false, "check the config and exit")
	showVersion := flags.Bool("V", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		help(flags, stdout)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "recall-milter: %v: see recall-milter -h\n", err)
		return exitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "recall-milter: unexpected argument %q: only flags are taken, see -h\n", flags.Arg(0))
		return exitUsage
	}
	if *showVersion {
		fmt.Fprintln(stdout, "recall-milter", version)
		return 0
	}
	c, err := config.Load(*file)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitConfig
	}
	d, err := newDaemon(c, *file, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "recall-milter:", err)
		return exitConfig
	}
	if *check {
		for _, doubt := range c.Doubts {
			fmt.Fprintf(stderr, "recall-milter: warning: %v\n", doubt)
		}
		fmt.Fprintf(stdout, "recall-milter: %s is valid\n", *file)
		if len(c.Environment) > 0 {
			fmt.Fprintf(stdout, "recall-milter: set by the environment: %s\n", strings.Join(c.Environment, ", "))
		}
		return 0
	}
	if err := d.serve(ctx); err != nil {
		d.log.Dies(err)
		return exitFailed
	}
	return 0
}

// help prints what -h asks for.
func help(flags *flag.FlagSet, to io.Writer) {
	fmt.Fprint(to, `Usage: recall-milter [-c FILE] [-t | -V]

Hold outbound mail for a grace period, and release it to the MTA. The daemon runs in the foreground and logs to
standard error. SIGTERM ends it, SIGHUP makes it read its config again.

`)
	flags.SetOutput(to)
	flags.PrintDefaults()
	fmt.Fprintf(to, `
Examples:
  recall-milter -t                          check the config
  recall-milter -c /etc/recall-milter/recall-milter.toml

Exit: 0 ended by a signal, %d wrong arguments, %d a port can't be opened or what the log says, %d the config is wrong.
`, exitUsage, exitFailed, exitConfig)
}
